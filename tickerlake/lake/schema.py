"""The Parquet schema of a table, rendered from its columns, and how its files are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickerlake.record import Column

_ARROW_TYPES = {
    "string": pa.string(),
    # Without a zone, as Hive and Glue know timestamps; the values are UTC.
    "timestamp": pa.timestamp("us"),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
}


def parquet_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of a file with these columns."""
    return pa.schema([pa.field(column.name, _ARROW_TYPES[column.type], column.nullable) for column in columns])


def write_table(table: pa.Table, path: Path) -> None:
    """Writes `table` to `path` so that it is quick to read though it is small.

    Queries of a lake that is not compacted open hundreds of such files. They take half the time with Snappy instead of
    zstd, which sets up a decompressor for each column, and without a dictionary of numbers that hardly repeat.
    """
    repeating = [
        field.name for field in table.schema if pa.types.is_string(field.type) or pa.types.is_timestamp(field.type)
    ]
    plain = table.replace_schema_metadata()  # pandas leaves a page of it
    pq.write_table(plain, path, compression="snappy", use_dictionary=repeating, store_schema=False)
