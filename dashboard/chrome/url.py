"""The visitor's choices, kept in the page's address, so that links and reloads show the same. They span pages.

    exchange=XLON             the exchange; by default that of the watchlist's first ticker with bars
    session=2026-11-20        one session; by default the newest
    to=2026-11-24             with `session`: a range
    tickers=META,AMZN         tickers of the page Hourly highs
    ticker=META               ticker of the page Session
    measure=change            changes instead of prices; also unusual, range
    from=close                changes are measured from the previous close; also usual
    hour=10                   hour marked on the page Session
    view=Table                tab of the page Hourly highs; by default the first
    compare=Calendar          tab of the page Across days; by default the first
    last=60                   with `session`: how many sessions up to it are compared; also all
    other=2026-11-18          the session that another is compared with
    as_of=2026-11-20T12:00    what the lake knew then, exchange time; by default what it knows now

Controls raise ConfigError for values that cannot be used.
"""

from __future__ import annotations

import time

import streamlit as st

PARAMETERS = (
    "exchange",
    "session",
    "to",
    "tickers",
    "ticker",
    "hour",
    "measure",
    "from",
    "view",
    "compare",
    "last",
    "other",
    "as_of",
)
_IN_FLIGHT = 3.0
"""Seconds for which a click may still arrive with the address from before the last one."""


def recall() -> dict[str, str]:
    """The choices: from the address if the visitor changed it, else from this visit."""
    inside: dict[str, str] = st.session_state.setdefault("choices", {})
    given = st.query_params.to_dict()
    outside = {name: given[name] for name in PARAMETERS if name in given}
    # Changing the page clears the address, so an empty one keeps the choices.
    if outside and outside != st.session_state.get("choices in the URL") and not _is_in_flight(outside):
        inside.clear()
        inside.update(outside)
    return inside


def choose(**choices: str | None) -> None:
    """Set choices; None resets one."""
    kept: dict[str, str] = st.session_state["choices"]
    for name, value in choices.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value


def write() -> None:
    """Write the choices to the address."""
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
    """Reset every choice, in the address too."""
    st.session_state["choices"] = {}
    for name in PARAMETERS:
        if name in st.query_params:
            del st.query_params[name]


def _is_in_flight(outside: dict[str, str]) -> bool:
    """Whether `outside` is the previous address: a quick second click still carries it."""
    before, replaced = st.session_state.get("choices before", (None, 0.0))
    return outside == before and time.monotonic() - replaced < _IN_FLIGHT
