"""What is known at every full hour of a session, and what came of it.

A *moment* is a full exchange hour inside the session: in New York 10:00 to 15:00, on an early close 10:00 to 12:00. One
sample is one ticker at one moment. Everything in it but the outcome comes from hours that ended by the moment. Prices
enter relative to others of the same session, so a split between two sessions changes nothing. All sessions are of one
exchange.

What is *known* at a moment is what the lake held five minutes later, when a live forecast is made at the latest: later
corrections do not count. An hour of which the lake held nothing by then, because it was collected or imported later,
counts as it was first collected.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from tickerlake import symbols
from tickerlake.exchange import Session
from tickerlake.record import PRICES

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
LIVE = dt.timedelta(minutes=5)
"""How long after its hour began a forecast is live, as in queries/include/scored.sql: no bar of it has ended."""
_LEAST_USUAL = 5
_LEAST_RANGE = 1e-4  # an hour without a trade has no range, and no logarithm
_EXTREME = 3.0
_FEATURES = ("week", "month", "today", "moved", "lately")
_OPEN, _HIGH, _LOW, _CLOSE = range(4)


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


@lru_cache(4096)
def moments(session: Session) -> tuple[Moment, ...]:
    """The moments of `session`, earliest first."""
    found = []
    for hour in session.exchange.hours:
        at = dt.datetime.combine(session.date, dt.time(hour), session.exchange.zone).astimezone(dt.UTC)
        if session.open < at < session.close:
            found.append(Moment(session, hour, at, min(at + dt.timedelta(hours=1), session.close)))
    return tuple(found)


class Known(NamedTuple):
    """What is known at consecutive moments, between which the lake learned nothing of earlier sessions."""

    sessions: list[int]
    """The places of the sessions of these moments."""
    past: dict[Target, pd.DataFrame]
    """The samples of all sessions, to learn from those before the moment."""
    now: dict[Target, pd.DataFrame]
    """The samples of the moments themselves."""


def known(hours: pd.DataFrame, sessions: Sequence[Session], wanted: range, look_back: int) -> Iterator[Known]:
    """What is known at each moment of the sessions at the places `wanted`, earliest first.

    `hours` has the columns of the query `hourly_versions`; `sessions` are consecutive, and the last one may be running.
    No more than `look_back` sessions before one that is wanted are looked at. Samples are ordered by session, ticker
    and hour, and have the columns

    - `ticker` as traded in the session, `session` (its place in `sessions`), `date` (its ordinal), `hour`, and
      `reference`: the last close, USD
    - `sessions_used`: in how many of the `COUNTED` earlier sessions the ticker traded
    - `usual`: the usual log range of the time that the forecast is about; `size`: the one that it came to have
    - `week`, `month`, `today`: ranges of 5 and of 20 sessions and of today relative to the usual, as logarithms
    - `moved`, `lately`: the return of the session and of the last hour, in usual ranges
    - `outcome`: the high relative to `reference`, less 1; for `close-above` 1 or 0; NaN until it is known
    """
    clock = sessions[0].exchange.hours
    versions = _versions(hours, sessions, clock)
    at = np.full((len(sessions), len(clock)), np.inf)
    for place, session in enumerate(sessions):
        for moment in moments(session):
            at[place, moment.hour - clock.start] = (moment.at + LIVE).timestamp()
    # A session is looked back on from the next one's first moment on. What is learned of it later begins a new period.
    looked_back_on = np.append(at.min(axis=1)[1:], np.inf)[versions.cells[0]]
    late = ~versions.is_first & (versions.known_from > looked_back_on)
    learned = np.unique(versions.known_from[late])
    period = np.where(np.isfinite(at), np.searchsorted(learned, at, side="right"), -1)
    grid = versions.grid(~late)
    for number in np.unique(period[wanted][period[wanted] >= 0]):
        if number:
            versions.put(grid, late & (versions.known_from <= learned[number - 1]))
        places = [place for place in wanted if number in period[place]]
        window = slice(max(places[0] - look_back, 0), places[-1] + 1)

        def today(hour: int, window: slice = window) -> np.ndarray:
            by_then = versions.known_from <= at[versions.cells[0], hour]
            return versions.grid(versions.is_first | by_then)[:, window]

        past, now = {}, {}
        for target in TARGETS:
            about = _About(target, sessions[window], window.start, versions.tickers[window], clock)
            past[target] = found = _samples(grid[:, window], about)
            if not versions.is_first.all():
                found = _samples(grid[:, window], about, today)
            now[target] = found[period[found["session"], found["hour"] - clock.start] == number]
        yield Known(places, past, now)


class _Versions(NamedTuple):
    """What was known of each hour, from the earliest version on."""

    clock: range
    """The hours of the exchange."""
    tickers: np.ndarray
    """Each company's symbol in each session: shape (sessions, companies)."""
    cells: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Session, company and hour of each version."""
    values: np.ndarray
    """Open, high, low and close of each version, and the end of its latest bar, seconds UTC: shape (5, versions)."""
    known_from: np.ndarray
    """Seconds UTC."""
    is_first: np.ndarray
    """Whether it is the first version of its hour."""

    def grid(self, chosen: np.ndarray) -> np.ndarray:
        """The latest of the `chosen` versions of each hour, NaN without one: shape (5, sessions, companies, hours)."""
        grid = np.full((len(self.values), *self.tickers.shape, len(self.clock)), np.nan)
        self.put(grid, chosen)
        return grid

    def put(self, grid: np.ndarray, chosen: np.ndarray) -> None:
        """Puts the `chosen` versions into `grid`; of several of an hour, the latest stays."""
        grid[:, *(place[chosen] for place in self.cells)] = self.values[:, chosen]


def _versions(hours: pd.DataFrame, sessions: Sequence[Session], clock: range) -> _Versions:
    number = {session.dt: place for place, session in enumerate(sessions)}
    hours = hours[hours["session"].isin(number) & hours["hour"].isin(clock)].sort_values("known_from", kind="stable")
    current = {ticker: symbols.current_symbol(ticker) for ticker in hours["ticker"].unique()}
    companies = sorted(set(current.values()))
    company = {ticker: companies.index(name) for ticker, name in current.items()}
    cells = (
        hours["session"].map(number).to_numpy(int),
        hours["ticker"].map(company).to_numpy(int),
        hours["hour"].to_numpy(int) - clock.start,
    )
    ends = _seconds(hours["last_ts"]) + 60 * hours["bar_minutes"].to_numpy(float, na_value=np.nan)
    named = [[symbols.as_traded(name, session.date) for name in companies] for session in sessions]
    cell = np.ravel_multi_index(cells, (len(sessions), max(len(companies), 1), len(clock)))
    is_first = np.zeros(len(cell), bool)
    is_first[np.unique(cell, return_index=True)[1]] = True
    return _Versions(
        clock=clock,
        tickers=np.array(named, dtype=object).reshape(len(sessions), len(companies)),
        cells=cells,
        values=np.array([*(hours[name].to_numpy(float, na_value=np.nan) for name in PRICES), ends]),
        known_from=_seconds(hours["known_from"]),
        is_first=is_first,
    )


def _seconds(times: pd.Series) -> np.ndarray:
    """Seconds UTC; NaN where there is no time."""
    naive = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[ms]")
    return np.where(np.isnat(naive), np.nan, naive.astype(float) / 1000)


class _About(NamedTuple):
    """What samples are about."""

    target: Target
    sessions: Sequence[Session]
    start: int
    """The place of the first of these sessions."""
    tickers: np.ndarray
    clock: range


def _samples(grid: np.ndarray, about: _About, today: Callable[[int], np.ndarray] | None = None) -> pd.DataFrame:
    """The samples of one target. `today` gives the grid in which each session is as it was known at an hour of it."""
    sessions, target = about.sessions, about.target
    _, high, low, close, end = grid
    relative = _mean(_range(high, low), USUAL)
    used = _trailing(np.isfinite(close).max(axis=2), COUNTED)
    covered = np.nan_to_num(end).max(axis=2)
    dates = np.array([session.date.toordinal() for session in sessions])
    by_hour = [{moment.hour: moment for moment in moments(session)} for session in sessions]
    frames = []
    for place, hour in enumerate(about.clock):
        if place == 0:
            continue  # nothing has traded yet
        ends = np.array([day[hour].ends(target).timestamp() if hour in day else np.nan for day in by_hour])[:, None]
        seen = grid if today is None else today(place)
        seen = seen[..., :place]
        reference, opened = seen[_CLOSE, ..., -1], _last(seen[_OPEN, ..., ::-1])
        coming = slice(place, place + 1 if target == "next-hour-high" else None)
        highest, lowest = np.fmax.reduce(high[..., coming], axis=2), np.fmin.reduce(low[..., coming], axis=2)
        size = _range(highest, lowest)
        usual = _mean(size, USUAL)
        with np.errstate(invalid="ignore", divide="ignore"):
            final = _last(close)
            closed_above = np.where(np.isnan(final), np.nan, final > reference)
            values = {
                "sessions_used": used,
                "reference": reference,
                "usual": usual,
                "size": size,
                "week": np.log(_mean(size, WEEK, least=1) / usual),
                "month": np.log(_mean(size, MONTH, least=1) / usual),
                "today": np.log(_mean_of_last_axis(_range(seen[_HIGH], seen[_LOW]) / relative[..., :place])),
                "moved": np.log(reference / opened) / usual,
                "lately": np.log(reference / seen[_OPEN, ..., -1]) / usual,
                "outcome": closed_above if target == DIRECTION else highest / reference - 1,
            }
        values["outcome"] = np.where(covered >= ends, values["outcome"], np.nan)
        there = np.isfinite(reference) & np.isfinite(usual) & ~np.isnan(ends)
        session = np.broadcast_to(np.arange(len(sessions))[:, None], there.shape)
        columns = {"ticker": about.tickers, "session": session + about.start, "date": dates[session], **values}
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
