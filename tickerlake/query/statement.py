"""Free SQL: one statement that only reads.

Its tables are `bars` (each bar in force, once), `records` (all, as stored), `actions`, `runs` and `forecasts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from tickerlake.errors import ConfigError
from tickerlake.query.catalog import expanded
from tickerlake.record import ACTIONS, COLUMNS, FORECASTS, HOURS, PARTITION, RUNS, Column

if TYPE_CHECKING:
    from tickerlake.query.answer import Answer

NOW = "9999-12-31 00:00:00.000"
"""The value of `as_of` that leaves nothing out."""
TABLES = {"actions": ACTIONS, "runs": RUNS, "forecasts": FORECASTS}
"""The tables beside `bars`."""
OPTIONAL = ("actions", "forecasts")
"""Those that a stack deployed earlier may lack; queries then find them empty."""
SETTLED_HOURS = "settled_hours"
"""The cache of compaction. An engine that cannot tell which of it holds finds it empty."""
QUERIES = ("SELECT", "WITH", "VALUES", "TABLE")
LISTINGS = ("SHOW", "DESCRIBE")
_WITH = re.compile(r"\s*WITH\b(\s+RECURSIVE\b)?", re.IGNORECASE)
_COMMENT_OR_QUOTED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)

_NAMES = [column.name for column in (*COLUMNS, PARTITION)]
_IN_FORCE = "-- include: splits,\n-- include: hours,\n-- include: given,\n-- include: in_force\n"
_COLUMNS = TABLES | {SETTLED_HOURS: (*HOURS, PARTITION)}


def records_of(table: str) -> str:
    """The SQL of `records`: everything in `table`, as stored."""
    return f"SELECT {', '.join(_NAMES)} FROM {table}"  # noqa: S608  # our own names


def bars_of(table: str, sources: Sequence[str]) -> str:
    """The SQL of `bars`: each bar of `table` in force, once, as the query `bars` gives it by default."""
    values = {
        "first": "'0001-01-01'",
        "last": "'9999-12-31'",
        "tickers": "('*')",
        "as_of": f"'{NOW}'",
        "sources": f"'{preference(sources)}'",
        "basis": "'latest'",
    }
    text = re.sub(r"\bFROM bars\b", f"FROM {table}", expanded(_IN_FORCE)) % values
    return f"WITH\n{text}SELECT {', '.join(_NAMES)} FROM in_force"  # noqa: S608


def preference(sources: Sequence[str]) -> str:
    """The value of the parameter `sources`: `,yahoo,recorded,`."""
    return f",{','.join(sources)},"


def empty(columns: Sequence[Column]) -> str:
    """The SQL of an empty table with these columns."""
    nulls = (f"CAST(NULL AS {each.sql_type}) AS {each.name}" for each in columns)
    return f"SELECT {', '.join(nulls)} WHERE false"


def without(tables: Collection[str], text: str) -> str:
    """`text` for a database that lacks these tables: its WITH clause defines those it names as empty ones."""
    return _with({table: empty(_COLUMNS[table]) for table in sorted(tables)}, text)


class TableMissing(Exception):
    """The database lacks one of the `OPTIONAL` tables."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


class OptionalTables:
    """The `OPTIONAL` tables that a database turned out to lack."""

    def __init__(self) -> None:
        self.missing: frozenset[str] = frozenset()

    def run(self, text: str, ask: Callable[[str], Answer], settled_hours: str = "") -> Answer:
        """The answer of `ask` to `text`, in which the tables that the database lacks are empty.

        `settled_hours` is the SQL of that table; without it, it is empty too.
        """
        hours = {SETTLED_HOURS: settled_hours or empty(_COLUMNS[SETTLED_HOURS])}
        while True:
            try:
                return ask(without(self.missing, _with(hours, text)))
            except TableMissing as error:
                # The tables were declared before the lake had this one.
                self.missing |= {error.table}

    def check(self, message: str) -> None:
        """Raises TableMissing if `message`, by which the database refused a query, names one of these tables."""
        for table in OPTIONAL:
            if table not in self.missing and re.search(rf"\b{table}\b", message):
                raise TableMissing(table)


def refuse(found: str) -> ConfigError:
    """The error for a statement that does not only read."""
    example = "SELECT ticker, max(high) FROM bars GROUP BY ticker"
    return ConfigError(f"{found or 'an empty text'} is refused; write one statement that only reads, such as {example}")


def with_tables(text: str, table: str, sources: Sequence[str]) -> str:
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
    return defining(f"records AS ({records_of(table)}), bars AS ({bars_of('records', sources)})", text)


def defining(definitions: str, text: str) -> str:
    """`text` with the `definitions` of tables, if any, at the head of its WITH clause."""
    if not definitions:
        return text
    if match := _WITH.match(_blanked(text)):
        return f"{text[: match.end()]} {definitions}, {text[match.end() :]}"
    return f"WITH {definitions} {text}"


def _with(tables: Mapping[str, str], text: str) -> str:
    """`text` with those of `tables`, SQL by name, that it names at the head of its WITH clause."""
    named = (f"{table} AS ({sql})" for table, sql in tables.items() if re.search(rf"\b{table}\b", text))
    return defining(", ".join(named), text)


def _blanked(text: str) -> str:
    """`text`, at the same length, without comments and without what is in quotes."""
    return _COMMENT_OR_QUOTED.sub(lambda found: (" " if found[0][0] in "-/" else "_") * len(found[0]), text)
