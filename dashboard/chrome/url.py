"""The visitor's choices, kept in the page's address, so that a link or a reload shows the same, and across pages.

session=2026-11-20        one session; the newest if absent
to=2026-11-24             with `session`: a range
tickers=META,AMZN         the tickers drawn together
ticker=META               the ticker of the page Session
scale=usd                 prices instead of percent from the open
view=Table                the tab of the page Hourly highs; the first if absent
"""

from __future__ import annotations

import time

import streamlit as st

_URL_ARRIVES_WITHIN = 3.0


PARAMETERS = ("session", "to", "tickers", "ticker", "scale", "view")


def recall() -> dict[str, str]:
    """The choices, from the URL where somebody changed it, else from this visit."""
    inside: dict[str, str] = st.session_state.setdefault("choices", {})
    outside = {name: st.query_params[name] for name in PARAMETERS if name in st.query_params}
    # A change of page clears the URL; the choices then go with the visitor.
    if outside and outside != st.session_state.get("choices in the URL") and not _on_its_way(outside):
        inside.clear()
        inside.update(outside)
    return inside


def write_url() -> None:
    """Puts the choices into the URL."""
    choices: dict[str, str] = st.session_state["choices"]
    for name in PARAMETERS:
        if name in choices:
            if st.query_params.get(name) != choices[name]:
                st.query_params[name] = choices[name]
        elif name in st.query_params:
            del st.query_params[name]
    before = st.session_state.get("choices in the URL")
    if before != choices:
        st.session_state["choices before"] = (before, time.monotonic())
        st.session_state["choices in the URL"] = dict(choices)


def forget() -> None:
    """Gives up every choice, in the URL too."""
    st.session_state["choices"] = {}
    for name in PARAMETERS:
        if name in st.query_params:
            del st.query_params[name]


def choose(**choices: str | None) -> None:
    """Takes up choices; None gives one up."""
    kept: dict[str, str] = st.session_state["choices"]
    for name, value in choices.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value


def _on_its_way(outside: dict[str, str]) -> bool:
    """Whether `outside` is the URL of a moment ago: a quick second click still comes with the one before."""
    before, replaced = st.session_state.get("choices before", (None, 0.0))
    return outside == before and time.monotonic() - replaced < _URL_ARRIVES_WITHIN
