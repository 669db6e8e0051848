"""One ticker's session: candles with the hourly highs, and the volume below."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.axes import DASH, clock_axis
from dashboard.charts.theme import Layers, Palette, layer, title
from tickerlake.exchange import Session

_HALF_PAST_NINE = 9 * 60 + 30


def candles(
    bars: pd.DataFrame,
    highs: pd.DataFrame,
    palette: Palette,
    *,
    session: Session,
    hour: int | None = None,
    simulated: bool = False,
) -> Layers:
    """One ticker's bars of one session as candles, with a line for each hourly high and a triangle for each touch.

    Bars that rose are hollow, bars that fell are filled; a bar without an open or a close is a grey line from low to
    high. `highs` is the answer of `hourly_high` with `provisional` and `bar_minutes`. `hour` is shaded.
    """
    frame = _on_the_clock(bars).assign(side=_sides(bars))
    low, high = float(bars["low"].min()), float(bars["high"].max())
    margin = max((high - low) * 0.08, high * 0.0005)
    scale = alt.Scale(domain=[low - margin, high + margin], nice=False, zero=False)
    ticker, minutes = str(bars["ticker"].iloc[0]), int(bars["bar_minutes"].iloc[0])
    return Layers(
        layer=[
            *_shade(hour, palette, session),
            *_candles(frame, palette, session, scale),
            *_highs(_on_the_clock(highs), palette, session, scale),
        ],
        height=420,
        title=title(f"{ticker}, {minutes}-minute bars and hourly highs", simulated=simulated),
    )


def volumes(bars: pd.DataFrame, palette: Palette, *, session: Session) -> alt.Chart:
    """The volume of each bar, in shares, on the candles' time axis. Bars without a volume are left out."""
    frame = _on_the_clock(bars).dropna(subset=["volume"])
    return (
        layer(frame.astype({"volume": "float64"}), "rect", color=palette.faint)
        .encode(
            x=alt.X("left:Q", **clock_axis(session, labelled=True)),
            x2="right:Q",
            y=alt.Y("volume:Q", title="shares", axis=_axis(".2~s", 3)),
            y2=alt.datum(0),
            tooltip=[alt.Tooltip("at:N", title="bar"), alt.Tooltip("volume:Q", title="volume", format=",")],
        )
        .properties(height=110)
    )


def _shade(hour: int | None, palette: Palette, session: Session) -> list[alt.Chart]:
    if hour is None:
        return []
    frame = pd.DataFrame({"from": [max(hour * 60, _HALF_PAST_NINE)], "to": [hour * 60 + 60]})
    x = alt.X("from:Q", **clock_axis(session, labelled=False))
    return [layer(frame, "rect", color=palette.faint, opacity=0.18, clip=True).encode(x=x, x2="to:Q")]


def _candles(frame: pd.DataFrame, palette: Palette, session: Session, scale: alt.Scale) -> list[alt.Chart]:
    x = clock_axis(session, labelled=False)
    colours = alt.Scale(domain=["rose", "fell", "unknown"], range=[palette.up, palette.down, palette.faint])
    tooltip = [
        alt.Tooltip("at:N", title="bar"),
        *[alt.Tooltip(f"{name}:Q", title=name, format=",.4~f") for name in ("open", "high", "low", "close")],
        alt.Tooltip("volume:Q", title="volume", format=","),
        alt.Tooltip("source:N", title="source"),
    ]
    known = frame[frame["side"] != "unknown"]
    # Without bodies the wicks are all there is to see.
    wicks = layer(frame, "rule", strokeWidth=3 if known.empty else 1).encode(
        x=alt.X("middle:Q", **x),
        y=alt.Y("low:Q", title="USD", scale=scale, axis=_axis(",.2f", 6)),
        y2="high:Q",
        color=alt.Color("side:N", legend=None, scale=colours),
        tooltip=tooltip,
    )
    bodies = layer(known, "rect", strokeWidth=1.2).encode(
        x=alt.X("left:Q", **x),
        x2="right:Q",
        y=alt.Y("open:Q", scale=scale),
        y2="close:Q",
        stroke=alt.Stroke("side:N", legend=None, scale=colours),
        fill=alt.FillValue(palette.down).condition(test="datum.side == 'rose'", value=palette.paper),
        tooltip=tooltip,
    )
    return [wicks] if known.empty else [wicks, bodies]


def _highs(touches: pd.DataFrame, palette: Palette, session: Session, scale: alt.Scale) -> list[alt.Chart]:
    x = clock_axis(session, labelled=False)
    y = alt.Y("high:Q", scale=scale)
    hours = touches[touches["touch"] == 1]
    layers = []
    for provisional, dash in ((False, [1, 0]), (True, DASH)):
        part = hours[hours["provisional"] == provisional]
        if not part.empty:
            rule = layer(part, "rule", strokeWidth=1.8, color=palette.ink, strokeDash=dash)
            layers.append(rule.encode(x=alt.X("hour_left:Q", **x), x2="hour_right:Q", y=y))
    names = layer(
        hours, "text", align="left", baseline="bottom", dy=-13, dx=2, fontSize=11, fontWeight=600, color=palette.ink
    )
    layers.append(names.encode(x=alt.X("hour_left:Q", **x), y=y, text=alt.Text("high:Q", format=",.2f")))
    triangles = layer(
        touches, "point", shape="triangle-down", size=70, filled=True, opacity=1, color=palette.ink, yOffset=-6
    )
    tooltip = [
        alt.Tooltip("at:N", title="touch at"),
        alt.Tooltip("high:Q", title="hourly high, USD", format=",.4~f"),
        alt.Tooltip("touch:Q", title="touch"),
    ]
    layers.append(triangles.encode(x=alt.X("middle:Q", **x), y=y, tooltip=tooltip))
    return layers


def _sides(bars: pd.DataFrame) -> np.ndarray:
    unknown = bars["open"].isna() | bars["close"].isna()
    return np.select([unknown, bars["close"] < bars["open"]], ["unknown", "fell"], "rose")


def _on_the_clock(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with each bar's place on the exchange's clock, in minutes since midnight."""
    local = frame["ts"].dt
    start = local.hour * 60 + local.minute
    minutes = frame["bar_minutes"]
    placed = frame.assign(
        at=local.strftime("%H:%M %Z"),
        left=start + minutes * 0.14,
        right=start + minutes * 0.86,
        middle=start + minutes / 2,
    )
    if "hour" in frame:
        placed = placed.assign(
            hour_left=(frame["hour"] * 60).clip(lower=_HALF_PAST_NINE), hour_right=frame["hour"] * 60 + 60
        )
    return placed.drop(columns=["ts", "collected_at"], errors="ignore")


def _axis(number: str, ticks: int) -> alt.Axis:
    # The same width on both charts, so that their time axes line up.
    return alt.Axis(
        format=number, tickCount=ticks, domain=False, ticks=False, labelPadding=8, minExtent=64, maxExtent=64
    )
