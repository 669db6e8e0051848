"""Cards: plain figures above the charts."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from dashboard.data.figures import Figure

NARROWEST = 160
"""Least width of a card in pixels: two fit on a phone."""


def figures(shown: Iterable[Figure]) -> None:
    """A card for each figure."""
    grid = st.grid(4, min_column_width=NARROWEST)
    for figure in shown:
        grid.metric(
            figure.label,
            figure.text,
            border=True,
            height="stretch",
            chart_data=figure.course or None,
            delta=figure.below,
            delta_color="off",
            delta_arrow="off",
        )
