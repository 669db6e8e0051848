"""Trading sessions of the exchange: on which days it trades, and when it opens and closes.

All instants are timezone-aware UTC. A session is named by its date in exchange time. Holidays, early closes and
daylight-saving changes come from exchange_calendars (https://github.com/gerrymanoim/exchange_calendars), which is
imported with pandas on first use: many commands need the exchange's time zone only.
"""

from __future__ import annotations

import datetime  # noqa: ICN001  `dt` is the partition here
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tickerlake.errors import ConfigError

if TYPE_CHECKING:
    import exchange_calendars
    import pandas as pd

EXCHANGE = "XNYS"
EXCHANGE_TIME = ZoneInfo("America/New_York")
CURRENCY = "USD"
FIRST_YEAR = 1990
FULL_SESSION = datetime.timedelta(hours=6, minutes=30)
_OPENS, _CLOSES = datetime.time(9, 30), datetime.time(16)
"""No session since 1990 opened earlier or closed later, in exchange time."""


@dataclass(frozen=True, order=True)
class Session:
    """One trading day: its date in exchange time, and the UTC instants at which it opens and closes."""

    date: datetime.date
    open: datetime.datetime
    close: datetime.datetime

    @property
    def dt(self) -> str:
        """The partition that holds this session's bars, `YYYY-MM-DD`."""
        return self.date.isoformat()

    @property
    def early_close(self) -> bool:
        """True if the session is shorter than usual, as on the day after Thanksgiving."""
        return self.close - self.open < FULL_SESSION

    def bar_starts(self, bar_minutes: int, until: datetime.datetime | None = None) -> pd.DatetimeIndex:
        """UTC starts of the session's bars; with `until`, only of the bars that have finished by then.

        If `bar_minutes` does not divide the session, the last bar is shorter and ends at the close.
        """
        import pandas as pd  # noqa: PLC0415

        starts = pd.date_range(self.open, self.close, freq=f"{bar_minutes}min", inclusive="left")
        if until is None or until >= self.close:
            return starts
        return starts[starts + pd.Timedelta(minutes=bar_minutes) <= until]


def session_on(date: datetime.date) -> Session:
    """The session of `date`. Raises ConfigError, with the nearest sessions, if the exchange is closed that day."""
    sessions = sessions_between(date, date)
    if not sessions:
        calendar = _calendar()
        before = calendar.date_to_session(date, direction="previous").date()
        after = calendar.date_to_session(date, direction="next").date()
        raise ConfigError(
            f"{date} ({date:%A}) is not a session of {EXCHANGE}; the nearest sessions are {before} and {after}"
        )
    return sessions[0]


def sessions_between(first: datetime.date, last: datetime.date) -> list[Session]:
    """The sessions from `first` to `last`, both included, oldest first; an empty list if there are none."""
    import pandas as pd  # noqa: PLC0415

    if first > last:
        raise ConfigError(f"first session {first} is after last session {last}; swap them")
    bounds = _bounds()
    for date in (first, last):
        if not bounds[0] <= date <= bounds[1]:
            raise ConfigError(f"{date} is outside the exchange calendar, which runs from {bounds[0]} to {bounds[1]}")
    schedule = _calendar().schedule.loc[pd.Timestamp(first) : pd.Timestamp(last)]
    return [
        Session(date.date(), row.open.to_pydatetime(), row.close.to_pydatetime())
        for date, row in zip(schedule.index, schedule.itertuples(), strict=True)
    ]


def last_finished(now: datetime.datetime) -> Session:
    """The latest session that has closed by `now`."""
    return next(session for session in _backwards(now) if session.close <= now)


def running(now: datetime.datetime) -> Session | None:
    """The session that is open at `now`, or None."""
    if not _OPENS <= now.astimezone(EXCHANGE_TIME).time() < _CLOSES:
        return None  # No need to load the calendar.
    latest = next(session for session in _backwards(now) if session.open <= now)
    return latest if now < latest.close else None


def bounds_by_dt(first: datetime.date, last: datetime.date) -> pd.DataFrame:
    """Columns `open` and `close` (UTC) of the sessions from `first` to `last`, indexed by `dt` text."""
    import pandas as pd  # noqa: PLC0415

    schedule = _calendar().schedule[["open", "close"]]
    inside = (schedule.index >= pd.Timestamp(first)) & (schedule.index <= pd.Timestamp(last))
    return schedule[inside].set_axis(schedule.index[inside].strftime("%Y-%m-%d"))


def exchange_date(moment: datetime.datetime) -> datetime.date:
    """The calendar date at the exchange at `moment`."""
    return moment.astimezone(EXCHANGE_TIME).date()


def _backwards(now: datetime.datetime) -> Iterator[Session]:
    today = exchange_date(now)
    # Since 1990 the exchange has never been closed for more than a week (September 2001).
    yield from reversed(sessions_between(today - datetime.timedelta(days=14), today))


def _bounds() -> tuple[datetime.date, datetime.date]:
    calendar = _calendar()
    # `date_to_session` needs a session on either side, so the outermost two weeks are off limits.
    edge = datetime.timedelta(days=14)
    return calendar.first_session.date() + edge, calendar.last_session.date() - edge


def _calendar() -> exchange_calendars.ExchangeCalendar:
    return _calendar_until(datetime.datetime.now(datetime.UTC).year + 2)


@lru_cache(maxsize=1)
def _calendar_until(year: int) -> exchange_calendars.ExchangeCalendar:
    # By default it ends in a year, which a process may outlive. Importing it and building the calendar takes 0.4 s.
    import exchange_calendars  # noqa: PLC0415

    return exchange_calendars.get_calendar(EXCHANGE, start=f"{FIRST_YEAR}-01-01", end=f"{year}-01-31")
