"""The control of alerts: the lake's rules, and the browser's permission to notify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard import labels
from dashboard.chrome import refusal
from dashboard.data import news
from dashboard.data.lake import Lake
from tickerlake.errors import TickerlakeError

_KINDS = {"New high": "new_high", "Above": "above", "Below": "below"}


def rules(lake: Lake) -> None:
    """The lake's rules, with the buttons that add and remove them."""
    with st.expander("Alerts", icon=":material/notifications:"):
        try:
            for place, rule in enumerate(news.wanted(lake)):
                of = labels.listing(list(rule.tickers)) or "every ticker"
                st.button(
                    labels.escape(f"{rule.name}, {of}"),
                    icon=":material/delete:",
                    key=f"alert {place}",
                    width="stretch",
                    help="Remove this alert",
                    on_click=_change,
                    args=(news.remove, lake, place),
                )
        except TickerlakeError as error:
            st.error(labels.escape(str(error)))
            return
        kind = st.selectbox("Alert on", list(_KINDS), key="alert kind")
        value: int | float
        if kind == "New high":
            value = st.number_input("Of sessions", 1, 1000, 1, key="alert sessions", help="1 is today alone")
        else:
            value = st.number_input("Price", 0.01, value=100.0, key="alert price")
        tickers = st.text_input("Tickers", key="alert tickers", placeholder="every ticker", help="Separated by commas")
        entry: dict[str, Any] = {_KINDS[kind]: value}
        if names := [name.strip() for name in tickers.split(",") if name.strip()]:
            entry["tickers"] = names
        st.button(
            "Add",
            icon=":material/add:",
            key="alert add",
            on_click=_change,
            args=(news.add, lake, entry),
        )
        refusal.show("alert")


def _change(change: Callable[..., None], lake: Lake, what: object) -> None:
    with refusal.kept("alert"):
        change(lake, what)


def permission() -> None:
    """The button that asks the browser to let this page notify, as browsers do only after a click."""
    if st.button("Notify in this browser", icon=":material/notifications:", key="notify", width="stretch"):
        script = "window.Notification && Notification.requestPermission()"
        st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)
