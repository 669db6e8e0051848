"""What a session's numbers say: hourly highs against the open, the movers, the headline. Pure functions of frames."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from dashboard import labels
from tickerlake import exchange
from tickerlake.exchange import EXCHANGE_TIME, Session
from tickerlake.watchlist import DEFAULT as WATCHLIST

SHOWN_AT_FIRST = 12
"""Tickers on the page before anybody has chosen: as many as lines can be told apart."""


class Mover(NamedTuple):
    """One ticker's session, or span of sessions, told in a card."""

    ticker: str
    open: float
    high: float
    low: float
    close: float
    change: float
    """From the open to the last price, as a share."""
    high_slot: int | str
    """The first hour of the session, or session of the span, that holds the high."""
    highs: list[float]
    """The highs of its hours or sessions, in order."""


def with_change(daily: pd.DataFrame) -> pd.DataFrame:
    """`daily` with `change`: from the session's open to its last price, as a share."""
    return daily.assign(change=daily["close"] / daily["open"] - 1)


def first_choice(daily: pd.DataFrame, count: int = SHOWN_AT_FIRST) -> list[str]:
    """The tickers to show before anybody has chosen: all where they are few, else watchlist, then movers."""
    held = daily["ticker"].tolist()
    if len(held) <= count:
        return held
    watched = [ticker for ticker in WATCHLIST if ticker in set(held)]
    movers = daily.assign(size=daily["change"].abs()).sort_values("size", ascending=False, kind="stable")["ticker"]
    return sorted(list(dict.fromkeys([*watched, *movers]))[:count])


def hourly(highs: pd.DataFrame, daily: pd.DataFrame, now: dt.datetime) -> pd.DataFrame:
    """The hourly highs, one row a ticker, session and hour, for the charts.

    `highs` is the answer of `hourly_high`, `daily` that of `daily` for the same sessions and tickers. Besides their
    columns a row has `slot` (its place on the axis), `change` (from the open of the ticker's first session, as a
    share), `touches` (bars that reached the high), `reached` (when the first did, in exchange time) and
    `provisional` (the hour is still running, so a greater high may come).
    """
    ties = highs.groupby(["ticker", "session", "hour"])["touch"].transform("max")
    frame = highs.assign(touches=ties)[highs["touch"] == 1].drop(columns="touch")
    opens = daily.sort_values("session").groupby("ticker")["open"].first()
    frame = frame.assign(
        change=frame["high"] / frame["ticker"].map(opens) - 1,
        slot=frame["session"] + " " + frame["hour"].map("{:02}".format),
        reached=frame["ts"].dt.strftime("%H:%M %Z"),
        span=frame["hour"].map(labels.hour_span),
        provisional=_provisional(frame, daily, now),
    )
    return frame.sort_values(["ticker", "slot"], ignore_index=True)


def per_session(daily: pd.DataFrame) -> pd.DataFrame:
    """The day's highs in the shape of `hourly`, for spans too long to draw by the hour."""
    opens = daily.sort_values("session").groupby("ticker")["open"].first()
    return daily.assign(
        slot=daily["session"], change=daily["high"] / daily["ticker"].map(opens) - 1, provisional=False
    ).sort_values(["ticker", "slot"], ignore_index=True)


def over_span(daily: pd.DataFrame) -> pd.DataFrame:
    """The sessions of `daily` as if they were one, a row a ticker: from the first open to the last price."""
    tickers = daily.sort_values("session").groupby("ticker", as_index=False)
    # `first` and `last` pass over what is null, as a session without an open.
    return with_change(
        tickers.agg(open=("open", "first"), high=("high", "max"), low=("low", "min"), close=("close", "last"))
    )


def movers(daily: pd.DataFrame, highs: pd.DataFrame, by: str = "hour") -> list[Mover]:
    """Each ticker, the best first; without those that have no open or no last price.

    `daily` has one row a ticker and `change`, see `with_change`. `highs` has the `high` of each ticker's hours, or
    sessions, which the column `by` names in order.
    """
    by_ticker: dict[str, dict[int | str, float]] = {}
    for ticker, slot, high in zip(highs["ticker"], highs[by], highs["high"], strict=True):
        by_ticker.setdefault(ticker, {})[slot] = high
    ranked = daily.dropna(subset=["change"]).sort_values("change", ascending=False, kind="stable")
    return [
        Mover(
            **{str(name): row[name] for name in ("ticker", "open", "high", "low", "close", "change")},
            high_slot=max(slots, key=slots.__getitem__),
            highs=list(slots.values()),
        )
        for row in ranked.to_dict("records")
        if (slots := by_ticker.get(row["ticker"]))
    ]


def headline(found: Sequence[Mover], *, running: bool, since: dt.date | None = None) -> str:
    """One sentence or two on the session: how many rose, who led, who trailed; with `since`, on the span from there."""
    if not found:
        return f"No ticker has an open and a last price in {'these sessions' if since else 'this session'}."
    opened = f"first open since {labels.day(since, weekday=False)}" if since else "open"
    risen = sum(mover.change > 0 for mover in found)
    best, worst = found[0], found[-1]
    verb = "stand" if running else "closed"
    if len(found) == 1:
        singular = "stands" if running else "closed"
        return f"{best.ticker} {singular} {labels.change(best.change)} from its {opened}."
    return (
        f"{risen} of {len(found)} tickers {verb} above their {opened}. "
        f"{best.ticker} {'leads' if running else 'led'} with {labels.change(best.change)}, "
        f"{worst.ticker} {'trails' if running else 'trailed'} with {labels.change(worst.change)}."
    )


def incomplete(daily: pd.DataFrame, session: Session, now: dt.datetime) -> list[str]:
    """The tickers that have fewer bars than `session` has had by `now`."""
    expected = {
        minutes: len(session.bar_starts(minutes, until=now)) for minutes in daily["bar_minutes"].unique().tolist()
    }
    if session.open <= now < session.close:
        # The bars of the last minutes may be on their way; only holes before a ticker's newest bar are told.
        due = (daily["last_ts"] - session.open) / pd.to_timedelta(daily["bar_minutes"], unit="m") + 1
        return daily.loc[daily["bars"] < due.round(), "ticker"].tolist()
    return daily.loc[daily["bars"] < daily["bar_minutes"].map(expected), "ticker"].tolist()


def behind(newest: dt.date, now: dt.datetime) -> int:
    """How many sessions have closed since the newest one held."""
    last = exchange.last_finished(now).date
    return len(exchange.sessions_between(newest, last)) - 1 if newest < last else 0


def _provisional(hours: pd.DataFrame, daily: pd.DataFrame, now: dt.datetime) -> pd.Series | bool:
    """Which of the hours are still running: those of the session that runs, after the end of a ticker's last bar."""
    is_shown = exchange.exchange_date(now).isoformat() in set(hours["session"])
    running = exchange.running(now) if is_shown else None
    if running is None:
        return False
    today = daily[daily["session"] == running.dt].set_index("ticker")
    until = hours["ticker"].map(today["last_ts"] + pd.to_timedelta(today["bar_minutes"], unit="m"))
    ends = pd.to_datetime(hours["session"]) + pd.to_timedelta(hours["hour"] + 1, unit="h")
    return (hours["session"] == running.dt) & (ends.dt.tz_localize(EXCHANGE_TIME) > until) & (until < running.close)
