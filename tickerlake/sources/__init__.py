"""Sources give bars: Yahoo, or a seeded simulation of the market."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from tickerlake.exchange import Session

BAR_COLUMNS = ("ts", "open", "high", "low", "close", "volume")


class Source(Protocol):
    """Anything that gives the bars of one ticker in a row of sessions."""

    name: str
    """The `source` that its bars are marked with."""
    parallel: int
    """How many tickers may be asked for at the same time."""

    def sessions_per_request(self, bar_minutes: int) -> int:
        """How many sessions may be asked for at once."""

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:
        """The earliest bar start that can be asked for at `now`."""

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions`, columns `BAR_COLUMNS`, as the source gave them. SourceError."""
