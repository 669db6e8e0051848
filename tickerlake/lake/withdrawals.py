"""Which bars a source no longer gives: one rule for local lakes and for the cloud."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from tickerlake.exchange import Session
from tickerlake.record import PRICES

_LATE = dt.timedelta(hours=1)


def withdrawn(
    in_force: pd.DataFrame, answered: pd.DataFrame, session: Session, bar_minutes: int, now: dt.datetime
) -> pd.DataFrame:
    """A record without numbers for each bar of `in_force` that `answered` lacks, with the columns of `in_force`.

    `in_force` are the lake's bars of `session`; `answered` has `ticker`, `ts` and `source` of every row of the answer
    to a request for all of it. A bar counts as withdrawn if it has ended, the source answered other bars of its ticker,
    and a later one among them, or the session closed over an hour ago: the newest bars may just be late.
    """
    bar = ["ticker", "source", "ts"]
    known = pd.MultiIndex.from_frame(answered[bar])
    held = in_force[in_force["bar_minutes"] == bar_minutes]
    missing = held[~pd.MultiIndex.from_frame(held[bar]).isin(known)]
    if missing.empty:  # as it mostly is
        return missing
    last = answered.groupby(["ticker", "source"])["ts"].max().rename("last").reset_index()
    missing = missing.merge(last, on=["ticker", "source"])
    ended = missing["ts"] + pd.Timedelta(minutes=bar_minutes) <= now
    settled = (missing["last"] > missing["ts"]) | (now >= session.close + _LATE)
    gone = missing[ended & settled].drop(columns="last")
    blank = gone.assign(collected_at=after(gone["collected_at"], now))
    blank[list(PRICES)] = float("nan")
    blank["volume"] = pd.array([pd.NA] * len(blank), dtype="Int64")
    return blank


def after(before: pd.Series, collected_at: pd.Series | dt.datetime) -> pd.Series:
    """`collected_at`, or just after `before`, when the record that is replaced was collected, if that is later."""
    earliest = before + pd.Timedelta(milliseconds=1)
    return earliest.where(earliest > collected_at, collected_at)
