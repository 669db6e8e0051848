"""Text of times, ages, prices and counts. Times are in exchange time, with its offset."""

from __future__ import annotations

import datetime as dt
import re

from tickerlake import exchange
from tickerlake.exchange import XNYS, Session

MINUS, TIMES, DASH = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"
HOURS = range(9, 16)
"""Exchange hours in which a session's bars may start."""
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


def offset(moment: dt.datetime) -> str:
    """The exchange's offset from UTC at `moment`: `EST, UTC-05:00`."""
    local = moment.astimezone(XNYS.zone)
    text = f"{local:%z}"
    return f"{local:%Z}, UTC{MINUS if text[0] == '-' else '+'}{text[1:3]}:{text[3:]}"


def clock_time(moment: dt.datetime) -> str:
    """`15:55 EST`."""
    return f"{moment.astimezone(XNYS.zone):%H:%M %Z}"


def instant(moment: dt.datetime) -> str:
    """`Fri 20 Nov 2026 15:55 (EST, UTC-05:00)`."""
    local = moment.astimezone(XNYS.zone)
    return f"{day(local.date())} {local:%H:%M} ({offset(moment)})"


def brief_instant(moment: dt.datetime) -> str:
    """`20 Nov 15:55 EST (UTC-05:00)`."""
    local = moment.astimezone(XNYS.zone)
    return f"{short_day(local.date())} {local:%H:%M} {offset(moment).replace(', ', ' (')})"


def age(since: dt.datetime, now: dt.datetime) -> str:
    """How long ago, in the largest unit: `4 minutes ago`."""
    seconds = max((now - since).total_seconds(), 0)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def hour_start(hour: int) -> str:
    """`10:00`, but `09:30` for hour 9: the session opens then."""
    return "09:30" if hour == HOURS[0] else f"{hour:02}:00"


def hour_span(hour: int) -> str:
    """`10:00` to `11:00`, with a dash."""
    return f"{hour_start(hour)}{DASH}{hour + 1:02}:00"


def price(value: float) -> str:
    """USD with cents, below a dollar with four decimals."""
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


def market(now: dt.datetime) -> str:
    """`Open until 16:00 EST`, or `Closed, opens Mon 23 Nov 09:30 EST`."""
    open_session = exchange.XNYS.running(now)
    if open_session:
        return f"Open until {clock_time(open_session.close)}{' (early close)' if open_session.early_close else ''}"
    following = next_session(now)
    when = following.open.astimezone(XNYS.zone)
    today = "today" if when.date() == exchange.XNYS.date_at(now) else f"{when:%a} {short_day(when.date())}"
    return f"Closed, opens {today} {clock_time(following.open)}"


def next_session(now: dt.datetime) -> Session:
    """The first session that opens after `now`."""
    today = exchange.XNYS.date_at(now)
    return next(s for s in exchange.XNYS.sessions_between(today, today + dt.timedelta(days=14)) if s.open > now)
