"""How good forecasts were, which model is the champion, and the sentence that says so.

The loss of a distribution is its mean pinball loss over the five quantiles, that of a probability the Brier score. Two
models are compared on the same forecasts by the mean difference of their losses in each session; Diebold and Mariano's
statistic divides the mean of these by its standard error, after Newey and West, because sessions resemble each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tickerlake.forecast.models import LEVELS
from tickerlake.forecast.samples import DIRECTION
from tickerlake.forecast.walk import QUANTILES

BASELINE = "hour-of-day"
ORDER = (BASELINE, "har", "boosted")
"""The models, the simplest first."""
ENOUGH = 3.0
"""Diebold and Mariano's statistic from which on a model counts as better: one chance in 700 without any skill."""
SESSIONS_FOR_CHAMPION = 250
SESSIONS_FOR_CLAIM = 60
_LEAST_COURSE = 20
LAGS = 5
"""How many sessions apart differences of losses are still taken for related: a week."""


def losses(forecasts: pd.DataFrame) -> pd.Series:
    """The loss of each forecast of `walk`: NaN while the outcome is not known.

    Pinball loss relative to the price, or Brier score.
    """
    outcome = forecasts["outcome"].to_numpy(float)
    error = outcome[:, None] - forecasts[QUANTILES].to_numpy(float)
    pinball = np.maximum(np.array(LEVELS) * error, (np.array(LEVELS) - 1) * error).mean(axis=1)
    brier = (outcome - forecasts["probability"].to_numpy(float)) ** 2
    return pd.Series(np.where(forecasts["target"] == DIRECTION, brier, pinball), index=forecasts.index)


@dataclass(frozen=True)
class Comparison:
    """How much better one model's forecasts were than another's, over the sessions that both forecast."""

    sessions: int
    forecasts: int
    skill: float
    """1 less the ratio of the losses: 0.1 for 10 % better."""
    margin: float
    """Half the width of the 95 % confidence interval of `skill`."""
    statistic: float
    """Diebold and Mariano's; positive if the first model is better. NaN if it cannot be known."""


def compare(forecasts: pd.DataFrame, model: str, other: str) -> Comparison:
    """Compares two models on one target. `forecasts` are those of `walk`, with their `loss`."""
    both = _paired(forecasts, model, other)
    daily = _daily(both)
    mean, error = _mean_and_error((daily["theirs"] - daily["ours"]).to_numpy())
    base = daily["theirs"].mean() if len(daily) else math.nan
    return Comparison(
        sessions=len(daily),
        forecasts=len(both),
        skill=mean / base,
        margin=1.96 * error / base,
        statistic=mean / error if error > 0 else math.nan,
    )


def course(forecasts: pd.DataFrame, model: str, other: str) -> pd.DataFrame:
    """The comparison as it stood after each session: columns `session`, `skill` and `margin`, from the 20th on."""
    daily = _daily(_paired(forecasts, model, other))
    rows = []
    for count in range(_LEAST_COURSE, len(daily) + 1):
        so_far = daily.iloc[:count]
        mean, error = _mean_and_error((so_far["theirs"] - so_far["ours"]).to_numpy())
        base = so_far["theirs"].mean()
        rows.append((so_far.index[-1], mean / base, 1.96 * error / base))
    return pd.DataFrame(rows, columns=["session", "skill", "margin"])


def champion(forecasts: pd.DataFrame) -> str:
    """The model to trust for one target: the simplest one that no other has beaten clearly and for long.

    A model takes over from the champion before it with a statistic of `ENOUGH` over `SESSIONS_FOR_CHAMPION` sessions.
    """
    holder = BASELINE
    for challenger in ORDER[1:]:
        found = compare(forecasts, challenger, holder)
        if found.sessions >= SESSIONS_FOR_CHAMPION and found.statistic >= ENOUGH:
            holder = challenger
    return holder


def calibration(forecasts: pd.DataFrame) -> pd.Series:
    """The share of outcomes at or below each quantile of `LEVELS`; of perfect forecasts, the levels themselves."""
    known = forecasts.dropna(subset=["outcome", "q50"])
    return known[QUANTILES].ge(known["outcome"], axis=0).mean()


def coverage(forecasts: pd.DataFrame) -> float:
    """The share of outcomes inside the 90 % band, from the 5 % to the 95 % quantile."""
    known = forecasts.dropna(subset=["outcome", "q50"])
    return float(known["outcome"].between(known["q05"], known["q95"]).mean())


def pit(forecasts: pd.DataFrame) -> np.ndarray:
    """Where each outcome lies in its distribution, 0 to 1, interpolated between the quantiles.

    The probability integral transform: of perfect forecasts, evenly spread.
    """
    known = forecasts.dropna(subset=["outcome", "q50"])
    levels = np.array([0.0, *LEVELS, 1.0])
    return np.array(
        [
            np.interp(outcome, [2 * row[0] - row[1], *row, 2 * row[-1] - row[-2]], levels)
            for outcome, row in zip(known["outcome"], known[QUANTILES].to_numpy(), strict=True)
        ]
    )


def _paired(forecasts: pd.DataFrame, model: str, other: str) -> pd.DataFrame:
    """The losses of the forecasts that both models made, in the columns `ours` and `theirs`."""
    key = ["ticker", "session", "hour"]
    scored = forecasts.dropna(subset=["loss"])
    ours, theirs = (scored[scored["model"] == name].set_index(key)["loss"] for name in (model, other))
    return pd.concat([ours.rename("ours"), theirs.rename("theirs")], axis=1, join="inner")


def _daily(both: pd.DataFrame) -> pd.DataFrame:
    return both.groupby(level="session")[["ours", "theirs"]].mean().sort_index()


def _mean_and_error(differences: np.ndarray) -> tuple[float, float]:
    """The mean and its standard error, with Bartlett's weights (Newey and West 1987)."""
    count = len(differences)
    mean = float(differences.mean()) if count else math.nan
    if count < 2:
        return mean, math.nan
    centred = differences - mean
    variance = centred @ centred / count
    for lag in range(1, min(LAGS, count - 1) + 1):
        variance += 2 * (1 - lag / (LAGS + 1)) * (centred[lag:] @ centred[:-lag]) / count
    return mean, math.sqrt(max(variance, 0) / count)
