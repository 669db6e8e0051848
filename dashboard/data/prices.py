"""Each ticker's session in one row, with the change that the pages show."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from dashboard.data import figures
from dashboard.data.lake import ALL, Lake


def daily(lake: Lake, first: dt.date, last: dt.date, tickers: tuple[str, ...] = ALL) -> pd.DataFrame:
    """The answer of `daily` with the columns that `figures.with_change` adds.

    Where a ticker's first or last session has no open or no close, as in lakes imported from earlier deployments,
    the bars of that session are read for its first and last known price.
    """
    frame = lake.query("daily", first, last, tickers)
    if not _lacking(frame).any():
        return figures.with_change(frame)
    by_ticker = frame.sort_values("session").groupby("ticker")
    ends = pd.concat([by_ticker.head(1), by_ticker.tail(1)]).drop_duplicates(["ticker", "session"])
    bars = [
        lake.query("bars", date, date, tuple(sorted(rows["ticker"])))
        for session, rows in ends[_lacking(ends)].groupby("session")
        for date in [dt.date.fromisoformat(str(session))]
    ]
    return figures.with_change(frame, pd.concat(bars) if bars else None)


def _lacking(daily: pd.DataFrame) -> pd.Series:
    return daily["open"].isna() | daily["close"].isna()
