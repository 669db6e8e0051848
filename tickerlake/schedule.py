"""When `tickerlake watch` collects, from the calendars of the exchanges alone.

A session has one run just after each of its bars has ended, and one after the close, the sweep. Runs that were missed
are made up for by one run per session: a run collects the whole session so far.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from tickerlake.exchange import Exchange, Session

SWEEP_AFTER = dt.timedelta(minutes=65)
"""From the close to the sweep. An hour after the close, a bar that the source no longer gives counts as withdrawn."""
DELAY = dt.timedelta(seconds=30)
"""From the end of a bar to its run: the vendor takes a moment to publish it."""
_AHEAD = dt.timedelta(days=14)
"""No exchange has been closed for longer since 1990."""
_DAY = dt.timedelta(days=1)
"""A sweep may come on the day after its session."""
_RETRIES = (1, 2, 5, 10, 20, 30)
_RATE_LIMIT_RETRIES = (5, 10, 20, 40, 60)


@dataclass(frozen=True, order=True)
class Due:
    """A run: when it is due, the session it collects, and whether it is the sweep."""

    at: dt.datetime
    session: Session
    sweep: bool = False


def next_run(now: dt.datetime, exchanges: Iterable[Exchange], bar_minutes: int, delay: dt.timedelta = DELAY) -> Due:
    """The first run of any of `exchanges` after `now`."""
    return min(_next_run(now, each, bar_minutes, delay) for each in exchanges)


def last_sweep(now: dt.datetime, exchange: Exchange) -> Due:
    """The latest sweep that is due at `now`."""
    today = exchange.date_at(now)
    return next(due for due in map(_sweep, reversed(_sessions(exchange, today - _AHEAD, today))) if due.at <= now)


def missed(
    done: dt.datetime, now: dt.datetime, exchange: Exchange, bar_minutes: int, delay: dt.timedelta = DELAY
) -> list[Due]:
    """The runs that became due after `done` and up to `now`: of each session the last one, oldest session first."""
    first, last = exchange.date_at(done) - _DAY, exchange.date_at(now)
    sessions = _sessions(exchange, first, last)
    runs = ([due for due in _runs(session, bar_minutes, delay) if done < due.at <= now] for session in sessions)
    return [due[-1] for due in runs if due]


def retry_after(failures: int, *, rate_limited: bool) -> dt.timedelta:
    """How long to wait after the `failures`-th failed run in a row, from 1. A rate limit needs longer to pass."""
    minutes = _RATE_LIMIT_RETRIES if rate_limited else _RETRIES
    return dt.timedelta(minutes=minutes[min(failures, len(minutes)) - 1])


def _next_run(now: dt.datetime, exchange: Exchange, bar_minutes: int, delay: dt.timedelta) -> Due:
    today = exchange.date_at(now)
    coming = (
        next((due for due in _runs(session, bar_minutes, delay) if due.at > now), None)
        for session in _sessions(exchange, today - _DAY, today + _AHEAD)
    )
    # Where it trades around the clock, the sweep comes when the next session is running already.
    return min(itertools.islice(filter(None, coming), 2))


@lru_cache(maxsize=16)
def _sessions(exchange: Exchange, first: dt.date, last: dt.date) -> tuple[Session, ...]:
    # A watcher looks every minute.
    return tuple(exchange.sessions_between(first, last))


def _runs(session: Session, bar_minutes: int, delay: dt.timedelta) -> Iterator[Due]:
    for opens, closes in session.parts:
        end = opens
        while end < closes:
            end = min(end + dt.timedelta(minutes=bar_minutes), closes)
            yield Due(end + delay, session)
    yield _sweep(session)


def _sweep(session: Session) -> Due:
    return Due(session.close + SWEEP_AFTER, session, sweep=True)
