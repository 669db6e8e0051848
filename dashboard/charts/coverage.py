"""Ticker by session: which bars the lake holds and which it lacks."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import AROUND_ROWS, TICKER_AXIS, slot_axis
from dashboard.charts.theme import Layers, Palette, layer, title

CELL = "cell"


STATES = ("complete", "early close", "partial", "missing")
"""What a ticker's session can be; an early close is a complete session of a shorter day."""


_MEANINGS = {
    "complete": "✓ complete",
    "early close": "✓ ½ early close",
    "partial": f"{labels.MINUS}n bars missing",
    "missing": "✕ no bar",
}


def coverage_map(coverage: pd.DataFrame, palette: Palette, *, simulated: bool = False) -> Layers:
    """Ticker by session: complete, partial with the bars missing, missing, early close; each with a sign of its own.

    `coverage` is the answer of `coverage` with `early_close`, one row a ticker and session. A click picks a cell: the
    selection `CELL` holds its `ticker` and `session`.
    """
    frame = coverage.assign(state=states(coverage), gaps=coverage["gaps"].where(coverage["gaps"] != "", "none"))
    frame["sign"] = frame["state"].map({"complete": "✓", "early close": "✓ ½", "missing": "✕"})
    frame["sign"] = frame["sign"].where(frame["state"] != "partial", labels.MINUS + frame["missing"].astype("str"))
    frame["shown_gaps"] = frame["gaps"].str.slice(0, 120)
    slots = sorted(frame["session"].unique())
    frame = frame.drop(columns="gaps")
    place: dict[str, Any] = {
        "x": alt.X(
            "session:N", title="session", sort=None, scale=alt.Scale(domain=slots), axis=slot_axis(slots, "top")
        ),
        "y": alt.Y("ticker:N", title=None, sort=None, axis=TICKER_AXIS),
        "tooltip": [
            alt.Tooltip("ticker:N"),
            alt.Tooltip("session:N"),
            alt.Tooltip("state:N"),
            alt.Tooltip("present:Q", title="bars"),
            alt.Tooltip("expected:Q", title="of"),
            alt.Tooltip("shown_gaps:N", title="missing"),
        ],
    }
    picked = alt.selection_point(name=CELL, fields=["ticker", "session"])
    cells = layer(frame, "rect", cornerRadius=3, strokeWidth=2, cursor="pointer").encode(
        **place,
        stroke=alt.StrokeValue(palette.paper).condition(param=CELL, empty=False, value=palette.ink),
        color=alt.Color(
            "state:N",
            title=None,
            scale=alt.Scale(domain=list(STATES), range=[palette.up_soft, palette.early, palette.warn, palette.down]),
            legend=alt.Legend(
                orient="bottom",
                symbolType="square",
                labelExpr=f"({_MEANINGS})[datum.label]",
                columns=2,
                symbolSize=160,
            ),
        ),
    )
    text = layer(frame, "text", fontSize=11).encode(
        **place,
        text=alt.Text("sign:N"),
        color=alt.ColorValue(palette.ink).condition(test="datum.state == 'missing'", value=palette.on_strong),
    )
    return Layers(
        layer=[cells.add_params(picked), text],
        height=24 * frame["ticker"].nunique() + AROUND_ROWS,
        title=title("Coverage", simulated=simulated),
    )


def states(coverage: pd.DataFrame) -> pd.Series:
    """The state of each row of `coverage`, one of `STATES`."""
    return pd.Series(
        np.select(
            [coverage["present"] == 0, coverage["missing"] > 0, coverage["early_close"]],
            ["missing", "partial", "early close"],
            "complete",
        ),
        index=coverage.index,
        dtype="str",
    )
