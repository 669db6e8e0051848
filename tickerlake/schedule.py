"""When `tickerlake watch` collects, from the exchange's calendar alone.

A session has one run just after each of its bars has ended, and one after the close, the sweep. Runs that were missed
are made up for by one run per session: a run collects the whole session so far.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tickerlake import exchange
from tickerlake.exchange import Session

SWEEP_AFTER = dt.timedelta(minutes=65)
"""From the close to the sweep. An hour after the close, a bar that the source no longer gives counts as withdrawn."""
DELAY = dt.timedelta(seconds=30)
"""From the end of a bar to its run: the vendor takes a moment to publish it."""
_AHEAD = dt.timedelta(days=14)
"""Since 1990 the exchange has never been closed for longer than a week."""
_RETRIES = (1, 2, 5, 10, 20, 30)
_RATE_LIMIT_RETRIES = (5, 10, 20, 40, 60)


@dataclass(frozen=True, order=True)
class Due:
    """A run: when it is due, the session it collects, and whether it is the sweep."""

    at: dt.datetime
    session: Session
    sweep: bool = False


def next_run(now: dt.datetime, bar_minutes: int, delay: dt.timedelta = DELAY) -> Due:
    """The first run after `now`."""
    today = exchange.XNYS.date_at(now)
    return next(
        due
        for session in _sessions(today, today + _AHEAD)
        for due in _runs(session, bar_minutes, delay)
        if due.at > now
    )


def last_sweep(now: dt.datetime) -> Due:
    """The latest sweep that is due at `now`."""
    today = exchange.XNYS.date_at(now)
    return next(due for due in map(_sweep, reversed(_sessions(today - _AHEAD, today))) if due.at <= now)


def missed(done: dt.datetime, now: dt.datetime, bar_minutes: int, delay: dt.timedelta = DELAY) -> list[Due]:
    """The runs that became due after `done` and up to `now`: of each session the last one, oldest session first."""
    days = (exchange.XNYS.date_at(moment) for moment in (done, now))
    runs = ([due for due in _runs(session, bar_minutes, delay) if done < due.at <= now] for session in _sessions(*days))
    return [due[-1] for due in runs if due]


def retry_after(failures: int, *, rate_limited: bool) -> dt.timedelta:
    """How long to wait after the `failures`-th failed run in a row, from 1. A rate limit needs longer to pass."""
    minutes = _RATE_LIMIT_RETRIES if rate_limited else _RETRIES
    return dt.timedelta(minutes=minutes[min(failures, len(minutes)) - 1])


@lru_cache(maxsize=4)
def _sessions(first: dt.date, last: dt.date) -> tuple[Session, ...]:
    # A watcher looks every minute.
    return tuple(exchange.XNYS.sessions_between(first, last))


def _runs(session: Session, bar_minutes: int, delay: dt.timedelta) -> Iterator[Due]:
    end = session.open
    while end < session.close:
        end = min(end + dt.timedelta(minutes=bar_minutes), session.close)
        yield Due(end + delay, session)
    yield _sweep(session)


def _sweep(session: Session) -> Due:
    return Due(session.close + SWEEP_AFTER, session, sweep=True)
