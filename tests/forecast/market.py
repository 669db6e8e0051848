"""Markets for forecasts, as the query `hourly_versions` gives them: the simulation, and plain walks."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from tickerlake import bars, exchange
from tickerlake.exchange import Session
from tickerlake.forecast.models import Har, HourOfDay
from tickerlake.forecast.samples import Target, known
from tickerlake.forecast.scores import losses
from tickerlake.forecast.walk import LOOK_BACK, walk
from tickerlake.sources.simulated import SimulatedSource

SESSIONS = exchange.XNYS.sessions_between(dt.date(2024, 1, 2), dt.date(2026, 11, 20))
TICKERS = ("AMZN", "META", "NFLX", "SNAP")
MODELS = (HourOfDay(), Har())
AT_ONCE = pd.Timestamp(SESSIONS[0].open)
"""From when on all hours are known, so that a market has one version of each."""


def simulated(seed: int, sessions: Sequence[Session], tickers: Sequence[str] = TICKERS) -> pd.DataFrame:
    """The martingale of `sources.simulated`: its volatility changes from day to day, its direction is a coin."""
    source = SimulatedSource(seed)
    made = [source.bars(ticker, sessions, 5).assign(ticker=ticker, bar_minutes=5) for ticker in tickers]
    frame = bars.placed(pd.concat(made)).rename(columns={"dt": "session"})
    hours = frame.groupby(["session", "ticker", "hour", "bar_minutes"], sort=True)
    return (
        hours.agg(
            open=("open", "first"),
            high=("high", "max"),
            low=("low", "min"),
            close=("close", "last"),
            last_ts=("ts", "max"),
        )
        .reset_index()
        .assign(known_from=AT_ONCE)
    )


Volatility = Callable[[np.random.Generator, int, int], np.ndarray]


def steady(_: np.random.Generator, sessions: int, tickers: int) -> np.ndarray:
    """The same volatility every day."""
    return np.ones((sessions, tickers))


def changing(random: np.random.Generator, sessions: int, tickers: int) -> np.ndarray:
    """Volatility that stays high or low for weeks, and its own for each ticker."""
    logarithm = np.zeros((sessions, tickers))
    for place in range(1, sessions):
        logarithm[place] = 0.95 * logarithm[place - 1] + 0.2 * random.standard_normal(tickers)
    return np.exp(logarithm)


def walked(
    seed: int,
    sessions: Sequence[Session],
    tickers: Sequence[str] = TICKERS,
    volatility: Volatility = steady,
    trend: float = 0.0,
) -> pd.DataFrame:
    """Random walks of twelve steps an hour. With `trend`, the rest of a session goes on as its first hour went."""
    random = np.random.default_rng(seed)
    count, steps = len(sessions), 78
    size = 0.001 * volatility(random, count, len(tickers))
    moves = random.standard_normal((count, len(tickers), steps)) * size[..., None]
    first_hour = np.sign(moves[..., :6].sum(axis=2, keepdims=True))
    moves[..., 6:] += trend * first_hour * size[..., None]
    prices = 100 * np.exp(np.concatenate([np.zeros((count, len(tickers), 1)), moves.cumsum(axis=2)], axis=2))
    edges = [0, *range(6, steps + 1, 12)]
    frames = []
    for hour, (begin, end) in enumerate(itertools.pairwise(edges), start=9):
        span = prices[..., begin : end + 1]
        values = {"open": span[..., 0], "high": span.max(axis=2), "low": span.min(axis=2), "close": span[..., -1]}
        frame = pd.DataFrame({name: array.ravel() for name, array in values.items()})
        day = np.repeat(np.arange(count), len(tickers))
        frame["session"] = np.array([session.dt for session in sessions])[day]
        opens = pd.DatetimeIndex([session.open for session in sessions])[day]
        frame["last_ts"] = opens + pd.Timedelta(minutes=5 * (end - 1))
        frame["ticker"] = np.tile(list(tickers), count)
        frames.append(frame.assign(hour=hour, bar_minutes=5, known_from=AT_ONCE))
    whole = pd.concat(frames, ignore_index=True)
    closes = whole["session"].map({session.dt: pd.Timestamp(session.close) for session in sessions})
    return whole[whole["last_ts"] < closes].reset_index(drop=True)


def samples(hours: pd.DataFrame, sessions: Sequence[Session]) -> dict[Target, pd.DataFrame]:
    """The samples of each target, of hours that have one version."""
    (found,) = known(hours, sessions, range(len(sessions)), LOOK_BACK)
    return found.past


def forecast(hours: pd.DataFrame, sessions: Sequence[Session], models=MODELS, wanted: range | None = None):
    """The forecasts of a walk over `hours`, with their losses, named as the query `forecasts` names them."""
    made = walk(known(hours, sessions, range(len(sessions)) if wanted is None else wanted, LOOK_BACK), models)
    made["loss"] = losses(made)
    return made.assign(kind="back-tested")
