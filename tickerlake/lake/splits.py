"""The table `actions` as Parquet files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickerlake.actions import Split
from tickerlake.lake.schema import parquet_schema
from tickerlake.record import ACTIONS

SCHEMA = parquet_schema(ACTIONS)


def read_splits(files: Iterable[Path]) -> list[Split]:
    """Every report of a split."""
    rows = [row for file in files for row in pq.read_table(file, schema=SCHEMA, partitioning=None).to_pylist()]
    return [
        Split(
            ticker=row["ticker"],
            ex_date=dt.date.fromisoformat(row["ex_date"]),
            ratio=row["ratio"],
            source=row["source"],
            collected_at=row["collected_at"].replace(tzinfo=dt.UTC),
            adjusted_from=row["adjusted_from"] and row["adjusted_from"].replace(tzinfo=dt.UTC),
        )
        for row in rows
    ]


def splits_table(splits: Sequence[Split]) -> pa.Table:
    """`splits` with the columns of the table."""
    rows = [
        split.row()
        | {"collected_at": _naive(split.collected_at)}
        | {"adjusted_from": split.adjusted_from and _naive(split.adjusted_from)}
        for split in splits
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _naive(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None)
