"""The record of the lake: one bar of one ticker, and the rules that a bar must keep.

Declared once, here. The Glue columns, the JSON lines for Firehose, the local Parquet schema, the validation of
the SQL files and the rules below are all rendered from `COLUMNS`.

In memory bars travel as a pandas frame with exactly these columns, in this order:
`ts` and `collected_at` are timezone-aware UTC, prices are float64, `volume` is nullable Int64.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from functions.collector import sessions

Type = Literal["string", "timestamp", "int", "bigint", "double"]


@dataclass(frozen=True)
class Column:
    """One column of the table: its name, its type in the words of Hive and Glue, and what it holds."""

    name: str
    type: Type
    comment: str
    nullable: bool = False


COLUMNS = (
    Column("ticker", "string", "Symbol as traded that day"),
    Column("ts", "timestamp", "Start of the bar, UTC"),
    Column("bar_minutes", "int", "Length of the bar in minutes"),
    Column("open", "double", "First price, USD; null when the source gave none", nullable=True),
    Column("high", "double", "Highest price, USD"),
    Column("low", "double", "Lowest price, USD"),
    Column("close", "double", "Last price, USD; null when the source gave none", nullable=True),
    Column("volume", "bigint", "Shares traded; null when the source gave none, 0 is a real zero", nullable=True),
    Column("source", "string", "Where the bar came from: yahoo, simulated or recorded"),
    Column("collected_at", "timestamp", "When the bar was collected, UTC; the latest wins"),
)
PARTITION = Column("dt", "string", "Session, YYYY-MM-DD in exchange time")
KEY = ("ticker", "bar_minutes", "ts")
"""What makes two records the same bar. Of such records the one with the latest `collected_at` wins."""
PRICES = ("open", "high", "low", "close")
BAR_MINUTES = (1, 2, 5, 15, 30, 60, 90)
"""The bar sizes that Yahoo serves within a day."""

_PANDAS_TYPES = {
    "string": "str",
    "timestamp": "datetime64[us, UTC]",
    "int": "int32",
    "bigint": "Int64",
    "double": "float64",
}


def as_bars(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with exactly the columns of the record, in order and of the right types, and `dt` behind them."""
    missing = [column.name for column in (*COLUMNS, PARTITION) if column.name not in frame]
    if missing:
        raise ValueError(f"not a frame of bars: {', '.join(missing)} missing")
    return frame[[column.name for column in (*COLUMNS, PARTITION)]].astype(
        {column.name: _PANDAS_TYPES[column.type] for column in (*COLUMNS, PARTITION)}
    )


def empty() -> pd.DataFrame:
    """A frame of bars without a row."""
    return as_bars(pd.DataFrame(columns=[column.name for column in (*COLUMNS, PARTITION)]))


def session_dates(ts: pd.Series) -> pd.Series:
    """The partition of each bar start: its date in exchange time, `YYYY-MM-DD`."""
    # Few distinct hours stand behind many bars, and the offset changes only on the hour.
    hours = ts.dt.floor("h")
    distinct = pd.Series(hours.unique())
    dates = distinct.dt.tz_convert(sessions.EXCHANGE_TIME).dt.strftime("%Y-%m-%d")
    return hours.map(dict(zip(distinct, dates, strict=True))).astype("str")


@dataclass(frozen=True)
class Rule:
    """A condition that a stored bar must keep: its id, and what a record that breaks it is."""

    id: str
    says: str
    breaks: Callable[[pd.DataFrame], pd.Series]
    only_collected: bool = False
    """Whether the rule holds for fresh bars only: an import keeps old records as they are."""


def _minutes(frame: pd.DataFrame) -> pd.Series:
    return pd.to_timedelta(frame["bar_minutes"], unit="m")


RULES = (
    Rule("missing-ticker", "has no ticker", lambda f: f["ticker"].isna() | (f["ticker"] == "")),
    Rule("missing-time", "has no time that can be read", lambda f: f["ts"].isna()),
    Rule(
        "missing-price",
        "has no high or no low",
        lambda f: ~(np.isfinite(f["high"].astype(float)) & np.isfinite(f["low"].astype(float))),
    ),
    Rule("not-positive", "has a price of zero or less", lambda f: (f[list(PRICES)] <= 0).any(axis=1)),
    Rule("high-below-low", "has a high below its low", lambda f: f["high"] < f["low"]),
    Rule(
        "price-outside-bar",
        "opens or closes above its high or below its low",
        lambda f: (f[["open", "close"]].max(axis=1) > f["high"]) | (f[["open", "close"]].min(axis=1) < f["low"]),
    ),
    Rule("negative-volume", "has a volume below zero", lambda f: (f["volume"] < 0).fillna(False)),
    Rule(
        "outside-session",
        "starts outside the session's hours",
        lambda f: ~((f["ts"] >= f["session_open"]) & (f["ts"] < f["session_close"])),
    ),
    Rule(
        "off-grid",
        "does not start a whole number of bars after the open",
        lambda f: ((f["ts"] - f["session_open"]) % _minutes(f)) != pd.Timedelta(0),
        only_collected=True,
    ),
    Rule(
        "unfinished",
        "had not ended when it was collected",
        lambda f: (f["ts"] + _minutes(f) > f["collected_at"]) & (f["session_close"] > f["collected_at"]),
        only_collected=True,
    ),
)


def broken_rules(frame: pd.DataFrame, *, collected: bool = True) -> pd.Series:
    """The id of the first rule that each row of `frame` breaks, None where it keeps them all.

    `frame` has the columns of the record and `dt`; prices, times and tickers may be missing.
    With `collected=False` (records of an earlier deployment) the grid and the end of the bar are not enforced.
    """
    broken = np.full(len(frame), None, dtype=object)
    days = [dt.date.fromisoformat(day) for day in frame["dt"].dropna().unique()]
    bounds = sessions.bounds_by_dt(min(days, default=dt.date.min), max(days, default=dt.date.min))
    mine = bounds.reindex(frame["dt"]).astype("datetime64[us, UTC]").set_axis(frame.index)
    checked = frame.assign(session_open=mine["open"], session_close=mine["close"])
    for rule in RULES:
        if collected or not rule.only_collected:
            broken[(broken == None) & rule.breaks(checked).to_numpy(dtype=bool)] = rule.id  # noqa: E711  elementwise
    return pd.Series(broken, index=frame.index, dtype=object)


def milliseconds(moment: dt.datetime) -> dt.datetime:
    """`moment` cut to milliseconds, the finest time that Athena's CSV results carry."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
