"""Sources give bars. Each vendor is a module of this folder; `SOURCES` names them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from tickerlake.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from tickerlake.exchange import Session

BAR_COLUMNS = ("ts", "open", "high", "low", "close", "volume")

SOURCES = {
    "yahoo": "tickerlake.sources.yahoo:YahooSource",
    "simulated": "tickerlake.sources.simulated:SimulatedSource",
}
"""Each source by name, as `module:class`."""


class Source(Protocol):
    """Gives the bars of one ticker in consecutive sessions."""

    name: str
    """Value of the column `source` in its bars."""
    parallel: int
    """How many tickers may be requested at the same time."""

    def sessions_per_request(self, bar_minutes: int) -> int:
        """How many sessions fit in one request."""

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:
        """The earliest bar start that is still available at `now`."""

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions` with the columns `BAR_COLUMNS`, as the source gives them. SourceError."""

    def actions(self, symbol: str, sessions: Sequence[Session]) -> list[tuple[dt.date, float]]:
        """The splits of `symbol` in `sessions`, as ex-date and ratio, out of the answers that `bars` got."""


def open_source(name: str) -> Source:
    """The source called `name`. Its module is imported here, because yfinance takes a second to load. ConfigError."""
    if name not in SOURCES:
        raise ConfigError(f"unknown source {name!r}; use one of {', '.join(SOURCES)}")
    module, _, class_name = SOURCES[name].partition(":")
    return getattr(import_module(module), class_name)()
