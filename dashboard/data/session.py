"""One ticker's session: everything that its chart draws."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import pandas as pd

from dashboard import labels
from dashboard.data import days, figures, prices
from dashboard.data.lake import Lake
from tickerlake.actions import ratio_text
from tickerlake.query.runner import names_since


class OneSession(NamedTuple):
    """A ticker's session."""

    daily: pd.DataFrame
    """Its only row in `prices.daily`."""
    bars: pd.DataFrame
    """Of several bar sizes the finest, which is the one in `daily`."""
    highs: pd.DataFrame
    """The answer of `hourly_high` with `provisional` and `bar_minutes`."""
    hours: pd.DataFrame
    """`figures.hourly`."""
    changes: pd.DataFrame
    """The last change of each bar that was restated or withdrawn."""
    split: str
    """`10:1 split`; empty without one."""
    notes: tuple[str, ...]


def one_session(lake: Lake, date: dt.date, ticker: str) -> OneSession | None:
    """The session of `ticker` on `date`; None if the lake has no bars of it."""
    daily = prices.daily(lake, date, date)  # of every ticker: the page has queried that already
    daily = daily[daily["ticker"] == ticker]
    if daily.empty:
        return None
    minutes = daily["bar_minutes"].iloc[0]
    highs, notes = lake.hourly_high(date, date, (ticker,))
    hours = figures.hourly(highs, daily, lake.now(), lake.exchange)
    bars = lake.query("bars", date, date, (ticker,))
    changes = lake.query("restatements", date, date, (ticker,))
    splits = lake.query("splits")  # of the whole lake, for the next choice
    splits = splits[(splits["session"] == date.isoformat()) & splits["ticker"].isin(names_since(ticker, str(date)))]
    ratios = [ratio_text(ratio) for ratio in splits["ratio"]]
    return OneSession(
        daily=daily,
        bars=bars[bars["bar_minutes"] == minutes],
        highs=highs.merge(hours[["hour", "provisional"]], on="hour", how="left").assign(bar_minutes=minutes),
        hours=hours,
        changes=changes.drop_duplicates(["ts", "bar_minutes", "source"], keep="last"),
        split=f"{labels.listing(ratios)} split" if ratios else "",
        notes=notes,
    )


def course(lake: Lake, date: dt.date, ticker: str, first_price: float) -> pd.DataFrame:
    """The session's course, moved to start at `first_price`: `minute` and `price`. Empty without bars."""
    bars, daily = lake.query("bars", date, date, (ticker,)), prices.daily(lake, date, date, (ticker,))
    moved = days.courses(bars, daily)
    return moved.assign(price=first_price * (1 + moved["change"]))[["minute", "price"]]
