"""Lakes for the dashboard's tests and screenshots: simulated bars, under the name that the test is about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.exchange import Session
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.watchlist import DEFAULT as WATCHLIST

FRIDAY = dt.date(2026, 11, 20)
EVENING = dt.datetime(2026, 11, 20, 23, 0, tzinfo=dt.UTC)
"""The evening of that session, at the exchange 18:00."""
MIDDAY = dt.datetime(2026, 11, 20, 18, 23, tzinfo=dt.UTC)
"""In the middle of that session, at the exchange 13:23."""

Change = Callable[[str, pd.DataFrame], pd.DataFrame]


def unchanged(_: str, bars: pd.DataFrame) -> pd.DataFrame:
    return bars


class Invented(SimulatedSource):
    """Simulated bars in whole cents, so that there are ties, named as another source's and changed as a test needs."""

    def __init__(self, name: str, change: Change = unchanged) -> None:
        super().__init__()
        self.name = name
        self._change = change

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        bars = super().bars(symbol, sessions, bar_minutes)
        prices = ["open", "high", "low", "close"]
        return self._change(symbol, bars.assign(**bars[prices].round(2))).reset_index(drop=True)


def fill(
    lake: Path,
    first: dt.date = FRIDAY,
    last: dt.date = FRIDAY,
    *,
    source: str = "yahoo",
    tickers: Sequence[str] = WATCHLIST,
    now: dt.datetime = EVENING,
    change: Change = unchanged,
) -> Path:
    """Collects invented bars into `lake`, under the name of `source`, as if it were `now`."""
    collect(
        Invented(source, change), ParquetSink(lake), exchange.sessions_between(first, last), tickers, 5, lambda: now
    )
    return lake


def with_faults(symbol: str, bars: pd.DataFrame) -> pd.DataFrame:
    """An hour without SNAP, a session without OKTA, five records of PINS and TTD that break a rule."""
    local = bars["ts"].dt.tz_convert("America/New_York")
    if symbol == "SNAP":
        return bars[local.dt.hour != 12]
    if symbol == "OKTA":
        return bars[local.dt.date != dt.date(2026, 11, 19)]
    if symbol == "PINS":
        return bars.assign(high=bars["high"].where(~bars.index.isin(range(5, 9)), bars["low"] - 1))
    if symbol == "TTD":
        return bars.assign(high=bars["high"].where(bars.index != 30))
    return bars


def restated(symbol: str, bars: pd.DataFrame) -> pd.DataFrame:
    """Every thirtieth bar of NFLX four per mille higher."""
    if symbol != "NFLX":
        return bars
    return bars.assign(high=bars["high"].where(bars.index % 30 != 0, (bars["high"] * 1.004).round(2)))
