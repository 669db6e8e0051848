"""A seeded simulation of the market, for demonstrations, tests and benchmarks. None of its prices is real.

Each ticker follows a level that drifts slowly from session to session; within a session its price is a
Brownian bridge from one session's level to the next, with the U-shaped volatility and volume of a real
trading day. The numbers depend on seed, ticker and session alone, so any window gives the same bars.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from functions.collector.sessions import Session

STEPS = 5
"""Price steps simulated inside each bar; its high and low are the extremes of the path."""


class SimulatedSource:
    """Plausible bars for any symbol and any session, without a request to anyone."""

    name = "simulated"
    parallel = 1

    def __init__(self, seed: int = 7) -> None:
        self._seed = seed

    def sessions_per_request(self, bar_minutes: int) -> int:
        """As many as fit in memory with a large watchlist: about a month of 500 tickers is a million bars."""
        return 21

    def oldest(self, bar_minutes: int, now: pd.Timestamp) -> pd.Timestamp:
        """Anything can be simulated."""
        return pd.Timestamp.min.tz_localize("UTC")

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions`, in USD and shares."""
        return pd.concat([self._session(symbol, session, bar_minutes) for session in sessions], ignore_index=True)

    def _session(self, symbol: str, session: Session, bar_minutes: int) -> pd.DataFrame:
        starts = session.bar_starts(bar_minutes)
        day = session.date.toordinal()
        ticker_seed = zlib.crc32(symbol.encode())
        random = np.random.default_rng([self._seed, ticker_seed, day])

        count = len(starts)
        place = (np.arange(count * STEPS) + 0.5) / (count * STEPS)
        # Trading is busiest at the open and the close: four times the quiet of noon.
        bustle = 1 + 3 * (2 * place - 1) ** 2
        daily = 0.012 + 0.018 * (ticker_seed % 97) / 97
        steps = random.standard_normal(count * STEPS) * bustle
        path = np.concatenate([[0.0], np.cumsum(steps)]) * daily / np.sqrt((bustle**2).sum())
        bridge = path - np.linspace(0, 1, path.size) * path[-1]
        opens_at, closes_at = self._level(ticker_seed, day), self._level(ticker_seed, day + 1)
        gap = random.standard_normal() * daily / 4
        levels = np.log(opens_at) + (np.log(closes_at / opens_at) + gap) * np.linspace(0, 1, path.size)
        prices = np.round(np.exp(levels - gap + bridge), 4)

        inside = np.lib.stride_tricks.sliding_window_view(prices, STEPS + 1)[::STEPS]
        shares = bustle.reshape(count, STEPS).mean(axis=1) * random.lognormal(9, 0.6, count) * bar_minutes / 5
        return pd.DataFrame(
            {
                "ts": starts,
                "open": inside[:, 0],
                "high": inside.max(axis=1),
                "low": inside.min(axis=1),
                "close": inside[:, -1],
                "volume": np.round(shares * (1 + ticker_seed % 11)).astype("int64"),
            }
        )

    def _level(self, ticker_seed: int, day: int) -> float:
        """The price around which a ticker trades on `day`: two slow waves about a base of 8 to 600 USD."""
        phase = np.random.default_rng([self._seed, ticker_seed]).random(4)
        base = 8 * 75 ** phase[0]
        slow = 0.25 * np.sin(2 * np.pi * (day / (400 + 300 * phase[1]) + phase[2]))
        fast = 0.05 * np.sin(2 * np.pi * (day / (23 + 20 * phase[3]) + phase[1]))
        return float(base * np.exp(slow + fast))
