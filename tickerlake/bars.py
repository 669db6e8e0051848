"""Bars in memory: a pandas frame with the record's columns, and the rules that each row must keep.

`ts` and `collected_at` are timezone-aware UTC, prices are float64, `volume` is nullable Int64.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tickerlake import exchange
from tickerlake.record import COLUMNS, PARTITION, PRICES
from tickerlake.symbols import SYMBOL

_PANDAS_TYPES = {
    "string": "str",
    "timestamp": "datetime64[us, UTC]",
    "int": "int32",
    "bigint": "Int64",
    "double": "float64",
}


def as_bars(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with exactly the record's columns and `dt`, in order and typed. ValueError if one is missing."""
    missing = [column.name for column in (*COLUMNS, PARTITION) if column.name not in frame]
    if missing:
        raise ValueError(f"not a frame of bars: {', '.join(missing)} missing")
    return frame[[column.name for column in (*COLUMNS, PARTITION)]].astype(
        {column.name: _PANDAS_TYPES[column.type] for column in (*COLUMNS, PARTITION)}
    )


def empty() -> pd.DataFrame:
    """A frame of bars without rows."""
    return as_bars(pd.DataFrame(columns=[column.name for column in (*COLUMNS, PARTITION)]))


def withdrawals(frame: pd.DataFrame) -> pd.Series:
    """Which rows say that the source withdrew the bar: they have no price and no volume."""
    return frame[[*PRICES, "volume"]].isna().all(axis=1)


def placed(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the columns that follow from `ts`: `exchange`, `hour`, `currency` and the session `dt`.

    This is the only place where bars are converted to exchange time. Where `ts` is missing, so are `hour` and `dt`.
    """
    # Many bars share few distinct hours, and the offset from UTC changes only on the hour.
    hours = frame["ts"].dt.floor("h")
    distinct = pd.Series(hours.dropna().unique())
    local = distinct.dt.tz_convert(exchange.XNYS.zone)
    return frame.assign(
        exchange=exchange.XNYS.code,
        hour=hours.map(dict(zip(distinct, local.dt.hour, strict=True))).astype("Int32"),
        currency=exchange.XNYS.currency,
        dt=hours.map(dict(zip(distinct, local.dt.strftime("%Y-%m-%d"), strict=True))).astype("str"),
    )


@dataclass(frozen=True)
class Rule:
    """A rule for a stored bar: its id, what is wrong with a record that breaks it, and the test for it."""

    id: str
    description: str
    breaks: Callable[[pd.DataFrame], pd.Series]
    only_collected: bool = False
    """Whether it applies to collected bars only. Imported records are kept as they are."""


def _minutes(frame: pd.DataFrame) -> pd.Series:
    return pd.to_timedelta(frame["bar_minutes"], unit="m")


def _is_no_symbol(tickers: pd.Series) -> pd.Series:
    return tickers.isin([ticker for ticker in tickers.dropna().unique() if not SYMBOL.fullmatch(ticker)])


RULES = (
    Rule("missing-ticker", "has no ticker", lambda f: f["ticker"].isna() | (f["ticker"] == "")),
    Rule(
        "not-a-symbol",
        "has a ticker that is not a symbol, such as `META` or `BRK-B`",
        lambda f: _is_no_symbol(f["ticker"]),
    ),
    Rule("missing-time", "has no readable time", lambda f: f["ts"].isna()),
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
)


def broken_rules(frame: pd.DataFrame, *, collected: bool = True) -> pd.Series:
    """For each row of `frame`, the id of the first rule that it breaks, or None.

    `frame` has the record's columns and `dt`; prices, times and tickers may be missing. `collected=False` leaves out
    the rules that apply to collected bars only.
    """
    broken = np.full(len(frame), None, dtype=object)
    checked = _with_session(frame)
    for rule in RULES:
        if collected or not rule.only_collected:
            broken[(broken == None) & rule.breaks(checked).to_numpy(dtype=bool)] = rule.id  # noqa: E711  elementwise
    return pd.Series(broken, index=frame.index, dtype=object)


def unfinished(frame: pd.DataFrame) -> pd.Series:
    """Which rows of `frame` had not ended yet when they were collected: the running bar, and trades within it.

    A vendor's answer in a running session ends with them. They are no faults.
    """
    f = _with_session(frame)
    return (
        (f["ts"] >= f["session_open"])
        & (f["ts"] < f["session_close"])
        & (f["ts"] + _minutes(f) > f["collected_at"])
        & (f["session_close"] > f["collected_at"])
    )


def _with_session(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the columns `session_open` and `session_close`, null where `dt` is not a session."""
    days = [dt.date.fromisoformat(day) for day in frame["dt"].dropna().unique()]
    bounds = exchange.XNYS.bounds_by_dt(min(days, default=dt.date.min), max(days, default=dt.date.min))
    hours = bounds.reindex(frame["dt"]).astype("datetime64[us, UTC]").set_axis(frame.index)
    return frame.assign(session_open=hours["open"], session_close=hours["close"])
