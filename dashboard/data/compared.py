"""The hourly highs of one session beside those of earlier sessions, worked out once for all visitors."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboard.data import figures, measures, prices
from dashboard.data.lake import ALL, ANSWERS_KEPT, Lake
from dashboard.data.measures import Origin

_FEW = 50
"""Up to so many tickers in the lake are compared at once, so that another choice of them needs no work."""


class Question(NamedTuple):
    """What a visitor asks for, by which answers are kept."""

    session: dt.date
    past: tuple[dt.date, ...]
    """The earlier sessions to compare with, newest first."""
    tickers: tuple[str, ...]
    is_range: bool
    """Whether the ranges of the hours are compared instead of their highs."""
    origin: Origin


class Compared(NamedTuple):
    """The answer."""

    hours: pd.DataFrame
    """`figures.hourly` with what `measures` adds."""
    notes: tuple[str, ...]
    """What `hourly_high` leaves out."""
    today: pd.DataFrame
    """`measures.against` of the highs of the day."""

    def of(self, tickers: tuple[str, ...]) -> Compared:
        """The answer for these tickers alone."""
        hours, today = (part[part["ticker"].isin(tickers)].reset_index(drop=True) for part in (self.hours, self.today))
        return Compared(hours, self.notes, today)


def compared(lake: Lake, question: Question, *, is_running: bool) -> Compared:
    """The session's hours beside those of earlier sessions. A running session is not cached: its hours are not over."""
    if lake.size <= _FEW and question.tickers != ALL:
        found = compared(lake, question._replace(tickers=ALL), is_running=is_running)
        if not found.notes:  # those may be about other tickers
            return found.of(question.tickers)
    fingerprint = (
        None if is_running else lake.fingerprint(min(question.past, default=question.session), question.session)
    )
    if fingerprint is None:
        return _compare(lake, question, is_running=is_running)
    return _kept(lake, question, f"{lake} {question} {fingerprint}")


@st.cache_data(max_entries=ANSWERS_KEPT, show_spinner=False)
def _kept(_lake: Lake, _question: Question, key: str) -> Compared:  # noqa: ARG001
    return _compare(_lake, _question)


def _compare(lake: Lake, question: Question, *, is_running: bool = False) -> Compared:
    session, past, tickers, is_range, origin = question
    daily = prices.daily(lake, session, session)  # of every ticker: the page has queried that already
    mine = daily if tickers == ALL else daily[daily["ticker"].isin(tickers)]
    # One question, unless the answer about the earlier sessions stays while this one's changes with every bar.
    earliest, date = min(past, default=session), session.isoformat()
    highs, notes = lake.hourly_high(session if is_running else earliest, session, tickers)
    if notes and not is_running:
        notes = lake.hourly_high(session, session, tickers)[1]  # the others are about earlier sessions
    before = prices.daily(lake, past[-1], past[0], tickers) if past else mine.head(0)
    earlier = lake.hourly_high(past[-1], past[0], tickers)[0] if past and is_running else highs[highs["session"] < date]
    highs = highs[highs["session"] == date]
    hours = figures.hourly(highs, mine, lake.now(), lake.exchange)
    over, over_before = measures.over_open(highs, mine), measures.over_open(earlier, before)
    against = measures.against(over, over_before)
    if is_range:
        ranges = measures.ranges(lake.query("hourly", session, session, tickers), mine)
        then = measures.ranges(lake.query("hourly", past[-1], past[0], tickers), before) if past else ranges.head(0)
        against = measures.against(ranges, then)
    hours = measures.with_top(measures.joined(hours, against))
    # Also changes that came after the moment that the page looks back to.
    hours = measures.with_restated(hours, replace(lake, as_of=None).query("restatements", session, session, tickers))
    closes = before[before["session"] == before["session"].max()].set_index("ticker")["last_price"]
    return Compared(
        hours=measures.measured_from(hours, origin, closes),
        notes=notes,
        today=measures.against(measures.days(over), measures.days(over_before)),
    )
