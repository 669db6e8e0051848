"""Files of a local lake that cannot be used: how to find them, and how to move them to quarantine.

A file is judged by reading all of it, because a damaged page shows only then. A query looks for faults only after it
has failed; `tickerlake doctor` and `tickerlake repair` look at every file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from tickerlake.lake.layout import Fault, Layout
from tickerlake.lake.sql import quoted, reason, table
from tickerlake.record import ACTIONS, COLUMNS, FORECASTS, RUNS, Column


def faults_in(files: Sequence[Path], columns: Sequence[Column] = COLUMNS) -> list[Fault]:
    """Those of `files` that cannot be read as a table with `columns`, each with the reason.

    Takes one scan if all are good. Files that have gone meanwhile are no fault.
    """
    return list(_search(duckdb.connect(), files, columns))


def all_faults(layout: Layout) -> list[Fault]:
    """Everything in the tables `bars`, `actions` and `runs` that cannot be used."""
    files, faults = layout.scan()
    return [
        *faults,
        *faults_in(files),
        *faults_in(layout.actions(), ACTIONS),
        *faults_in(layout.runs(), RUNS),
        *faults_in(layout.forecasts(), FORECASTS),
    ]


def quarantine(layout: Layout) -> list[tuple[Fault, Path | None]]:
    """Moves what `all_faults` finds into the lake's quarantine, under the same path there. Nothing is deleted.

    Returns each with its new place; None for what could not be moved, such as a folder that cannot be listed.
    """
    return [(fault, _move(layout, fault.path)) for fault in all_faults(layout)]


def _search(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[Column]) -> Iterator[Fault]:
    if not files:
        return
    try:
        found = _read_whole(connection, files, columns)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        found = _lacking(connection, files[0], columns) or reason(error)
    if found and len(files) > 1:
        half = len(files) // 2
        yield from _search(connection, files[:half], columns)
        yield from _search(connection, files[half:], columns)
    elif found and files[0].exists():
        yield Fault(files[0], found)


def _read_whole(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: Sequence[Column]) -> str | None:
    """Reads every value; says so if one is missing that must not be."""
    names = ", ".join(column.name for column in columns)
    nulls = " OR ".join(f"{column.name} IS NULL" for column in columns if not column.nullable)
    # A hash needs the values; a maximum may come from the file's statistics.
    text = f"SELECT bit_xor(hash({names})), count(*) FILTER (WHERE {nulls}) FROM ({table(columns, files)})"  # noqa: S608
    ((_, incomplete),) = connection.execute(text).fetchall()
    return f"{incomplete} of its rows lack a value that every row must have" if incomplete else None


def _lacking(connection: duckdb.DuckDBPyConnection, file: Path, columns: Sequence[Column]) -> str | None:
    try:
        rows = connection.execute(f"SELECT name FROM parquet_schema({quoted(file)})").fetchall()  # noqa: S608
    except duckdb.Error:
        return None
    lacking = {column.name for column in columns} - {name for (name,) in rows}
    return f"it has no column {', '.join(sorted(lacking))}" if lacking else None


def _move(layout: Layout, path: Path) -> Path | None:
    if path.parent == layout.bars:  # a whole session
        return None
    wanted = target = layout.quarantine / path.relative_to(layout.folder)
    number = 1
    while target.is_symlink() or target.exists():
        target, number = wanted.with_name(f"{wanted.name}.{number}"), number + 1
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    except OSError:
        return None
    return target
