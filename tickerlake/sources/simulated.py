"""A seeded simulation of the market, for demonstrations, tests and benchmarks. None of its prices is real.

Each price is a martingale: nothing known at a moment says whether the price rises or falls after it. The logarithm of
the price is a sum of independent normal steps, one for each night, one for each session, and inside a session one for
each minute, with the U-shaped volatility and volume of a real trading day. A step of variance v has the mean -v/2, so
that the price itself, not its logarithm, has no drift.

A bar depends on the seed, the ticker and the session alone: every window gives the same bars, and the bars of a longer
size are made of the 1-minute bars.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from tickerlake import exchange
from tickerlake.exchange import Session

LEVELS = {
    "AMZN": 225.0,
    "BYND": 1.5,
    "DDOG": 155.0,
    "META": 600.0,
    "NFLX": 110.0,
    "OKTA": 85.0,
    "PINS": 28.0,
    "SHOP": 150.0,
    "SNAP": 8.0,
    "TTD": 45.0,
    "XYZ": 70.0,
    "SHEL.L": 2700.0,
    "VOD.L": 90.0,
    "SAP.DE": 230.0,
    "6758.T": 4200.0,
    "7203.T": 2900.0,
    "BTC-USD": 95_000.0,
    "ETH-USD": 3_300.0,
}
"""Near the real price in the ticker's currency, at the start of `ANCHOR`."""
_LEAST, _MOST = 8, 600
"""Other symbols start anywhere between these, in USD or EUR."""
_UNITS = {"GBp": 5, "JPY": 20}
"""How many times as high prices in other currencies are."""
ANCHOR = 2027
TICK = 1e-4
"""Prices have four decimals, and none is lower."""

_NIGHT = 0.2  # share of a day's variance that lies between the close and the next open
_BETWEEN = 0.1  # share of a minute's variance that lies between the last price of a bar and the first of the next
_CLOSED = 0.25  # volatility of Saturdays and Sundays: news that Monday's open shows


class SimulatedSource:
    """Plausible bars for any symbol and any session, without a network."""

    name = "simulated"
    parallel = 1

    def __init__(self, seed: int = 7) -> None:
        self._seed = seed

    def actions(self, symbol: str, sessions: Sequence[Session]) -> list[tuple[dt.date, float]]:  # noqa: ARG002
        """None: nothing splits."""
        return []

    def sessions_per_request(self, bar_minutes: int) -> int:  # noqa: ARG002
        """A week: so many that each call is worth it, so few that a session's tickers fit in few files."""
        return 5

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:  # noqa: ARG002
        """No limit."""
        return dt.datetime.min.replace(tzinfo=dt.UTC)

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions`, in its currency and shares."""
        company = _company(self._seed, symbol)
        columns = [
            _aggregate(company.minutes(list(alike), sum(lengths)), lengths, bar_minutes)
            for lengths, alike in groupby(sessions, key=_lengths)
        ]
        open_, high, low, close, volume = np.concatenate(columns, axis=1)
        starts = np.concatenate([_bar_starts(session, bar_minutes) for session in sessions])
        return pd.DataFrame(
            {
                "ts": pd.DatetimeIndex(starts).tz_localize("UTC"),
                "open": _price(open_),
                "high": _price(high),
                "low": _price(low),
                "close": _price(close),
                "volume": volume.astype("int64"),
            }
        )


class _Days(NamedTuple):
    """Every calendar day of one year, and the change of the log price over the whole year."""

    open: np.ndarray
    """Log price at the open, relative to the start of the year."""
    change: np.ndarray
    """Change of the log price from the open to the close."""
    variance: np.ndarray
    """Variance of that change."""
    volume: np.ndarray
    """Volume relative to a usual day."""
    total: float


class _Company:
    """One ticker: its level, its volatility, its volume, and its random numbers."""

    def __init__(self, seed: int, symbol: str) -> None:
        self.seed = (seed, zlib.crc32(symbol.encode()))
        level, volatility, shares = np.random.default_rng(self.seed).random(3)
        unit = _UNITS.get(exchange.currency_of(symbol), 1)
        self.level = np.log(LEVELS.get(symbol, unit * _LEAST * (_MOST / _LEAST) ** level))
        self.volatility = 0.01 + 0.014 * volatility  # of a day
        self.shares = 800 * 20**shares  # in a quiet minute

    def minutes(self, sessions: Sequence[Session], length: int) -> np.ndarray:
        """Log open, high, low and close, and volume, of each minute: shape (5, sessions, `length`)."""
        days = [self._day(session.date) for session in sessions]
        start, change, variance, volume = (np.array(column)[:, None] for column in zip(*days, strict=True))
        steps = np.empty((len(sessions), 2 * length))
        extremes = np.empty((len(sessions), 2, length))
        for row, session in enumerate(sessions):
            random = np.random.default_rng((*self.seed, session.date.toordinal()))
            random.standard_normal(out=steps[row])
            random.standard_exponential(out=extremes[row])

        # A Brownian bridge, plus an independent normal total spread over the same clock, is Brownian motion.
        bustle, shares = _clock(length)
        walk = np.cumsum(steps * np.sqrt(shares), axis=1)
        passed = np.cumsum(shares)
        walk = start + (walk - walk[:, -1:] * passed) * np.sqrt(variance) + change * passed
        first, last = walk[:, 0::2], walk[:, 1::2]

        # The greatest value of a Brownian bridge: https://en.wikipedia.org/wiki/Brownian_bridge#General_case
        reach = np.sqrt(((last - first) ** 2)[:, None] + 2 * (variance * shares[1::2])[:, None] * extremes)
        middle = first + last
        traded = np.rint(self.shares * volume * bustle * extremes.mean(axis=1))
        return np.stack([first, (middle + reach[:, 0]) / 2, (middle - reach[:, 1]) / 2, last, traded])

    def _day(self, date: dt.date) -> tuple[float, float, float, float]:
        days = _days(self, date.year)
        day = date.timetuple().tm_yday - 1
        return self._start(date.year) + days.open[day], days.change[day], days.variance[day], days.volume[day]

    def _start(self, year: int) -> float:
        """Log price at the start of `year`, reached year by year from the anchor."""
        later = sum(_days(self, each).total for each in range(ANCHOR, year))
        return self.level + later - sum(_days(self, each).total for each in range(year, ANCHOR))


@lru_cache(maxsize=4096)
def _company(seed: int, symbol: str) -> _Company:
    return _Company(seed, symbol)


@lru_cache(maxsize=2048)  # 12 kB each
def _days(company: _Company, year: int) -> _Days:
    start = dt.date(year, 1, 1)
    count = (dt.date(year + 1, 1, 1) - start).days
    night, day, calm, trade = np.random.default_rng((*company.seed, year)).standard_normal((4, count))
    weekend = (start.weekday() + np.arange(count)) % 7 >= 5
    variance = (company.volatility * np.where(weekend, _CLOSED, 1) * np.exp(0.3 * calm - 0.09)) ** 2
    gap = _step(night, _NIGHT * variance)
    change = _step(day, (1 - _NIGHT) * variance)
    ends = np.cumsum(gap + change)
    return _Days(
        open=ends - change,
        change=change,
        variance=(1 - _NIGHT) * variance,
        volume=np.exp(0.3 * trade + 0.3 * calm - 0.09),
        total=float(ends[-1]),
    )


def _step(normal: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Steps of the log price whose exponentials have the mean 1."""
    return np.sqrt(variance) * normal - variance / 2


@lru_cache(maxsize=16)
def _clock(length: int) -> tuple[np.ndarray, np.ndarray]:
    """How busy each minute of a session is, and the shares of its variance that fall before and inside each minute.

    The open and the close are four times as busy as noon.
    """
    bustle = 1 + 3 * np.linspace(-1, 1, length) ** 2
    shares = np.outer(bustle**2 / (bustle**2).sum(), [_BETWEEN, 1 - _BETWEEN])
    return bustle, shares.ravel()


def _aggregate(minutes: np.ndarray, lengths: Sequence[int], bar_minutes: int) -> np.ndarray:
    """Minutes put together to bars of `bar_minutes`, one session after another: shape (5, bars).

    `lengths` are those of the parts of a session. No bar spans a lunch break.
    """
    ends = np.cumsum(lengths)[:-1]
    parts = [_merged(part, bar_minutes) for part in np.split(minutes, ends, axis=2)]
    return np.concatenate(parts, axis=2).reshape(5, -1)


def _merged(minutes: np.ndarray, bar_minutes: int) -> np.ndarray:
    """One part of each session in bars: shape (5, sessions, bars)."""
    open_, high, low, close, volume = minutes
    if bar_minutes > 1:
        length = open_.shape[1]
        starts = np.arange(0, length, bar_minutes)
        open_, close = open_[:, starts], close[:, np.minimum(starts + bar_minutes, length) - 1]
        high, low = np.maximum.reduceat(high, starts, axis=1), np.minimum.reduceat(low, starts, axis=1)
        volume = np.add.reduceat(volume, starts, axis=1)
    return np.stack([open_, high, low, close, volume])


def _price(logarithm: np.ndarray) -> np.ndarray:
    return np.maximum(np.round(np.exp(logarithm), 4), TICK)


def _lengths(session: Session) -> tuple[int, ...]:
    """The minutes of each part of a session."""
    return tuple(int((closes - opens).total_seconds()) // 60 for opens, closes in session.parts)


@lru_cache(maxsize=1024)
def _bar_starts(session: Session, bar_minutes: int) -> np.ndarray:
    return session.bar_starts(bar_minutes).tz_localize(None).to_numpy().astype("datetime64[us]")
