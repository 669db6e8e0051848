"""Forecasts: a fan to the close, forecasts against what happened, calibration, and skill over time."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import DASH, clock_axis
from dashboard.charts.theme import Layers, Palette, layer, title
from tickerlake.exchange import Exchange, Session

_TARGETS = {"next-hour-high": "next hour's high", "day-high": "day's high", "close-above": "direction"}
_PERCENT = "replace(format(datum.value, '.0%'), '%', ' %')"
_OUTER, _INNER = 0.18, 0.3


def fan_chart(
    bars: pd.DataFrame, fan: pd.DataFrame, palette: Palette, *, session: Session, simulated: bool = False
) -> Layers:
    """The session so far, and from the forecast's hour on what its highest price may be.

    `bars` is the answer of `bars` for one ticker, where a bar without a close counts with the midpoint of its high and
    low; `fan` as `data.outlook.fan` makes it.
    """
    local = bars["ts"].dt.tz_convert(session.exchange.zone).dt
    ends = local.hour * 60 + local.minute + bars["bar_minutes"]
    close = bars["close"].fillna((bars["high"] + bars["low"]) / 2)
    line = pd.DataFrame({"minute": ends, "close": close, "at": local.strftime("%H:%M")})
    low = min(float(line["close"].min()), float(fan["q05"].min()))
    high = max(float(line["close"].max()), float(fan["q95"].max()))
    margin = (high - low) * 0.06
    scale = alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)
    axis = alt.Axis(format=",.2f", tickCount=6, domain=False, ticks=False, labelPadding=8)
    price: dict[str, Any] = {"title": labels.currency(bars["ticker"]), "scale": scale, "axis": axis}
    x = alt.X("minute:Q", **clock_axis(session))
    bands = [
        alt.Chart(fan, mark=alt.MarkDef("area", color=palette.up, opacity=opacity)).encode(
            x=x, y=alt.Y(f"{bottom}:Q", **price), y2=alt.Y2(f"{top}:Q")
        )
        for bottom, top, opacity in (("q05", "q95", _OUTER), ("q25", "q75", _INNER))
    ]
    tooltip = [
        alt.Tooltip(f"{name}:Q", title=f"{int(name[1:])} %", format=",.2f")
        for name in ("q05", "q25", "q50", "q75", "q95")
    ]
    median = layer(fan, "line", color=palette.up, strokeDash=DASH, strokeWidth=2, point=True)
    course = layer(line, "line", color=palette.ink, strokeWidth=1.8).encode(
        x=x,
        y=alt.Y("close:Q", **price),
        tooltip=[alt.Tooltip("at:N", title="bar"), alt.Tooltip("close:Q", title="close", format=",.2f")],
    )
    middle = median.encode(x=x, y=alt.Y("q50:Q", **price), tooltip=tooltip)
    ticker = str(bars["ticker"].iloc[0])
    return Layers(
        layer=[*bands, middle, course],
        height=360,
        title=title(f"{ticker}: the high still to come", simulated=simulated),
    )


def against_chart(
    rows: pd.DataFrame, palette: Palette, *, place: Exchange, currency: str, what: str, simulated: bool = False
) -> Layers:
    """Each hour's forecast as a band from the 5 to the 95 % quantile, and a point for the high that came.

    `rows` as `data.outlook.against` makes them.
    """
    frame = rows.assign(at=rows["hour"].map(lambda hour: labels.hour_start(hour, place)))
    x = alt.X("at:N", title="hour", sort=None, axis=alt.Axis(labelAngle=0, domain=False, ticks=False, labelPadding=8))
    axis = alt.Axis(format=",.2f", tickCount=5, domain=False, ticks=False, labelPadding=8)
    price: dict[str, Any] = {"title": currency, "scale": alt.Scale(zero=False, nice=True), "axis": axis}
    tooltip = [
        alt.Tooltip("at:N", title="hour"),
        alt.Tooltip("kind:N", title="forecast"),
        *[alt.Tooltip(f"{name}:Q", title=f"{int(name[1:])} %", format=",.2f") for name in ("q05", "q50", "q95")],
        alt.Tooltip("actual:Q", title="high", format=",.2f"),
    ]
    outer = layer(frame, "bar", color=palette.up, opacity=_OUTER, size=26).encode(
        x=x, y=alt.Y("q05:Q", **price), y2=alt.Y2("q95:Q"), tooltip=tooltip
    )
    inner = layer(frame, "bar", color=palette.up, opacity=_INNER, size=26).encode(
        x=x, y=alt.Y("q25:Q", **price), y2=alt.Y2("q75:Q"), tooltip=tooltip
    )
    colour = alt.Color(
        "inside:N",
        legend=None,
        scale=alt.Scale(domain=["inside", "outside"], range=[palette.ink, palette.down]),
    )
    points = layer(frame.dropna(subset=["actual"]), "point", filled=True, size=70, opacity=1).encode(
        x=x, y=alt.Y("actual:Q", **price), color=colour, tooltip=tooltip
    )
    return Layers(layer=[outer, inner, points], height=260, title=title(what, simulated=simulated))


def calibration_chart(rows: pd.DataFrame, palette: Palette, *, simulated: bool = False) -> Layers:
    """How often outcomes lay below each quantile, against how often they should have. `data.outlook.calibrated`."""
    frame = rows.assign(what=rows["target"].map(_TARGETS))
    axis = alt.Axis(labelExpr=_PERCENT, values=[0, 0.25, 0.5, 0.75, 1], domain=False, ticks=False, labelPadding=8)
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("level:Q", title="promised", scale=scale, axis=axis)
    y = alt.Y("share:Q", title="came true", scale=scale, axis=axis)
    ideal = layer(pd.DataFrame({"level": [0, 1], "share": [0, 1]}), "line", color=palette.faint, strokeDash=[2, 3])
    points = layer(frame, "line", strokeWidth=1.5, point=alt.OverlayMarkDef(filled=True, size=60)).encode(
        x=x,
        y=y,
        color=_colour(frame, palette),
        tooltip=[alt.Tooltip(each) for each in ("what:N", "level:Q", "share:Q", "forecasts:Q")],
    )
    return Layers(layer=[ideal.encode(x=x, y=y), points], height=260, title=title("Calibration", simulated=simulated))


def skill_chart(rows: pd.DataFrame, palette: Palette, *, model: str, simulated: bool = False) -> Layers:
    """How much better than usual a model had been after each session, with its 95 % interval. `data.outlook.skill`."""
    frame = rows.assign(what=rows["target"].map(_TARGETS))
    x = alt.X(
        "session:T",
        title="session",
        axis=alt.Axis(format="%-d %b", domain=False, ticks=False, labelPadding=8, tickCount=6),
    )
    axis = alt.Axis(labelExpr=_PERCENT, domain=False, ticks=False, labelPadding=8, tickCount=5)
    better: dict[str, Any] = {"title": "better than usual", "axis": axis}
    y = alt.Y("skill:Q", **better)
    colour = _colour(frame, palette)
    band = alt.Chart(frame, mark=alt.MarkDef("area", opacity=_OUTER)).encode(
        x=x, y=alt.Y("low:Q", **better), y2=alt.Y2("high:Q"), color=colour
    )
    line = layer(frame, "line", strokeWidth=1.8).encode(
        x=x,
        y=y,
        color=colour,
        tooltip=[
            alt.Tooltip("what:N"),
            alt.Tooltip("session:T"),
            *[alt.Tooltip(name, format=".1%") for name in ("skill:Q", "low:Q")],
        ],
    )
    none = layer(pd.DataFrame({"skill": [0.0]}), "rule", color=palette.faint, strokeDash=[2, 3]).encode(y=y)
    return Layers(layer=[none, band, line], height=260, title=title(f"Skill of {model} so far", simulated=simulated))


def _colour(frame: pd.DataFrame, palette: Palette) -> alt.Color:
    there = [what for what in _TARGETS.values() if what in set(frame["what"])]
    colours = [palette.categories[list(_TARGETS.values()).index(what)] for what in there]
    return alt.Color(
        "what:N",
        title=None,
        scale=alt.Scale(domain=there, range=colours),
        legend=alt.Legend(orient="bottom", direction="horizontal", symbolOpacity=1),
    )
