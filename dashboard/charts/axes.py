"""Axes and tooltips: hours, sessions, the clock of one session, percent and USD."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from dashboard import labels
from dashboard.charts.theme import Palette, layer
from tickerlake.exchange import EXCHANGE_TIME, Session

Scale = Literal["percent", "usd"]


DASH = [5, 4]


PERCENT = "replace(format(datum.value, '+.1%'), '%', ' %')"


TICKER_AXIS = alt.Axis(domain=False, ticks=False, labelFontWeight=600, labelOverlap=False, labelFlush=False)


AROUND_ROWS = 130
"""Pixels that title, axis and legend take of a heat map's height: Streamlit fits all of it into the height given."""


def slot_axis(slots: Sequence[str], orient: Literal["top", "bottom"] = "bottom") -> alt.Axis:
    """Labels for hours (`10:00`), for the hours of several sessions (their date, once) or for sessions."""
    by_hour = len(slots[0]) > len("2026-11-20")
    sessions_shown = sorted({slot[:10] for slot in slots})
    if by_hour and len(sessions_shown) == 1:
        names = {slot: labels.hour_start(int(slot[11:])) for slot in slots}
    elif by_hour:
        names = {
            min(slot for slot in slots if slot[:10] == date): labels.short_day(dt.date.fromisoformat(date))
            for date in sessions_shown
        }
    else:
        every = max(1, len(slots) // 10)
        names = {slot: labels.short_day(dt.date.fromisoformat(slot)) for slot in slots[::every]}
    return alt.Axis(
        orient=orient,
        labelAngle=0,
        labelExpr=_lookup(names.items()),
        values=list(names),
        domain=False,
        ticks=False,
        labelPadding=8,
        labelOverlap="greedy",
        labelFlush=False,
    )


def value_axis(scale: Scale, ticks: int) -> alt.Axis:
    """Percent with their sign, or USD."""
    label = f"datum.value == 0 ? '0 %' : {PERCENT}" if scale == "percent" else "format(datum.value, ',.2f')"
    return alt.Axis(labelExpr=label, tickCount=ticks, domain=False, ticks=False, labelPadding=8)


def clock_axis(session: Session, *, labelled: bool) -> dict[str, Any]:
    """From the open to the close on the exchange's clock; the session has no closed hours, so neither has the axis."""
    opens, closes = (
        moment.astimezone(EXCHANGE_TIME).hour * 60 + moment.astimezone(EXCHANGE_TIME).minute
        for moment in (session.open, session.close)
    )
    return {
        "title": f"New York ({labels.offset(session.open)})" if labelled else None,
        "scale": alt.Scale(domain=[opens, closes], nice=False, zero=False),
        "axis": alt.Axis(
            values=[opens, *range((opens // 60 + 1) * 60, closes + 1, 60)],
            labelExpr="format(floor(datum.value / 60), '02d') + ':' + format(datum.value % 60, '02d')",
            labels=labelled,
            domain=False,
            ticks=False,
            grid=True,
            labelPadding=8,
            labelOverlap="greedy",
        ),
    }


def slot_title(hours: pd.DataFrame) -> str:
    """Title of an axis of slots: the exchange's offset from UTC where slots are hours."""
    if "hour" not in hours:
        return "session"
    offsets = sorted({labels.offset(moment) for moment in hours["ts"]})
    return f"hour in New York ({', then '.join(offsets)})"


def tooltips(hours: pd.DataFrame) -> list[alt.Tooltip]:
    """Tooltip of an hourly high, or of a day's high."""
    tips = [alt.Tooltip("ticker:N", title="ticker"), alt.Tooltip("session:N", title="session")]
    if "hour" in hours:
        tips += [
            alt.Tooltip("span:N", title="hour"),
            alt.Tooltip("high:Q", title="high, USD", format=",.4~f"),
            alt.Tooltip("change:Q", title="from the open", format="+.2%"),
            alt.Tooltip("reached:N", title="first reached"),
            alt.Tooltip("touches:Q", title="bars that reached it"),
            alt.Tooltip("provisional:N", title="hour still running"),
        ]
    else:
        tips += [
            alt.Tooltip("high:Q", title="day's high, USD", format=",.4~f"),
            alt.Tooltip("change:Q", title="from the first open", format="+.2%"),
        ]
    return tips


def value_bounds(values: pd.Series, scale: Scale) -> tuple[float, float, bool]:
    """Least and most of the axis with some air, and whether the prices ask for a log scale."""
    low, high = float(values.min()), float(values.max())
    if scale == "percent":
        low, high = min(low, 0.0), max(high, 0.0)
        air = max((high - low) * 0.06, 0.001)
        return low - air, high + air, False
    if high > 4 * low:
        return low * 0.94, high * 1.06, True
    air = max((high - low) * 0.06, high * 0.001)
    return low - air, high + air, False


def shared_bounds(hours: pd.DataFrame) -> tuple[float, float]:
    """The scale that charts of several tickers share, from the open, as shares."""
    low, high, _ = value_bounds(hours["change"], "percent")
    return low, high


def zero_line(y: alt.Y, palette: Palette) -> alt.Chart:
    """The line of no change."""
    return layer(pd.DataFrame({"change": [0.0]}), "rule", color=palette.faint, strokeDash=[2, 3]).encode(y=y)


def _lookup(pairs: Iterable[tuple[str, str]]) -> str:
    """A Vega expression that names each value; only digits, letters and signs of dates and times go in."""
    return "({" + ", ".join(f"'{key}': '{name}'" for key, name in pairs) + "})[datum.value] || ''"
