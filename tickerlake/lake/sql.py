"""The SQL by which DuckDB reads Parquet files of a lake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tickerlake.record import COLUMNS, HOURS, Column


def table(columns: Sequence[Column], files: Sequence[Path | str]) -> str:
    """The SQL of a table with `columns`, read by name from Parquet `files` and converted to their types; `bars` and
    `settled_hours` have their partition `dt` too. It costs nothing for files that have these types already.
    """
    partition = ", dt" if columns in (COLUMNS, HOURS) else ""
    # Partition values stay text, as Glue declares them; DuckDB would make them dates.
    options = "hive_partitioning = true, hive_types_autocast = false" if partition else "hive_partitioning = false"
    return f"SELECT {typed(columns)}{partition} FROM read_parquet({array(files)}, {options})"  # noqa: S608


def typed(columns: Sequence[Column]) -> str:
    """`columns` by name, converted to their types."""
    return ", ".join(f"CAST({column.name} AS {column.sql_type}) AS {column.name}" for column in columns)


def array(texts: Sequence[Path | str]) -> str:
    """A list of text."""
    return f"[{', '.join(map(quoted, texts))}]"


def quoted(text: Path | str) -> str:
    """`text` in quotes."""
    return "'" + str(text).replace("'", "''") + "'"


def reason(error: Exception) -> str:
    """The message of DuckDB or pyarrow in one line, without its suggestions."""
    return " ".join(str(error).partition("\nLINE ")[0].split()).rstrip(".")
