"""How many records each session holds."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts.axes import slot_axis
from dashboard.charts.theme import Layers, Palette, layer, title


def records_per_session(held: pd.DataFrame, palette: Palette, *, simulated: bool = False) -> Layers:
    """One column per date, as high as the records of all exchanges; `held` is the answer of `sessions`."""
    dates = held.groupby("session")
    sources = dates["sources"].agg(lambda listed: ", ".join(sorted({*", ".join(listed).split(", ")})))
    frame = dates[["records", "tickers"]].sum().assign(sources=sources).reset_index()
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
