"""Ticker by hour: the hourly high in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import AROUND_ROWS, PERCENT, TICKER_AXIS, slot_axis, slot_title, tooltips
from dashboard.charts.theme import Layers, Palette, layer, title

ROW_HEIGHT = 28


def heat_map(hours: pd.DataFrame, palette: Palette, *, order: Sequence[str], simulated: bool = False) -> Layers:
    """Ticker by hour: each cell the hourly high in USD, coloured by its distance from the open.

    `order` is the rows from above; of a high that more than one bar reached, the cell says how many did.
    """
    reach = max(float(hours["change"].abs().max()), 0.001)
    frame = hours.assign(
        label=[
            f"{labels.price(high).replace(',', '')}{_ties(touches)}{' …' if running else ''}"
            for high, touches, running in zip(hours["high"], hours["touches"], hours["provisional"], strict=True)
        ],
        strong=hours["change"].abs() > reach * 0.55,
    )
    slots = sorted(hours["slot"].unique())
    place: dict[str, Any] = {
        "x": alt.X(
            "slot:N", title=slot_title(hours), sort=None, scale=alt.Scale(domain=slots), axis=slot_axis(slots, "top")
        ),
        "y": alt.Y("ticker:N", title=None, sort=list(order), axis=TICKER_AXIS),
        "tooltip": tooltips(hours),
    }
    cells = layer(frame, "rect", cornerRadius=3, stroke=palette.paper, strokeWidth=2).encode(
        **place,
        color=alt.Color(
            "change:Q",
            title="from the open",
            scale=alt.Scale(
                domain=[-reach, 0, reach], range=[palette.down, palette.level, palette.up], interpolate="rgb"
            ),
            legend=alt.Legend(orient="bottom", labelExpr=PERCENT, gradientLength=180, tickCount=3, titleOrient="left"),
        ),
    )
    text = layer(frame, "text", fontSize=11).encode(
        **place,
        text=alt.Text("label:N"),
        color=alt.ColorValue(palette.ink).condition(test="datum.strong", value=palette.on_strong),
    )
    return Layers(
        layer=[cells, text],
        height=ROW_HEIGHT * len(order) + AROUND_ROWS,
        title=title("Hourly highs, USD", simulated=simulated),
    )


def _ties(touches: int) -> str:
    return f" {labels.TIMES}{touches}" if touches > 1 else ""
