"""What a query gives: columns, rows and what it took."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from tickerlake.exchange import XNYS
from tickerlake.query import types
from tickerlake.query.catalog import Field

if TYPE_CHECKING:
    import pandas as pd


class Result(Protocol):
    """The rows as an engine holds them: a list, or something that can also give them to pandas at once."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Sequence[Any]]: ...


@dataclass
class Answer:
    """The rows of a query. They are read from the engine's result when first used."""

    columns: tuple[Field, ...]
    result: Result
    seconds: float
    """From sending the query to having all rows."""
    bytes_scanned: int | None = None
    """What the engine bills by; None if it bills nothing."""
    query_id: str | None = None
    """The engine's own id of the run, if it has one."""
    notes: tuple[str, ...] = ()
    """What a reader should know about these rows, one sentence each."""

    def __len__(self) -> int:
        return len(self.result)

    @cached_property
    def rows(self) -> list[tuple[Any, ...]]:
        """Tuples of plain Python values. Timestamps are aware, in the time of the row's exchange; null is None."""
        rows, zones = list(self.result), None
        if (column := self._placed_by) is not None:
            place = [field.name for field in self.columns].index(column)
            zones = [types.zone_of(column, row[place]) for row in rows]
        return types.read_rows([field.type for field in self.columns], rows, zones)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a pandas frame with the types of the columns.

        Timestamps are in the time of the exchange, or in UTC if the rows are of several: a column has one zone.
        """
        import pandas as pd  # noqa: PLC0415  # takes 0.3 s to import, and printing rows does not need it

        # DuckDB hands over whole columns, 20 times as fast as rows.
        whole = getattr(self.result, "columns", list)()
        columns = whole or list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        has_times = any(field.type == "timestamp" for field in self.columns)
        zone = self._zone if has_times else dt.UTC
        series = [
            types.as_series(field.type, values, zone) for field, values in zip(self.columns, columns, strict=True)
        ]
        return pd.DataFrame({field.name: values for field, values in zip(self.columns, series, strict=True)})

    @property
    def _placed_by(self) -> str | None:
        """The column that tells each row's exchange; None without one."""
        names = {field.name for field in self.columns}
        return next((name for name in types.PLACED_BY if name in names), None)

    @property
    def _zone(self) -> dt.tzinfo:
        column = self._placed_by
        zones = {types.zone_of(column, value) for value in self.distinct(column)} if column else set()
        return zones.pop() if len(zones) == 1 else dt.UTC if zones else XNYS.zone

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        place = [field.name for field in self.columns].index(name)
        return [row[place] for row in self.rows]

    def distinct(self, name: str) -> set[Any]:
        """The different values of one column."""
        engine_side = getattr(self.result, "distinct", None)
        return engine_side(name) if engine_side else set(self.column(name))

    def declared(self, columns: tuple[Field, ...]) -> Answer:
        """This answer with the types that a query's header declares; its columns are those of the header."""
        return replace(self, columns=columns)


def answer(
    columns: Sequence[tuple[str, str]],
    result: Result,
    seconds: float,
    bytes_scanned: int | None = None,
    query_id: str | None = None,
) -> Answer:
    """An engine's result as an Answer. `columns` are their names and the engine's names of their types."""
    unique = _unique([name for name, _ in columns])
    fields = tuple(Field(name, types.named(type_), "") for name, (_, type_) in zip(unique, columns, strict=True))
    return Answer(fields, result, seconds, bytes_scanned, query_id)


def joined(parts: Sequence[Answer], limit: int | None = None) -> Answer:
    """The answers of a query for different tickers as one, in the order of every query: by session, then by ticker."""
    first, *others = parts
    names = [field.name for field in first.columns]
    by = [name for name in ("session", "ticker") if name in names]
    engine_side = getattr(first.result, "joined", None)
    result: Result
    if engine_side:
        result = engine_side([part.result for part in others], by)
    else:
        places = [names.index(name) for name in by]
        rows = [row for part in parts for row in part.result]
        result = sorted(rows, key=lambda row: [row[place] for place in places])[:limit]
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Answer(first.columns, result, sum(part.seconds for part in parts), notes=notes)


def _unique(names: Sequence[str]) -> list[str]:
    """Free SQL may name two columns alike; JSON and Parquet cannot: high, high → high, high_1."""
    taken: list[str] = []
    for name in names:
        number, free = 0, name
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken.append(free)
    return taken
