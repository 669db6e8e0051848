"""One ticker's sessions beside each other: on one clock, and in a calendar."""

from __future__ import annotations

import datetime as dt
from typing import Any

import altair as alt
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import AROUND_ROWS, DASH, PERCENT, RESTATED, crosshair, ticker_axis
from dashboard.charts.axes import clock_axis as clock
from dashboard.charts.theme import Layers, Palette, layer, title
from tickerlake.exchange import Session

CELL = "cell"
"""Name of the selection: the `session` of the clicked day."""
_OUTER, _INNER = 0.14, 0.26
_ROW_HEIGHT, _LOW_ROW = 40, 22
_TEXTS_FIT = 13
"""Weeks that are drawn as rows with text; more of them are columns without."""
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def one_clock(
    course: pd.DataFrame,
    bands: pd.DataFrame,
    palette: Palette,
    *,
    ticker: str,
    session: Session,
    basis: str,
    other: pd.DataFrame | None = None,
    simulated: bool = False,
) -> Layers:
    """A session's course over the median and the bands of others, at the same times of the day.

    `course` and `other` hold one session of `days.courses` each, `bands` what `days.bands` makes of others. `basis` is
    what changes are measured from, see `labels.basis`.
    """
    end = course[["minute", "at", "change"]].merge(bands, on="minute", how="outer")
    end = (
        end if other is None else end.merge(other.rename(columns={"change": "other"})[["minute", "other"]], how="left")
    )
    columns = end.assign(
        at=(end["minute"] // 60).astype(str).str.zfill(2) + ":" + (end["minute"] % 60).astype(str).str.zfill(2),
        left=end["minute"] - end["minute"].diff().fillna(5).clip(upper=60),
        right=end["minute"],
        middle=end["minute"],
    )
    x = alt.X("minute:Q", **clock(session))
    axis = alt.Axis(labelExpr=f"datum.value == 0 ? '0 %' : {PERCENT}", domain=False, ticks=False, labelPadding=8)
    change: dict[str, Any] = {"title": f"change from {basis}", "axis": axis}
    layers = [
        alt.Chart(bands, mark=alt.MarkDef("area", color=palette.up, opacity=opacity)).encode(
            x=x, y=alt.Y(f"{low}:Q", **change), y2=alt.Y2(f"{high}:Q")
        )
        for low, high, opacity in (("q05", "q95", _OUTER), ("q25", "q75", _INNER))
    ]
    layers += [
        layer(frame, "line", color=colour, strokeWidth=width, strokeDash=dash).encode(
            x=x, y=alt.Y(f"{column}:Q", **change)
        )
        for frame, column, colour, width, dash in (
            (bands, "q50", palette.up, 1.8, DASH),
            (other, "change", palette.categories[1], 1.6, [1, 0]),
            (course, "change", palette.ink, 2.2, [1, 0]),
        )
        if frame is not None and not frame.empty
    ]
    tooltip = [
        alt.Tooltip("at:N", title="until"),
        alt.Tooltip("change:Q", title=labels.short_day(session.date), format="+.2%"),
        *([] if other is None else [alt.Tooltip("other:Q", title="compared with", format="+.2%")]),
        *[
            alt.Tooltip(f"{name}:Q", title=f"{int(name[1:])} % below" if name != "q50" else "median", format="+.2%")
            for name in ("q95", "q75", "q50", "q25", "q05")
        ],
        alt.Tooltip("sessions:Q", title="sessions"),
    ]
    return Layers(
        layer=[*layers, *crosshair(columns, palette, clock(session), tooltip)],
        height=420,
        title=title(f"{ticker}, {labels.short_day(session.date)} against other sessions", simulated=simulated),
    )


def calendar(days: pd.DataFrame, palette: Palette, *, ticker: str, simulated: bool = False) -> Layers:
    """The sessions week by week: the deeper the colour, the wider the range.

    `days` comes from `days.calendar`. Signs mark half days, missing and restated bars. A click selects a session.
    """
    frame = days.assign(signs=[_signs(day) for day in days.itertuples()])
    weeks = sorted(frame["monday"].unique())
    weekdays = [day for day in _WEEKDAYS if day in _WEEKDAYS[:5] or day in set(frame["weekday"])]
    as_rows = len(weeks) <= _TEXTS_FIT
    dates = pd.to_datetime(frame["session"])
    frame = frame.assign(
        day=dates.dt.day.astype(str)
        + (" " + dates.dt.strftime("%b")).where(_first_of_its_month(dates), "")
        + (" " + frame["signs"]).str.rstrip(),
        text=[labels.DASH if pd.isna(part) else f"{part * 100:.1f} %" for part in frame["range"]],
        strong=frame["range"] > 0.6 * frame["range"].max(),
        half=frame["early_close"].map({True: "yes", False: "no"}),
    )
    week_axis: dict[str, Any] = {"title": None, "sort": None}
    week = "monday:N"
    names = {monday: f"{dt.date.fromisoformat(monday):%b}" for monday in _month_starts(weeks)}
    if as_rows:
        names = {monday: labels.short_day(dt.date.fromisoformat(monday)) for monday in weeks}
    week_axis["axis"] = alt.Axis(
        domain=False,
        ticks=False,
        labelAngle=0,
        labelExpr="({" + ", ".join(f"'{monday}': '{name}'" for monday, name in names.items()) + "})[datum.value] || ''",
        values=list(names),
        labelOverlap="greedy",
        orient="left" if as_rows else "top",
    )
    weekday_axis: dict[str, Any] = {"title": None, "sort": weekdays, "scale": alt.Scale(domain=weekdays)}
    place: dict[str, Any] = (
        {
            "x": alt.X(
                "weekday:N", axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False), **weekday_axis
            ),
            "y": alt.Y(week, **week_axis),
        }
        if as_rows
        else {"x": alt.X(week, **week_axis), "y": alt.Y("weekday:N", axis=ticker_axis(), **weekday_axis)}
    )
    place["tooltip"] = [
        alt.Tooltip("session:N"),
        alt.Tooltip("range:Q", title="high to low", format=".2%"),
        alt.Tooltip("change:Q", title="open to close", format="+.2%"),
        alt.Tooltip("high:Q", title=f"high, {labels.currency([ticker])}", format=",.4~f"),
        alt.Tooltip("half:N", title="half day"),
        alt.Tooltip("missing:Q", title="bars missing"),
        alt.Tooltip("restated:Q", title="bars restated"),
    ]
    legend = alt.Legend(orient="bottom", labelExpr=PERCENT.replace("+.1%", ".1%"), gradientLength=180, tickCount=3)
    colour = alt.Color(
        "range:Q",
        title="high to low",
        scale=alt.Scale(range=[palette.level, palette.up], zero=True, interpolate="rgb"),
        legend=legend,
    )
    outline = alt.StrokeValue(palette.paper).condition(test="datum.missing > 0", value=palette.down)
    cells = layer(None, "rect", cornerRadius=3, strokeWidth=2, cursor="pointer").encode(
        **place, color=colour, stroke=outline
    )
    layers = [cells.add_params(alt.selection_point(name=CELL, fields=["session"], on="click", clear=False))]
    ink = alt.ColorValue(palette.ink).condition(test="datum.strong", value=palette.on_strong)
    texts = (("day", 11, -7), ("text", 10, 6)) if as_rows else (("signs", 10, 0),)
    layers += [
        layer(None, "text", fontSize=size, dy=down, cursor="pointer").encode(
            **place, text=alt.Text(f"{text}:N"), color=ink
        )
        for text, size, down in texts
    ]
    rows = len(weeks) * _ROW_HEIGHT if as_rows else len(weekdays) * _LOW_ROW
    return Layers(
        data=frame,
        layer=layers,
        height=rows + AROUND_ROWS,
        title=title(f"{ticker}: the range of each session", simulated=simulated),
    )


def _signs(day: Any) -> str:
    """A half day, missing bars and how many, restated bars."""
    gaps = "✕" if day.state == "missing" else f"{labels.MINUS}{day.missing:.0f}" if day.missing > 0 else ""
    return " ".join(filter(None, ("½" if day.early_close else "", gaps, RESTATED if day.restated else "")))


def _first_of_its_month(dates: pd.Series) -> pd.Series:
    return ~dates.dt.strftime("%Y-%m").duplicated()


def _month_starts(weeks: list[str]) -> list[str]:
    """The first Monday of each month, oldest first."""
    return list({monday[:7]: monday for monday in reversed(weeks)}.values())[::-1]
