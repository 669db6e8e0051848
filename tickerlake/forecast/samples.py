"""What is known at every full hour of a session, and what came of it.

A *moment* is a full exchange hour inside the session: 10:00 to 15:00, on an early close 10:00 to 12:00. One sample is
one ticker at one moment. Everything in it but the outcome comes from hours that ended by the moment. Prices enter
relative to others of the same session, so a split between two sessions changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from tickerlake import symbols
from tickerlake.exchange import EXCHANGE_TIME, Session

Target = Literal["next-hour-high", "day-high", "close-above"]
TARGETS: tuple[Target, ...] = get_args(Target)
"""The next hour's high and the day's high still to come, relative to the last close; whether the close is above it."""
DIRECTION: Target = "close-above"
"""The target that is forecast as a probability, not as a distribution."""
LEAST_SESSIONS = 20
"""With fewer earlier sessions of a ticker there is not enough history for a forecast."""
WEEK, MONTH, USUAL = 5, 20, 120
"""Over how many earlier sessions ranges are averaged; `USUAL` is for what is usual for a ticker at that hour."""
COUNTED = 250
"""`sessions_used` counts up to this many."""
_HOURS = range(9, 16)
_LEAST_USUAL = 5
_LEAST_RANGE = 1e-4  # an hour without a trade has no range, and no logarithm
_EXTREME = 3.0
_FEATURES = ("week", "month", "today", "moved", "lately")


@dataclass(frozen=True)
class Moment:
    """One full hour of a session: the instant, and when the hour that begins ends (UTC)."""

    session: Session
    hour: int
    at: dt.datetime
    hour_ends: dt.datetime

    def ends(self, target: Target) -> dt.datetime:
        """The end of the time that a forecast of `target` is about."""
        return self.hour_ends if target == "next-hour-high" else self.session.close


def moments(session: Session) -> list[Moment]:
    """The moments of `session`, earliest first."""
    found = []
    for hour in _HOURS:
        at = dt.datetime.combine(session.date, dt.time(hour), EXCHANGE_TIME).astimezone(dt.UTC)
        if session.open < at < session.close:
            found.append(Moment(session, hour, at, min(at + dt.timedelta(hours=1), session.close)))
    return found


def samples(hours: pd.DataFrame, sessions: Sequence[Session]) -> dict[Target, pd.DataFrame]:
    """The samples of each target, ordered by session, ticker and hour.

    `hours` has the columns of the query `hourly`; `sessions` are consecutive, and the last one may be running. The
    columns of a frame:

    - `ticker` as traded in the session, `session` (its place in `sessions`), `date` (its ordinal), `hour`, and
      `reference`: the last close, USD
    - `sessions_used`: in how many of the `COUNTED` earlier sessions the ticker traded
    - `usual`: the usual log range of the time that the forecast is about; `size`: the one that it came to have
    - `week`, `month`, `today`: ranges of 5 and of 20 sessions and of today relative to the usual, as logarithms
    - `moved`, `lately`: the return of the session and of the last hour, in usual ranges
    - `outcome`: the high relative to `reference`, less 1; for `close-above` 1 or 0; NaN until it is known
    """
    grid = _grid(hours, sessions)
    return {target: _of_target(grid, sessions, target) for target in TARGETS}


class _Grid(NamedTuple):
    """Prices of each session, company and hour: arrays of shape (sessions, companies, hours), NaN where missing."""

    tickers: np.ndarray
    """Each company's symbol in each session: shape (sessions, companies)."""
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    covered: np.ndarray
    """The end of the latest bar of each company's session, seconds UTC: shape (sessions, companies)."""


def _grid(hours: pd.DataFrame, sessions: Sequence[Session]) -> _Grid:
    number = {session.dt: place for place, session in enumerate(sessions)}
    hours = hours[hours["session"].isin(number) & hours["hour"].isin(_HOURS)]
    current = {ticker: symbols.current_symbol(ticker) for ticker in hours["ticker"].unique()}
    companies = sorted(set(current.values()))
    company = {ticker: companies.index(name) for ticker, name in current.items()}
    at = (
        hours["session"].map(number).to_numpy(int),
        hours["ticker"].map(company).to_numpy(int),
        hours["hour"].to_numpy(int) - _HOURS.start,
    )
    shape = (len(sessions), len(companies), len(_HOURS))
    prices = []
    for name in ("open", "high", "low", "close"):
        array = np.full(shape, np.nan)
        array[at] = hours[name].to_numpy(float)
        prices.append(array)
    covered = np.zeros(shape[:2])
    starts = hours["last_ts"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[s]").astype(float)
    np.maximum.at(covered, at[:2], starts + 60 * hours["bar_minutes"].to_numpy(int))
    named = [[symbols.as_traded(name, session.date) for name in companies] for session in sessions]
    return _Grid(np.array(named, dtype=object).reshape(shape[:2]), *prices, covered)


def _of_target(grid: _Grid, sessions: Sequence[Session], target: Target) -> pd.DataFrame:
    relative = _range(grid.high, grid.low)
    relative /= _mean(relative, USUAL)
    used = _trailing(np.isfinite(grid.close).max(axis=2), COUNTED)
    dates = np.array([session.date.toordinal() for session in sessions])
    by_hour = [{moment.hour: moment for moment in moments(session)} for session in sessions]
    frames = []
    for place, hour in enumerate(_HOURS):
        if place == 0:
            continue  # the open comes at half past nine
        ends = np.array([day[hour].ends(target).timestamp() if hour in day else np.nan for day in by_hour])[:, None]
        reference, opened = grid.close[..., place - 1], _last(grid.open[..., place - 1 :: -1])
        coming = slice(place, place + 1 if target == "next-hour-high" else None)
        high, low = np.fmax.reduce(grid.high[..., coming], axis=2), np.fmin.reduce(grid.low[..., coming], axis=2)
        size = _range(high, low)
        usual = _mean(size, USUAL)
        with np.errstate(invalid="ignore", divide="ignore"):
            final = _last(grid.close)
            closed_above = np.where(np.isnan(final), np.nan, final > reference)
            values = {
                "sessions_used": used,
                "reference": reference,
                "usual": usual,
                "size": size,
                "week": np.log(_mean(size, WEEK, least=1) / usual),
                "month": np.log(_mean(size, MONTH, least=1) / usual),
                "today": np.log(_mean_of_last_axis(relative[..., :place])),
                "moved": np.log(reference / opened) / usual,
                "lately": np.log(reference / grid.open[..., place - 1]) / usual,
                "outcome": closed_above if target == DIRECTION else high / reference - 1,
            }
        values["outcome"] = np.where(grid.covered >= ends, values["outcome"], np.nan)
        there = np.isfinite(reference) & np.isfinite(usual) & ~np.isnan(ends)
        session = np.broadcast_to(np.arange(len(sessions))[:, None], there.shape)
        columns = {"ticker": grid.tickers, "session": session, "date": dates[session], **values}
        frames.append(pd.DataFrame({name: column[there] for name, column in columns.items()}).assign(hour=hour))
    found = pd.concat(frames, ignore_index=True)
    # What is not known about the size of the moves counts as usual.
    for name in _FEATURES:
        found[name] = found[name].fillna(0).clip(-_EXTREME, _EXTREME)
    return found.sort_values(["session", "ticker", "hour"], kind="stable", ignore_index=True)


def _range(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return np.maximum(np.log(high / low), _LEAST_RANGE)


def _last(prices: np.ndarray) -> np.ndarray:
    """The last price along the last axis that is there; NaN if none is."""
    place = prices.shape[-1] - 1 - np.isfinite(prices)[..., ::-1].argmax(axis=-1)
    return np.take_along_axis(prices, place[..., None], axis=-1)[..., 0]


def _mean_of_last_axis(values: np.ndarray) -> np.ndarray:
    there = np.isfinite(values)
    return np.where(there, values, 0).sum(axis=-1) / there.sum(axis=-1)


def _mean(values: np.ndarray, sessions: int, *, least: int = _LEAST_USUAL) -> np.ndarray:
    """The mean over the `sessions` before each session; NaN if fewer than `least` of them have a value."""
    there = np.isfinite(values)
    count = _trailing(there, sessions)
    return _trailing(np.where(there, values, 0), sessions) / np.where(count >= least, count, np.nan)


def _trailing(values: np.ndarray, sessions: int) -> np.ndarray:
    """The sum over the `sessions` before each session, which is the first axis, without the session itself."""
    total = np.cumsum(values.astype(float), axis=0)
    total = np.concatenate([np.zeros_like(total[:1]), total])
    place = np.arange(len(values))
    return total[place] - total[np.maximum(place - sessions, 0)]
