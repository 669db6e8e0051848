"""What a query gives: columns, rows and what it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tickerlake.query import types
from tickerlake.query.catalog import Field

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Answer:
    """The rows of a query. Timestamps are aware and in exchange time; null is None."""

    columns: tuple[Field, ...]
    rows: list[tuple[Any, ...]]
    seconds: float
    """From sending the query to having all rows."""
    bytes_scanned: int | None = None
    """What the engine bills by; None if it bills nothing."""
    query_id: str | None = None
    """The engine's own id of the run, if it has one."""

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a pandas frame with the types of the columns."""
        import pandas as pd  # noqa: PLC0415  # takes 0.3 s to import, and printing rows does not need it

        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        series = [types.as_series(field.type, values) for field, values in zip(self.columns, columns, strict=True)]
        return pd.DataFrame({field.name: values for field, values in zip(self.columns, series, strict=True)})

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        place = [field.name for field in self.columns].index(name)
        return [row[place] for row in self.rows]

    def declared(self, columns: tuple[Field, ...]) -> Answer:
        """This answer with the columns that a query's header declares, in their order and types."""
        names = [field.name for field in self.columns]
        places = [names.index(field.name) for field in columns]
        rows = types.read_rows([field.type for field in columns], [[row[at] for at in places] for row in self.rows])
        return replace(self, columns=columns, rows=rows)


def answer(
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[Any]],
    seconds: float,
    bytes_scanned: int | None = None,
    query_id: str | None = None,
) -> Answer:
    """An engine's rows as an Answer. `columns` are their names and the engine's names of their types."""
    fields = tuple(
        Field(name, types.named(type_), "")
        for name, (_, type_) in zip(_unique([name for name, _ in columns]), columns, strict=True)
    )
    return Answer(fields, types.read_rows([field.type for field in fields], rows), seconds, bytes_scanned, query_id)


def _unique(names: Sequence[str]) -> list[str]:
    """A free question may name two columns alike; JSON and Parquet cannot: high, high → high, high_2."""
    taken: list[str] = []
    for name in names:
        number, free = 1, name
        while free in taken:
            number += 1
            free = f"{name}_{number}"
        taken.append(free)
    return taken
