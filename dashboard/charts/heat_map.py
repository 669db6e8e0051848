"""Ticker by hour, or by session: one measure in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import (
    AROUND_ROWS,
    PERCENT,
    RESTATED,
    Scale,
    change_title,
    slot_axis,
    slot_title,
    ticker_axis,
    tooltips,
)
from dashboard.charts.theme import Layers, Palette, layer, title
from tickerlake.exchange import Exchange

CELL = "cell"
"""Name of the selection: the `ticker` and `slot` of the clicked cell."""
ROW_HEIGHT = 34
UNUSUAL = "\N{BLACK UP-POINTING TRIANGLE}"
TEXTS_FIT = 12
"""Cells are too narrow for text with more columns than this."""
_NARROW = "width < 460"
"""True on a phone."""


def heat_map(
    hours: pd.DataFrame,
    scale: Scale,
    palette: Palette,
    *,
    order: Sequence[str],
    place: Exchange,
    heading: str,
    simulated: bool = False,
) -> Layers:
    """Ticker by hour: each cell holds one measure, coloured by the change, or by the percentile if that is shown.

    `hours` comes from `figures.hourly` or `figures.per_session` with `is_top`, and for hours with `percentile`,
    `unusual` and `restated`. `order` lists the rows from the top. Under the measure stands the minute that reached the
    high first, how many bars did, a triangle if it is unusual, and a pencil if bars were restated. A frame marks each
    ticker's greatest high; a running hour ends in `…`. A click selects a cell.
    """
    value = "percentile" if scale == "percentile" else "change"
    reach = max(float(hours["change"].abs().max()), 0.001)
    strength = (hours["percentile"] - 50).abs() / 50 if value == "percentile" else hours["change"].abs() / reach
    frame = hours.assign(label=_labels(hours, scale), below=_below(hours), strong=strength > 0.55)
    slots = sorted(hours["slot"].unique())
    columns = alt.Scale(domain=slots)
    where: dict[str, Any] = {
        "x": alt.X(
            "slot:N", title=slot_title(hours, place), sort=None, scale=columns, axis=slot_axis(slots, place, "top")
        ),
        "y": alt.Y("ticker:N", title=None, sort=list(order), axis=ticker_axis()),
        "tooltip": tooltips(hours),
    }
    domain = [0, 50, 100] if value == "percentile" else [-reach, 0, reach]
    colours = alt.Scale(domain=domain, range=[palette.down, palette.level, palette.up], interpolate="rgb")
    legend = alt.Legend(
        orient="bottom",
        labelExpr="datum.label" if value == "percentile" else PERCENT,
        gradientLength=alt.ExprRef("clamp(width - 170, 60, 180)"),
        tickCount=3,
        titleOrient="left",
    )
    name = "percentile" if value == "percentile" else change_title(hours)
    cells = layer(None, "rect", cornerRadius=3, stroke=palette.paper, strokeWidth=2, cursor="pointer").encode(
        **where, color=alt.Color(f"{value}:Q", title=name, scale=colours, legend=legend)
    )
    layers = [cells.add_params(alt.selection_point(name=CELL, fields=["ticker", "slot"], on="click", clear=False))]
    frames = layer(None, "rect", cornerRadius=3, filled=False, strokeWidth=2, cursor="pointer")
    layers.append(frames.transform_filter("datum.is_top").encode(**where, stroke=alt.StrokeValue(palette.ink)))
    if len(slots) <= TEXTS_FIT:
        ink = alt.ColorValue(palette.ink).condition(test="datum.strong", value=palette.on_strong)
        texts = (("label:N", 11, 9.5, -5), ("below:N", 9.5, 8, 8))
        for text, size, small, down in texts:
            size_ = alt.ExprRef(f"{_NARROW} ? {small} : {size}")
            drawn = layer(None, "text", fontSize=size_, dy=down, cursor="pointer")
            layers.append(drawn.encode(**where, text=alt.Text(text), color=ink))
    # The layers share the data: Altair would write and hash it once a layer.
    return Layers(
        data=frame,
        layer=layers,
        height=ROW_HEIGHT * len(order) + AROUND_ROWS,
        title=title(heading, simulated=simulated),
    )


def _labels(hours: pd.DataFrame, scale: Scale) -> list[str]:
    if scale == "price":
        return [labels.price(high).replace(",", "") for high in hours["high"]]
    if scale == "percent":
        return [f"{change * 100:+.2f}".replace("-", labels.MINUS) for change in hours["change"]]
    return [labels.DASH if pd.isna(percentile) else f"{percentile:.0f}" for percentile in hours["percentile"]]


def _below(hours: pd.DataFrame) -> list[str]:
    """The second line of each cell; of sessions there is none."""
    if "hour" not in hours:
        return [""] * len(hours)
    return [
        f":{reached[3:5]}{f' {labels.TIMES}{touches}' if touches > 1 else ''}"
        f"{f' {UNUSUAL}' if unusual else ''}{f' {RESTATED}' if restated else ''}{' …' if provisional else ''}"
        for reached, touches, unusual, restated, provisional in zip(
            *(hours[name] for name in ("reached", "touches", "unusual", "restated", "provisional")), strict=True
        )
    ]
