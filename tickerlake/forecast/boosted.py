"""The machine-learned challenger: gradient-boosted trees over what `har` knows, corrected by what they missed.

LightGBM learns each quantile of the highs, divided by the range that `har` expects, and the probability of the
direction. Quantiles are then moved by how far they lay off in sessions that the trees did not learn from, as split
conformal prediction does (Romano and others 2019, https://arxiv.org/abs/1905.03222). It is in the extra [forecast],
and trained again every month.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tickerlake.errors import ConfigError
from tickerlake.forecast.models import LEVELS, Rows, expected_ranges, quantiles
from tickerlake.forecast.samples import DIRECTION, Target

_FEATURES = ("hour", "week", "month", "today", "moved", "lately")
_KEPT_DAYS = 30
_LEARNED_FROM = 0.8  # of the sessions; the later ones correct the quantiles
_SURE = 0.05
# One thread and fixed seeds: the same samples always give the same trees.
_TREES = {
    "num_leaves": 8,
    "learning_rate": 0.06,
    "min_data_in_leaf": 80,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": 7,
    "verbosity": -1,
}
_ROUNDS, _DIRECTION_ROUNDS = 60, 30


@dataclass(frozen=True)
class Fit:
    """What was learned for one target."""

    until: int
    """The last session that it learned from, as an ordinal date."""
    trees: tuple[str, ...]
    """One model per quantile, or one for the direction, in LightGBM's text format."""
    shifts: tuple[float, ...]
    """What is added to each quantile."""


class Boosted:
    """Trees that are trained once a month. A file may hold what an earlier run learned."""

    name: ClassVar[str] = "boosted"
    version: ClassVar[int] = 1

    def __init__(self, file: Path | None = None) -> None:
        """Reads `file` if it exists. ConfigError for a file of another version, or without LightGBM."""
        _lightgbm()
        self._fits: dict[Target, Fit] = load(file) if file is not None and file.exists() else {}
        self._trees: dict[str, Any] = {}

    def forecast(self, target: Target, past: Rows, now: Rows) -> np.ndarray:
        """Quantiles in the ranges that `har` expects; a probability between 5 and 95 %."""
        fit = self._fits.get(target)
        known_until, day = int(past["date"].max()), int(now["date"].max())
        # A fit that has seen later sessions than `past` would leak them.
        if fit is None or not day - _KEPT_DAYS <= fit.until <= known_until:
            fit = self._fits[target] = learn(target, past)
        said = np.column_stack([self._booster(text).predict(_design(now)) for text in fit.trees])
        if target == DIRECTION:
            return np.clip(said, _SURE, 1 - _SURE)
        _, ranges = expected_ranges(past, now)
        return ranges[:, None] * np.sort(said + np.array(fit.shifts), axis=1)

    def as_text(self) -> str:
        """What was learned, as `load` reads it."""
        targets = {
            target: {"until": dt.date.fromordinal(fit.until).isoformat(), "trees": fit.trees, "shifts": fit.shifts}
            for target, fit in self._fits.items()
        }
        return json.dumps({"model": self.name, "version": self.version, "targets": targets})

    def _booster(self, text: str) -> Any:
        if text not in self._trees:
            self._trees[text] = _lightgbm().Booster(model_str=text)
        return self._trees[text]


def learn(target: Target, past: Rows) -> Fit:
    """Trees for `target` from the samples of `past`."""
    design = _design(past)
    days = np.unique(past["date"])
    learned = past["date"] <= days[int(_LEARNED_FROM * (len(days) - 1))]
    if target == DIRECTION:
        return Fit(
            int(days[-1]), (_train(design, past["outcome"], {"objective": "binary"}, _DIRECTION_ROUNDS),), (0.0,)
        )
    ranges, _ = expected_ranges(past, past)
    relative = past["outcome"] / ranges
    trees, shifts = [], []
    for place, level in enumerate(LEVELS):
        text = _train(design[learned], relative[learned], {"objective": "quantile", "alpha": level}, _ROUNDS)
        missed = relative[~learned] - _lightgbm().Booster(model_str=text).predict(design[~learned])
        trees.append(text)
        shifts.append(float(quantiles(missed)[place]))
    return Fit(int(days[-1]), tuple(trees), tuple(shifts))


def load(file: Path) -> dict[Target, Fit]:
    """What an earlier run learned. ConfigError for a file of another version, and for one that is none."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if (kept["model"], kept["version"]) != (Boosted.name, Boosted.version):
            raise ConfigError(
                f"{file} holds version {kept['version']} of {kept['model']}, this is version {Boosted.version} of "
                f"{Boosted.name}; delete the file, and the next forecast trains a new one"
            )
        return {
            target: Fit(dt.date.fromisoformat(fit["until"]).toordinal(), tuple(fit["trees"]), tuple(fit["shifts"]))
            for target, fit in kept["targets"].items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} is not a model; delete it, and the next forecast trains a new one") from error


def _train(design: np.ndarray, outcome: np.ndarray, objective: dict[str, Any], rounds: int) -> str:
    lightgbm = _lightgbm()
    return lightgbm.train(_TREES | objective, lightgbm.Dataset(design, outcome), rounds).model_to_string()


def _design(rows: Rows) -> np.ndarray:
    return np.column_stack([rows[name] for name in _FEATURES]).astype(float)


def _lightgbm() -> Any:
    try:
        import lightgbm  # noqa: PLC0415  # in an extra
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the model boosted needs the package {error.name}; install it: pip install 'tickerlake[forecast]'"
        ) from error
    except OSError as error:  # its library of parallel loops is part of the system
        raise ConfigError(f"LightGBM cannot be loaded: {error}; install the system's package libgomp1") from error
    return lightgbm
