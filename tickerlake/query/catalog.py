"""The SQL files of this folder, and what the header of each declares."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tickerlake.bundle import QUERIES
from tickerlake.errors import ConfigError

_FIELD = re.compile(r"--   (?P<name>\w+) +(?P<type>varchar list|\w+) {2,}(?P<comment>.+)")


@dataclass(frozen=True)
class Field:
    """A parameter or a column of a query: its name, its SQL type, what it holds and in which unit."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Query:
    """One SQL file: its name, what it is for, what it takes and what it gives."""

    name: str
    purpose: str
    parameters: tuple[Field, ...]
    columns: tuple[Field, ...]
    sql: str


def names() -> list[str]:
    """The queries there are, by name."""
    return sorted(path.stem for path in QUERIES.glob("*.sql"))


def load(name: str) -> Query:
    """The query `name`, read from its file. ConfigError, listing the queries, for a name that is none."""
    if name not in names():
        raise ConfigError(f"there is no query {name!r}; the queries are {', '.join(names())}")
    sql = (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
    header = [line for line in sql.splitlines() if line.startswith("--")]
    fields: dict[str, list[Field]] = {"-- parameters": [], "-- columns": []}
    section = None
    for line in header:
        if line in fields:
            section = fields[line]
        elif section is not None and (match := _FIELD.fullmatch(line)):
            section.append(Field(**match.groupdict()))
    return Query(
        name=name,
        purpose=header[0].removeprefix("-- "),
        parameters=tuple(fields["-- parameters"]),
        columns=tuple(fields["-- columns"]),
        sql=sql,
    )
