"""How a forecast is made: the models, from the simplest one on.

A model sees the samples of earlier sessions, whose outcomes are known, and forecasts those of one more session. The
distribution of a high is a scale times quantiles of past highs that were divided by their own scale:

- `hour-of-day`, the baseline: the scale is what is usual for that ticker at that hour. For the direction, a coin.
- `har`: the scale also follows the ranges of the last 5 and 20 sessions and of today, as heterogeneous autoregressive
  models do (Corsi 2009, https://doi.org/10.1093/jjfinec/nbp001); the direction follows the return of the session and of
  the last hour. Both regressions are shrunk towards the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

import numpy as np

from tickerlake.forecast.samples import DIRECTION, Target

Rows = Mapping[str, np.ndarray]
"""Samples as one array a column, named as in `samples`."""
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles of a distribution that is forecast."""
_RANGE_PRIOR, _DIRECTION_PRIOR = 1.0, 20.0  # in sessions
_SURE = 0.05


class Model(Protocol):
    """Forecasts the samples of one session from those of earlier sessions."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever the same samples give another forecast: scores of different versions are never mixed."""

    def forecast(self, target: Target, past: Rows, now: Rows) -> np.ndarray:
        """One row per sample in `now`: the quantiles of `LEVELS`, or one column, the probability of `close-above`.

        Every outcome in `past` is known. No outcome and no size in `now` is looked at.
        """


class HourOfDay:
    """What is usual for the ticker at that hour, and a coin for the direction."""

    name: ClassVar[str] = "hour-of-day"
    version: ClassVar[int] = 1

    def forecast(self, target: Target, past: Rows, now: Rows) -> np.ndarray:
        """Quantiles of past highs in usual ranges; 0.5."""
        if target == DIRECTION:
            return np.full((len(now["hour"]), 1), 0.5)
        return scaled_quantiles(past, now, past["usual"], now["usual"])


class Har:
    """Ranges follow the ranges of the last week, the last month and today."""

    name: ClassVar[str] = "har"
    version: ClassVar[int] = 1

    def forecast(self, target: Target, past: Rows, now: Rows) -> np.ndarray:
        """Quantiles of past highs in expected ranges; a probability between 5 and 95 %."""
        if target == DIRECTION:
            features = ("moved", "lately")
            weights = _ridge(past, features, past["outcome"] - 0.5, _DIRECTION_PRIOR)
            return np.clip(0.5 + _design(now, features) @ weights, _SURE, 1 - _SURE)[:, None]
        return scaled_quantiles(past, now, *expected_ranges(past, now))


def expected_ranges(past: Rows, now: Rows) -> tuple[np.ndarray, np.ndarray]:
    """The log range that `har` expects for each sample in `past` and in `now`."""
    features = ("week", "month", "today")
    weights = _ridge(past, features, np.log(past["size"] / past["usual"]), _RANGE_PRIOR)
    past_ranges, now_ranges = (rows["usual"] * np.exp(_design(rows, features) @ weights) for rows in (past, now))
    return past_ranges, now_ranges


def scaled_quantiles(past: Rows, now: Rows, past_scale: np.ndarray, now_scale: np.ndarray) -> np.ndarray:
    """The quantiles of the past outcomes of the same hour, of all tickers, divided by their scales; times the scale."""
    relative = past["outcome"] / past_scale
    found = np.full((len(now["hour"]), len(LEVELS)), np.nan)
    for hour in np.unique(now["hour"]):
        same = relative[past["hour"] == hour]
        if len(same):
            rows = now["hour"] == hour
            found[rows] = now_scale[rows, None] * quantiles(same)
    return found


def quantiles(values: np.ndarray) -> np.ndarray:
    """The quantiles of `LEVELS`: the next value lies below the k-th smallest of n with probability k / (n + 1)."""
    place = np.clip(np.array(LEVELS) * (len(values) + 1) - 1, 0, len(values) - 1)
    low, high = np.floor(place).astype(int), np.ceil(place).astype(int)
    # As np.quantile(values, LEVELS, method="weibull"), which takes several times as long.
    ordered = np.partition(values, np.unique([low, high]))
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _ridge(past: Rows, features: tuple[str, ...], target: np.ndarray, prior: float) -> np.ndarray:
    """Weights of a constant and of `features`, shrunk to zero as if `prior` more sessions had shown no relation.

    A session counts as one observation, however many tickers it has: they move together.
    """
    design = _design(past, features)
    each = len(target) / len(np.unique(past["session"]))
    return np.linalg.solve(design.T @ design / each + prior * np.eye(design.shape[1]), design.T @ target / each)


def _design(rows: Rows, features: tuple[str, ...]) -> np.ndarray:
    return np.column_stack([np.ones(len(rows["hour"])), *(rows[name] for name in features)])
