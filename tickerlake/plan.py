"""Which sessions a request means: one set of rules for the command line, the dashboard and the Lambda."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Literal

from tickerlake.errors import ConfigError
from tickerlake.exchange import Exchange, Session


def plan(
    now: dt.datetime,
    exchanges: Sequence[Exchange],
    *,
    session: dt.date | Literal["today", "last"] | None = None,
    first: dt.date | None = None,
    last: dt.date | None = None,
) -> list[Session]:
    """The sessions of `exchanges` to collect, oldest first; without arguments, the last finished one of each.

    `session` names one: a date, "today", or "last" for the last finished one. `first` and `last` name a range;
    without `last` it ends with the last finished session. What these words mean is up to each exchange: Tokyo's today
    may be New York's tomorrow. Sessions that have not opened by `now` are left out. ConfigError if none is left, if
    all exchanges were closed, or if the arguments contradict each other.
    """
    if session and (first or last):
        raise ConfigError("session names one day, first and last name a range; give one or the other")
    if last and not first:
        raise ConfigError("last needs first; give both, or session for one day")
    if first and last and first > last:
        raise ConfigError(f"first session {first} is after last session {last}; swap them")
    planned: list[Session] = []
    closed: list[ConfigError] = []
    for each in exchanges:
        try:
            planned += _sessions(each, now, session, first, last)
        except ConfigError as error:
            closed.append(error)
    if not planned:
        raise closed[0]
    return sorted(planned)


def _sessions(
    exchange: Exchange,
    now: dt.datetime,
    session: dt.date | Literal["today", "last"] | None,
    first: dt.date | None,
    last: dt.date | None,
) -> list[Session]:
    """The sessions of one exchange. ConfigError if there are none."""
    finished = exchange.last_finished(now)
    today = exchange.date_at(now)
    if isinstance(session, dt.date):
        first = last = session
    elif session == "today":
        first = last = today
    if first is None:
        return [finished]
    last = last or max(finished.date, first)
    sessions = exchange.sessions_between(first, max(first, min(last, today)))
    if not sessions:
        return [exchange.session_on(first)]  # raises: the exchange is closed that day
    opened = [each for each in sessions if each.open <= now]
    if not opened:
        raise ConfigError(f"{sessions[0].date} has not opened yet; the last finished session is {finished.date}")
    return opened


def parse_date(text: object) -> dt.date:
    """`"2026-11-20"` as a date. ConfigError for anything else."""
    # date.fromisoformat also takes 20261120 and 2026-W47-5; one way to write a date is enough.
    if isinstance(text, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            pass
    raise ConfigError(f"{text!r} is not a date; write YYYY-MM-DD")
