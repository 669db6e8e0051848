"""When the day's high and low come, beside what chance alone gives. Pure functions of the answer of `high_hour`."""

from __future__ import annotations

import math
from typing import Literal, get_args

import pandas as pd

from dashboard import labels
from tickerlake.exchange import Exchange

Extreme = Literal["high", "low"]
EXTREMES: tuple[Extreme, ...] = get_args(Extreme)
POOLED = "All tickers"
"""Stands for a ticker where all of them are taken together."""
MOST_TIES = 0.1
"""A ticker whose highs or lows tie between hours more often is not told apart from chance: ties favour early hours."""
LEAST = 20
"""With fewer sessions nothing is told apart from chance."""
_LEVEL = 0.05
"""How likely it is that a claim is made where there is only chance, over all that is compared."""
_SIGMAS = 1.96
_NAMED = 3


def compared(answer: pd.DataFrame, place: Exchange) -> pd.DataFrame:
    """Each hour's share of the highs and of the lows, for each ticker and for `POOLED`, one row an extreme.

    Adds `extreme`, `count`, `ties` and `share`: the sessions whose high or low came in this hour. `least` and `most`
    are the sessions that chance gives in 95 of 100 cases, `odds` how likely it is to stray as far. `rate`,
    `chance_rate`, `rate_from` and `rate_to` are the shares in percent a minute, from minute `start` of the day to
    `end`. `is_tied`: see `MOST_TIES`.

    Tickers move together, so all of them in one session tell little more than one of them: `POOLED` counts as one
    ticker that is watched in as many sessions. Tickers with many ties are no part of it.
    """
    sums = answer.groupby("ticker")[["high_ties", "low_ties"]].transform("sum").max(axis="columns")
    answer = answer.assign(is_tied=sums > MOST_TIES * answer["sessions"])
    clear = answer[~answer["is_tied"]]
    rows = pd.concat([_pooled(clear), answer], ignore_index=True) if len(set(clear["ticker"])) > 1 else answer
    frame = pd.concat(
        [
            rows.assign(
                extreme=extreme, count=rows[f"{extreme}s"], ties=rows[f"{extreme}_ties"], share=rows[f"{extreme}_share"]
            )
            for extreme in EXTREMES
        ],
        ignore_index=True,
    ).drop(columns=[f"{extreme}{end}" for extreme in EXTREMES for end in ("s", "_ties", "_share")])
    opens, closes = (moment.hour * 60 + moment.minute for moment in (place.opens, place.closes))
    frame = frame.assign(
        start=(frame["hour"] * 60).clip(lower=opens),
        end=(frame["hour"] * 60 + 60).clip(upper=closes or 24 * 60),
        span=frame["hour"].map(lambda hour: labels.hour_span(hour, place)),
    )
    per_minute = 100 / (frame["end"] - frame["start"])
    return frame.assign(
        least=(frame["chance_from"] * frame["sessions"]).round().astype("Int64"),
        most=(frame["chance_to"] * frame["sessions"]).round().astype("Int64"),
        rate=frame["share"] * per_minute,
        chance_rate=frame["chance"] * per_minute,
        rate_from=frame["chance_from"] * per_minute,
        rate_to=frame["chance_to"] * per_minute,
        odds=[
            odds(int(count), int(sessions), float(chance))
            for count, sessions, chance in zip(frame["count"], frame["sessions"], frame["chance"], strict=True)
        ],
    )


def odds(count: int, sessions: int, chance: float) -> float:
    """How likely `chance` in each of `sessions` gives a count as far off as `count`: twice the smaller tail, at most 1.

    1 where the chance is not known.
    """
    if not 0 < chance < 1:
        return 1.0
    up, down = math.log(chance), math.log1p(-chance)
    terms = [
        math.exp(
            math.lgamma(sessions + 1)
            - math.lgamma(k + 1)
            - math.lgamma(sessions - k + 1)
            + k * up
            + (sessions - k) * down
        )
        for k in range(sessions + 1)
    ]
    return min(1.0, 2 * min(sum(terms[: count + 1]), sum(terms[count:])))


def unusual(frame: pd.DataFrame) -> pd.Series:
    """Which rows of `compared` chance does not explain, even though so many of them are looked at."""
    told = ~frame["is_tied"]
    return told & (frame["odds"] * told.sum() < _LEVEL) & (frame["sessions"] >= LEAST)


def words(frame: pd.DataFrame) -> str:
    """What `compared` shows, in a sentence or two, also if that is nothing."""
    sessions = int(frame["sessions"].max())
    if sessions < LEAST:
        return f"{labels.count(sessions, 'session')}: too few to tell a habit from chance; it takes {LEAST}."
    tied = sorted(set(frame.loc[frame["is_tied"], "ticker"]))
    unclear = f" Left out for their ties: {labels.listing(tied)}." if tied else ""
    found = frame[unusual(frame)].sort_values("odds", kind="stable")
    if found.empty:
        return (
            f"Nothing to see: in {sessions} sessions no hour held a high or a low more or less often than chance "
            f"alone explains.{unclear}"
        )
    told = [
        f"{row.ticker}: {row.span} held the {row.extreme} in {row.count} of {row.sessions} sessions "
        f"(chance: {row.least} to {row.most})"
        for row in found.head(_NAMED).itertuples()
    ]
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"Not by chance: {'; '.join(told)}{more}.{unclear}"


def _pooled(answer: pd.DataFrame) -> pd.DataFrame:
    watched = answer.groupby("ticker")["sessions"].first()
    sessions = int(max(watched))
    sums = answer.assign(chances=answer["chance"] * answer["sessions"]).groupby("hour")[["highs", "lows", "chances"]]
    rows = (sums.sum() / watched.sum()).reset_index()
    chance = rows["chances"]
    margin = _SIGMAS * (chance * (1 - chance) / sessions) ** 0.5
    return pd.DataFrame(
        {
            "ticker": POOLED,
            "hour": rows["hour"],
            "sessions": sessions,
            "highs": (rows["highs"] * sessions).round().astype("int64"),
            "lows": (rows["lows"] * sessions).round().astype("int64"),
            "high_share": rows["highs"],
            "low_share": rows["lows"],
            "high_ties": 0,
            "low_ties": 0,
            "is_tied": False,
            "chance": chance,
            "chance_from": (chance - margin).clip(lower=0),
            "chance_to": (chance + margin).clip(upper=1),
        }
    )
