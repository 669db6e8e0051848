"""Compaction of a local lake: one sorted file per finished session, and the hours that queries take from it.

A lake that is collected every five minutes has 78 files a session, and a query pays for each of them. Compaction writes
what they hold into one file and then removes them. Nobody needs to be kept out meanwhile: the lake is append-only and
records may come twice, so a reader sees the old files, both, or the new one, and always answers the same.

- The new file is whole, and on disk, before anything is removed. Only files that were listed before are removed. A run
  that is killed leaves both, and the next run goes on.
- The new file is named after those that it replaces. So two compactors cannot replace each other's results in a circle,
  and whatever one of them removes is in a file that stays.
- A session is left alone until an hour after its close.
- Of the records of a bar that follow one another with the same numbers, the first and the last stay.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from tickerlake.errors import ConfigError, SinkError
from tickerlake.exchange import EXCHANGES
from tickerlake.lake import hours
from tickerlake.lake.faults import faults_in
from tickerlake.lake.finished import COMPACTED, is_finished
from tickerlake.lake.layout import Layout
from tickerlake.lake.placing import place, supersede
from tickerlake.lake.sql import array, kept, quoted, reason, trino_functions, typed
from tickerlake.record import COLUMNS, KEY, KNOWLEDGE, PARTITION

_LISTINGS = 5
_SESSIONS_AT_ONCE = 2
_MEMORY = "500MB"
"""What does not fit goes to disk: 8,000 tickers at one minute are 3 million bars a session."""
_KEY = ", ".join(KEY)
_ORDER = ", ".join(f"{name} NULLS FIRST" for name in KNOWLEDGE)

_STORED = f"SELECT {typed(COLUMNS)} FROM read_parquet({{files}}, hive_partitioning = false)"  # noqa: S608
_SORTED = f"{_STORED} ORDER BY {_KEY}, collected_at"
_NULLS = " OR ".join(f"{column.name} IS NULL" for column in COLUMNS if not column.nullable)
_CHECKED = f"""
SELECT
    count(*) FILTER ({_NULLS}),
    count(*) FILTER (high < 1e300) = count(*),
    max(collected_at)
FROM stored
"""  # noqa: S608  # our own names
_IN_FORCE = "CREATE TEMPORARY VIEW in_force AS FROM stored WHERE high < 1e300"
_HOURS = f"CREATE OR REPLACE TEMPORARY TABLE hours AS {hours.summed('in_force')}"
_SUMMED = f"SELECT * EXCLUDE once FROM hours ORDER BY {hours.ORDER}"  # noqa: S608  # our own names

# Few bars have several records; only theirs are compared.
_REPEATED = f"""
CREATE TEMPORARY TABLE repeated AS
SELECT {_KEY} FROM stored GROUP BY {_KEY} HAVING count(*) > 1
"""  # noqa: S608  # our own names
_COMPARED = f"""
CREATE TEMPORARY TABLE compared AS
SELECT s.rowid AS id, s.* FROM stored s JOIN repeated USING ({_KEY})
"""  # noqa: S608  # our own names
_REPEATS = f"""
DELETE FROM stored
WHERE rowid IN (SELECT id FROM compared) AND rowid NOT IN (SELECT id FROM ({kept("compared")}))
"""  # noqa: S608  # our own names
_LATEST = f"""
CREATE OR REPLACE TEMPORARY VIEW in_force AS
FROM stored
WHERE high < 1e300
    AND rowid NOT IN (
        SELECT id
        FROM (
            SELECT s.rowid AS id, lead(true) OVER (PARTITION BY {_KEY} ORDER BY {_ORDER}, s.rowid) AS followed
            FROM stored s
            JOIN repeated USING ({_KEY})
        )
        WHERE followed
    )
"""  # noqa: S608  # our own names


@dataclass(frozen=True)
class Compacted:
    """What compaction did to one session."""

    session: str
    files: int
    """Files of bars before."""
    size: int
    """Their bytes."""
    files_after: int
    size_after: int
    error: str = ""
    """Why the session was left as it is."""

    @property
    def changed(self) -> bool:
        """Whether there was anything to do for it."""
        return (self.files, self.size) != (self.files_after, self.size_after)


def finished(lake: Path, now: dt.datetime) -> list[str]:
    """The sessions in the lake that closed an hour or more before `now` at every exchange in them, oldest first."""
    layout = Layout(lake)
    return [session for session in layout.sessions() if is_finished(session, now, partial(_traded, layout))]


def compact(lake: Path, sessions: Iterable[str], now: dt.datetime) -> Iterator[Compacted]:
    """Compacts `sessions`, two at a time; what is compact already stays as it is. Reports them in order.

    A session whose files cannot be read or replaced is left as it is, with the error in its report. ConfigError,
    before anything is done, for a session that has not finished by `now`.
    """
    wanted, layout = list(sessions), Layout(lake)
    for session in wanted:
        if not is_finished(session, now, partial(_traded, layout)):
            raise ConfigError(f"{session} may still be collected; compact it an hour after its close")
    # One at a time leaves cores idle: a session is small, and its file must reach the disk.
    with _open(layout) as database, ThreadPoolExecutor(_SESSIONS_AT_ONCE) as pool:
        yield from pool.map(lambda session: _reported(database, layout, session), wanted)


def _traded(layout: Layout, session: str) -> list[str]:
    """The codes of the exchanges with bars in a session."""
    day = dt.date.fromisoformat(session)
    text = f"SELECT DISTINCT exchange FROM read_parquet({array(layout.files(day, day))}, hive_partitioning = false)"  # noqa: S608
    with suppress(duckdb.Error):  # damaged, or just replaced: `compact` tells, once every exchange has closed
        return [code for (code,) in duckdb.sql(text).fetchall()]
    return list(EXCHANGES)


def _reported(database: duckdb.DuckDBPyConnection, layout: Layout, session: str) -> Compacted:
    """Compacts one session."""
    before = _sizes(layout, session)
    try:
        _compact(database, layout, session)
        error = ""
    except SinkError as failure:
        error = str(failure)
    after = _sizes(layout, session)
    return Compacted(session, len(before), sum(before), len(after), sum(after), error)


def _compact(database: duckdb.DuckDBPyConnection, layout: Layout, session: str) -> None:
    """Compacts one session, listing its files again if some vanish meanwhile. SinkError."""
    day = dt.date.fromisoformat(session)
    for _ in range(_LISTINGS):
        listed = layout.files(day, day)
        if not listed or hours.is_settled(layout, session, listed):
            return
        try:
            with database.cursor() as connection:  # with tables of its own
                _replace(connection, layout, session, listed)
        except (duckdb.Error, OSError, ValueError) as error:
            if all(path.exists() for path in listed):
                raise SinkError(f"cannot compact {session}: {_reason(listed, error)}") from error
        else:
            return
    raise SinkError(f"cannot compact {session}: its files keep vanishing; run it again when no other program does so")


def _replace(connection: duckdb.DuckDBPyConnection, layout: Layout, session: str, listed: Sequence[Path]) -> None:
    _check_columns(connection, listed)
    if len(listed) == 1 and listed[0].name.endswith(COMPACTED):
        compacted = listed[0]  # only its hours are missing
        newest, _ = _read(connection, compacted)
    else:
        digest = hashlib.sha256("\n".join(sorted(path.name for path in listed)).encode()).hexdigest()[:12]
        compacted = layout.partition(session) / f"{digest}{COMPACTED}"
        newest = place(layout, compacted, lambda path: _merge(connection, listed, path))
        supersede(listed, compacted)
    before = layout.hours_of(session)
    target = hours.target(layout, compacted, newest)
    place(layout, target, lambda path: _copy(connection, _SUMMED, path))
    supersede(before, target)


def _check_columns(connection: duckdb.DuckDBPyConnection, listed: Sequence[Path]) -> None:
    """Raises SinkError if a file has not exactly the columns of bars."""
    columns = "SELECT file_name, list(name) FROM parquet_schema($files) WHERE num_children IS NULL GROUP BY file_name"
    known = {column.name for column in COLUMNS}
    for file, names in connection.execute(columns, {"files": list(map(str, listed))}).fetchall():
        if odd := known ^ (set(names) - {PARTITION.name}):
            raise SinkError(
                f"cannot compact {listed[0].parent}: {file} has not exactly the columns of bars "
                f"({', '.join(sorted(odd))}); move it out of the lake"
            )


def _merge(connection: duckdb.DuckDBPyConnection, listed: Sequence[Path], path: Path) -> dt.datetime:
    """Writes the records of `listed` that stay to `path`, sorted, and fills the table `hours` from them.

    Returns when the newest was collected. ValueError if there are none.
    """
    # Most sessions have nothing to remove. So sort straight into the file; through a table it takes half as long again.
    _copy(connection, _SORTED.format(files=array(listed)), path)
    newest, removed = _read(connection, path)
    if removed:
        _copy(connection, "FROM stored", path)
    return newest


def _read(connection: duckdb.DuckDBPyConnection, file: Path) -> tuple[dt.datetime, bool]:
    """Fills the table `hours` from `file`, a sorted file of bars.

    Returns when the newest record was collected, and whether the file has repeats; the table `stored` has none.
    ValueError if there are no rows, or rows without a value that every row must have.
    """
    stored = _STORED.format(files=array([file]))
    connection.execute(f"CREATE TEMPORARY VIEW stored AS {stored}")
    ((incomplete, priced, newest),) = connection.execute(_CHECKED).fetchall()
    if incomplete:
        raise ValueError("rows lack a value that every row must have")
    if newest is None:
        raise ValueError("its files hold no bars; move them out of the lake")
    connection.execute(_IN_FORCE)
    connection.execute(_HOURS)
    if priced and connection.execute("SELECT bool_and(once) FROM hours").fetchone() == (True,):
        return newest, False
    connection.execute("DROP VIEW stored")
    connection.execute(f"CREATE TEMPORARY TABLE stored AS {stored}")
    connection.execute(_REPEATED)
    connection.execute(_COMPARED)
    removed = connection.execute(_REPEATS).fetchone() != (0,)
    connection.execute(_LATEST)
    connection.execute(_HOURS)
    return newest, removed


def _open(layout: Layout) -> duckdb.DuckDBPyConnection:
    layout.incoming.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute(trino_functions())
    connection.execute(f"SET memory_limit = '{_MEMORY}'")
    connection.execute("SET parquet_metadata_cache = true")  # each file is opened twice
    connection.execute(f"SET temp_directory = {quoted(layout.incoming / f'spill-{os.getpid()}')}")
    return connection


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    # Into the file that is there: `place` holds it open, to force it to disk.
    connection.execute(f"COPY ({query}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)")


def _sizes(layout: Layout, session: str) -> list[int]:
    day = dt.date.fromisoformat(session)
    sizes = []
    for path in layout.files(day, day):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue
    return sizes


def _reason(listed: Sequence[Path], error: Exception) -> str:
    """The damaged file that is to blame, if one is. Looking costs time, so only after a failure."""
    for fault in faults_in(listed):
        return f"{fault.path}: {fault.reason}; move it to quarantine: tickerlake repair"
    return f"{reason(error)}; its files stay as they are"
