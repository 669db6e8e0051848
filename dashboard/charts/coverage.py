"""Ticker by session: which bars the lake holds and which are missing."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import AROUND_ROWS, slot_axis, ticker_axis
from dashboard.charts.theme import Layers, Palette, layer, title

CELL = "cell"
"""Name of the selection: the `ticker` and `session` of the clicked cell."""
STATES = ("complete", "early close", "halted", "partial", "none at source", "missing")
"""States of a ticker's session. `early close` is a complete session of a shorter day. Nothing was traded in the gaps of
`halted`. The source has no bar of `none at source`."""
ROW_HEIGHT = 24
_MORE_LEGEND = 60
"""The legend has three rows; `AROUND_ROWS` counts one."""
_GAPS_SHOWN = 120
_LEGEND = {
    "complete": "✓ complete",
    "early close": "✓ ½ early close",
    "halted": "‖n bars halted",
    "partial": f"{labels.MINUS}n bars missing",
    "none at source": "∅ none at source",
    "missing": "✕ no bars",
}


def coverage_map(coverage: pd.DataFrame, palette: Palette, *, simulated: bool = False) -> Layers:
    """Ticker by session: one of `STATES`, with the number of bars that are missing.

    `coverage` is the answer of `coverage` with `early_close`, one row per ticker and session. A click selects a cell;
    the selection `CELL` holds its `ticker` and `session`.
    """
    frame = _signed(coverage)
    slots = sorted(frame["session"].unique())
    scale = alt.Scale(domain=slots)
    place: dict[str, Any] = {
        "x": alt.X("session:N", title="session", sort=None, scale=scale, axis=slot_axis(slots, orient="top")),
        "y": alt.Y("ticker:N", title=None, sort=None, axis=ticker_axis()),
        "tooltip": [
            alt.Tooltip("ticker:N"),
            alt.Tooltip("session:N"),
            alt.Tooltip("state:N"),
            alt.Tooltip("present:Q", title="bars"),
            alt.Tooltip("expected:Q", title="expected"),
            alt.Tooltip("shown_gaps:N", title="missing"),
        ],
    }
    colours = alt.Scale(domain=list(STATES), range=_colours(palette))
    legend = alt.Legend(
        orient="bottom", symbolType="square", labelExpr=f"({_LEGEND})[datum.label]", columns=2, symbolSize=160
    )
    outline = alt.StrokeValue(palette.paper).condition(param=CELL, empty=False, value=palette.ink)
    cells = layer(None, "rect", cornerRadius=3, strokeWidth=2, cursor="pointer").encode(
        **place, stroke=outline, color=alt.Color("state:N", title=None, scale=colours, legend=legend)
    )
    ink = alt.ColorValue(palette.ink).condition(test="datum.state == 'missing'", value=palette.on_strong)
    text = layer(None, "text", fontSize=11).encode(**place, text=alt.Text("sign:N"), color=ink)
    return Layers(
        data=frame,
        layer=[cells.add_params(alt.selection_point(name=CELL, fields=["ticker", "session"])), text],
        height=ROW_HEIGHT * frame["ticker"].nunique() + AROUND_ROWS + _MORE_LEGEND,
        title=title("Coverage", simulated=simulated),
    )


def _colours(palette: Palette) -> list[str]:
    return [palette.up_soft, palette.early, palette.level, palette.warn, palette.faint, palette.down]


def states(coverage: pd.DataFrame) -> pd.Series:
    """The state of each row of `coverage`, one of `STATES`."""
    return pd.Series(
        np.select(
            [
                (coverage["present"] == 0) & (coverage["absent"] == coverage["missing"]),
                coverage["present"] == 0,
                coverage["missing"] > coverage["halted"],
                coverage["missing"] > 0,
                coverage["early_close"],
            ],
            ["none at source", "missing", "partial", "halted", "early close"],
            "complete",
        ),
        index=coverage.index,
        dtype="str",
    )


def _signed(coverage: pd.DataFrame) -> pd.DataFrame:
    """`coverage` with each cell's `state`, its `sign`, and its gaps cut to a tooltip's length."""
    state = states(coverage)
    sign = state.map({"complete": "✓", "early close": "✓ ½", "none at source": "∅", "missing": "✕"})
    number = coverage["missing"].astype("str").radd(state.map({"halted": "‖", "partial": labels.MINUS}).fillna(""))
    return coverage.drop(columns="gaps").assign(
        state=state,
        sign=sign.fillna(number),
        shown_gaps=coverage["gaps"].where(coverage["gaps"] != "", "none").str.slice(0, _GAPS_SHOWN),
    )
