"""SQL over the files of a lake: how DuckDB reads them, and which records compaction keeps, on any engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tickerlake.record import COLUMNS, HOURS, KEY, KNOWLEDGE, Column

# Trino's names of functions that DuckDB has under other names only.
_TRINO_FUNCTIONS = {
    "array_join(list, separator)": "array_to_string(list, separator)",
    "bit_count(bits, width)": "system.main.bit_count(bits)",
    "bitwise_and(one, other)": "one & other",
    "bitwise_left_shift(bits, places)": "bits << places",
    "bitwise_or_agg(bits)": "bit_or(bits)",
    "element_at(list, place)": "list[place]",
    "sequence(start, stop)": "generate_series(start, stop)",
}

_NAMES = ", ".join(column.name for column in COLUMNS)
_SAME = ", ".join(column.name for column in COLUMNS if column.name != "collected_at")
_NEWEST_FIRST = ", ".join(f"{name} DESC NULLS LAST" for name in KNOWLEDGE)
_BAR = f"PARTITION BY {', '.join(KEY)} ORDER BY {', '.join(f'{name} NULLS FIRST' for name in KNOWLEDGE)}"


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


def kept(records: str) -> str:
    """The SQL of those of `records`, a table with at least the columns of bars, that compaction keeps.

    Of each bar, the first and the last of the records that follow one another with the same numbers; of equal records
    one. DuckDB and Athena run the same text, so a lake is compacted alike on one machine and in the cloud.
    """
    return f"""
SELECT *
FROM (
    SELECT
        *,
        ({_SAME}) IS NOT DISTINCT FROM lag(({_SAME})) OVER ({_BAR}) AS as_before,
        ({_SAME}) IS NOT DISTINCT FROM lead(({_SAME})) OVER ({_BAR}) AS as_after
    FROM (
        SELECT *, row_number() OVER (PARTITION BY {_NAMES} ORDER BY ticker) AS copy
        FROM {records}
    ) counted
    WHERE copy = 1
) compared
WHERE NOT (as_before AND as_after)
"""  # noqa: S608  # our own names


def in_force(records: str) -> str:
    """The SQL of those of `records`, a table with at least the columns of bars, that are in force: each bar once."""
    return f"""
SELECT *
FROM (
    SELECT *, row_number() OVER (PARTITION BY {", ".join(KEY)} ORDER BY {_NEWEST_FIRST}) AS version
    FROM {records}
) versions
WHERE version = 1 AND high < 1e300
"""  # noqa: S608  # our own names


def trino_functions(kind: str = "MACRO") -> str:
    """Statements that give DuckDB the functions of Trino that it has under other names only."""
    return "\n".join(f"CREATE OR REPLACE {kind} {name} AS {meaning};" for name, meaning in _TRINO_FUNCTIONS.items())


def array(texts: Sequence[Path | str]) -> str:
    """A list of text."""
    return f"[{', '.join(map(quoted, texts))}]"


def quoted(text: Path | str) -> str:
    """`text` in quotes."""
    return "'" + str(text).replace("'", "''") + "'"


def reason(error: Exception) -> str:
    """The message of DuckDB or pyarrow in one line, without its suggestions."""
    return " ".join(str(error).partition("\nLINE ")[0].split()).rstrip(".")
