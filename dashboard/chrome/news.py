"""News of the running session: toasts, the tab's title, and notifications of the browser."""

from __future__ import annotations

import json

import streamlit as st

from dashboard import clock, labels
from dashboard.chrome.live import REFRESH, live
from dashboard.data import news
from dashboard.data.lake import Lake

_NOTIFY = """
for (const [title, body] of %s)
  if (window.Notification && Notification.permission === "granted") new Notification(title, { body, tag: title });
"""


def show(lake: Lake) -> None:
    """Look for news now, and again and again while the session runs. Nothing for a lake in the cloud or the past."""
    if lake.is_local and lake.as_of is None and any(each.running(clock.now()) for each in lake.exchanges):
        live(_news, REFRESH)(lake)


def _news(lake: Lake) -> None:
    key = f"alerts shown {lake.settings.lake}"
    shown = st.session_state.get(key)
    found, st.session_state[key] = news.messages(lake, shown)
    if not found:
        return
    st.session_state["news"] = found[-1].title
    st.set_page_config(page_title=found[-1].title)
    if shown is None:  # a visitor is not alerted to what happened before the visit
        return
    for message in found:
        st.toast(labels.escape(message.text), icon=":material/notifications:", duration="long")
    pairs = json.dumps([[message.title, message.text] for message in found]).replace("</", "<\\/")
    st.html(f"<script>{_NOTIFY % pairs}</script>", unsafe_allow_javascript=True)
