"""The table `runs` as Parquet files: what was asked of which source, and what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickerlake.lake import Run
from tickerlake.lake.schema import parquet_schema
from tickerlake.record import RUNS

SCHEMA = parquet_schema(RUNS)
_TIMES = ("since", "until", "collected_at")


def read_runs(files: Iterable[Path]) -> list[Run]:
    """The runs in `files`. One that cannot be read is skipped: what it says was asked is asked once more."""
    rows = []
    for file in files:
        with suppress(pa.ArrowException, ValueError, OSError):
            rows += pq.read_table(file, schema=SCHEMA, partitioning=None).to_pylist()
    return [Run(**row | {name: row[name].replace(tzinfo=dt.UTC) for name in _TIMES}) for row in rows]


def runs_table(runs: Sequence[Run]) -> pa.Table:
    """`runs` with the columns of the table."""
    rows = [asdict(run) | {name: getattr(run, name).replace(tzinfo=None) for name in _TIMES} for run in runs]
    return pa.Table.from_pylist(rows, schema=SCHEMA)
