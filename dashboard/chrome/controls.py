"""The controls: exchange, session or range, tickers, measure, view."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal, NamedTuple

import streamlit as st
from streamlit.elements.lib.mutable_tab_container import TabContainer

from dashboard import access, labels
from dashboard.chrome import url
from dashboard.data.lake import Lake
from dashboard.data.measures import MEASURES, ORIGINS, Measure, Origin
from tickerlake.errors import ConfigError
from tickerlake.exchange import Exchange
from tickerlake.symbols import parse_tickers

_RANGE = 5
"""Sessions in a range before its ends are chosen."""
WINDOWS = ("60", "20", "252", "all")
"""How many sessions are compared."""


class Span(NamedTuple):
    """The sessions on the page, as dates in exchange time."""

    first: dt.date
    last: dt.date

    @property
    def is_one_session(self) -> bool:
        """Whether it is one session."""
        return self.first == self.last

    def __str__(self) -> str:
        return str(self.first) if self.is_one_session else f"{self.first}-to-{self.last}"


class Tickers(NamedTuple):
    """The tickers asked for: those that the lake holds in these sessions, and the others."""

    chosen: list[str]
    unknown: list[str]


def exchange(lake: Lake) -> None:
    """The exchange that pages show, if the lake has several. ConfigError for another in the address."""
    named = {each.code: each.name for each in lake.exchanges}
    chosen = url.recall().get("exchange", lake.exchange.code)
    if named and chosen not in named:
        raise ConfigError(f"exchange={chosen} in the address is not one of {', '.join(named)}")
    if len(named) < 2:
        return
    _set("pick exchange", chosen)
    # Sessions and tickers of one exchange mean nothing on another.
    others = dict.fromkeys(("session", "to", "tickers", "ticker", "hour", "other"))
    st.selectbox(
        "Exchange",
        list(named),
        key="pick exchange",
        format_func=named.__getitem__,
        on_change=lambda: url.choose(exchange=st.session_state["pick exchange"], **others),
    )


def session(held: Sequence[dt.date], *, by_key: bool = False) -> dt.date:
    """One session of `held` (newest first), or the date in the address. With `by_key` also by the arrow keys."""
    chosen = _date("session") or held[0]
    options = sorted({*held, chosen}, reverse=True)
    _set("pick session", chosen)
    st.selectbox(
        "Session",
        options,
        format_func=lambda date: labels.day(date) + ("" if date in held else " (not in the lake)"),
        key="pick session",
        on_change=lambda: url.choose(session=st.session_state["pick session"].isoformat(), to=None, hour=None),
    )
    at = options.index(chosen)
    _step_buttons(
        [
            _Step("Earlier", "left", {"session": options[at + 1].isoformat()} if at + 1 < len(options) else None),
            _Step("Later", "right", {"session": options[at - 1].isoformat()} if at else None),
        ],
        by_key=by_key,
    )
    return chosen


def span(held: Sequence[dt.date]) -> Span:
    """One session, or a range. ConfigError for a range in the wrong order."""
    _set("pick kind", "Range" if _date("to") else "One session")
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
    return _range(held)


def tickers(held: Sequence[str], default: Sequence[str], *, sessions: int) -> Tickers:
    """Some of the tickers `held`, by default `default`. ConfigError for what is not a symbol.

    Also if they are too many to show `sessions` of them; see `access.check`.
    """
    text = url.recall().get("tickers")
    wanted = list(default) if text is None else _parse(text, held)
    chosen = [ticker for ticker in wanted if ticker in set(held)]
    access.check(tickers=len(chosen), sessions=sessions)
    _set("pick tickers", chosen)
    st.multiselect(
        "Tickers",
        list(held),
        key="pick tickers",
        placeholder="Search tickers",
        wrap=True,
        on_change=lambda: url.choose(tickers=",".join(st.session_state["pick tickers"])),
    )
    return Tickers(chosen, [ticker for ticker in wanted if ticker not in set(held)])


def ticker(held: Sequence[str], default: str, *, by_key: bool = False) -> str:
    """One of the tickers `held`. With `by_key` also by the arrow keys. ConfigError for another."""
    wanted = url.recall().get("ticker") or default
    chosen = wanted if wanted in held else wanted.upper()
    if chosen not in held:
        raise ConfigError(f"no bars of {chosen} in this session; it has {labels.listing(list(held), 20)}")
    _set("pick ticker", chosen)
    st.selectbox(
        "Ticker",
        list(held),
        key="pick ticker",
        on_change=lambda: url.choose(ticker=st.session_state["pick ticker"], hour=None),
    )
    if by_key:
        at = list(held).index(chosen)
        _step_buttons(
            [
                _Step("Previous", "up", {"ticker": held[at - 1]} if at else None),
                _Step("Next", "down", {"ticker": held[at + 1]} if at + 1 < len(held) else None),
            ],
            by_key=True,
        )
    return chosen


def hour(place: Exchange) -> int | None:
    """The hour in the address; None without one. ConfigError for what is not an hour of a session."""
    text, hours = url.recall().get("hour"), place.hours
    if text and text not in map(str, hours):
        raise ConfigError(f"hour={text} in the address is not an hour of a session, {hours[0]} to {hours[-1]}")
    return int(text) if text else None


def measure(currencies: Sequence[str], *, one_session: bool) -> Measure:
    """What the views show. Percentiles need one session, prices one of `currencies`.

    ConfigError for another value in the address.
    """
    shown = {name: each.named(labels.listing(list(currencies))) for name, each in MEASURES.items()}
    if not one_session:
        shown = {name: each for name, each in shown.items() if each.scale != "percentile"}
    if len(currencies) > 1:
        shown = {name: each for name, each in shown.items() if each.scale != "price"}
        st.caption(f"Prices in {labels.listing(list(currencies))} share no scale.")
    allowed = list(shown)
    _set("pick measure", _one_of("measure", allowed))
    st.selectbox(
        "Measure",
        allowed,
        key="pick measure",
        format_func=lambda name: shown[name].label,
        on_change=lambda: url.choose(measure=_unless_default("pick measure", allowed[0])),
    )
    return shown[st.session_state["pick measure"]]


def origin() -> Origin:
    """What changes are measured from. ConfigError for another value in the address."""
    names: list[Origin] = list(ORIGINS)
    _set("pick origin", _one_of("from", names))
    st.selectbox(
        "Measured from",
        names,
        key="pick origin",
        format_func=ORIGINS.__getitem__,
        on_change=lambda: url.choose(**{"from": _unless_default("pick origin", names[0])}),
    )
    return st.session_state["pick origin"]


def window(held: Sequence[dt.date], last: dt.date) -> list[dt.date]:
    """The sessions of `held` (newest first) up to `last` that are compared. ConfigError for another number."""
    _set("pick window", _one_of("last", WINDOWS))
    st.selectbox(
        "Compared sessions",
        WINDOWS,
        key="pick window",
        format_func=lambda count: "All" if count == WINDOWS[-1] else f"Last {count}",
        on_change=lambda: url.choose(last=_unless_default("pick window", WINDOWS[0])),
    )
    chosen = st.session_state["pick window"]
    days = [date for date in held if date <= last]
    days = days if chosen == WINDOWS[-1] else days[: int(chosen)]
    access.check(sessions=len(days))
    return days


def other(held: Sequence[dt.date], than: dt.date, *, required: bool = False) -> dt.date | None:
    """A session of `held` (newest first) to compare `than` with, or none; if `required` by default the one before."""
    rest = [date for date in held if date != than]
    before = next((date for date in rest if date < than), rest[0] if rest else None)
    chosen = _date("other")
    chosen = chosen if chosen in rest else before if required else None
    _set("pick other", chosen)
    st.selectbox(
        "Compared with",
        rest,
        index=None,
        placeholder="No other session",
        format_func=labels.day,
        key="pick other",
        on_change=lambda: url.choose(other=_iso("pick other")),
    )
    return chosen


def views(names: Sequence[str], parameter: str = "view") -> Sequence[TabContainer]:
    """The tabs `names`, one of them open. ConfigError for another name in the address, under `parameter`."""
    key = f"pick {parameter}"
    _set(key, _one_of(parameter, names))

    # Streamlit's own `bind` and `url.write` would overwrite each other's parameters.
    def pick() -> None:
        url.choose(**{parameter: _unless_default(key, names[0])})
        url.write()  # the tabs may be in a fragment, which runs without the rest of the page

    return st.tabs(names, key=key, on_change=pick)


class _Step(NamedTuple):
    """A button to what comes before or after."""

    label: str
    towards: Literal["left", "right", "up", "down"]
    choices: dict[str, str] | None
    """What it chooses; None where there is nothing more."""


def _step_buttons(steps: Sequence[_Step], *, by_key: bool) -> None:
    """Buttons side by side; with `by_key` the arrow keys press them."""
    icons = {"left": "chevron_left", "right": "chevron_right", "up": "expand_less", "down": "expand_more"}
    for column, step in zip(st.columns(2, gap="small", wrap=False), steps, strict=True):
        column.button(
            step.label,
            icon=f":material/{icons[step.towards]}:",
            icon_position="right" if step.towards == "right" else "left",
            key=f"step {step.towards}",
            disabled=step.choices is None,
            width="stretch",
            on_click=url.choose,
            kwargs={"to": None, "hour": None, **(step.choices or {})},
            shortcut=step.towards.capitalize() if by_key else None,
        )


def _range(held: Sequence[dt.date]) -> Span:
    first = _date("session") or held[min(_RANGE, len(held)) - 1]
    last = _date("to") or held[0]
    if first > last:
        raise ConfigError(f"first session {first} is after last session {last}; swap them")
    days = sorted({*held, first, last})
    access.check(sessions=sum(first <= day <= last for day in held))
    _set("pick first", first)
    _set("pick last", last)
    left, right = st.columns(2, gap="small", wrap=False)
    left.selectbox(
        "From",
        [day for day in days if day <= last],
        format_func=lambda date: labels.day(date, weekday=False),
        key="pick first",
        on_change=lambda: url.choose(session=st.session_state["pick first"].isoformat()),
    )
    right.selectbox(
        "To",
        [day for day in days if day >= first],
        format_func=lambda date: labels.day(date, weekday=False),
        key="pick last",
        on_change=lambda: url.choose(to=st.session_state["pick last"].isoformat()),
    )
    return Span(first, last)


def _choose_kind(held: Sequence[dt.date]) -> None:
    if st.session_state["pick kind"] == "One session":
        url.choose(session=url.recall().get("to"), to=None)
    else:
        last = _date("session") or held[0]
        before = [date for date in held if date <= last] or [last]
        first = before[min(_RANGE, len(before)) - 1].isoformat()
        url.choose(session=first, to=last.isoformat(), measure=None, **{"from": None})


def _parse(text: str, held: Sequence[str]) -> list[str]:
    """The tickers in `text`. A ticker that the lake holds need not be a symbol: imports keep any name."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return list(dict.fromkeys(name for given in names for name in ([given] if given in held else parse_tickers(given))))


def _one_of(name: str, allowed: Sequence[str]) -> str:
    """The choice `name`, by default the first of `allowed`. ConfigError if it is none of them."""
    chosen = url.recall().get(name, allowed[0])
    if chosen not in allowed:
        raise ConfigError(f"{name}={chosen} in the address is not one of {', '.join(allowed)}")
    return chosen


def _unless_default(key: str, default: str) -> str | None:
    picked = st.session_state[key]
    return None if picked == default else picked


def _iso(key: str) -> str | None:
    picked: dt.date | None = st.session_state[key]
    return picked.isoformat() if picked else None


def _date(name: str) -> dt.date | None:
    """The choice `name` as a date; None without one. ConfigError for what is not a date."""
    text = url.recall().get(name)
    try:
        return dt.date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ConfigError(f"{name}={text} in the address is not a date; write {name}=YYYY-MM-DD") from error


def _set(key: str, value: object) -> None:
    """Set a control's value, but only on change: rewriting it drops a pending click."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value
