"""How often each hour held the day's high or low, beside what chance alone gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import AROUND_ROWS, DASH, LABELS_FIT, clock_span, ticker_axis
from dashboard.charts.theme import Layers, Palette, layer, title
from tickerlake.exchange import Exchange

_PERCENT = "format(datum.value, '.2~f') + ' %'"
_ROW_HEIGHT = 34
_FAR = 2
"""The colours end twice as far from chance as its interval does."""
_OFF = "{'-2': 'rarely', '0': 'as chance', '2': 'often'}[datum.value] || ''"


def histogram(
    shares: pd.DataFrame, palette: Palette, *, place: Exchange, extreme: str, simulated: bool = False
) -> Layers:
    """The share of each hour, in percent a minute, so that half an hour compares with an hour.

    `shares` is one ticker and one extreme of `high_hour.compared`. A band holds what chance gives in 95 of 100 cases,
    a dashed line is its mean.
    """
    clock = clock_span(int(shares["start"].min()), int(shares["end"].max()), title=labels.city(place))
    x = alt.X("start:Q", **clock)
    inset = (shares["end"] - shares["start"]) * 0.2
    axis = alt.Axis(labelExpr=_PERCENT, tickCount=4, domain=False, ticks=False, labelPadding=8)
    per_minute: dict[str, Any] = {"title": "a minute", "axis": axis}
    tooltip = _tooltips()
    held = layer(None, "rect", color=palette.up).encode(
        x=alt.X("left:Q", **clock),
        x2=alt.X2("right:Q"),
        y=alt.Y("rate:Q", **per_minute),
        y2=alt.Y2Datum(0),
        tooltip=tooltip,
    )
    band = layer(None, "rect", color=palette.faint, opacity=0.35).encode(
        x=x, x2=alt.X2("end:Q"), y=alt.Y("rate_from:Q", **per_minute), y2=alt.Y2("rate_to:Q"), tooltip=tooltip
    )
    mean = layer(None, "rule", color=palette.ink, strokeWidth=1.6, strokeDash=DASH).encode(
        x=x, x2=alt.X2("end:Q"), y=alt.Y("chance_rate:Q", **per_minute)
    )
    return Layers(
        data=shares.assign(left=shares["start"] + inset, right=shares["end"] - inset),
        layer=[band, held, mean],
        height=220,
        title=title(f"{shares['ticker'].iloc[0]}: when the {extreme} comes", simulated=simulated),
    )


def hour_map(
    shares: pd.DataFrame,
    palette: Palette,
    *,
    place: Exchange,
    order: Sequence[str],
    extreme: str,
    simulated: bool = False,
) -> Layers:
    """Ticker by hour: in how many sessions the hour held the extreme, and under it how many chance gives.

    `shares` is one extreme of `high_hour.compared` with `unusual`. The colour says how far from chance that is, in
    intervals; a frame marks what chance does not explain. `order` lists the rows from the top.
    """
    # Within the interval a cell stays pale, however many times as often as chance that is.
    off = ((shares["share"] - shares["chance"]) / (shares["chance_to"] - shares["chance"])).fillna(0)
    frame = shares.assign(
        off=off.clip(-_FAR, _FAR),
        slot=shares["hour"].map(lambda hour: labels.hour_start(hour, place)),
        expected=shares["least"].astype(str) + labels.DASH + shares["most"].astype(str),
        strong=off.abs() > _FAR * 0.6,
    )
    slots = list(dict.fromkeys(frame.sort_values("hour")["slot"]))
    axis = alt.Axis(
        orient="top",
        values=slots if len(slots) <= LABELS_FIT else slots[::3],
        labelAngle=0,
        domain=False,
        ticks=False,
        labelPadding=8,
        labelOverlap="greedy",
        labelFlush=False,
    )
    where: dict[str, Any] = {
        "x": alt.X("slot:N", title=f"hour in {labels.city(place)}", scale=alt.Scale(domain=slots), axis=axis),
        "y": alt.Y("ticker:N", title=None, sort=list(order), axis=ticker_axis()),
        "tooltip": _tooltips(),
    }
    colours = alt.Scale(domain=[-_FAR, 0, _FAR], range=[palette.down, palette.level, palette.up], interpolate="rgb")
    legend = alt.Legend(orient="bottom", labelExpr=_OFF, gradientLength=180, values=[-_FAR, 0, _FAR])
    cells = layer(None, "rect", cornerRadius=3, stroke=palette.paper, strokeWidth=2).encode(
        **where, color=alt.Color("off:Q", title=None, scale=colours, legend=legend)
    )
    frames = layer(frame[frame["unusual"]], "rect", cornerRadius=3, filled=False, strokeWidth=2)
    # A layer without marks has no text for screen readers.
    framed = [frames.encode(**where, stroke=alt.StrokeValue(palette.ink))] if frame["unusual"].any() else []
    ink = alt.ColorValue(palette.ink).condition(test="datum.strong", value=palette.on_strong)
    texts = [
        layer(None, "text", fontSize=size, dy=down).encode(**where, text=alt.Text(text), color=ink)
        for text, size, down in (("count:Q", 11, -5), ("expected:N", 9.5, 8))
        if len(slots) <= LABELS_FIT  # in a day of 24 hours the cells are too narrow
    ]
    return Layers(
        data=frame,
        layer=[cells, *framed, *texts],
        height=_ROW_HEIGHT * len(order) + AROUND_ROWS,
        title=title(f"Sessions whose {extreme} came in this hour", simulated=simulated),
    )


def _tooltips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("ticker:N"),
        alt.Tooltip("span:N", title="hour"),
        alt.Tooltip("count:Q", title="held it in sessions"),
        alt.Tooltip("sessions:Q", title="of"),
        alt.Tooltip("ties:Q", title="of them tied with a later hour"),
        alt.Tooltip("share:Q", title="share", format=".1%"),
        alt.Tooltip("rate:Q", title="percent a minute", format=".2f"),
        alt.Tooltip("chance:Q", title="chance gives", format=".1%"),
        alt.Tooltip("chance_from:Q", title="from", format=".1%"),
        alt.Tooltip("chance_to:Q", title="to", format=".1%"),
    ]
