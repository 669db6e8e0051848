"""The moment that pages look back to: every query answers with what the lake knew then."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import streamlit as st

from dashboard import clock, labels
from dashboard.chrome import url
from dashboard.data.lake import Lake
from tickerlake.errors import ConfigError
from tickerlake.exchange import Exchange
from tickerlake.query import types

_KEY = "pick as of"
_SHOWN = "lake shown"


def look_back(lake: Lake) -> Lake:
    """The lake as of the moment in the address, from now on the `current_lake` of this run.

    ConfigError for what is not a moment, or not past.
    """
    st.session_state[_SHOWN] = found = replace(lake, as_of=chosen(lake.exchange))
    return found


def current_lake() -> Lake:
    """The lake as of the moment in the address."""
    return st.session_state[_SHOWN]


def chosen(place: Exchange) -> dt.datetime | None:
    """The moment in the address, in the time of `place` if it has no offset; None for now. ConfigError."""
    text = url.recall().get("as_of")
    if not text:
        return None
    try:
        moment = dt.datetime.fromisoformat(types.parse("as_of", "timestamp", text, place.zone)).replace(tzinfo=dt.UTC)
    except OverflowError as error:
        raise ConfigError(f"as_of={text} in the address is out of range; write a date after 1999") from error
    if moment > clock.now() and len(text) > len("2026-11-20"):
        raise ConfigError(f"as_of={text} in the address is in the future; write an earlier time, or none for now")
    return moment


def control(place: Exchange) -> None:
    """The button and its popover, in which a moment is chosen."""
    now = clock.now().astimezone(place.zone).replace(tzinfo=None, second=0, microsecond=0)
    with st.popover("As of", icon=":material/history:", width="content"):
        st.datetime_input(
            "As of, exchange time",
            None,
            max_value=now,
            key=_KEY,
            format="YYYY-MM-DD",
            step=dt.timedelta(minutes=5),
            help="Shows what the lake knew at this moment: without later bars, corrections and splits.",
            on_change=_choose,
        )


def banner(lake: Lake) -> None:
    """Say that the page looks back, and offer the way to now."""
    if lake.as_of is None:
        return
    url.write()  # not every page writes the address
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(
            f"**As of {labels.instant(lake.as_of, lake.exchange)}: what the lake knew then.**",
            icon=":material/history:",
        )
        st.button("Show now", icon=":material/update:", on_click=_forget)


def _choose() -> None:
    moment: dt.datetime | None = st.session_state[_KEY]
    url.choose(as_of=moment.isoformat(timespec="minutes") if moment else None)
    url.write()


def _forget() -> None:
    st.session_state[_KEY] = None
    url.choose(as_of=None)
    url.write()
