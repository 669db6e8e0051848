"""Each ticker's hourly highs as lines: all in one chart, or one small chart a ticker."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import DASH, Scale, slot_axis, slot_title, tooltips, value_axis, value_bounds, zero_line
from dashboard.charts.theme import SIMULATED, Layers, Palette, colour_scale, layer, shape_scale, title

LINES_HEIGHT = 440


LABEL_GAP = 15
"""Pixels between the labels at the lines' ends, so that none covers another."""


LABELS_FIT = LINES_HEIGHT // LABEL_GAP


def hourly_lines(
    hours: pd.DataFrame, scale: Scale, palette: Palette, *, tickers: Sequence[str], simulated: bool = False
) -> Layers:
    """Each ticker's hourly highs as a line, its name at the end; hours that still run are dashed and hollow.

    `hours` is what `figures.hourly` or `figures.per_session` makes; `tickers` fixes the order of colours and shapes.
    """
    value = "change" if scale == "percent" else "high"
    low, high, logarithmic = value_bounds(hours[value], scale)
    slots = sorted(hours["slot"].unique())
    room = ["\u00a0" * n for n in range(1, 1 + max(1, math.ceil(len(slots) / 8)))]  # for the names at the lines' ends
    hover = alt.selection_point(name="hover", fields=["ticker"], on="pointerover", clear="pointerout", nearest=False)
    colour = alt.Color("ticker:N", title=None, legend=None, scale=colour_scale(tickers, palette))
    fill = alt.Fill("ticker:N", legend=None, scale=colour_scale(tickers, palette))
    x = alt.X("slot:N", title=slot_title(hours), sort=None, scale=alt.Scale(domain=slots + room), axis=slot_axis(slots))
    y = alt.Y(
        f"{value}:Q",
        title="from the open" if scale == "percent" else f"USD{', logarithmic' if logarithmic else ''}",
        scale=alt.Scale(domain=[low, high], nice=False, zero=False, type="log" if logarithmic else "linear"),
        axis=value_axis(scale, 6),
    )
    faded = alt.OpacityValue(0.18).condition(param="hover", value=1)
    layers: list[alt.Chart] = []
    if scale == "percent":
        layers.append(zero_line(y, palette))
    for finished, dash in ((True, [1, 0]), (False, DASH)):
        part = _stretches(hours, finished=finished)
        if not part.empty:
            layers.append(
                layer(part, "line", strokeWidth=2, strokeDash=dash, clip=True).encode(
                    x=x, y=y, color=colour, detail="ticker:N", opacity=faded
                )
            )
    points = (
        layer(hours, "point", size=46, strokeWidth=1.6, opacity=1)
        .properties(name="points")
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("ticker:N", legend=None, scale=shape_scale(tickers)),
            fill=fill.condition(test="datum.provisional", value=palette.paper),
            opacity=faded,
            tooltip=tooltips(hours),
        )
    )
    layers.append(points.add_params(hover))
    ends = _ends(hours, value, low, high, logarithmic=logarithmic)
    if len(ends) <= LABELS_FIT:
        layers.append(
            layer(ends, "text", align="left", dx=9, fontSize=12, fontWeight=600).encode(
                x=x, y=alt.Y("label_at:Q"), text=alt.Text("ticker:N"), color=colour, opacity=faded
            )
        )
    return Layers(
        layer=layers,
        height=LINES_HEIGHT,
        title=title("Hourly highs" if "hour" in hours else "Day's highs", simulated=simulated),
    )


def small_multiple(
    hours: pd.DataFrame, palette: Palette, *, ticker: str, colour: str, bounds: tuple[float, float], simulated: bool
) -> Layers:
    """One ticker's hourly highs against its open, on the scale that all tickers share."""
    mine = hours[hours["ticker"] == ticker]
    x = alt.X("slot:N", title=None, sort=None, axis=alt.Axis(labels=False, ticks=False, domain=False))
    y = alt.Y(
        "change:Q",
        title=None,
        scale=alt.Scale(domain=list(bounds), nice=False),
        axis=value_axis("percent", 3),
    )
    layers = [zero_line(y, palette)]
    for finished, dash in ((True, [1, 0]), (False, DASH)):
        part = _stretches(mine, finished=finished)
        if not part.empty:
            layers.append(layer(part, "line", strokeWidth=2, strokeDash=dash, color=colour).encode(x=x, y=y))
    layers.append(
        layer(mine, "point", size=30, strokeWidth=1.6, color=colour, opacity=1).encode(
            x=x,
            y=y,
            fill=alt.FillValue(colour).condition(test="datum.provisional", value=palette.paper),
            tooltip=tooltips(mine),
        )
    )
    last = mine.iloc[-1]
    subtitle = f"high {labels.price(mine['high'].max())}, last {labels.change(last['change'])}"
    title = alt.TitleParams(
        f"{SIMULATED} · {ticker}" if simulated else ticker,
        subtitle=subtitle, anchor="start", fontSize=14, subtitleFontSize=11, subtitleColor=palette.ink, offset=4,
    )  # fmt: skip
    return Layers(layer=layers, height=130, title=title)


def spread(values: Sequence[float], least: float, most: float, gap: float) -> list[float]:
    """`values` moved apart until neighbours are `gap` from each other, within `least` and `most` where they fit."""
    order = np.argsort(values, kind="stable")
    placed = np.asarray(values, dtype=float)[order]
    for _ in range(200):
        distances = np.diff(placed)
        close = distances < gap - 1e-9
        if not close.any():
            break
        push = np.where(close, (gap - distances) / 2, 0)
        placed[:-1] -= push
        placed[1:] += push
        placed = np.clip(placed, least, most)
    result = np.empty_like(placed)
    result[order] = placed
    return result.tolist()


def _stretches(hours: pd.DataFrame, *, finished: bool) -> pd.DataFrame:
    """The rows to draw as full lines, or as dashed ones: an hour that still runs, and the one before it."""
    if finished:
        return hours[~hours["provisional"]]
    following = hours.groupby("ticker")["provisional"].shift(-1, fill_value=False)
    return hours[hours["provisional"] | following]


def _ends(hours: pd.DataFrame, value: str, low: float, high: float, *, logarithmic: bool) -> pd.DataFrame:
    """Where each line's name stands: at its last point, moved up or down so that all can be read."""
    ends = hours.groupby("ticker", as_index=False).last()

    def measure(number: float) -> float:
        return math.log(number) if logarithmic else number

    least, most = measure(low), measure(high)
    at = spread([measure(each) for each in ends[value]], least, most, (most - least) * LABEL_GAP / LINES_HEIGHT)
    ends["label_at"] = np.exp(at) if logarithmic else at
    return ends[["ticker", "slot", "label_at"]]
