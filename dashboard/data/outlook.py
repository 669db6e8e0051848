"""Forecasts as the page Outlook shows them. Pure functions of the answer of `forecasts`."""

from __future__ import annotations

import pandas as pd

from tickerlake.exchange import Session
from tickerlake.forecast.samples import DIRECTION, Target
from tickerlake.forecast.scores import BASELINE, course
from tickerlake.forecast.walk import QUANTILES


def shown(forecasts: pd.DataFrame, ticker: str, session: Session, champions: dict[Target, str]) -> pd.DataFrame:
    """The champions' forecasts of one ticker's session, one row an hour and target; live ones before back-tested."""
    rows = forecasts[(forecasts["ticker"] == ticker) & (forecasts["session"] == session.dt)]
    rows = rows[rows["model"] == rows["target"].map(champions)]
    latest = rows.sort_values(["kind", "version"])
    return latest.drop_duplicates(["hour", "target"], keep="last").sort_values(["hour", "target"], ignore_index=True)


def fan(rows: pd.DataFrame, hour: int, session: Session) -> pd.DataFrame:
    """What may be the highest price from `hour` on: columns `minute` and the quantiles as prices.

    Three points: the last close, the end of the hour, and the close of the session. `rows` are those of `shown`.
    """
    of_hour = rows[(rows["hour"] == hour) & (rows["target"] != DIRECTION)].set_index("target")
    first = of_hour.iloc[0]
    points = [{"minute": session.minute(first["known_until"]), **dict.fromkeys(QUANTILES, first["reference"])}]
    for target in ("next-hour-high", "day-high"):
        row = of_hour.loc[target]
        prices = {name: row["reference"] * (1 + row[name]) for name in QUANTILES}
        points.append({"minute": session.minute(row["ends_at"]), **prices})
    return pd.DataFrame(points).drop_duplicates("minute", keep="last")


def against(rows: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Each hour's forecast as a price, and what came: columns `hour`, `kind`, the quantiles, `actual` and `inside`."""
    found = rows[rows["target"] == target]
    prices = {name: found["reference"] * (1 + found[name]) for name in QUANTILES}
    actual = found["reference"] * (1 + found["outcome"])
    inside = found["outcome"].between(found["q05"], found["q95"]).map({True: "inside", False: "outside"})
    return found[["hour", "kind"]].assign(**prices, actual=actual, inside=inside)


def calibrated(scores: pd.DataFrame, champions: dict[Target, str]) -> pd.DataFrame:
    """The share of outcomes at or below each quantile: columns `target`, `level`, `share`, `forecasts`.

    `scores` is the answer of `forecast_scores`. Live forecasts where there are any, else back-tested ones.
    """
    rows = scores[(scores["model"] == scores["target"].map(champions)) & (scores["target"] != DIRECTION)]
    rows = rows.sort_values(["kind", "version"]).drop_duplicates("target", keep="last")
    return pd.DataFrame(
        [
            {
                "target": row["target"],
                "level": int(name[1:]) / 100,
                "share": row[f"below_{name}"],
                "forecasts": row["forecasts"],
            }
            for row in rows.to_dict("records")
            for name in QUANTILES
        ],
        columns=["target", "level", "share", "forecasts"],
    )


def skill(forecasts: pd.DataFrame, model: str) -> pd.DataFrame:
    """How much better than usual `model` was after each session: `target`, `session`, `skill`, `low`, `high`.

    Live and back-tested forecasts together; where one is of both kinds, the live one.
    """
    once = forecasts.sort_values(["kind", "version"]).drop_duplicates(
        ["ticker", "session", "hour", "target", "model"], keep="last"
    )
    frames = [
        course(rows, model, BASELINE).assign(target=target) for target, rows in once.groupby("target") if len(rows)
    ]
    found = pd.concat(frames, ignore_index=True)
    return found.assign(low=found["skill"] - found["margin"], high=found["skill"] + found["margin"])
