"""The figures of a session or a range: changes and hourly highs. Pure functions of frames."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dashboard import labels
from tickerlake.exchange import Exchange, Session

SHOWN_AT_FIRST = 12
"""Tickers shown before any are chosen: as many lines as can be told apart."""


class Figure(NamedTuple):
    """A figure on a card."""

    label: str
    text: str
    below: str
    course: Sequence[float] = ()
    """Its values through the day, for a small chart; may be empty."""


def with_change(daily: pd.DataFrame, bars: pd.DataFrame | None = None) -> pd.DataFrame:
    """`daily` with `first_price`, `last_price`, `change` (between them, as a share) and `has_open`.

    The first price is the open and the last price the close. Where they are missing, it is the midpoint of high and
    low of the first and of the last bar in `bars`, the answer of `bars`.
    """
    frame = daily.assign(first_price=daily["open"], last_price=daily["close"], has_open=daily["open"].notna())
    if bars is not None:
        midpoints = _midpoints(bars)
        keys = pd.MultiIndex.from_frame(frame[["ticker", "session"]])
        for column, end in (("first_price", "first"), ("last_price", "last")):
            known = midpoints[end].reindex(keys).set_axis(frame.index)
            frame[column] = frame[column].fillna(known)
    return frame.assign(change=frame["last_price"] / frame["first_price"] - 1)


def first_choice(daily: pd.DataFrame, watchlist: Collection[str], count: int = SHOWN_AT_FIRST) -> list[str]:
    """The tickers to show before any are chosen: all if few, else those on the watchlist, then the largest movers."""
    held = daily["ticker"].tolist()
    if len(held) <= count:
        return held
    watched = [ticker for ticker in watchlist if ticker in set(held)]
    movers = daily.assign(size=daily["change"].abs()).sort_values("size", ascending=False, kind="stable")["ticker"]
    return sorted(list(dict.fromkeys([*watched, *movers]))[:count])


def hourly(highs: pd.DataFrame, daily: pd.DataFrame, now: dt.datetime, place: Exchange) -> pd.DataFrame:
    """The hourly highs for the charts, one row per ticker, session and hour.

    `highs` is the answer of `hourly_high`; `daily` covers the same sessions and tickers, see `with_change`. Adds
    `slot` (place on the axis), `change` (from the first price of the ticker's first session, as a share), `basis` (what
    that price is: `open`, `first open` or `first price`), `touches` (how many bars reached the high), `reached` (time
    of the first, exchange time), `span` (`10:00-11:00`) and `provisional` (the hour is still running).
    """
    touches = Counter(rows(highs, "ticker", "session", "hour"))
    frame = highs[highs["touch"] == 1].drop(columns="touch")
    places = list(rows(frame, "ticker", "session", "hour"))
    frame = frame.assign(
        touches=[touches[each] for each in places],
        slot=[f"{session} {hour:02}" for _, session, hour in places],
        reached=frame["ts"].dt.strftime("%H:%M %Z"),
        span=[labels.hour_span(hour, place) for _, _, hour in places],
        provisional=_provisional(frame, daily, now, place),
    )
    return _from_first_price(frame, daily)


def per_session(daily: pd.DataFrame) -> pd.DataFrame:
    """Session highs in the shape of `hourly`, for ranges too long to draw by the hour."""
    return _from_first_price(daily.assign(slot=daily["session"], provisional=False), daily)


def midpoint_note(daily: pd.DataFrame) -> str:
    """What to know where prices had to be estimated; empty where every ticker has an open and a close."""
    lacking = sorted(set(daily.loc[daily["open"].isna() | daily["close"].isna(), "ticker"]))
    if not lacking:
        return ""
    whose = "these bars" if len(lacking) == daily["ticker"].nunique() else f"bars of {labels.listing(lacking)}"
    return (
        f"No open or close in {whose}: changes are from the session's first known price, the midpoint of the first "
        "bar's high and low, to the midpoint of the last bar's."
    )


def incomplete(daily: pd.DataFrame, session: Session, now: dt.datetime) -> list[str]:
    """The tickers with fewer bars than `session` has had by `now`.

    While it runs, only gaps before a ticker's newest bar count: the latest bars may still be on their way.
    """
    if session.open <= now < session.close:
        due = (daily["last_ts"] - session.open) / pd.to_timedelta(daily["bar_minutes"], unit="m") + 1
        return daily.loc[daily["bars"] < due.round(), "ticker"].tolist()
    expected = {
        minutes: len(session.bar_starts(minutes, until=now)) for minutes in daily["bar_minutes"].unique().tolist()
    }
    return daily.loc[daily["bars"] < daily["bar_minutes"].map(expected), "ticker"].tolist()


def rows(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    """The values of these columns, row by row. On a few hundred rows a loop takes a tenth of pandas' time."""
    return zip(*(frame[column].tolist() for column in columns), strict=True)


def sessions_behind(newest: dt.date, now: dt.datetime, place: Exchange) -> int:
    """How many sessions have closed since `newest`, the newest one held."""
    last = place.last_finished(now).date
    return len(place.sessions_between(newest, last)) - 1 if newest < last else 0


def _midpoints(bars: pd.DataFrame) -> pd.DataFrame:
    """For each ticker and session the midpoint of high and low of its `first` and its `last` bar of the finest size."""
    by = ["ticker", "session"]
    finest = bars[bars["bar_minutes"] == bars.groupby(by)["bar_minutes"].transform("min")].sort_values("ts")
    return finest.assign(midpoint=(finest["high"] + finest["low"]) / 2).groupby(by)["midpoint"].agg(["first", "last"])


def _from_first_price(frame: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    """`frame`, sorted, with each high's `change` from the first price of the ticker's first session in `daily`."""
    opening: dict[str, list[Any]] = {}
    for ticker, *first in rows(daily, "ticker", "session", "first_price", "has_open"):
        opening[ticker] = min(opening.get(ticker, first), first)
    found = [opening.get(ticker, ("", np.nan, False)) for ticker in frame["ticker"].tolist()]
    opens = "first open" if len(set(daily["session"])) > 1 else "open"
    frame = frame.assign(
        change=frame["high"] / np.array([price for _, price, _ in found], float) - 1,
        basis=[opens if has_open else "first price" for *_, has_open in found],
    )
    places = list(rows(frame, "ticker", "slot"))
    return frame.iloc[sorted(range(len(frame)), key=places.__getitem__)].reset_index(drop=True)


def _provisional(hours: pd.DataFrame, daily: pd.DataFrame, now: dt.datetime, place: Exchange) -> pd.Series | bool:
    """Which hours may still get a greater high: those of the running session that end after the ticker's last bar."""
    # Sessions of other days need no calendar, which takes a while to load.
    is_shown = place.date_at(now).isoformat() in set(hours["session"])
    running = place.running(now) if is_shown else None
    if running is None:
        return False
    today = daily[daily["session"] == running.dt].set_index("ticker")
    until = hours["ticker"].map(today["last_ts"] + pd.to_timedelta(today["bar_minutes"], unit="m"))
    if running.break_start and running.break_end:  # an hour that ends in the break is over when it begins
        until = until.where((until < running.break_start) | (until > running.break_end), running.break_end)
    ends = pd.to_datetime(hours["session"]) + pd.to_timedelta(hours["hour"] + 1, unit="h")
    return (hours["session"] == running.dt) & (ends.dt.tz_localize(place.zone) > until) & (until < running.close)
