"""Free SQL: one statement that only reads, over `bars` (each bar once, the latest record wins) and `records` (all)."""

from __future__ import annotations

import re

from tickerlake.errors import ConfigError
from tickerlake.record import COLUMNS, KEY, PARTITION

QUERIES = ("SELECT", "WITH", "VALUES", "TABLE")
LISTINGS = ("SHOW", "DESCRIBE")
_WITH = re.compile(r"\s*WITH\b(\s+RECURSIVE\b)?", re.IGNORECASE)
_COMMENT_OR_QUOTED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)

_NAMES = [column.name for column in (*COLUMNS, PARTITION)]
# Records collected at one moment are repeats of one delivery; the other columns only make the choice stable.
_ORDER = ["collected_at", *(name for name in _NAMES if name not in (*KEY, PARTITION.name, "collected_at"))]


def records_of(table: str) -> str:
    """The SQL of `records`: everything in `table`, as stored."""
    return f"SELECT {', '.join(_NAMES)} FROM {table}"  # noqa: S608  # our own names


def bars_of(table: str) -> str:
    """The SQL of `bars`: each bar of `table` once."""
    # With dt among the keys, engines apply a condition on dt before they rank, and read those partitions only.
    key, order = ", ".join([PARTITION.name, *KEY]), ", ".join(f"{name} DESC" for name in _ORDER)
    ranked = f"SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY {order}) AS age FROM {table}"  # noqa: S608
    return f"{records_of(f'({ranked}) ranked')} WHERE age = 1"


def refuse(found: str) -> ConfigError:
    """The error for a statement that does not only read."""
    example = "SELECT ticker, max(high) FROM bars GROUP BY ticker"
    return ConfigError(f"{found or 'an empty text'} is refused; write one statement that only reads, such as {example}")


def with_tables(text: str, table: str) -> str:
    """One statement of Trino's SQL with `bars` and `records` over `table` defined in its WITH clause.

    The definitions join the user's own WITH, because Trino ignores an ORDER BY inside a subquery. Raises ConfigError
    for a statement that does not only read, and for more than one.
    """
    end = _blanked(text).find(";")
    if end >= 0:
        if _blanked(text)[end + 1 :].strip():
            raise refuse("more than one statement")
        text = text[:end]
    blanked = _blanked(text)
    match = re.match(r"[\s(]*(\w*)", blanked)
    first = match[1].upper() if match else ""
    if first in LISTINGS:
        return text
    if first not in QUERIES:
        raise refuse(first)
    definitions = f"records AS ({records_of(table)}), bars AS ({bars_of(table)})"
    if match := _WITH.match(blanked):
        return f"{text[: match.end()]} {definitions}, {text[match.end() :]}"
    return f"WITH {definitions} {text}"


def _blanked(text: str) -> str:
    """`text`, at the same length, without comments and without what is in quotes."""
    return _COMMENT_OR_QUOTED.sub(lambda found: (" " if found[0][0] in "-/" else "_") * len(found[0]), text)
