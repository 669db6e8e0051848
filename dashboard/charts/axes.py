"""Axes, scales and tooltips that several charts share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from dashboard import labels
from dashboard.charts.theme import Palette, layer
from tickerlake.exchange import Exchange, Session

Scale = Literal["percent", "price", "percentile"]
VALUES: dict[Scale, str] = {"percent": "change", "price": "high", "percentile": "percentile"}
"""The column that each scale shows."""

RESTATED = "\N{LOWER RIGHT PENCIL}"
"""Marks what the source changed later."""
DASH = [5, 4]
"""Stroke of what is provisional."""
PERCENT = "replace(format(datum.value, '+.1%'), '%', ' %')"
"""Vega expression of a change: `+2.3 %`."""
LABELS_FIT = 12
"""With more hours on an axis, every third is labelled."""
AROUND_ROWS = 160
"""Pixels of title, axis and legend around a heat map's rows: Streamlit's height includes them."""


def ticker_axis() -> alt.Axis:
    """One label for each row of a heat map."""
    return alt.Axis(domain=False, ticks=False, labelFontWeight=600, labelLimit=72, labelOverlap=False, labelFlush=False)


def value_axis(scale: Scale, ticks: int) -> alt.Axis:
    """Signed percent, prices, or percentiles."""
    if scale == "percentile":
        return alt.Axis(values=[0, 25, 50, 75, 100], domain=False, ticks=False, labelPadding=8)
    label = f"datum.value == 0 ? '0 %' : {PERCENT}" if scale == "percent" else "format(datum.value, ',.2f')"
    return alt.Axis(labelExpr=label, tickCount=ticks, domain=False, ticks=False, labelPadding=8)


def value_bounds(values: pd.Series, scale: Scale) -> tuple[float, float, bool]:
    """Lower and upper end of the axis with a margin, and whether prices span so much that the axis is logarithmic."""
    if scale == "percentile":
        return -4.0, 104.0, False
    low, high = float(values.min()), float(values.max())
    if scale == "percent":
        low, high = min(low, 0.0), max(high, 0.0)
        margin = max((high - low) * 0.06, 0.001)
        return low - margin, high + margin, False
    if high > 4 * low:
        return low * 0.94, high * 1.06, True
    margin = max((high - low) * 0.06, high * 0.001)
    return low - margin, high + margin, False


def change_title(hours: pd.DataFrame) -> str:
    """`change from open`; `change from first price` if a ticker in `hours` has no open. See `figures.hourly`."""
    found = set(hours["basis"])
    return f"change from {'first price' if 'first price' in found else found.pop()}"


def zero_line(y: alt.Y, palette: Palette) -> alt.Chart:
    """The line of no change."""
    return layer(pd.DataFrame({"change": [0.0]}), "rule", color=palette.faint, strokeDash=[2, 3]).encode(y=y)


def slot_axis(
    slots: Sequence[str], place: Exchange | None = None, orient: Literal["top", "bottom"] = "bottom"
) -> alt.Axis:
    """Axis over `slots`: the hours of one session (`10:00`), of several (each date once), or sessions (`20 Nov`)."""
    by_hour = len(slots[0]) > len("2026-11-20")
    sessions = sorted({slot[:10] for slot in slots})
    if place and by_hour and len(sessions) == 1:
        every = 3 if len(slots) > LABELS_FIT else 1
        names = {slot: labels.hour_start(int(slot[11:]), place) for slot in slots if int(slot[11:]) % every == 0}
    elif by_hour:
        names = {
            min(slot for slot in slots if slot[:10] == date): labels.short_day(dt.date.fromisoformat(date))
            for date in sessions
        }
    else:
        every = max(1, len(slots) // 10)
        names = {slot: labels.short_day(dt.date.fromisoformat(slot)) for slot in slots[::every]}
    return alt.Axis(
        orient=orient,
        labelAngle=0,
        # Digits, letters and punctuation of dates and times only, so nothing needs escaping.
        labelExpr="({" + ", ".join(f"'{slot}': '{name}'" for slot, name in names.items()) + "})[datum.value] || ''",
        values=list(names),
        domain=False,
        ticks=False,
        labelPadding=8,
        labelOverlap="greedy",
        labelFlush=False,
    )


def slot_title(hours: pd.DataFrame, place: Exchange) -> str:
    """`session`, or for hours the exchange's offset from UTC, both of them if the clocks changed."""
    if "hour" not in hours:
        return "session"
    zones = dict.fromkeys(labels.zone(moment, place) for moment in (hours["ts"].min(), hours["ts"].max()))
    return f"hour in {', then '.join(zones)}"


def clock_axis(session: Session, *, grid: bool = True) -> dict[str, Any]:
    """X from the open to the close of `session`, in minutes since midnight at the exchange."""
    opens, closes = session.minute(session.open), session.minute(session.close)
    return clock_span(opens, closes, title=labels.zone(session.open, session.exchange), grid=grid)


def clock_span(opens: int, closes: int, *, title: str, grid: bool = True) -> dict[str, Any]:
    """X from `opens` to `closes`, minutes since midnight."""
    step = 60 if closes - opens <= LABELS_FIT * 60 else 180
    return {
        "title": title,
        "scale": alt.Scale(domain=[opens, closes], nice=False, zero=False),
        "axis": alt.Axis(
            values=[opens, *range(opens // 60 * 60 + step, closes + 1, step)],
            labelExpr="format(floor(datum.value / 60), '02d') + ':' + format(datum.value % 60, '02d')",
            domain=False,
            ticks=False,
            grid=grid,
            labelPadding=8,
            labelOverlap="greedy",
        ),
    }


def crosshair(
    columns: pd.DataFrame, palette: Palette, x: dict[str, Any], tooltip: list[alt.Tooltip]
) -> list[alt.Chart]:
    """Layers on top of a chart: a line through the column under the pointer, and its tooltip anywhere in it.

    `columns` has each column's `left`, `right` and `middle` on the axis `x`. The browser does it alone.
    """
    under = alt.selection_point(name="under", fields=["middle"], on="pointerover", clear="pointerout", empty=False)
    line = layer(columns, "rule", color=palette.ink, strokeWidth=1, clip=True).encode(
        x=alt.X("middle:Q", **x), opacity=alt.OpacityValue(0).condition(param="under", empty=False, value=0.7)
    )
    # Without a y a rectangle is as high as the chart. Invisible, it still catches the pointer.
    area = layer(columns, "rect", opacity=0, clip=True).encode(
        x=alt.X("left:Q", **x), x2=alt.X2("right:Q"), tooltip=tooltip
    )
    return [line, area.add_params(under)]


def tooltips(hours: pd.DataFrame) -> list[alt.Tooltip]:
    """Tooltip of an hourly high, or of a session's high."""
    tips = [alt.Tooltip("ticker:N", title="ticker"), alt.Tooltip("session:N", title="session")]
    change = alt.Tooltip("change:Q", title=change_title(hours), format="+.2%")
    currency = labels.currency(hours["ticker"])
    if "hour" not in hours:
        return [*tips, alt.Tooltip("high:Q", title=f"session high, {currency}", format=",.4~f"), change]
    return [
        *tips,
        alt.Tooltip("span:N", title="hour"),
        alt.Tooltip("high:Q", title=f"high, {currency}", format=",.4~f"),
        change,
        alt.Tooltip("reached:N", title="first touch"),
        alt.Tooltip("touches:Q", title="touches"),
        alt.Tooltip("provisional:N", title="provisional"),
        *([alt.Tooltip("percentile:Q", title="percentile", format=".0f")] if "percentile" in hours else []),
        *([alt.Tooltip("restated:Q", title="bars restated")] if "restated" in hours else []),
    ]
