"""Messages instead of charts: each kind of error in plain words, with the next step."""

from __future__ import annotations

import datetime as dt

import streamlit as st

from dashboard import access, labels
from dashboard.chrome import collect_control, url
from dashboard.data import lake
from tickerlake.errors import ConfigError, LakeEmpty, NoAccess, QueryFailed, TickerlakeError

_SETTINGS = "Change the environment variable and restart the dashboard. `tickerlake settings` lists all settings."


def show(error: TickerlakeError, *, start_over: bool = True) -> None:
    """Show `error` by its type; with `start_over`, a bad choice gets a button that resets all choices."""
    text = labels.escape(str(error))
    match error:
        case LakeEmpty():
            st.header("The lake is empty", anchor=False)
            if not access.is_read_only():
                st.info(text, icon=":material/water_loss:")
            if collect_control.offered():
                st.markdown("Collect the last session from Yahoo, or look around with simulated prices.")
                collect_control.fill(current_lake())
            else:
                st.markdown("The collector has not delivered any bars yet. **Pipeline** shows its latest runs.")
        case QueryFailed():
            st.header("Query failed", anchor=False)
            st.error(text, icon=":material/error:")
            if error.query_id:
                st.caption(f"Query id: {labels.escape(error.query_id)}")
            st.markdown("Reload the page to run the query again.")
        case NoAccess():
            st.header("Cannot open the lake", anchor=False)
            st.error(text, icon=":material/key_off:")
            st.markdown(
                "Fix this and reload the page. After changing a setting, restart the dashboard. "
                "`tickerlake settings` lists all settings."
            )
        case ConfigError():
            st.header("Cannot show this", anchor=False)
            st.warning(text, icon=":material/tune:")
            st.markdown("Choose another session or other tickers, or check the address and the settings.")
            if start_over:
                st.button("Start over", icon=":material/restart_alt:", on_click=url.forget)
        case _:
            st.header("Something failed", anchor=False)
            st.error(text, icon=":material/error:")


def no_session(shown: lake.Lake, date: dt.date, held: list[dt.date]) -> None:
    """Say why there are no bars of `date`: no session, not opened yet, or not collected. Name the nearest sessions."""
    place, now = shown.exchange, shown.now()
    session = next(iter(place.sessions_between(date, date)), None)
    if session is None:
        why = "weekend" if date.weekday() >= 5 else "exchange holiday"
        st.info(f"No session on {date:%A}, {labels.day(date, weekday=False)}: {why}.", icon=":material/event_busy:")
    elif session.open > now:
        opens = f"{labels.clock_time(session.open, place)} ({labels.offset(session.open, place)})"
        st.info(f"The session of {labels.day(date)} opens at {opens}.", icon=":material/schedule:")
    else:
        st.info(f"The session of {labels.day(date)} has not been collected.", icon=":material/cloud_download:")
        if collect_control.offered():
            st.markdown("Use **Collect** above while Yahoo still has it (5-minute bars: about 60 days).")
    before, after = max((d for d in held if d < date), default=None), min((d for d in held if d > date), default=None)
    if nearest := labels.listing([labels.day(d) for d in (before, after) if d]):
        st.markdown(f"Nearest sessions in the lake: {nearest}.")


def current_lake() -> lake.Lake:
    """The lake with the exchange in the address; if the settings cannot be used, show why and end this run."""
    try:
        return lake.current().showing(url.recall().get("exchange"))
    except ConfigError as error:
        st.header("Invalid settings", anchor=False)
        st.error(labels.escape(str(error)), icon=":material/settings_alert:")
        st.markdown(_SETTINGS)
        st.stop()
