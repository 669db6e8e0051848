"""How far back vendors serve intraday bars. Whoever only needs to know loads no vendor's client."""

from __future__ import annotations

import datetime as dt

# Yahoo publishes no list; these numbers come from its refusals, such as "The requested range must be within the last
# 60 days."
_YAHOO_DAYS = {1: 30, 60: 730}
_YAHOO_DAYS_OTHERWISE = 60
FURTHEST_DAYS = 730
"""No vendor that forgets serves intraday bars for longer."""


def yahoo_days(bar_minutes: int) -> int:
    """How many days back Yahoo serves bars of this size."""
    return _YAHOO_DAYS.get(bar_minutes, _YAHOO_DAYS_OTHERWISE)


def oldest(source: str, bar_minutes: int, now: dt.datetime) -> dt.datetime:
    """The earliest bar start that `source` still serves at `now`; a source without a limit has no earliest."""
    if source != "yahoo":
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    # A day within the limit, in case the request is sent late.
    return now - dt.timedelta(days=yahoo_days(bar_minutes) - 1)
