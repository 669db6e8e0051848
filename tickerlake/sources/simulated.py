"""A seeded simulation of the market, for demonstrations, tests and benchmarks. None of its prices is real.

Each ticker follows a level that drifts slowly from session to session; within a session its price is a
Brownian bridge from one session's level to the next, with the U-shaped volatility and volume of a real
trading day. The numbers depend on seed, ticker and session alone, so any window gives the same bars.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from tickerlake.exchange import Session

STEPS = 6
"""Prices simulated inside each bar; its high and low are the greatest and the least of them."""


class SimulatedSource:
    """Plausible bars for any symbol and any session, without a request to anyone."""

    name = "simulated"
    parallel = 1

    def __init__(self, seed: int = 7) -> None:
        self._seed = seed

    def sessions_per_request(self, bar_minutes: int) -> int:  # noqa: ARG002
        """As many as fit in memory with a large watchlist: about a month of 500 tickers is a million bars."""
        return 21

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:  # noqa: ARG002
        """Anything can be simulated."""
        return dt.datetime.min.replace(tzinfo=dt.UTC)

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions`, in USD and shares."""
        ticker = _Ticker(self._seed, symbol)
        columns = [ticker.session(session, bar_minutes) for session in sessions]
        starts = [_bar_starts(session, bar_minutes) for session in sessions]
        open_, high, low, close, volume = np.concatenate(columns, axis=1)
        return pd.DataFrame(
            {
                "ts": pd.DatetimeIndex(np.concatenate(starts)).tz_localize("UTC"),
                "open": open_,
                "high": high,
                "low": low,
                "close": close,
                "volume": volume.astype("int64"),
            }
        )


class _Ticker:
    """One ticker's own numbers: where its price lives, how much it moves, how much of it is traded."""

    def __init__(self, seed: int, symbol: str) -> None:
        self._seed = [seed, zlib.crc32(symbol.encode())]
        base, years, phase, weeks, volatility, shares = np.random.default_rng(self._seed).random(6)
        self._base = 8 * 75**base  # between 8 and 600 USD
        self._waves = ((0.25, 400 + 300 * years, phase), (0.05, 23 + 20 * weeks, years))
        self._daily = 0.012 + 0.018 * volatility
        self._shares = 4_000 * 20**shares  # in a quiet 5 minutes

    def session(self, session: Session, bar_minutes: int) -> np.ndarray:
        """Rows open, high, low, close and volume; a column a bar."""
        day = session.date.toordinal()
        random = np.random.default_rng([*self._seed, day])
        count = len(_bar_starts(session, bar_minutes))
        points = count * STEPS
        bustle = _bustle(points)
        moves = np.cumsum(random.standard_normal(points) * bustle) * self._daily / np.sqrt((bustle**2).sum())
        through = np.linspace(0, 1, points)
        gap = random.standard_normal() * self._daily / 4
        start, end = self._level(day) + gap, self._level(day + 1)
        prices = np.round(np.exp(start + (end - start) * through + moves - moves[-1] * through), 4)
        inside = prices.reshape(count, STEPS)
        spread = bustle.reshape(count, STEPS).mean(axis=1)
        volume = np.round(self._shares * spread * random.lognormal(0, 0.5, count) * bar_minutes / 5)
        return np.stack([inside[:, 0], inside.max(axis=1), inside.min(axis=1), inside[:, -1], volume])

    def _level(self, day: int) -> float:
        """The logarithm of the price around which the ticker trades on `day`: two slow waves about its base."""
        return np.log(self._base) + sum(
            height * np.sin(2 * np.pi * (day / length + phase)) for height, length, phase in self._waves
        )


@lru_cache(maxsize=1024)
def _bar_starts(session: Session, bar_minutes: int) -> np.ndarray:
    return session.bar_starts(bar_minutes).tz_localize(None).to_numpy().astype("datetime64[us]")


@lru_cache(maxsize=16)
def _bustle(points: int) -> np.ndarray:
    """How busy each moment of a session is: four times as much at the open and the close as at noon."""
    return 1 + 3 * np.linspace(-1, 1, points) ** 2
