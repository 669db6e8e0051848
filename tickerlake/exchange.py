"""Exchanges and their sessions: on which days an exchange trades, when it opens and closes, in which currency.

All instants are timezone-aware UTC. A session is named by its date in the exchange's time. Holidays, early closes,
lunch breaks and daylight-saving changes come from exchange_calendars
(https://github.com/gerrymanoim/exchange_calendars), which is imported with pandas on first use: many commands need an
exchange's time zone only.
"""

from __future__ import annotations

import datetime  # noqa: ICN001  `dt` is the partition here
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tickerlake.errors import ConfigError

if TYPE_CHECKING:
    import exchange_calendars
    import pandas as pd

_PAIR = re.compile(r"[A-Z0-9]{2,10}-(?P<currency>[A-Z]{3})")
"""A cryptocurrency in Yahoo's spelling: `BTC-USD`. A share class has at most two letters there: `BRK-B`."""


@dataclass(frozen=True, order=True)
class Session:
    """One trading day: its date in the exchange's time, and the UTC instants at which it opens and closes."""

    date: datetime.date
    open: datetime.datetime
    close: datetime.datetime
    exchange: Exchange
    break_start: datetime.datetime | None = field(default=None, compare=False)
    """When the lunch break begins, as in Tokyo; None without one."""
    break_end: datetime.datetime | None = field(default=None, compare=False)
    early_close: bool = field(default=False, compare=False)
    """True if the session ends earlier than usual, as in New York on the day after Thanksgiving."""

    @property
    def dt(self) -> str:
        """The partition that holds this session's bars, `YYYY-MM-DD`."""
        return self.date.isoformat()

    @property
    def parts(self) -> tuple[tuple[datetime.datetime, datetime.datetime], ...]:
        """When it trades, in UTC: from the open to the close, or two parts around the lunch break."""
        if self.break_start is None or self.break_end is None:
            return ((self.open, self.close),)
        return (self.open, self.break_start), (self.break_end, self.close)

    def minute(self, moment: datetime.datetime) -> int:
        """Minutes on the exchange's clock since midnight of its date: 1,440 at the midnight that ends it."""
        midnight = datetime.datetime.combine(self.date, datetime.time(), self.exchange.zone)
        return (moment.astimezone(self.exchange.zone) - midnight) // datetime.timedelta(minutes=1)

    def bar_starts(self, bar_minutes: int, until: datetime.datetime | None = None) -> pd.DatetimeIndex:
        """UTC starts of the session's bars; with `until`, only of the bars that have finished by then.

        The afternoon has a grid of its own, from the end of the lunch break. If `bar_minutes` does not divide a part of
        the session, its last bar is shorter and ends with it.
        """
        import pandas as pd  # noqa: PLC0415

        grids = []
        for begin, end in self.parts:
            starts = pd.date_range(begin, end, freq=f"{bar_minutes}min", inclusive="left")
            over = until is None or until >= end
            grids.append(starts if over else starts[starts + pd.Timedelta(minutes=bar_minutes) <= until])
        return pd.DatetimeIndex(grids[0].append(grids[1:]))


@dataclass(frozen=True, order=True)
class Exchange:
    """An exchange: its calendar, time zone and currency."""

    code: str
    """Its name in exchange_calendars, such as `XNYS`."""
    name: str = field(compare=False)
    """Its place, such as `New York`."""
    zone: ZoneInfo = field(compare=False)
    currency: str = field(compare=False)
    """The currency of its prices as Yahoo writes it: London's are in pence, `GBp`."""
    opens: datetime.time = field(compare=False)
    closes: datetime.time = field(compare=False)
    """No session since `first_year` opened earlier or closed later, in its own time. Equal if it never closes."""
    suffix: str | None = field(compare=False)
    """How Yahoo marks its tickers: `.L` in `VOD.L`, nothing in `META`; None for pairs such as `BTC-USD`."""
    first_year: int = field(default=1990, compare=False)

    @property
    def never_closes(self) -> bool:
        """True if it trades around the clock; its sessions are days."""
        return self.opens == self.closes

    @property
    def trades_pairs(self) -> bool:
        """True if its tickers are pairs such as `BTC-USD`, and not shares."""
        return self.suffix is None

    @property
    def hours(self) -> range:
        """The clock hours in which its bars start: 9 to 15 in New York."""
        if self.never_closes:
            return range(24)
        return range(self.opens.hour, self.closes.hour + (self.closes.minute > 0))

    def session_on(self, date: datetime.date) -> Session:
        """The session of `date`. Raises ConfigError, with the nearest sessions, if the exchange is closed that day."""
        sessions = self.sessions_between(date, date)
        if not sessions:
            calendar = self._calendar()
            before = calendar.date_to_session(date, direction="previous").date()
            after = calendar.date_to_session(date, direction="next").date()
            raise ConfigError(
                f"{date} ({date:%A}) is not a session of {self.code}; the nearest sessions are {before} and {after}"
            )
        return sessions[0]

    def sessions_between(self, first: datetime.date, last: datetime.date) -> list[Session]:
        """The sessions from `first` to `last`, both included, oldest first; an empty list if there are none."""
        import pandas as pd  # noqa: PLC0415

        if first > last:
            raise ConfigError(f"first session {first} is after last session {last}; swap them")
        calendar = self._calendar()
        bounds = _bounds(calendar)
        for date in (first, last):
            if not bounds[0] <= date <= bounds[1]:
                raise ConfigError(
                    f"{date} is outside the exchange calendar, which runs from {bounds[0]} to {bounds[1]}"
                )
        schedule = calendar.schedule.loc[pd.Timestamp(first) : pd.Timestamp(last)]
        early = set(schedule.index.intersection(calendar.early_closes))
        return [
            Session(
                date.date(),
                row.open.to_pydatetime(),
                row.close.to_pydatetime(),
                self,
                None if pd.isna(row.break_start) else row.break_start.to_pydatetime(),
                None if pd.isna(row.break_end) else row.break_end.to_pydatetime(),
                date in early,
            )
            for date, row in zip(schedule.index, schedule.itertuples(), strict=True)
        ]

    def last_finished(self, now: datetime.datetime) -> Session:
        """The latest session that has closed by `now`."""
        return next(session for session in self._backwards(now) if session.close <= now)

    def last_sessions(self, now: datetime.datetime, count: int) -> list[Session]:
        """The last `count` sessions that have closed by `now`, oldest first."""
        last = self.last_finished(now).date
        # Two days a session, and two weeks for holidays, always hold enough of them.
        return self.sessions_between(last - datetime.timedelta(days=2 * count + 14), last)[-count:]

    def running(self, now: datetime.datetime) -> Session | None:
        """The session that is open at `now`, or None. A lunch break is part of it."""
        if not self.never_closes and not self.opens <= now.astimezone(self.zone).time() < self.closes:
            return None  # No need to load the calendar.
        latest = next(session for session in self._backwards(now) if session.open <= now)
        return latest if now < latest.close else None

    def bounds_by_dt(self) -> pd.DataFrame:
        """Columns `open`, `close`, `break_start` and `break_end` (UTC, in microseconds) of every session of the
        calendar, indexed by `dt` text. Not to be changed.
        """
        return _bounds_by_dt(self._calendar())

    def date_at(self, moment: datetime.datetime) -> datetime.date:
        """The calendar date at the exchange at `moment`."""
        return moment.astimezone(self.zone).date()

    def _backwards(self, now: datetime.datetime) -> Iterator[Session]:
        today = self.date_at(now)
        # The longest closures are New York's week of September 2001 and Tokyo's ten days of 2019.
        yield from reversed(self.sessions_between(today - datetime.timedelta(days=14), today))

    def _calendar(self) -> exchange_calendars.ExchangeCalendar:
        return _calendar_until(self.code, self.first_year, datetime.datetime.now(datetime.UTC).year + 2)


XNYS = Exchange(
    "XNYS", "New York", ZoneInfo("America/New_York"), "USD", datetime.time(9, 30), datetime.time(16), suffix=""
)
XLON = Exchange(
    "XLON", "London", ZoneInfo("Europe/London"), "GBp", datetime.time(8), datetime.time(16, 30), suffix=".L"
)
XETR = Exchange(
    "XETR", "Xetra", ZoneInfo("Europe/Berlin"), "EUR", datetime.time(9), datetime.time(17, 30), suffix=".DE"
)
XTKS = Exchange(
    "XTKS",
    "Tokyo",
    ZoneInfo("Asia/Tokyo"),
    "JPY",
    datetime.time(9),
    datetime.time(15, 30),
    suffix=".T",
    first_year=1997,  # Where the calendar begins.
)
CRYPTO = Exchange("24/7", "Crypto", ZoneInfo("UTC"), "USD", datetime.time(), datetime.time(), suffix=None)
"""Cryptocurrencies trade around the clock; their sessions are the days in UTC."""

EXCHANGES = {each.code: each for each in (XNYS, XLON, XETR, XTKS, CRYPTO)}


@lru_cache(maxsize=1 << 14)
def of(ticker: str) -> Exchange:
    """The exchange of `ticker`, going by its spelling at Yahoo. ConfigError for a suffix that no exchange has."""
    if _PAIR.fullmatch(ticker):
        return CRYPTO
    _, dot, ending = ticker.partition(".")
    for each in EXCHANGES.values():
        if each.suffix == dot + ending:
            return each
    known = ", ".join(f"{each.suffix} ({each.name})" for each in EXCHANGES.values() if each.suffix)
    raise ConfigError(
        f"{ticker!r} is of an exchange that is not known; the known suffixes are {known}, and none for {XNYS.name}"
    )


def all_of(tickers: Iterable[str]) -> tuple[Exchange, ...]:
    """The exchanges of `tickers`, once each, in the order of `EXCHANGES`."""
    found = set(map(of, tickers))
    return tuple(each for each in EXCHANGES.values() if each in found)


def by_exchange(sessions: Iterable[Session]) -> dict[Exchange, list[Session]]:
    """`sessions` by their exchange, each in the given order."""
    found: dict[Exchange, list[Session]] = {}
    for session in sessions:
        found.setdefault(session.exchange, []).append(session)
    return found


def shared_zone(exchanges: Iterable[Exchange]) -> ZoneInfo:
    """The time zone for what concerns all of `exchanges`: that of the one, or UTC if they are several or none."""
    zones = {each.zone for each in exchanges}
    return zones.pop() if len(zones) == 1 else CRYPTO.zone


def currency_of(ticker: str) -> str:
    """The currency of its prices: that of its exchange, or of the pair. A vendor's own statement comes first."""
    pair = _PAIR.fullmatch(ticker)
    return pair["currency"] if pair else of(ticker).currency


def _bounds(calendar: exchange_calendars.ExchangeCalendar) -> tuple[datetime.date, datetime.date]:
    # `date_to_session` needs a session on either side, so the outermost two weeks are off limits.
    edge = datetime.timedelta(days=14)
    return calendar.first_session.date() + edge, calendar.last_session.date() - edge


@lru_cache(maxsize=16)
def _bounds_by_dt(calendar: exchange_calendars.ExchangeCalendar) -> pd.DataFrame:
    schedule = calendar.schedule[["open", "close", "break_start", "break_end"]]
    return schedule.set_axis(schedule.index.strftime("%Y-%m-%d")).astype("datetime64[us, UTC]")


@lru_cache(maxsize=16)
def _calendar_until(code: str, first_year: int, last_year: int) -> exchange_calendars.ExchangeCalendar:
    # By default it ends in a year, which a process may outlive. Importing it and building one takes 0.4 s.
    import exchange_calendars  # noqa: PLC0415

    return exchange_calendars.get_calendar(code, start=f"{first_year}-01-01", end=f"{last_year}-01-31")
