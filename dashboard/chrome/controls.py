"""The controls: which session or range, which tickers, which scale and view."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal, NamedTuple

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer

from dashboard import labels
from dashboard.chrome.url import choose, recall, write_url
from tickerlake.errors import ConfigError
from tickerlake.symbols import parse_tickers


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


def session(held: Sequence[dt.date]) -> dt.date:
    """One session of `held` (newest first), or the date that the URL asks for."""
    asked = _date(recall().get("session"), "session") or held[0]
    options = sorted({*held, asked}, reverse=True)
    at = options.index(asked)
    _show("pick session", asked)
    st.selectbox(
        "Session",
        options,
        format_func=lambda date: labels.day(date) + ("" if date in held else " (not held)"),
        key="pick session",
        on_change=lambda: choose(session=st.session_state["pick session"].isoformat(), to=None),
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
            on_click=choose,
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
        format_func=lambda date: labels.day(date, weekday=False),
        key="pick first",
        on_change=lambda: choose(session=st.session_state["pick first"].isoformat()),
    )
    right.selectbox(
        "To",
        [day for day in days if day >= first],
        format_func=lambda date: labels.day(date, weekday=False),
        key="pick last",
        on_change=lambda: choose(to=st.session_state["pick last"].isoformat()),
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
        on_change=lambda: choose(tickers=",".join(st.session_state["pick tickers"])),
    )
    return Tickers(known, [ticker for ticker in asked if ticker not in set(there)])


def ticker(there: Sequence[str], first_choice: str) -> str:
    """One of the tickers `there`. ConfigError where the URL asks for another."""
    asked = (recall().get("ticker") or first_choice).upper()
    if asked not in there:
        raise ConfigError(f"the session has no bars of {asked}; it has {labels.listing(list(there), 20)}")
    _show("pick ticker", asked)
    st.selectbox(
        "Ticker",
        list(there),
        key="pick ticker",
        on_change=lambda: choose(ticker=st.session_state["pick ticker"]),
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
        on_change=lambda: choose(scale="usd" if st.session_state["pick scale"] == "usd" else None),
    )
    return "usd" if picked == "usd" else "percent"


def views(names: Sequence[str]) -> Sequence[TabContainer]:
    """The tabs `names`, of which one is open. ConfigError where the URL asks for another."""
    _show("pick view", _one_of("view", names))

    # Not Streamlit's own `bind`: it and `write_url` would each write the URL as if the other had not.
    def pick() -> None:
        picked = st.session_state["pick view"]
        choose(view=None if picked == names[0] else picked)
        write_url()  # the tabs may stand in a fragment, which runs again alone

    return st.tabs(names, key="pick view", on_change=pick)


def _one_of(name: str, allowed: Sequence[str]) -> str:
    """What is chosen for `name`, by default the first. ConfigError where it is not `allowed`."""
    chosen = recall().get(name, allowed[0])
    if chosen not in allowed:
        raise ConfigError(f"{name}={chosen} in the address is none of {', '.join(allowed)}")
    return chosen


def _show(key: str, value: object) -> None:
    """Makes a control show `value`. One that does so already is left alone: told again, it would forget a click
    that is on its way.
    """
    if st.session_state.get(key) != value:
        st.session_state[key] = value


def _choose_kind(held: Sequence[dt.date]) -> None:
    if st.session_state["pick kind"] == "One session":
        choose(session=st.session_state["choices"].get("to"), to=None)
    else:
        last = _date(st.session_state["choices"].get("session"), "session") or held[0]
        before = [date for date in held if date <= last] or [last]
        choose(session=before[min(4, len(before) - 1)].isoformat(), to=last.isoformat())


def _date(text: str | None, name: str) -> dt.date | None:
    """The date that `text` spells. ConfigError where it spells none."""
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ConfigError(f"{name}={text} in the address is no date; write one such as {name}=2026-11-20") from error
