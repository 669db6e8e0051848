"""One ticker's session: candles, hourly highs, volume."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.axes import DASH, clock_axis
from dashboard.charts.theme import Layers, Palette, layer, title
from tickerlake.exchange import Session


def candles(
    bars: pd.DataFrame, highs: pd.DataFrame, palette: Palette, *, session: Session, simulated: bool = False
) -> Layers:
    """One ticker's bars of one session as candles, the hourly highs as lines over them, each touch a mark.

    Bars that rose are hollow, bars that fell are filled. `highs` is the answer of `hourly_high` with `provisional`.
    """
    frame = _on_the_clock(bars)
    hourly = _on_the_clock(highs)
    low, high = float(bars["low"].min()), float(bars["high"].max())
    air = max((high - low) * 0.08, high * 0.0005)
    y_scale = alt.Scale(domain=[low - air, high + air], nice=False, zero=False)
    y_axis = alt.Axis(format=",.2f", tickCount=6, domain=False, ticks=False, labelPadding=8, minExtent=64, maxExtent=64)
    x = clock_axis(session, labelled=False)
    sides = alt.Scale(domain=["rose", "fell"], range=[palette.up, palette.down])
    tooltip = [
        alt.Tooltip("at:N", title="bar"),
        *[alt.Tooltip(f"{name}:Q", title=name, format=",.4~f") for name in ("open", "high", "low", "close")],
        alt.Tooltip("volume:Q", title="volume", format=","),
        alt.Tooltip("source:N", title="source"),
    ]
    wicks = layer(frame, "rule").encode(
        x=alt.X("middle:Q", **x), y=alt.Y("low:Q", title="USD", scale=y_scale, axis=y_axis), y2="high:Q",
        color=alt.Color("side:N", legend=None, scale=sides),
        tooltip=tooltip,
    )  # fmt: skip
    bodies = layer(frame, "rect", strokeWidth=1.2).encode(
        x=alt.X("left:Q", **x), x2="right:Q", y=alt.Y("open:Q", scale=y_scale), y2="close:Q",
        stroke=alt.Stroke("side:N", legend=None, scale=sides),
        fill=alt.FillValue(palette.down).condition(test="datum.side == 'rose'", value=palette.paper),
        tooltip=tooltip,
    )  # fmt: skip
    by_hour = hourly[hourly["touch"] == 1]
    layers: list[alt.Chart] = [wicks, bodies]
    for provisional, dash in ((False, [1, 0]), (True, DASH)):
        part = by_hour[by_hour["provisional"] == provisional]
        if not part.empty:
            layers.append(
                layer(part, "rule", strokeWidth=1.8, color=palette.ink, strokeDash=dash).encode(
                    x=alt.X("hour_left:Q", **x), x2="hour_right:Q", y=alt.Y("high:Q", scale=y_scale)
                )
            )
    layers.append(
        layer(
            by_hour,
            "text",
            align="left",
            baseline="bottom",
            dy=-13,
            dx=2,
            fontSize=11,
            fontWeight=600,
            color=palette.ink,
        ).encode(x=alt.X("hour_left:Q", **x), y=alt.Y("high:Q", scale=y_scale), text=alt.Text("high:Q", format=",.2f"))
    )
    layers.append(
        layer(
            hourly, "point", shape="triangle-down", size=70, filled=True, opacity=1, color=palette.ink, yOffset=-6
        ).encode(
            x=alt.X("middle:Q", **x),
            y=alt.Y("high:Q", scale=y_scale),
            tooltip=[
                alt.Tooltip("at:N", title="touch at"),
                alt.Tooltip("high:Q", title="hour's high, USD", format=",.4~f"),
                alt.Tooltip("touch:Q", title="touch"),
            ],
        )
    )
    ticker = str(bars["ticker"].iloc[0])
    minutes = int(bars["bar_minutes"].iloc[0])
    return Layers(
        layer=layers, height=420, title=title(f"{ticker}, {minutes}-minute bars and hourly highs", simulated=simulated)
    )


def volumes(bars: pd.DataFrame, palette: Palette, *, session: Session) -> alt.Chart:
    """The volume under the candles, on the same axis of time."""
    frame = _on_the_clock(bars).dropna(subset=["volume"])
    return (
        layer(frame.astype({"volume": "float64"}), "rect", color=palette.faint)
        .encode(
            x=alt.X("left:Q", **clock_axis(session, labelled=True)),
            x2="right:Q",
            y=alt.Y(
                "volume:Q",
                title="shares",
                axis=alt.Axis(
                    format=".2~s", tickCount=3, domain=False, ticks=False, labelPadding=8, minExtent=64, maxExtent=64
                ),
            ),
            y2=alt.datum(0),
            tooltip=[alt.Tooltip("at:N", title="bar"), alt.Tooltip("volume:Q", title="volume", format=",")],
        )
        .properties(height=110)
    )


def _on_the_clock(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with its bars' places on the exchange's clock, in minutes from midnight."""
    local = frame["ts"].dt
    start = local.hour * 60 + local.minute
    minutes = frame["bar_minutes"]
    placed = frame.assign(
        at=local.strftime("%H:%M %Z"), left=start + minutes * 0.14, right=start + minutes * 0.86,
        middle=start + minutes / 2,
    )  # fmt: skip
    if "hour" in frame:
        opens = 9 * 60 + 30
        return placed.assign(hour_left=(frame["hour"] * 60).clip(lower=opens), hour_right=frame["hour"] * 60 + 60)
    fell = frame["close"] < frame["open"]
    return placed.assign(side=np.where(fell, "fell", "rose")).drop(columns=["ts", "collected_at"], errors="ignore")
