"""A lake of Parquet files on this machine. `layout` says where they are.

A file is written to `.incoming` and renamed into place. Readers see whole files only, and a killed run leaves nothing
that a query would read.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.util import hash_pandas_object

from tickerlake import bars
from tickerlake.errors import ConfigError, SinkError
from tickerlake.lake import Rejected
from tickerlake.lake.layout import Layout
from tickerlake.record import COLUMNS, KEY, PRICES

_ARROW_TYPES = {
    "string": pa.string(),
    # Without a zone, as Hive and Glue know timestamps; the values are UTC.
    "timestamp": pa.timestamp("us"),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
}
SCHEMA = pa.schema([pa.field(c.name, _ARROW_TYPES[c.type], c.nullable) for c in COLUMNS])
"""The columns of a file. The partition `dt` is in the name of its folder."""

SIMULATED = "simulated"
_ABANDONED_AFTER = dt.timedelta(hours=6)
# pyarrow raises a plain ValueError for nulls in a column that allows none.
_READ_ERRORS = (pa.ArrowException, ValueError, OSError)


class ParquetSink:
    """Stores bars in the folder `lake`, which the first write creates."""

    def __init__(self, lake: Path) -> None:
        self._layout = Layout(lake)
        self._allowed: set[str] = set()
        """Sources that have passed the check, so that files are not read again for each session."""

    def check_sources(self, sources: Collection[str]) -> None:
        """Refuses to mix simulated and real bars in one lake. Unreadable files are skipped. ConfigError."""
        coming = set(sources)
        if coming <= self._allowed:
            return
        held = sources_held(self._layout.folder)
        if SIMULATED in held | coming and held | coming != {SIMULATED}:
            raise ConfigError(
                f"simulated and real bars cannot share a lake: {str(self._layout.folder)!r} holds "
                f"{', '.join(sorted(held)) or 'nothing'}, the new bars are {', '.join(sorted(coming))}; "
                "name another folder with --lake"
            )
        self._allowed |= coming

    def write(self, frame: pd.DataFrame) -> int:
        """Stores one session's bars in one file, without those that the lake already holds; returns how many are new.

        A bar whose numbers differ from the stored ones is a restatement: it is stored beside the old record, and
        queries prefer the later one. Raises ConfigError as `check_sources`, SinkError if a file of this session cannot
        be read or the new one cannot be written, ValueError for a frame that does not hold exactly one session or
        breaks a rule.
        """
        sessions = frame["dt"].unique()
        if len(sessions) != 1:
            raise ValueError(f"write takes one session at a time, not {list(sessions)}")
        broken = bars.broken_rules(frame, collected=False).dropna()
        if len(broken):
            raise ValueError(f"{len(broken)} bars break a rule, the first {broken.iloc[0]}; reject them instead")
        self.check_sources(frame["source"].unique())
        new = _unknown(self._stored(sessions[0]), frame)
        if new.empty:
            return 0
        new = new.sort_values([*KEY, "collected_at"], kind="stable")
        table = pa.Table.from_pandas(_naive(new), schema=SCHEMA, preserve_index=False)
        name = f"{_compact(frame['collected_at'].max())}-{_digest(new)}.parquet"
        target = self._layout.partition(sessions[0]) / name
        self._place(target, lambda path: pq.write_table(table, path, compression="zstd"))
        return len(new)

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keeps `rejected` as JSON lines in one file. Rejecting the same records again changes nothing."""
        if not rejected:
            return
        lines = "".join(json.dumps(record.as_dict(), ensure_ascii=False) + "\n" for record in rejected)
        collected = _compact(dt.datetime.fromisoformat(max(record.collected_at for record in rejected)))
        name = f"{collected}-{hashlib.sha256(lines.encode()).hexdigest()[:12]}.jsonl"
        self._place(self._layout.rejections / name, lambda path: path.write_text(lines, encoding="utf-8"))

    def _stored(self, session: str) -> pd.DataFrame:
        day = dt.date.fromisoformat(session)
        tables = [_read(file, session) for file in self._layout.files(day, day)]
        if not tables:
            return bars.empty()
        frame = pa.concat_tables(tables).to_pandas().assign(dt=session)
        for column in ("ts", "collected_at"):
            frame[column] = frame[column].dt.tz_localize("UTC")
        return bars.as_bars(frame)

    def _place(self, target: Path, write: Callable[[Path], object]) -> None:
        """Writes a file in `.incoming`, forces it to disk and renames it to `target`."""
        incoming = self._layout.incoming
        try:
            incoming.mkdir(parents=True, exist_ok=True)
            _sweep(incoming)
            handle, name = tempfile.mkstemp(dir=incoming, suffix=target.suffix)
            temporary = Path(name)
            try:
                write(temporary)
                os.fsync(handle)
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(target)
            finally:
                os.close(handle)
                temporary.unlink(missing_ok=True)
        except (OSError, pa.ArrowException) as error:
            raise SinkError(f"cannot write {target}: {error}; nothing of this file was stored") from error


def sources_held(lake: Path) -> set[str]:
    """The sources of the bars in the lake. A missing lake holds none; unreadable and foreign files are skipped."""
    held: set[str] = set()
    for file in Layout(lake).files():
        with suppress(*_READ_ERRORS):
            held |= _sources(file)
    return held


def _sources(file: Path) -> set[str]:
    """The sources in one file: from its statistics if they name a single one, else from its column."""
    with pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        if "source" not in names:
            return set()
        found: set[str | None] = set()
        for group in range(parquet.metadata.num_row_groups):
            columns = parquet.metadata.row_group(group)
            statistics = next(
                columns.column(index).statistics
                for index in range(columns.num_columns)
                if columns.column(index).path_in_schema == "source"
            )
            if statistics is None or not statistics.has_min_max or statistics.min != statistics.max:
                found |= set(parquet.read(columns=["source"])["source"].unique().to_pylist())
                break
            found.add(statistics.min)
    return {source for source in found if source is not None}


def _read(file: Path, session: str) -> pa.Table:
    """The record's columns of `file`, by name. SinkError, naming the file, if it is not a file of bars."""
    try:
        with pq.ParquetFile(file) as parquet:
            missing = [name for name in SCHEMA.names if name not in parquet.schema_arrow.names]
            if missing:
                raise ValueError(f"it has no column {', '.join(missing)}")
            return parquet.read(columns=SCHEMA.names).select(SCHEMA.names).cast(SCHEMA)
    except _READ_ERRORS as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise SinkError(
            f"cannot use {file} as bars: {reason}; move it out of the lake, then collect {session} again"
        ) from error


def _unknown(stored: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """The rows of `fresh` that differ from the record in force when they were collected."""
    order = [*KEY, "collected_at"]
    both = pd.concat([stored.assign(fresh=False), fresh.assign(fresh=True)], ignore_index=True)
    both = both.sort_values([*order, "fresh"], kind="stable")
    values = both[[*PRICES, "volume"]]
    before = values.shift()
    same_key = (both[list(KEY)] == both[list(KEY)].shift()).all(axis=1)
    same_values = ((values == before) | (values.isna() & before.isna())).fillna(False).all(axis=1)
    return both[both["fresh"] & ~(same_key & same_values)].drop(columns="fresh")


def _naive(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{column: frame[column].dt.tz_localize(None) for column in ("ts", "collected_at")})


def _digest(frame: pd.DataFrame) -> str:
    rows = hash_pandas_object(frame, index=False)  # ty: ignore[not-callable]  pandas hides its type
    return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()[:12]


def _compact(moment: dt.datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _sweep(incoming: Path) -> None:
    """Removes what killed runs left behind. Younger files may belong to a run that is still writing."""
    oldest = dt.datetime.now(dt.UTC).timestamp() - _ABANDONED_AFTER.total_seconds()
    for path in incoming.iterdir():
        with suppress(FileNotFoundError):  # another run has renamed or removed it
            if path.stat().st_mtime < oldest:
                path.unlink()
