"""When a session may be compacted, and how its compacted files are called, on one machine and in the cloud."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from tickerlake.errors import ConfigError
from tickerlake.exchange import Exchange

GRACE = dt.timedelta(hours=1)
"""How long after its close a session may still be collected."""
COMPACTED = ".compact.parquet"
"""How the name of a compacted file ends."""


def is_finished(session: str, now: dt.datetime, exchanges: Iterable[Exchange]) -> bool:
    """Whether `session`, a date as text, closed at least `GRACE` before `now` at each of `exchanges`."""
    day = dt.date.fromisoformat(session)
    return all(_end(day, each) + GRACE <= now for each in exchanges)


def _end(day: dt.date, exchange: Exchange) -> dt.datetime:
    """When the session closes; the end of the day, if the exchange knows no session on that day."""
    try:
        return exchange.session_on(day).close
    except ConfigError:
        return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=1)
