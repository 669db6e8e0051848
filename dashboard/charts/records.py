"""How many records each session holds."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.axes import slot_axis
from dashboard.charts.theme import Layers, Palette, layer, title


def records_per_session(held: pd.DataFrame, palette: Palette, *, simulated: bool = False) -> Layers:
    """One column per session, as high as its records; `held` is the answer of `sessions`."""
    frame = held.sort_values("session")[["session", "records", "tickers", "sources"]]
    columns = layer(frame, "bar", color=palette.up, cornerRadiusEnd=2).encode(
        x=alt.X("session:N", title="session", sort=None, axis=slot_axis(frame["session"].tolist())),
        y=alt.Y("records:Q", title="records", axis=alt.Axis(format=",d", tickCount=4, domain=False, ticks=False)),
        tooltip=[
            alt.Tooltip("session:N"),
            alt.Tooltip("records:Q", format=","),
            alt.Tooltip("tickers:Q"),
            alt.Tooltip("sources:N"),
        ],
    )
    return Layers(layer=[columns], height=220, title=title("Records per session", simulated=simulated))
