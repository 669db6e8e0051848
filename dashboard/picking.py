"""The visitor's choices: kept in the URL, so that a link or a reload shows the same, and across pages.

    session=2026-11-20        one session; left away, the newest
    to=2026-11-24             with `session`: a span
    tickers=META,AMZN         the tickers drawn together
    ticker=META               the ticker of the page Session
    scale=usd                 prices instead of percent from the open
    view=Table                the tab of the page Hourly highs; left away, the first

A value that means nothing is told on the page, not passed over.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer

from dashboard import wording
from tickerlake.errors import ConfigError
from tickerlake.symbols import parse_tickers

_URL_ARRIVES_WITHIN = 3.0
PARAMETERS = ("session", "to", "tickers", "ticker", "scale", "view")


class Span(NamedTuple):
    """The sessions on the page, as dates in exchange time."""

    first: dt.date
    last: dt.date

    @property
    def is_one_session(self) -> bool:
        """Whether it is one session."""
        return self.first == self.last


class Tickers(NamedTuple):
    """The tickers asked for: those there are, and those the lake does not know."""

    chosen: list[str]
    unknown: list[str]


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


def session(held: Sequence[dt.date]) -> dt.date:
    """One session of `held` (newest first), or the date that the URL asks for."""
    asked = _date(recall().get("session"), "session") or held[0]
    options = sorted({*held, asked}, reverse=True)
    at = options.index(asked)
    _show("pick session", asked)
    st.selectbox(
        "Session",
        options,
        format_func=lambda date: wording.day(date) + ("" if date in held else " (not held)"),
        key="pick session",
        on_change=lambda: _choose(session=st.session_state["pick session"].isoformat(), to=None),
    )
    earlier, later = st.columns(2, gap="small", wrap=False)
    for column, step, label, icon, side in (
        (earlier, 1, "Earlier", ":material/chevron_left:", "left"),
        (later, -1, "Later", ":material/chevron_right:", "right"),
    ):
        there = 0 <= at + step < len(options)
        column.button(
            label,
            icon=icon,
            icon_position=side,
            key=f"step {step}",
            disabled=not there,
            width="stretch",
            on_click=_choose,
            kwargs={"session": options[at + step].isoformat(), "to": None} if there else {},
        )
    return asked


def span(held: Sequence[dt.date]) -> Span:
    """One session, or the first and the last of a span."""
    choices = recall()
    last = _date(choices.get("to"), "to")
    _show("pick kind", "Range" if last else "One session")
    kind = st.segmented_control(
        "Show",
        ["One session", "Range"],
        key="pick kind",
        required=True,
        label_visibility="collapsed",
        width="stretch",
        on_change=lambda: _choose_kind(held),
    )
    if kind == "One session":
        date = session(held)
        return Span(date, date)
    first = _date(choices.get("session"), "session") or held[min(4, len(held) - 1)]
    last = last or held[0]
    if first > last:
        raise ConfigError(f"first session {first} is after last session {last}; swap them")
    days = sorted({*held, first, last})
    _show("pick first", first)
    _show("pick last", last)
    left, right = st.columns(2, gap="small", wrap=False)
    left.selectbox(
        "From",
        [day for day in days if day <= last],
        format_func=lambda date: wording.day(date, weekday=False),
        key="pick first",
        on_change=lambda: _choose(session=st.session_state["pick first"].isoformat()),
    )
    right.selectbox(
        "To",
        [day for day in days if day >= first],
        format_func=lambda date: wording.day(date, weekday=False),
        key="pick last",
        on_change=lambda: _choose(to=st.session_state["pick last"].isoformat()),
    )
    return Span(first, last)


def tickers(there: Sequence[str], first_choice: Sequence[str]) -> Tickers:
    """Some of the tickers `there`; unless chosen otherwise, `first_choice`."""
    text = recall().get("tickers")
    asked = list(first_choice) if text is None else list(parse_tickers(text)) if text else []
    known = [ticker for ticker in asked if ticker in set(there)]
    _show("pick tickers", known)
    st.multiselect(
        "Tickers",
        list(there),
        key="pick tickers",
        placeholder="Search a ticker",
        wrap=True,
        on_change=lambda: _choose(tickers=",".join(st.session_state["pick tickers"])),
    )
    return Tickers(known, [ticker for ticker in asked if ticker not in set(there)])


def ticker(there: Sequence[str], first_choice: str) -> str:
    """One of the tickers `there`. ConfigError where the URL asks for another."""
    asked = (recall().get("ticker") or first_choice).upper()
    if asked not in there:
        raise ConfigError(f"the session has no bars of {asked}; it has {wording.listing(list(there), 20)}")
    _show("pick ticker", asked)
    st.selectbox(
        "Ticker",
        list(there),
        key="pick ticker",
        on_change=lambda: _choose(ticker=st.session_state["pick ticker"]),
    )
    return asked


def scale() -> Literal["percent", "usd"]:
    """`percent` from the open, or `usd`. ConfigError where the URL asks for another."""
    _show("pick scale", _one_of("scale", ("percent", "usd")))
    picked = st.segmented_control(
        "Scale",
        ["percent", "usd"],
        key="pick scale",
        required=True,
        format_func={"percent": "% from the open", "usd": "USD"}.__getitem__,
        width="stretch",
        on_change=lambda: _choose(scale="usd" if st.session_state["pick scale"] == "usd" else None),
    )
    return "usd" if picked == "usd" else "percent"


def views(names: Sequence[str]) -> Sequence[TabContainer]:
    """The tabs `names`, of which one is open. ConfigError where the URL asks for another."""
    _show("pick view", _one_of("view", names))

    # Not Streamlit's own `bind`: it and `write_url` would each write the URL as if the other had not.
    def choose() -> None:
        picked = st.session_state["pick view"]
        _choose(view=None if picked == names[0] else picked)
        write_url()  # the tabs may stand in a fragment, which runs again alone

    return st.tabs(names, key="pick view", on_change=choose)


def _one_of(name: str, allowed: Sequence[str]) -> str:
    """What is chosen for `name`, by default the first. ConfigError where it is not `allowed`."""
    chosen = recall().get(name, allowed[0])
    if chosen not in allowed:
        raise ConfigError(f"{name}={chosen} in the address is none of {', '.join(allowed)}")
    return chosen


def _on_its_way(outside: dict[str, str]) -> bool:
    """Whether `outside` is the URL of a moment ago: a quick second click still comes with the one before."""
    before, replaced = st.session_state.get("choices before", (None, 0.0))
    return outside == before and time.monotonic() - replaced < _URL_ARRIVES_WITHIN


def _show(key: str, value: object) -> None:
    """Makes a control show `value`. One that does so already is left alone: told again, it would forget a click
    that is on its way.
    """
    if st.session_state.get(key) != value:
        st.session_state[key] = value


def _choose(**choices: str | None) -> None:
    """Takes up choices; None gives one up."""
    kept: dict[str, str] = st.session_state["choices"]
    for name, value in choices.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value


def _choose_kind(held: Sequence[dt.date]) -> None:
    if st.session_state["pick kind"] == "One session":
        _choose(session=st.session_state["choices"].get("to"), to=None)
    else:
        last = _date(st.session_state["choices"].get("session"), "session") or held[0]
        before = [date for date in held if date <= last] or [last]
        _choose(session=before[min(4, len(before) - 1)].isoformat(), to=last.isoformat())


def _date(text: str | None, name: str) -> dt.date | None:
    """The date that `text` spells. ConfigError where it spells none."""
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ConfigError(f"{name}={text} in the address is no date; write one such as {name}=2026-11-20") from error
