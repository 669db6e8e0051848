"""Figures in cards. Over the charts: the best and the worst mover, how many rose, and when the highs were."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import streamlit as st

from dashboard import labels
from dashboard.charts.sparkline import sparkline
from dashboard.chrome import header
from dashboard.data.figures import Mover

NARROWEST = 160
"""Pixels of a card, so that a phone shows two beside each other."""


class Figure(NamedTuple):
    """One figure: its name, its text, what it is of, and its course through the day where it has one."""

    label: str
    text: str
    below: str
    course: Sequence[float] = ()


class Slots(NamedTuple):
    """Where a high may lie, the hours of a session or the sessions of a span, and how cards tell it."""

    names: dict[int | str, str]
    title: str
    high: str
    place: str
    all_highs: str


def hours() -> Slots:
    """The hours of one session."""
    names: dict[int | str, str] = {hour: labels.hour_span(hour) for hour in labels.HOURS}
    return Slots(names, "Hour of the day's highs", "Day's high", "in", "Day's highs by hour, 09:30 to 16:00")


def sessions(dates: Sequence[dt.date]) -> Slots:
    """The sessions `dates`, oldest first."""
    first, last = dates[0], dates[-1]
    in_short = labels.short_day if first.year == last.year else partial(labels.day, weekday=False)
    names: dict[int | str, str] = {date.isoformat(): in_short(date) for date in dates}
    span = f"{in_short(first)} to {in_short(last)}"
    return Slots(names, "Session of the highs", "High", "on", f"Highs by session, {span}")


def show(found: Sequence[Mover], slots: Slots) -> None:
    """The cards of `found`, the best first; of a single ticker its own."""
    if len(found) == 1:
        with st.container(border=True):
            _mover(found[0].ticker, found[0], slots)
        return
    grid = st.grid(4, min_column_width=NARROWEST, border=True)
    with grid.cell():
        _mover(f"Best: {found[0].ticker}", found[0], slots)
    with grid.cell():
        _mover(f"Worst: {found[-1].ticker}", found[-1], slots)
    with grid.cell():
        _breadth(found)
    with grid.cell():
        _highs(found, slots)


def figures(told: Iterable[Figure]) -> None:
    """A card for each figure."""
    grid = st.grid(4, min_column_width=NARROWEST)
    for figure in told:
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
    st.metric(label, f"{labels.price(mover.close)} USD", f"{labels.delta(mover.change)} from open")
    palette = header.palette()
    _sparkline(mover.highs, palette.up if mover.change > 0 else palette.down, f"Highs of {mover.ticker}")
    st.caption(
        f"{slots.high} **{labels.price(mover.high)}** {slots.place} {slots.names[mover.high_slot]}, "
        f"low **{labels.price(mover.low)}**"
    )


def _breadth(found: Sequence[Mover]) -> None:
    """How the tickers stand against their opens."""
    changes = [mover.change for mover in found]
    st.metric(
        "Above their open",
        f"{sum(change > 0 for change in changes)} of {len(found)}",
        f"{labels.delta(sum(changes) / len(found))} on average",
    )
    _sparkline(changes, header.palette().faint, "Change of each ticker from its open, best first", bars=True)
    st.caption(f"From {found[0].ticker} (best) to {found[-1].ticker} (worst)")


def _highs(found: Sequence[Mover], slots: Slots) -> None:
    """When most tickers had their high."""
    counts = Counter(mover.high_slot for mover in found)
    most = max(slots.names, key=counts.__getitem__)  # of several the first
    st.metric(
        slots.title,
        slots.names[most],
        f"{counts[most]} of {len(found)} tickers",
        delta_color="off",
        delta_arrow="off",
    )
    _sparkline([counts[slot] for slot in slots.names], header.palette().faint, slots.all_highs, bars=True)
    st.caption(slots.all_highs)


def _sparkline(values: Sequence[float], colour: str, meaning: str, *, bars: bool = False) -> None:
    st.image(sparkline(values, colour, bars=bars), width="stretch", alt=meaning)
