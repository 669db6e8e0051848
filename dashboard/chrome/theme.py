"""The palette of the theme that the visitor uses."""

from __future__ import annotations

import streamlit as st

from dashboard.charts.theme import DARK, LIGHT, Palette


def palette() -> Palette:
    """`DARK` in the dark theme, else `LIGHT`."""
    return DARK if st.context.theme.type == "dark" else LIGHT
