"""Writes down what a source answered, and when it was asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tickerlake import record
from tickerlake.errors import SourceError
from tickerlake.exchange import Session
from tickerlake.sources import Source

NUMBERS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Answer:
    """One answer for one symbol; an error is an answer without rows."""

    source: str
    symbol: str
    bar_minutes: int
    sessions: tuple[Session, ...]
    asked_at: dt.datetime
    """The collector's clock, in milliseconds as the lake keeps it."""
    rows: tuple[dict[str, Any], ...] = ()
    """`ts` and `NUMBERS`, None for what is missing."""
    since: dt.datetime | None = None
    """Whether the collector kept only bars that start at this moment or later."""
    actions: tuple[tuple[dt.date, float], ...] = ()
    """Splits delivered with it: ex-date, and new shares for one old share."""
    adjusted: tuple[tuple[dt.date, float], ...] = ()
    """Splits that its prices were adjusted for, where their session is before the ex-date."""
    error: str = ""
    """The reason of an error."""


class History:
    """A source that gives the answers of `source`, and keeps them."""

    def __init__(
        self,
        source: Source,
        clock: Callable[[], dt.datetime],
        adjusted: Callable[[str], Sequence[tuple[dt.date, float]]] = lambda _: (),
    ) -> None:
        self.name = source.name
        self.parallel = source.parallel
        self.sessions_per_request = source.sessions_per_request
        self.oldest = source.oldest
        self.actions = source.actions
        self.answers: list[Answer] = []
        self.since: dt.datetime | None = None
        self._source = source
        self._clock = clock
        self._adjusted = adjusted

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        asked_at = record.milliseconds(self._clock())
        frame, error = None, None
        try:
            frame = self._source.bars(symbol, sessions, bar_minutes)
        except SourceError as raised:
            error = raised
        self.answers.append(
            Answer(
                source=self.name,
                symbol=symbol,
                bar_minutes=bar_minutes,
                sessions=tuple(sessions),
                asked_at=asked_at,
                rows=() if frame is None else tuple(_plain(row) for row in frame.to_dict("records")),
                since=self.since,
                actions=() if error else tuple(self._source.actions(symbol, sessions)),
                adjusted=tuple(self._adjusted(symbol)),
                error=error.reason if error else "",
            )
        )
        if error:
            raise error
        return frame


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "ts": row["ts"].to_pydatetime(),
        **{name: None if pd.isna(row[name]) else row[name] for name in NUMBERS},
    }
