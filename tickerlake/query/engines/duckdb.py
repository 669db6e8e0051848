"""DuckDB over the Parquet files of a local lake, in this process."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tickerlake import watchlist
from tickerlake.errors import LakeEmpty, OutOfMemory, QueryFailed
from tickerlake.lake.faults import faults_in
from tickerlake.lake.hours import session_of, settled
from tickerlake.lake.layout import Fault, Layout
from tickerlake.lake.sql import array, quoted, reason, table, trino_functions
from tickerlake.query.answer import Answer, Result, answer
from tickerlake.query.statement import TABLES, bars_of, defining, empty, records_of, refuse
from tickerlake.record import COLUMNS, HOURS, PARTITION
from tickerlake.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")

_PLAIN_TYPES = {"VARCHAR", "INTEGER", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
"""Types of which DuckDB makes a whole pandas column."""

_ATTEMPTS = 10
"""Attempts at a query while compaction replaces files underneath it."""

_MEGABYTES = 800
_MEGABYTES_PER_THREAD = 125
"""How much memory named queries may take together, of which threads need their share.
https://duckdb.org/docs/stable/guides/performance/environment
"""

_TABLES = {"bars": COLUMNS, "settled_hours": HOURS, **TABLES}
_Files = dict[str, list[Path]]
"""The files of each of `_TABLES`."""

_USERS_ERRORS = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.PermissionException)
"""What is wrong with the text of a question, not with a file."""


def open_engine(settings: Settings) -> DuckDBEngine:
    """The engine over the folder that `settings` name."""
    return DuckDBEngine(settings.lake)


class DuckDBEngine:
    """Runs queries on the lake in the folder `lake`. Safe to share between threads."""

    name = "duckdb"

    def __init__(self, lake: Path) -> None:
        self.lake = str(lake)
        self._layout = Layout(Path(lake))
        self._connection = _bounded()
        self._damaged: dict[Path, tuple[tuple[int, int] | None, Fault]] = {}
        """Files that a query could not read, with their size and time then."""
        self._short: set[Path] = set()
        """Files that are known to hold no bars longer than half an hour."""

    def run(
        self, sql: str, parameters: Mapping[str, Any], limit: int | None = None, *, columns: bool = False
    ) -> Answer:
        """Runs `sql` over the files that the lake holds now, of the sessions from `first` to `last` if given."""
        started = time.perf_counter()

        def execute(files: _Files) -> Answer:
            values = dict(parameters)
            if "settled" in values:
                files["settled_hours"] = hours = self._settled(files["bars"], values["as_of"])
                values["settled"] = ",".join(map(session_of, hours))
            # Values become literals: passing one to DuckDB makes it import pandas, NumPy and pyarrow (0.6 s).
            text = _PLACEHOLDER.sub(lambda match: literal(values[match[1]]), sql) if values else sql
            tables = ", ".join(
                f"{name} AS NOT MATERIALIZED ({_stored(name, files)})"
                for name in files
                if re.search(rf"\b{name}\b", sql)  # to know a table's columns, DuckDB opens one of its files
            )
            return _run(self._connection.cursor(), defining(tables, text), limit, columns, started)

        return self._answer(execute, parameters.get("since", parameters.get("first")), parameters.get("last"))

    def ask(self, sql: str, limit: int | None = None, *, columns: bool = False) -> Answer:
        """Runs a user's SQL over `bars`, `records` and the other tables."""
        started = time.perf_counter()

        def execute(files: _Files) -> Answer:
            try:
                statements = duckdb.extract_statements(sql)
            except _USERS_ERRORS as error:
                raise self._failure(error) from error
            if len(statements) != 1:
                raise refuse("more than one statement" if statements else "")
            if statements[0].type != duckdb.StatementType.SELECT:
                raise refuse(statements[0].type.name)
            reader = self._reader(files)
            try:
                return _run(reader, statements[0].query, limit, columns, started)
            except _USERS_ERRORS as error:
                raise self._failure(error) from error

        return self._answer(execute)

    def simulated(self, first: dt.date | None, last: dt.date | None) -> bool:
        """Reads the statistics of one file."""
        for file in reversed(self._layout.files(first, last)):
            text = f"SELECT stats_min_value FROM parquet_metadata({quoted(file)})"  # noqa: S608
            with contextlib.suppress(duckdb.Error):  # damaged, or just removed: the next one tells as well
                return ("simulated",) in self._connection.cursor().execute(text).fetchall()
        return False

    def may_hold_long_bars(self, first: str, last: str) -> bool:
        """Looks into the files that it has not looked into before."""
        files = set(self._files(first, last)[0]["bars"])
        if new := files - self._short:
            stored = f"read_parquet({array(list(new))}, hive_partitioning = false)"
            text = f"SELECT DISTINCT filename FROM {stored} WHERE bar_minutes > 30"  # noqa: S608
            with contextlib.suppress(duckdb.Error):  # a file is damaged, or was just removed
                long = self._connection.cursor().execute(text).fetchall()
                self._short = self._short | (new - {Path(name) for (name,) in long})  # another thread may read it
        return not files <= self._short

    def faults(self) -> list[Fault]:
        """What queries skip at the moment: files known to be damaged, and folders that cannot be listed."""
        return self._files(None, None)[1]

    def _reader(self, files: _Files) -> duckdb.DuckDBPyConnection:
        """A database with `records` and the tables that can read `files` and nothing else."""
        connection = _connect()
        stored = _stored("bars", files)
        connection.execute(f"CREATE VIEW records AS {records_of(f'({stored})')}")
        for name in TABLES:
            connection.execute(f"CREATE VIEW {name} AS {_stored(name, files)}")
        # DuckDB applies a user's condition on dt before it reads only where it materializes nothing.
        bars = re.sub(
            r"^(\w+) AS \($", r"\1 AS NOT MATERIALIZED (", bars_of("records", self.sources), flags=re.MULTILINE
        )
        connection.execute(f"CREATE VIEW bars AS {bars}")
        connection.execute(f"SET allowed_paths = {array([path for paths in files.values() for path in paths])}")
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def _answer(self, execute: Callable[[_Files], Answer], first: str | None = None, last: str | None = None) -> Answer:
        """What `execute` makes of the files that the lake holds now.

        If it fails because a file was replaced meanwhile, it runs again on the new ones; if a file is damaged, without
        that file, which the answer notes.
        """
        for attempt in range(_ATTEMPTS):
            files, faults = self._files(first, last)
            try:
                found = execute(files)
            except duckdb.OutOfMemoryException as error:
                raise OutOfMemory("the query needs more memory than DuckDB may take; query fewer sessions") from error
            except duckdb.Error as error:
                if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                    self._connection = _bounded()  # the old one refuses everything from here on
                # Looking for the reason costs time, so only after a failure.
                if attempt == _ATTEMPTS - 1 or not self._changed(files):
                    raise self._failure(error) from error
            else:
                return replace(found, notes=(*found.notes, *map(_note, faults)))
        raise AssertionError("the last attempt returns or raises")

    def _changed(self, files: _Files) -> bool:
        """Whether another attempt would read other files: one was removed, or is now known to be damaged."""
        if not all(path.exists() for paths in files.values() for path in paths):
            return True
        found = [fault for name, paths in files.items() for fault in faults_in(paths, _TABLES[name])]
        self._damaged |= {fault.path: (_version(fault.path), fault) for fault in found}
        return bool(found)

    def _failure(self, error: duckdb.Error) -> QueryFailed:
        return QueryFailed(f"DuckDB could not run the query on {self.lake!r}: {reason(error)}")

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources in the order of preference that the lake's tickerlake.toml gives."""
        return watchlist.sources(self._layout.config)

    def _files(self, first: str | None, last: str | None) -> tuple[_Files, list[Fault]]:
        """The files to read, of the sessions asked for, and what is skipped.

        If there are no bars in these sessions, any file, so that the columns are known. LakeEmpty.
        """
        span = [dt.date.fromisoformat(date) if date else None for date in (first, last)]
        listed, faults = self._layout.scan(*span)
        bars, damaged = self._good(listed)
        if not bars:
            elsewhere, more = self._good(self._layout.files())
            bars, damaged = elsewhere[-1:], damaged or more
        # Nobody asks for a session before its day.
        tables = {name: getattr(self._layout, name)() for name in TABLES} | {"runs": self._layout.runs(span[0])}
        others = {name: self._good(paths) for name, paths in tables.items()}
        faults = [*faults, *damaged, *(fault for _, lost in others.values() for fault in lost)]
        if not bars and faults:
            raise QueryFailed(
                f"the lake {self.lake!r} has no file of bars that can be read: {faults[0].path}: {faults[0].reason}; "
                "move what is damaged to quarantine: tickerlake repair"
            )
        if not bars and not self._layout.runs():
            raise LakeEmpty(
                f"the lake {self.lake!r} holds no bars; collect some: tickerlake collect --lake {self.lake}"
            )
        return {"bars": bars, **{name: good for name, (good, _) in others.items()}}, faults

    def _settled(self, bars: list[Path], as_of: str) -> list[Path]:
        """The hours of those sessions in `bars` that are settled and were known in full at `as_of`."""
        moment = dt.datetime.fromisoformat(as_of).replace(tzinfo=dt.UTC)
        return self._good(settled(self._layout, bars, moment))[0]

    def _good(self, paths: list[Path]) -> tuple[list[Path], list[Fault]]:
        """`paths` without those that are known to be damaged and have not changed since, and the faults of these."""
        known = [(path, *self._damaged[path]) for path in self._damaged.keys() & paths] if self._damaged else []
        faults = {path: fault for path, version, fault in known if version == _version(path)}
        return [path for path in paths if path not in faults] if faults else paths, list(faults.values())


def literal(value: Any) -> str:
    """`value` as SQL: text in quotes, a list of text in parentheses."""
    if isinstance(value, str):
        if "\0" in value:
            raise QueryFailed(f"DuckDB takes no zero byte in text: {value!r}")
        return quoted(value)
    if isinstance(value, list):
        return f"({', '.join(map(literal, value)) or 'NULL'})"
    if isinstance(value, float):
        return f"CAST({value!r} AS double)"
    return str(value).lower()


def _stored(name: str, files: _Files) -> str:
    columns = _TABLES[name]
    if files[name]:
        return table(columns, files[name])
    return empty((*columns, PARTITION) if columns in (COLUMNS, HOURS) else columns)


def _version(path: Path) -> tuple[int, int] | None:
    """Changes when the file does; None if it has gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _note(fault: Fault) -> str:
    return f"skipped {fault.path}: {fault.reason}; move it to quarantine: tickerlake repair"


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    # Not an option of connect(): the extension that knows time zones is loaded later than options are read.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL parquet_metadata_cache = true")  # a query reads each file several times
    connection.execute(trino_functions())
    return connection


def _bounded() -> duckdb.DuckDBPyConnection:
    """A connection that refuses what takes too much memory, so that the query runs on parts of the tickers instead."""
    connection = _connect()
    (threads,) = connection.execute("SELECT current_setting('threads')").fetchone() or (1,)
    connection.execute(f"SET GLOBAL memory_limit = '{max(_MEGABYTES, _MEGABYTES_PER_THREAD * threads)}MB'")
    # Windows that spill to disk take many times as long as parts that fit.
    connection.execute("SET GLOBAL temp_directory = ''")
    return connection


def _run(
    cursor: duckdb.DuckDBPyConnection,
    text: str,
    limit: int | None,
    columns: bool,
    started: float,
) -> Answer:
    """Runs `text` and fetches its result once, as rows or as whole columns."""
    cursor.execute(text)
    described = [(column[0], str(column[1])) for column in cursor.description or ()]
    result: Result
    if columns and limit is None and {type_ for _, type_ in described} <= _PLAIN_TYPES:
        result = _Columns(cursor.to_arrow_table())
    else:
        result = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
    return answer(described, result, time.perf_counter() - started)


class _Columns:
    """The result of a query as whole columns."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __len__(self) -> int:
        return self.table.num_rows

    def joined(self, others: Sequence[_Columns], by: Sequence[str]) -> _Columns:
        """These rows and those of `others`, in the order of the columns `by`; of equal ones, in the order they have."""
        import pyarrow as pa  # noqa: PLC0415  # only frames need it

        whole = pa.concat_tables([self.table, *(other.table for other in others)])
        return _Columns(whole.sort_by([(name, "ascending") for name in by]))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*(column.to_pylist() for column in self.table.columns), strict=True)

    def columns(self) -> list[pd.Series]:
        """The columns for pandas."""
        import numpy as np  # noqa: PLC0415  # only frames need the three
        import pandas as pd  # noqa: PLC0415
        import pyarrow as pa  # noqa: PLC0415

        # Without this mapping, pandas makes a Python object of each text.
        dtypes = {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype(na_value=np.nan)}
        return [column.to_pandas(types_mapper=dtypes.get) for column in self.table.columns]

    def distinct(self, name: str) -> set[Any]:
        """The different values of one column."""
        return set(self.table[name].unique().to_pylist())
