"""The named queries: queries/*.sql, and what the header of each declares.

    -- What the query answers, in one line.
    --
    -- parameters
    --   first    date          first session, YYYY-MM-DD
    --   least    double        least price, USD; default 10
    -- columns
    --   ticker   varchar       symbol as traded that day
    --
    -- Notes, as many paragraphs as it takes.

Types are those of `tickerlake.query.types`: varchar, varchar list, date, timestamp, integer, bigint, double and
boolean. The text refers to a parameter as `%(name)s`. Each parameter is an option of `tickerlake query NAME` and a
keyword argument in Python. `first`, `last`, `tickers` and `as_of` cover the whole lake, as it is now, unless given; any
other parameter is required unless its comment ends in `; default VALUE`. `; always VALUE` fixes it. The
runner fills in those of `FILLED_IN`.

What several queries share is in queries/include/*.sql: `-- include: NAME` on a line of its own stands for that text,
and `-- include: NAME,` for the text and a comma.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile

from tickerlake.bundle import QUERIES
from tickerlake.errors import ConfigError

FILLED_IN = ("calendar", "renames", "settled", "since", "sources")
"""The parameters that the runner fills in: no option and no argument."""
_INCLUDE = re.compile(r"^-- include: (\w+)(,?)\n", re.MULTILINE)
_FIELD = re.compile(r"--   (?P<name>\w+) +(?P<type>varchar list|\w+) {2,}(?P<comment>.+)")


@dataclass(frozen=True)
class Field:
    """A parameter or a column: its name, its SQL type, and what it holds in which unit."""

    name: str
    type: str
    comment: str

    @property
    def always(self) -> str | None:
        """The text after `; always` in the comment: the parameter's value, which nobody can choose."""
        _, found, value = self.comment.rpartition("; always ")
        return value if found else None

    @property
    def default(self) -> str | None:
        """The text after `; default` in the comment; None if the parameter is required."""
        _, found, value = self.comment.rpartition("; default ")
        return value if found else None


@dataclass(frozen=True)
class Query:
    """One SQL file."""

    name: str
    purpose: str
    parameters: tuple[Field, ...]
    columns: tuple[Field, ...]
    notes: str
    """The paragraphs after the columns."""
    sql: str
    """The whole text, with what it includes."""

    @property
    def options(self) -> tuple[Field, ...]:
        """The parameters that a person may give."""
        return tuple(field for field in self.parameters if not (field.always or field.name in FILLED_IN))


def names() -> list[str]:
    """The names of all queries, sorted."""
    return sorted(path.stem for path in QUERIES.glob("*.sql"))


def load(name: str) -> Query:
    """The query `name`. Raises ConfigError, with the names there are, for any other name."""
    if name not in names():
        raise ConfigError(f"there is no query {name!r}; the queries are {', '.join(names())}")
    sql = expanded((QUERIES / f"{name}.sql").read_text(encoding="utf-8"))
    purpose, *header = takewhile(lambda line: line.startswith("--"), sql.splitlines())
    fields: dict[str, list[Field]] = {"-- parameters": [], "-- columns": []}
    notes: list[str] = []
    section = None
    for line in header:
        if line in fields:
            section = fields[line]
        elif section is not None and (match := _FIELD.fullmatch(line)):
            section.append(Field(**match.groupdict()))
        elif fields["-- columns"]:
            notes.append(line.removeprefix("--").strip())
    return Query(
        name=name,
        purpose=purpose.removeprefix("-- "),
        parameters=tuple(fields["-- parameters"]),
        columns=tuple(fields["-- columns"]),
        notes="\n".join(notes).strip(),
        sql=sql,
    )


def expanded(sql: str) -> str:
    """`sql` with the text of queries/include/NAME.sql in place of each line `-- include: NAME`."""

    def text(match: re.Match[str]) -> str:
        included = (QUERIES / "include" / f"{match[1]}.sql").read_text(encoding="utf-8")
        return f"{expanded(included).rstrip()}{match[2]}\n"

    return _INCLUDE.sub(text, sql)
