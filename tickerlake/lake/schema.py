"""The Parquet schema of a table, rendered from its columns."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

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
