"""Hourly highs as lines: all tickers in one chart, or one small chart for each ticker."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import (
    DASH,
    VALUES,
    Scale,
    change_title,
    slot_axis,
    slot_title,
    tooltips,
    value_axis,
    value_bounds,
    zero_line,
)
from dashboard.charts.theme import Layers, Palette, colour_scale, layer, marked, shape_scale, title
from tickerlake.exchange import Exchange

HEIGHT = 440
LABEL_GAP = 15
"""Least distance in pixels between two labels at the ends of lines."""
LABELS_FIT = HEIGHT // LABEL_GAP


def hourly_lines(
    hours: pd.DataFrame,
    scale: Scale,
    palette: Palette,
    *,
    place: Exchange,
    tickers: Sequence[str],
    simulated: bool = False,
) -> Layers:
    """Each ticker's hourly highs as a line with the ticker at its end; running hours are dashed and hollow.

    `hours` comes from `figures.hourly` or `figures.per_session`; `tickers` fixes the order of colours and shapes.
    Above `LABELS_FIT` tickers the lines have no labels.
    """
    value = VALUES[scale]
    hours = hours.dropna(subset=[value])
    bounds = value_bounds(hours[value], scale)
    x, y = _x(hours, place), _y(hours, scale, bounds)
    hover = alt.selection_point(name="hover", fields=["ticker"], on="pointerover", clear="pointerout", nearest=False)
    colour = alt.Color("ticker:N", title=None, legend=None, scale=colour_scale(tickers, palette))
    faded = alt.OpacityValue(0.18).condition(param="hover", value=1)
    layers = [zero_line(y, palette)] if scale == "percent" else []
    for part, dash in _stretches(hours):
        line = layer(part, "line", strokeWidth=2, strokeDash=dash, clip=True)
        layers.append(line.encode(x=x, y=y, color=colour, detail=alt.Detail("ticker:N"), opacity=faded))
    points = layer(hours, "point", size=46, strokeWidth=1.6, opacity=1).encode(
        x=x,
        y=y,
        color=colour,
        shape=alt.Shape("ticker:N", legend=None, scale=shape_scale(tickers)),
        fill=alt.Fill("ticker:N", legend=None, scale=colour_scale(tickers, palette)).condition(
            test="datum.provisional", value=palette.paper
        ),
        opacity=faded,
        tooltip=tooltips(hours),
    )
    layers.append(points.add_params(hover))
    ends = _ends(hours, value, bounds)
    if len(ends) <= LABELS_FIT:
        names = layer(ends, "text", align="left", dx=9, fontSize=12, fontWeight=600)
        layers.append(names.encode(x=x, y=alt.Y("label_at:Q"), text=alt.Text("ticker:N"), color=colour, opacity=faded))
    heading = "Hourly highs" if "hour" in hours else "Session highs"
    return Layers(layer=layers, height=HEIGHT, title=title(heading, simulated=simulated))


def small_multiple(
    hours: pd.DataFrame,
    scale: Scale,
    palette: Palette,
    *,
    ticker: str,
    colour: str,
    bounds: tuple[float, float],
    simulated: bool,
) -> Layers:
    """One ticker's hourly highs as a change or a percentile, on the scale `bounds` that all tickers share."""
    mine = hours[hours["ticker"] == ticker].reset_index(drop=True)
    scale = scale if scale == "percentile" else "percent"
    x = alt.X("slot:N", title=None, sort=None, axis=alt.Axis(labels=False, ticks=False, domain=False))
    domain = alt.Scale(domain=list(bounds), nice=False)
    y = alt.Y(f"{VALUES[scale]}:Q", title=None, scale=domain, axis=value_axis(scale, 3))
    layers = [zero_line(y, palette)] if scale == "percent" else []
    for part, dash in _stretches(mine):
        layers.append(layer(part, "line", strokeWidth=2, strokeDash=dash, color=colour).encode(x=x, y=y))
    fill = alt.FillValue(colour).condition(test="datum.provisional", value=palette.paper)
    points = layer(mine, "point", size=30, strokeWidth=1.6, color=colour, opacity=1)
    layers.append(points.encode(x=x, y=y, fill=fill, tooltip=tooltips(mine)))
    top = mine.loc[mine["high"].idxmax()]
    heading = alt.TitleParams(
        marked(ticker, simulated=simulated),
        subtitle=f"high {labels.price(top['high'])}, {labels.change(top['change'])}",
        anchor="start",
        fontSize=14,
        subtitleFontSize=11,
        subtitleColor=palette.ink,
        offset=4,
    )
    return Layers(layer=layers, height=130, title=heading)


def shared_bounds(hours: pd.DataFrame, scale: Scale) -> tuple[float, float]:
    """The scale that small multiples share: lower and upper end."""
    low, high, _ = value_bounds(hours["change"], scale if scale == "percentile" else "percent")
    return low, high


def spread(values: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """`values` moved apart until neighbours are `gap` apart, between `low` and `high` if they fit."""
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
        placed = np.clip(placed, low, high)
    result = np.empty_like(placed)
    result[order] = placed
    return result.tolist()


def _x(hours: pd.DataFrame, place: Exchange) -> alt.X:
    slots = sorted(hours["slot"].unique())
    # Empty slots at the end leave room for the labels.
    room = ["\u00a0" * n for n in range(1, 1 + max(1, math.ceil(len(slots) / 8)))]
    scale = alt.Scale(domain=slots + room)
    return alt.X("slot:N", title=slot_title(hours, place), sort=None, scale=scale, axis=slot_axis(slots, place))


def _y(hours: pd.DataFrame, scale: Scale, bounds: tuple[float, float, bool]) -> alt.Y:
    low, high, logarithmic = bounds
    kind = "log" if logarithmic else "linear"
    domain = alt.Scale(domain=[low, high], nice=False, zero=False, type=kind)
    axis = value_axis(scale, 6)
    if scale == "percent":
        return alt.Y("change:Q", title=change_title(hours), scale=domain, axis=axis)
    if scale == "percentile":
        return alt.Y("percentile:Q", title="percentile", scale=domain, axis=axis)
    currency = labels.currency(hours["ticker"])
    return alt.Y("high:Q", title=f"{currency}, logarithmic" if logarithmic else currency, scale=domain, axis=axis)


def _stretches(hours: pd.DataFrame) -> list[tuple[pd.DataFrame, list[int]]]:
    """What to draw solid, and what dashed: each running hour with the hour before it. Empty parts are left out."""
    following = hours.groupby("ticker")["provisional"].shift(-1, fill_value=False)
    parts = ((hours[~hours["provisional"]], [1, 0]), (hours[hours["provisional"] | following], DASH))
    return [(part, dash) for part, dash in parts if not part.empty]


def _ends(hours: pd.DataFrame, value: str, bounds: tuple[float, float, bool]) -> pd.DataFrame:
    """Where each label stands: at its line's last point, moved so that labels do not overlap."""
    ends = hours.groupby("ticker", as_index=False).last()
    low, high, logarithmic = bounds
    at = ends[value].to_numpy(dtype=float)
    if logarithmic:
        low, high, at = math.log(low), math.log(high), np.log(at)
    placed = spread(at.tolist(), low, high, (high - low) * LABEL_GAP / HEIGHT)
    ends["label_at"] = np.exp(placed) if logarithmic else placed
    return ends[["ticker", "slot", "label_at"]]
