"""One ticker's sessions beside each other: on one clock, and in a calendar. Pure functions of frames."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboard import labels
from tickerlake.exchange import Session

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}


def courses(bars: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    """The price at the end of each bar as a `change` from its session's first price: `session`, `minute`, `at`.

    `minute` counts from midnight at the exchange, `at` is its text. Only bars of the size in `daily` count, which has
    `first_price`, see `figures.with_change`. A bar without a close counts with the midpoint of its high and low, a
    session without a first price starts at that of its first bar.
    """
    frame = bars.merge(
        daily[["ticker", "session", "bar_minutes", "first_price"]], on=["ticker", "session", "bar_minutes"]
    ).sort_values("ts")
    start = frame["ts"].dt
    ends = start.hour * 60 + start.minute + frame["bar_minutes"]
    middle = (frame["high"] + frame["low"]) / 2
    first_price = frame["first_price"].fillna(middle.groupby(frame["session"]).transform("first"))
    return pd.DataFrame(
        {
            "session": frame["session"],
            "minute": ends,
            "at": (ends // 60).astype(str).str.zfill(2) + ":" + (ends % 60).astype(str).str.zfill(2),
            "change": frame["close"].fillna(middle) / first_price - 1,
        }
    ).sort_values(["session", "minute"], ignore_index=True)


def bands(past: pd.DataFrame) -> pd.DataFrame:
    """The quantiles of `courses` at each minute, and over how many `sessions`."""
    by_minute = past.groupby("minute")["change"]
    found = pd.DataFrame({name: by_minute.quantile(level) for name, level in QUANTILES.items()})
    return found.assign(sessions=by_minute.count()).reset_index()


def place(course: pd.DataFrame, past: pd.DataFrame, basis: str) -> str:
    """Where the session stands among the `past` ones at its newest minute, in one sentence; `basis` as in `labels`."""
    if course.empty:
        return ""
    now = course.iloc[-1]
    then = past.loc[past["minute"] == now["minute"], "change"]
    stands = f"At {now['at']} {labels.change(now['change'])} from the {basis}"
    if then.empty:
        return f"{stands}; no earlier session to compare with."
    below = int((then < now["change"]).sum())
    return (
        f"{stands}: higher than in {below} of {labels.count(len(then), 'earlier session')}; "
        f"the median is {labels.change(then.median())}."
    )


def calendar(
    sessions: Sequence[Session], daily: pd.DataFrame, coverage: pd.DataFrame, restatements: pd.DataFrame
) -> pd.DataFrame:
    """One row a session of the exchange: `range` (high to low over the first price), `change`, `state`, `missing`.

    `daily` has one ticker, see `figures.with_change`; `coverage`, with `state`, and `restatements` are the answers of
    these queries. `restated` counts the bars restated or withdrawn; `monday` is the first day of the week.
    """
    frame = pd.DataFrame(
        {"session": [each.dt for each in sessions], "early_close": [each.early_close for each in sessions]}
    )
    held = daily.assign(range=(daily["high"] - daily["low"]) / daily["first_price"])
    frame = frame.merge(held[["session", "range", "change", "high", "low"]], on="session", how="left")
    frame = frame.merge(coverage[["session", "state", "missing"]], on="session", how="left")
    changed = restatements.drop_duplicates(["session", "ts", "bar_minutes", "source"]).groupby("session").size()
    dates = pd.to_datetime(frame["session"])
    return frame.assign(
        restated=frame["session"].map(changed).fillna(0).astype("int64"),
        weekday=dates.dt.strftime("%a"),
        monday=(dates - pd.to_timedelta(dates.dt.day_of_week, unit="D")).dt.strftime("%Y-%m-%d"),
    )
