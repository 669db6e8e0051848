"""When a session may be compacted, and how its compacted files are called, on one machine and in the cloud."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

from tickerlake.errors import ConfigError
from tickerlake.exchange import EXCHANGES, Exchange

GRACE = dt.timedelta(hours=1)
"""How long after its close a session may still be collected."""
COMPACTED = ".compact.parquet"
"""How the name of a compacted file ends."""


_OVER = dt.timedelta(days=2)
"""After so many days a date has ended everywhere."""


def is_finished(session: str, now: dt.datetime, traded: Callable[[str], Iterable[str]]) -> bool:
    """Whether `session`, a date as text, closed at least `GRACE` before `now` at every exchange with bars in it.

    `traded` gives their codes. It is asked about recent dates only. When an exchange that is not known closes, nobody
    here knows: its bars wait until the date is over everywhere. So does a date without bars.
    """
    day = dt.date.fromisoformat(session)
    if day + _OVER <= now.date():
        return True
    codes = list(traded(session))
    return bool(codes) and all(code in EXCHANGES and _end(day, EXCHANGES[code]) + GRACE <= now for code in codes)


def _end(day: dt.date, exchange: Exchange) -> dt.datetime:
    """When the session closes; the end of the day, if the exchange knows no session on that day."""
    try:
        return exchange.session_on(day).close
    except ConfigError:
        return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=1)
