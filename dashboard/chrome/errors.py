"""What people read when there is nothing to draw: each kind of trouble in its own words, with the next step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import wraps
from typing import Any

import streamlit as st

from dashboard import labels
from dashboard.chrome import collect_control, url
from dashboard.data import lake
from tickerlake import exchange
from tickerlake.errors import ConfigError, LakeEmpty, NoAccess, QueryFailed, TickerlakeError


def live(part: Callable[..., None], every: dt.timedelta | None) -> Callable[..., None]:
    """`part` of a page as a fragment that runs again by itself; what it raises is told in its place."""

    @wraps(part)
    def told(*arguments: Any, **named: Any) -> None:
        try:
            part(*arguments, **named)
        except TickerlakeError as error:
            show(error, way_back=False)

    return st.fragment(told, run_every=every)


def show(error: TickerlakeError, *, way_back: bool = True) -> None:
    """Puts `error` on the page, by its type; with a `way_back` to the choices that everybody starts with."""
    match error:
        case LakeEmpty():
            st.header("The lake is empty", anchor=False)
            st.info(str(error), icon=":material/water_loss:")
            st.markdown(
                "Collect the last session with the button **Collect** above, or in a terminal with "
                "`tickerlake collect`. To look around first, `--source simulated` invents one."
                if collect_control.offered()
                else "The collector has delivered nothing yet: look at **Pipeline** for its last runs."
            )
        case QueryFailed():
            st.header("The engine did not answer", anchor=False)
            st.error(str(error), icon=":material/error:")
            if error.query_id:
                st.caption(f"Query id: {error.query_id}")
            st.markdown("The page asks again when it is loaded again.")
        case NoAccess():
            st.header("The lake does not open", anchor=False)
            st.error(str(error), icon=":material/key_off:")
            st.markdown(
                "Put that right and load the page again; a changed setting takes a new start of the dashboard. "
                "All settings: `tickerlake settings`."
            )
        case ConfigError():
            st.header("That cannot be shown", anchor=False)
            st.warning(str(error), icon=":material/tune:")
            st.markdown("Choose another session or other tickers, or check the address and the settings.")
            if way_back:
                st.button("Start over", icon=":material/restart_alt:", on_click=url.forget)
        case _:
            st.header("That did not work", anchor=False)
            st.error(str(error), icon=":material/error:")


def no_session(date: dt.date, held: list[dt.date], now: dt.datetime) -> None:
    """Why there is nothing of `date`: no session, not opened yet, or not collected. And what there is."""
    nearest = [
        max((d for d in held if d < date), default=None),
        min((d for d in held if d > date), default=None),
    ]
    there = labels.listing([labels.day(d) for d in nearest if d])
    session = next(iter(exchange.sessions_between(date, date)), None)
    if session is None:
        why = "a weekend" if date.weekday() >= 5 else "a holiday of the exchange"
        st.info(f"No session on {date:%A}, {labels.day(date, weekday=False)}: {why}.", icon=":material/event_busy:")
    elif session.open > now:
        st.info(
            f"The session of {labels.day(date)} has not opened yet. It opens at {labels.clock_time(session.open)} "
            f"({labels.offset(session.open)}).",
            icon=":material/schedule:",
        )
    else:
        st.info(f"The session of {labels.day(date)} has not been collected.", icon=":material/cloud_download:")
        if collect_control.offered():
            st.markdown("The button **Collect** above brings it, as far back as Yahoo still serves it.")
    if there:
        st.markdown(f"The nearest sessions that the lake holds: {there}.")


def _settings(error: ConfigError) -> None:
    """The settings themselves are wrong, so there is no lake to speak of."""
    st.header("The settings cannot be used", anchor=False)
    st.error(str(error), icon=":material/settings_alert:")
    st.markdown("Change the environment variable and start the dashboard again. All settings: `tickerlake settings`.")


def current_lake() -> lake.Lake:
    """The lake, or the end of this run with the settings' fault told."""
    try:
        return lake.current()
    except ConfigError as error:
        _settings(error)
        st.stop()
