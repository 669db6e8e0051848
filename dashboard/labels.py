"""Text of times, ages, prices and counts. Times are in exchange time, with its offset."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterable

from tickerlake.errors import ConfigError
from tickerlake.exchange import Exchange, Session, currency_of

MINUS, TIMES, DASH = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
_MARKDOWN = re.compile(r"[\\`*_\[\]<>$~|#&:]")
_LINK = re.compile(r"(?=://|@)|(?<=www)(?=\.)", re.IGNORECASE)
_JOINER = "\N{WORD JOINER}"
"""Invisible. Streamlit makes a link of anything like an address, even if it is escaped, unless this is in it."""


def day(date: dt.date, *, weekday: bool = True) -> str:
    """`Fri 20 Nov 2026`."""
    return f"{date:%a} {short_day(date)} {date.year}" if weekday else f"{short_day(date)} {date.year}"


def short_day(date: dt.date) -> str:
    """`20 Nov`."""
    return f"{date.day} {date:%b}"


def city(place: Exchange) -> str:
    """Whose time the exchange keeps: `New York`; `UTC` for a market without a place."""
    return place.zone.key.rpartition("/")[2].replace("_", " ")


def zone(moment: dt.datetime, place: Exchange) -> str:
    """`New York (EST, UTC-05:00)`, or `UTC`."""
    name, found = city(place), offset(moment, place)
    return name if name == found else f"{name} ({found})"


def offset(moment: dt.datetime, place: Exchange) -> str:
    """The exchange's offset from UTC at `moment`: `EST, UTC-05:00`, or `UTC`."""
    local = moment.astimezone(place.zone)
    text = f"{local:%z}"
    if f"{local:%Z}" == "UTC":
        return "UTC"
    return f"{local:%Z}, UTC{MINUS if text[0] == '-' else '+'}{text[1:3]}:{text[3:]}"


def clock_time(moment: dt.datetime, place: Exchange) -> str:
    """`15:55 EST`."""
    return f"{moment.astimezone(place.zone):%H:%M %Z}"


def instant(moment: dt.datetime, place: Exchange) -> str:
    """`Fri 20 Nov 2026 15:55 (EST, UTC-05:00)`."""
    local = moment.astimezone(place.zone)
    return f"{day(local.date())} {local:%H:%M} ({offset(moment, place)})"


def brief_instant(moment: dt.datetime, place: Exchange) -> str:
    """`20 Nov 15:55 EST (UTC-05:00)`."""
    from_utc = offset(moment, place).split(", ")[1:]
    return " ".join(
        [
            short_day(moment.astimezone(place.zone).date()),
            clock_time(moment, place),
            *(f"({text})" for text in from_utc),
        ]
    )


def age(since: dt.datetime, now: dt.datetime) -> str:
    """How long ago, in the largest unit: `4 minutes ago`."""
    seconds = max((now - since).total_seconds(), 0)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def hour_start(hour: int, place: Exchange) -> str:
    """`10:00`, but `09:30` for hour 9 in New York: the session opens then."""
    return f"{place.opens:%H:%M}" if hour == place.hours[0] else f"{hour:02}:00"


def hour_span(hour: int, place: Exchange) -> str:
    """`10:00` to `11:00`, with a dash; London's last hour ends at `16:30`."""
    end = f"{place.closes:%H:%M}" if hour == place.closes.hour and place.closes.minute else f"{hour + 1:02}:00"
    return f"{hour_start(hour, place)}{DASH}{end}"


def currency(tickers: Iterable[str]) -> str:
    """The currency of their prices, as Yahoo writes it: `USD`, `GBp`; `EUR and USD` if there are several."""
    found = set()
    for ticker in set(tickers):
        # A lake that other programs write may hold any name.
        with contextlib.suppress(ConfigError):
            found.add(currency_of(ticker))
    return listing(sorted(found))


def price(value: float) -> str:
    """With two decimals, below one with four."""
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4f}"


def change(value: float) -> str:
    """A share as signed percent: `+2.31 %`."""
    return f"{value:+.2%}".replace("-", MINUS).replace("%", " %")


def delta(value: float) -> str:
    """`change` with an ASCII minus, from which `st.metric` reads the direction."""
    return change(value).replace(MINUS, "-")


def basis(*, has_open: bool) -> str:
    """What changes are measured from: `open`, or `first price` where the bars have no open."""
    return "open" if has_open else "first price"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 ticker`, `11 tickers`; `plural` where an s is not enough."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def escape(text: str) -> str:
    """`text` for Streamlit's Markdown, to be shown as it is: no markup, links, icons or formulas."""
    return _MARKDOWN.sub(r"\\\g<0>", _LINK.sub(_JOINER, " ".join(text.splitlines())))


def code(text: str) -> str:
    """`text` as inline code for Streamlit's Markdown. Backticks, which would end it, become apostrophes."""
    inside = " ".join(text.replace("`", "'").split())
    return f"`{inside}`"


def listing(words: list[str], shown: int = 8) -> str:
    """`A, B and C`; `A, B and 3 more` if there are more than `shown`."""
    if len(words) > shown:
        return f"{', '.join(words[:shown])} and {len(words) - shown} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def size(byte_count: float) -> str:
    """`3.4 MB`, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if byte_count < 1000 or unit == "GB":
            break
        byte_count /= 1000
    return f"{byte_count:,.0f} {unit}" if unit == "B" else f"{byte_count:,.1f} {unit}"


def market(now: dt.datetime, place: Exchange) -> str:
    """`Open until 16:00 EST`, or `Closed, opens Mon 23 Nov 09:30 EST`."""
    if place.never_closes:
        return "Open around the clock"
    session = place.running(now)
    if session and session.break_start and session.break_end and session.break_start <= now < session.break_end:
        return f"Lunch break until {clock_time(session.break_end, place)}"
    if session:
        return f"Open until {clock_time(session.close, place)}{' (early close)' if session.early_close else ''}"
    following = next_session(now, place)
    when = following.open.astimezone(place.zone)
    today = "today" if when.date() == place.date_at(now) else f"{when:%a} {short_day(when.date())}"
    return f"Closed, opens {today} {clock_time(following.open, place)}"


def next_session(now: dt.datetime, place: Exchange) -> Session:
    """The first session that opens after `now`."""
    today = place.date_at(now)
    return next(s for s in place.sessions_between(today, today + dt.timedelta(days=14)) if s.open > now)
