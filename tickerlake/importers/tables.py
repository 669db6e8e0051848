"""Bars in Parquet files: the lake's own, and any other with the record's columns."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from tickerlake.importers.recorded import KEYS, Records, chosen_keys, not_a_record

REQUIRED = ("ticker", "ts", "high", "low")
MOST_ROWS_PER_BYTE = 10
"""A row of bars takes several bytes; runs of equal values can put billions of rows into a small file."""
_MAGIC = b"PAR1"


def is_parquet(content: bytes) -> bool:
    """Whether `content` starts like a Parquet file."""
    return content.startswith(_MAGIC)


def read_parquet(content: bytes) -> Iterator[Records]:
    """The rows of a Parquet file as records, under the same names as in text (see `recorded.KEYS`).

    Times are aware if the file states UTC or a zone. A file that is damaged or lacks one of `REQUIRED` gives one record
    without values that says so.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            names = dict(zip(KEYS, chosen_keys(tuple(file.schema_arrow.names)), strict=True))
            if missing := [column for column in REQUIRED if names[column] is None]:
                yield not_a_record(f"a Parquet file without the columns {', '.join(missing)}")
                return
            if file.metadata.num_rows > MOST_ROWS_PER_BYTE * len(content):
                rows, size = f"{file.metadata.num_rows:,} rows", f"{len(content):,} bytes"
                yield not_a_record(f"a Parquet file of {rows}, more than the limit for {size}")
                return
            for batch in file.iter_batches(columns=[name for name in names.values() if name]):
                columns = [_values(batch.column(name)) if name else [None] * len(batch) for name in names.values()]
                texts = [_as_json(row) for row in zip(*columns, strict=True)]
                yield Records(texts, columns, [True] * len(batch))
    except (pa.ArrowException, ValueError, LookupError, OSError) as error:
        yield not_a_record(f"a damaged Parquet file: {' '.join(str(error).split())}")


def _as_json(row: tuple[object, ...]) -> str:
    return json.dumps({name: value for name, value in zip(KEYS, row, strict=True) if value is not None}, default=str)


def _values(column: pa.Array) -> list[object]:
    if pa.types.is_timestamp(column.type):
        # Finer than microseconds, pyarrow would make pandas Timestamps, one by one.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    elif pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return column.to_pylist()
