"""Sinks store bars: as Parquet files in a local lake, or through a Firehose stream."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

    from tickerlake.actions import Split
    from tickerlake.exchange import Session


@dataclass(frozen=True)
class Rejected:
    """A record that breaks a rule. It is kept as it came and never reaches the table."""

    rule: str
    """Id of the rule: one of `bars.RULES`, or one of the importer's."""
    record: str
    """The record as it came."""
    collected_at: str
    """When it was collected, ISO 8601, UTC."""
    source: str
    ticker: str | None = None
    ts: str | None = None
    """Start of the bar, ISO 8601, UTC; None if it is unreadable."""
    origin: str | None = None
    """The file it came from."""
    position: int | None = None
    """Its position in that file, from 1."""

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for a line of JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Run:
    """What one request for one ticker's session brought. The fields are the columns of `record.RUNS`."""

    ticker: str
    exchange: str
    session: str
    since: dt.datetime
    until: dt.datetime
    bar_minutes: int
    bars: int
    stored: int
    withdrawn: int
    rejected: int
    outcome: str
    source: str
    collected_at: dt.datetime


class Sink(Protocol):
    """Stores bars and keeps rejected records."""

    def check_sources(self, sources: Collection[str]) -> None:
        """Checks that bars of these sources may be stored here. `write` checks too; ConfigError if they may not."""

    def write(self, frame: pd.DataFrame) -> Counter[str]:
        """Stores the bars of one session, a frame as `bars.as_bars` makes it.

        Returns how many bars of each ticker are new. SinkError.
        """

    def withdraw(self, answered: pd.DataFrame, session: Session, bar_minutes: int, now: dt.datetime) -> Counter[str]:
        """Withdraws stored bars that are missing from a whole-session answer; returns how many of each ticker.

        `answered` has `ticker`, `ts` and `source` of every row of the answer to a request for all of `session`. A sink
        that cannot look back withdraws nothing. SinkError.
        """

    def report_splits(self, splits: Sequence[Split], now: dt.datetime, answered: pd.DataFrame | None = None) -> int:
        """Stores splits; returns how many are new. SinkError.

        A sink that can look back compares `answered`, bars that it has just stored, with what it held before, and also
        stores from when on their source has adjusted them.
        """

    def log(self, runs: Sequence[Run]) -> None:
        """Remembers what was asked and what came of it. SinkError."""

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keeps rejected records for a person to look at. SinkError."""


class Archive(Sink, Protocol):
    """A sink that also takes records that were collected elsewhere, at another time."""

    def reports(self) -> list[Split]:
        """Every report of a split. SinkError."""

    def merge(self, frame: pd.DataFrame) -> int:
        """Stores one session's records, which keep their `collected_at`; returns how many are new. SinkError."""
