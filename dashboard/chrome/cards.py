"""Cards above the charts: best and worst mover, how many rose, when the highs were; and plain figures."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import streamlit as st

from dashboard import labels
from dashboard.charts.sparkline import sparkline
from dashboard.chrome.theme import palette
from dashboard.data.figures import Figure, Mover

NARROWEST = 160
"""Least width of a card in pixels: two fit on a phone."""


class Slots(NamedTuple):
    """Where a high may be, the hours of a session or the sessions of a range, and how cards name it."""

    names: dict[int | str, str]
    title: str
    high: str
    place: str
    all_highs: str


def hours() -> Slots:
    """The hours of one session."""
    names: dict[int | str, str] = {hour: labels.hour_span(hour) for hour in labels.HOURS}
    return Slots(names, "Top hour for highs", "Session high", "at", "Session highs by hour, 09:30 to 16:00")


def sessions(dates: Sequence[dt.date]) -> Slots:
    """The sessions `dates`, oldest first."""
    first, last = dates[0], dates[-1]
    in_short = labels.short_day if first.year == last.year else partial(labels.day, weekday=False)
    names: dict[int | str, str] = {date.isoformat(): in_short(date) for date in dates}
    return Slots(
        names, "Top session for highs", "High", "on", f"Highs by session, {in_short(first)} to {in_short(last)}"
    )


def movers(found: Sequence[Mover], slots: Slots) -> None:
    """The cards of `found`, which starts with the best; one card if there is one ticker."""
    if len(found) == 1:
        with st.container(border=True):
            _mover(labels.escape(found[0].ticker), found[0], slots)
        return
    grid = st.grid(4, min_column_width=NARROWEST, border=True)
    with grid.cell():
        _mover(f"Best: {labels.escape(found[0].ticker)}", found[0], slots)
    with grid.cell():
        _mover(f"Worst: {labels.escape(found[-1].ticker)}", found[-1], slots)
    with grid.cell():
        _breadth(found)
    with grid.cell():
        _highs(found, slots)


def figures(shown: Iterable[Figure]) -> None:
    """A card for each figure."""
    grid = st.grid(4, min_column_width=NARROWEST)
    for figure in shown:
        grid.metric(
            figure.label,
            figure.text,
            border=True,
            height="stretch",
            chart_data=figure.course or None,
            delta=figure.below,
            delta_color="off",
            delta_arrow="off",
        )


def _mover(label: str, mover: Mover, slots: Slots) -> None:
    # A card on a phone has no room for more than the percentage beside the arrow.
    st.metric(label, f"{labels.price(mover.last_price)} USD", labels.delta(mover.change))
    colour = palette().up if mover.change > 0 else palette().down
    _sparkline(mover.highs, colour, f"Highs of {mover.ticker}")
    st.caption(
        f"Change from {labels.basis(has_open=mover.has_open)}. "
        f"{slots.high} **{labels.price(mover.high)}** {slots.place} {slots.names[mover.high_slot]}, "
        f"low **{labels.price(mover.low)}**"
    )


def _breadth(found: Sequence[Mover]) -> None:
    """How many tickers rose."""
    changes = [mover.change for mover in found]
    basis = labels.basis(has_open=all(mover.has_open for mover in found))
    st.metric(
        f"Above {basis}",
        f"{sum(change > 0 for change in changes)} of {len(found)}",
        f"{labels.delta(sum(changes) / len(found))} on average",
    )
    _sparkline(changes, palette().faint, f"Change of each ticker from {basis}, best first", bars=True)
    st.caption(f"From {labels.escape(found[0].ticker)} (best) to {labels.escape(found[-1].ticker)} (worst)")


def _highs(found: Sequence[Mover], slots: Slots) -> None:
    """The hour or session in which most tickers had their high; of several, the first."""
    counts = Counter(mover.high_slot for mover in found)
    most = max(slots.names, key=counts.__getitem__)
    tickers = f"{counts[most]} of {len(found)} tickers"
    st.metric(slots.title, slots.names[most], tickers, delta_color="off", delta_arrow="off")
    _sparkline([counts[slot] for slot in slots.names], palette().faint, slots.all_highs, bars=True)
    st.caption(slots.all_highs)


def _sparkline(values: Sequence[float], colour: str, meaning: str, *, bars: bool = False) -> None:
    st.image(sparkline(values, colour, bars=bars), width="stretch", alt=meaning)
