"""What the scores say: which model to trust for each target, and one sentence for people."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from tickerlake.forecast.samples import DIRECTION, TARGETS, Target
from tickerlake.forecast.scores import (
    BASELINE,
    ENOUGH,
    ORDER,
    SESSIONS_FOR_CHAMPION,
    SESSIONS_FOR_CLAIM,
    champion,
    compare,
)

_SAYS: dict[Target, str] = {"next-hour-high": "Next hour's high", "day-high": "Day's high", "close-above": "Direction"}


@dataclass(frozen=True)
class Verdict:
    """The champion of each target, which is the baseline without scores, and the sentence."""

    champions: dict[Target, str]
    sentence: str


def verdict(forecasts: pd.DataFrame) -> Verdict:
    """Judges the rows of the query `forecasts`.

    Champions are chosen by live and back-tested forecasts together; where a forecast is of both kinds, the live one
    counts. The sentence speaks of the live ones alone once there are enough, and says so where it does not; of the
    champion, or of the simplest model that is clearly better already but lacks sessions to be champion.
    """
    latest = forecasts[forecasts["version"] == forecasts.groupby("model")["version"].transform("max")]
    once = latest.sort_values("kind").drop_duplicates(["ticker", "session", "hour", "target", "model"], keep="last")
    by_target = {target: once[once["target"] == target] for target in TARGETS}
    there = {target: rows for target, rows in by_target.items() if rows["loss"].notna().any()}
    champions = {target: champion(rows) if target in there else BASELINE for target, rows in by_target.items()}
    return Verdict(champions, " ".join(_says(target, rows, champions[target]) for target, rows in there.items()))


def _says(target: Target, rows: pd.DataFrame, holder: str) -> str:
    live = rows[rows["kind"] == "live"]
    least = SESSIONS_FOR_CHAMPION if target == DIRECTION else SESSIONS_FOR_CLAIM
    note = ""
    if compare(live, BASELINE, BASELINE).sessions < least:
        note = ", back-tested" if live.empty else ", mostly back-tested"
        live = rows
    usual = "a coin" if target == DIRECTION else "usual for this hour"
    sessions = compare(live, BASELINE, BASELINE).sessions
    for model in ORDER[1:] if holder == BASELINE else (holder,):
        found = compare(live, model, BASELINE)
        if found.statistic >= ENOUGH and found.sessions >= least:
            what = "forecast" if target == DIRECTION else "range forecast"
            better = f"{100 * found.skill:.0f} % better than {usual}"
            return f"{_SAYS[target]}: {what} {better} over {found.sessions} sessions{note}."
    if sessions < least:
        return f"{_SAYS[target]}: no better than {usual} so far, with {sessions} of {least} sessions{note}."
    return f"{_SAYS[target]}: no better than {usual} over {sessions} sessions{note}."
