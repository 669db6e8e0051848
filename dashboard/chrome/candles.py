"""The candles of one session as Streamlit shows them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.charts.candles import candles
from dashboard.chrome import export
from dashboard.chrome.theme import palette
from dashboard.data.session import OneSession
from tickerlake import exchange


def show(
    mine: OneSession,
    session: exchange.Session,
    *,
    key: str = "zoom",
    hour: int | None = None,
    under: pd.DataFrame | None = None,
    reach: float = 0.0,
    simulated: bool,
) -> None:
    """Draw the chart in a container `key`, by which keys.js finds it; see `charts.candles` for the rest."""
    row = mine.daily.iloc[0]
    with st.container(key=key):
        export.chart(
            candles(
                mine.bars,
                mine.highs,
                palette(),
                session=session,
                hour=hour,
                changes=mine.changes[mine.changes["bar_minutes"] == row["bar_minutes"]],
                split=mine.split,
                under=under,
                reach=reach,
                simulated=simulated,
            ),
            "session",
            row["ticker"],
            session.date,
            key=f"candles {key}",
            alt=f"Candles of {row['ticker']}: high {row['high']}, low {row['low']}, last {row['last_price']}",
        )
