"""Ticker by hour: the hourly high in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import AROUND_ROWS, PERCENT, change_title, slot_axis, slot_title, ticker_axis, tooltips
from dashboard.charts.theme import Layers, Palette, layer, title

ROW_HEIGHT = 28


def heat_map(hours: pd.DataFrame, palette: Palette, *, order: Sequence[str], simulated: bool = False) -> Layers:
    """Ticker by hour: each cell holds the hourly high in USD, coloured by its change.

    `order` lists the rows from the top. A cell of several touches says how many; a running hour ends in `…`.
    """
    reach = max(float(hours["change"].abs().max()), 0.001)
    frame = hours.assign(
        label=[
            _label(high, touches, provisional=provisional)
            for high, touches, provisional in zip(hours["high"], hours["touches"], hours["provisional"], strict=True)
        ],
        strong=hours["change"].abs() > reach * 0.55,
    )
    slots = sorted(hours["slot"].unique())
    x_scale = alt.Scale(domain=slots)
    place: dict[str, Any] = {
        "x": alt.X("slot:N", title=slot_title(hours), sort=None, scale=x_scale, axis=slot_axis(slots, "top")),
        "y": alt.Y("ticker:N", title=None, sort=list(order), axis=ticker_axis()),
        "tooltip": tooltips(hours),
    }
    colours = alt.Scale(domain=[-reach, 0, reach], range=[palette.down, palette.level, palette.up], interpolate="rgb")
    legend = alt.Legend(orient="bottom", labelExpr=PERCENT, gradientLength=180, tickCount=3, titleOrient="left")
    cells = layer(frame, "rect", cornerRadius=3, stroke=palette.paper, strokeWidth=2).encode(
        **place, color=alt.Color("change:Q", title=change_title(hours), scale=colours, legend=legend)
    )
    ink = alt.ColorValue(palette.ink).condition(test="datum.strong", value=palette.on_strong)
    text = layer(frame, "text", fontSize=11).encode(**place, text=alt.Text("label:N"), color=ink)
    return Layers(
        layer=[cells, text],
        height=ROW_HEIGHT * len(order) + AROUND_ROWS,
        title=title("Hourly highs, USD", simulated=simulated),
    )


def _label(high: float, touches: int, *, provisional: bool) -> str:
    ties = f" {labels.TIMES}{touches}" if touches > 1 else ""
    return f"{labels.price(high).replace(',', '')}{ties}{' …' if provisional else ''}"
