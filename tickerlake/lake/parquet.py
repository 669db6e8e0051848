"""A lake of Parquet files on this machine, laid out as Firehose lays out the one in S3.

    <lake>/bars/dt=YYYY-MM-DD/<collected>-<content>.parquet    one file per session and run
    <lake>/rejected/<collected>-<content>.jsonl                rejected records, as they came
    <lake>/.incoming/                                          files being written

A file is written beside the lake's folders and renamed into place, so a reader sees whole files only and a
killed run leaves nothing behind that a query could read.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.util import hash_pandas_object

from tickerlake import bars
from tickerlake.errors import ConfigError, SinkError
from tickerlake.lake import Rejected
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
"""The columns of a file; the partition `dt` is in the folder's name."""

_ABANDONED_AFTER = dt.timedelta(hours=6)


class ParquetSink:
    """Keeps bars in the folder `lake`, which is made on the first write."""

    def __init__(self, lake: Path) -> None:
        self._lake = lake

    def write(self, frame: pd.DataFrame) -> int:
        """Stores the bars of one session that the lake does not hold yet, in one file; returns how many.

        A bar that is held already, with the same numbers, is left out; one with other numbers is a
        restatement and stored beside the old record, which queries then pass over.
        """
        partitions = frame["dt"].unique()
        if len(partitions) != 1:
            raise ValueError(f"one session at a time, not {list(partitions)}")
        folder = self._lake / "bars" / f"dt={partitions[0]}"
        new = _unknown(self._stored(folder, partitions[0]), frame)
        if new.empty:
            return 0
        new = new.sort_values([*KEY, "collected_at"], kind="stable")
        table = pa.Table.from_pandas(_naive(new), schema=SCHEMA, preserve_index=False)
        name = f"{_compact(frame['collected_at'].max())}-{_digest(new)}.parquet"
        self._place(folder / name, lambda path: pq.write_table(table, path, compression="zstd"))
        return len(new)

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keeps `rejected` as JSON lines in one file. The same rejected records again change nothing."""
        if not rejected:
            return
        lines = "".join(json.dumps(record.as_dict(), ensure_ascii=False) + "\n" for record in rejected)
        collected = _compact(dt.datetime.fromisoformat(max(record.collected_at for record in rejected)))
        name = f"{collected}-{hashlib.sha256(lines.encode()).hexdigest()[:12]}.jsonl"
        self._place(self._lake / "rejected" / name, lambda path: path.write_text(lines, encoding="utf-8"))

    def _stored(self, folder: Path, partition: str) -> pd.DataFrame:
        files = sorted(folder.glob("*.parquet"))
        if not files:
            return bars.empty()
        try:
            table = pa.concat_tables([pq.read_table(file, schema=SCHEMA, partitioning=None) for file in files])
        except (pa.ArrowException, OSError) as error:
            raise SinkError(
                f"cannot read {folder}: {error}; move the damaged file out of the lake and collect {partition} again"
            ) from error
        frame = table.to_pandas().assign(dt=partition)
        for column in ("ts", "collected_at"):
            frame[column] = frame[column].dt.tz_localize("UTC")
        return bars.as_bars(frame)

    def _place(self, target: Path, write: Callable[[Path], object]) -> None:
        """Writes a file aside, forces it to disk and renames it to `target`."""
        incoming = self._lake / ".incoming"
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
    """The sources of the bars in the lake, told from the statistics of its files; a missing lake holds none."""
    column = SCHEMA.get_field_index("source")
    held: set[str] = set()
    for file in lake.glob("bars/dt=*/*.parquet"):
        try:
            metadata = pq.read_metadata(file)
        except (pa.ArrowException, OSError) as error:
            raise SinkError(f"cannot read {file}: {error}; move the damaged file out of the lake") from error
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(column).statistics
            held |= {statistics.min, statistics.max}
    return held


def refuse_mixing(lake: Path, coming: set[str]) -> None:
    """Simulated bars and real ones never share a lake."""
    held = sources_held(lake)
    if "simulated" in held | coming and held | coming != {"simulated"}:
        raise ConfigError(
            f"simulated and real bars must not be mixed in: the lake {str(lake)!r} holds "
            f"{', '.join(sorted(held)) or 'nothing'}, and {', '.join(sorted(coming))} would come; "
            "name another folder with --lake"
        )


def _unknown(stored: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """The rows of `fresh` that say something else than the record in force when they were collected."""
    order = [*KEY, "collected_at"]
    both = pd.concat([stored.assign(fresh=False), fresh.assign(fresh=True)], ignore_index=True)
    both = both.sort_values([*order, "fresh"], kind="stable")
    values = both[[*PRICES, "volume", "source"]]
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
    """Removes what killed runs left behind; a run that is still writing is younger than that."""
    oldest = dt.datetime.now(dt.UTC).timestamp() - _ABANDONED_AFTER.total_seconds()
    for path in incoming.iterdir():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
