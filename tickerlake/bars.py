"""Bars in memory: a pandas frame with the record's columns, and the rules that each row must keep.

`ts` and `collected_at` are timezone-aware UTC, prices are float64, `volume` is nullable Int64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from tickerlake import exchange
from tickerlake.record import COLUMNS, PARTITION, PRICES
from tickerlake.symbols import is_symbol

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
    return _empty().copy()


@cache
def _empty() -> pd.DataFrame:
    return as_bars(pd.DataFrame(columns=[column.name for column in (*COLUMNS, PARTITION)]))


def withdrawals(frame: pd.DataFrame) -> pd.Series:
    """Which rows say that the source withdrew the bar: they have no price and no volume."""
    return frame[[*PRICES, "volume"]].isna().all(axis=1)


def placed(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the columns that follow from `ticker` and `ts`: `exchange`, `hour`, `currency` and the session `dt`.

    This is the only place where bars are converted to exchange time. Where `ts` is missing, so are `hour` and `dt`. A
    `currency` that the vendor states stays.
    """
    # Few distinct tickers. What is not a symbol breaks a rule; it has to be placed somewhere to be told.
    which, tickers = pd.factorize(frame["ticker"])
    known = [*(ticker if is_symbol(ticker) else "" for ticker in tickers), ""]

    def each(values: list[str]) -> pd.Series:
        return pd.Series(values, dtype="str").take(which).set_axis(frame.index)

    codes = each([exchange.of(ticker).code for ticker in known])
    currencies = each([exchange.currency_of(ticker) for ticker in known])
    if "currency" in frame:
        currencies = frame["currency"].astype("str").fillna(currencies)
    times = _of_each(codes, frame["ts"], _local)
    return frame.assign(exchange=codes, hour=times["hour"], currency=currencies, dt=times["dt"])


def _of_each(
    codes: pd.Series, values: pd.Series, read: Callable[[pd.Series, exchange.Exchange], pd.DataFrame]
) -> pd.DataFrame:
    """What `read` makes of the `values` of each exchange in `codes`, by their index."""
    found = codes.unique()
    if len(found) == 1:
        return read(values, exchange.EXCHANGES[found[0]])
    parts = [read(values[codes == code], exchange.EXCHANGES[code]) for code in found]
    return pd.concat(parts) if parts else read(values, exchange.XNYS)


def _local(ts: pd.Series, place: exchange.Exchange) -> pd.DataFrame:
    """The columns `hour` and `dt` in the time of an exchange."""
    # Many bars share few distinct hours, and no exchange's offset from UTC changes inside one.
    which, hours = pd.factorize(ts.dt.floor("h"))
    local = pd.DatetimeIndex([*hours, None], dtype=ts.dtype).tz_convert(place.zone)
    each = pd.DataFrame({"hour": pd.array(local.hour, "Int32"), "dt": local.strftime("%Y-%m-%d").astype("str")})
    return each.take(which).set_axis(ts.index)


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


def _part(frame: pd.DataFrame) -> pd.Series:
    """When the part of the session begins that each bar lies in: the open, or the end of the lunch break."""
    return frame["session_open"].where(~(frame["ts"] >= frame["break_end"]), frame["break_end"])


def _is_no_symbol(tickers: pd.Series) -> pd.Series:
    return tickers.isin([ticker for ticker in tickers.dropna().unique() if not is_symbol(ticker)])


RULES = (
    Rule("missing-ticker", "has no ticker", lambda f: f["ticker"].isna() | (f["ticker"] == "")),
    Rule(
        "not-a-symbol",
        "has a ticker that is not a symbol, such as `META`, `BRK-B` or `VOD.L`",
        lambda f: _is_no_symbol(f["ticker"]),
    ),
    Rule("missing-time", "has no readable time", lambda f: f["ts"].isna()),
    Rule(
        "missing-price",
        "has no high or no low",
        lambda f: ~(np.isfinite(f["high"].astype(float)) & np.isfinite(f["low"].astype(float))),
    ),
    Rule(
        "not-positive",
        "has a price of zero or less",
        lambda f: (f["open"] <= 0) | (f["high"] <= 0) | (f["low"] <= 0) | (f["close"] <= 0),
    ),
    Rule("high-below-low", "has a high below its low", lambda f: f["high"] < f["low"]),
    Rule(
        "price-outside-bar",
        "opens or closes above its high or below its low",
        lambda f: (f["open"] > f["high"]) | (f["close"] > f["high"]) | (f["open"] < f["low"]) | (f["close"] < f["low"]),
    ),
    Rule("negative-volume", "has a volume below zero", lambda f: (f["volume"] < 0).fillna(False)),
    Rule(
        "outside-session",
        "starts outside the session's hours, or in its lunch break",
        lambda f: (
            ~((f["ts"] >= f["session_open"]) & (f["ts"] < f["session_close"]))
            | ((f["ts"] >= f["break_start"]) & (f["ts"] < f["break_end"]))
        ),
    ),
    Rule(
        "off-grid",
        "does not start a whole number of bars after the open, or after the lunch break",
        lambda f: ((f["ts"] - _part(f)) % _minutes(f)) != pd.Timedelta(0),
        only_collected=True,
    ),
)


def broken_rules(frame: pd.DataFrame, *, collected: bool = True) -> pd.Series:
    """For each row of `frame`, the id of the first rule that it breaks, or None.

    `frame` has the record's columns and `dt`; prices, times and tickers may be missing. `collected=False` leaves out
    the rules that apply to collected bars only.
    """
    broken = np.full(len(frame), None, dtype=object)
    checked = with_hours(frame)
    for rule in reversed(RULES):  # the first one is written last
        if collected or not rule.only_collected:
            broken[rule.breaks(checked).to_numpy(dtype=bool)] = rule.id
    return pd.Series(broken, index=frame.index, dtype=object)


def unfinished(frame: pd.DataFrame) -> pd.Series:
    """Which rows of `frame` had not ended yet when they were collected: the running bar, and trades within it.

    A vendor's answer in a running session ends with them. They are no faults.
    """
    f = with_hours(frame)
    # The close, or the lunch break, cuts the last bar short.
    stops = f["session_close"].where(~(f["ts"] < f["break_start"]), f["break_start"])
    return (
        (f["ts"] >= f["session_open"])
        & (f["ts"] < f["session_close"])
        & (f["ts"] + _minutes(f) > f["collected_at"])
        & (stops > f["collected_at"])
    )


def with_hours(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with `session_open`, `session_close`, `break_start` and `break_end`, null where there are none.

    The functions above need them. Who calls several adds them once.
    """
    if "session_open" in frame:
        return frame
    hours = _of_each(frame["exchange"], frame["dt"], _hours)
    return frame.assign(
        session_open=hours["open"],
        session_close=hours["close"],
        break_start=hours["break_start"],
        break_end=hours["break_end"],
    )


def _hours(dates: pd.Series, place: exchange.Exchange) -> pd.DataFrame:
    """When the sessions `dates` of an exchange open, close and break, with the index of `dates`."""
    which, distinct = pd.factorize(dates)
    return place.bounds_by_dt().reindex([*distinct, None]).take(which).set_axis(dates.index)
