"""The control of the watchlist: the tickers that are collected, and that pages show first."""

from __future__ import annotations

import streamlit as st

from dashboard import labels
from dashboard.chrome import refusal, url
from dashboard.data.lake import Lake
from tickerlake import watchlist
from tickerlake.errors import TickerlakeError

_KEY = "pick watchlist"


def edit(lake: Lake) -> None:
    """The lake's watchlist as a field in which tickers are added and removed."""
    with st.expander("Watchlist", icon=":material/list:"):
        try:
            watched = lake.watchlist()
        except TickerlakeError as error:
            st.error(labels.escape(str(error)))
            return
        if tuple(st.session_state.get(_KEY, ())) != watched:
            st.session_state[_KEY] = list(watched)
        st.multiselect(
            "Watchlist",
            list(watched),
            key=_KEY,
            accept_new_options=True,
            placeholder="Add a ticker",
            label_visibility="collapsed",
            on_change=_change,
            args=(lake, watched),
        )
        st.caption(f"Write a ticker and press Enter to add it. Saved in {labels.escape(str(lake.layout.config))}.")
        refusal.show("watchlist")


def _change(lake: Lake, before: tuple[str, ...]) -> None:
    after = st.session_state[_KEY]
    added = [ticker for ticker in after if ticker not in before]
    removed = [ticker for ticker in before if ticker not in after]
    change, tickers = (watchlist.add, added) if added else (watchlist.remove, removed)
    with refusal.kept("watchlist"):
        change(lake.layout.config, tickers)
        url.choose(tickers=",".join(lake.watchlist()))
        st.session_state.pop("collect tickers", None)
