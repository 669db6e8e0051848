"""Forecasts of one session after the other, each made from earlier sessions only.

Between the session that is forecast and those that a model learns from lies one that is left out, the embargo: its
outcomes may still be corrected. What the features tell about it is known all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd

from tickerlake.forecast.models import LEVELS, Model, Rows
from tickerlake.forecast.samples import DIRECTION, LEAST_SESSIONS, USUAL, Known

EMBARGO = 1
LEARNED = 130
"""A model learns from the samples of this many sessions."""
LOOK_BACK = EMBARGO + LEARNED + USUAL
"""Older sessions change no forecast."""
QUANTILES = [f"q{round(100 * level):02}" for level in LEVELS]
_KEPT = ("ticker", "session", "hour", "reference", "sessions_used", "outcome")
COLUMNS = [*_KEPT, "target", "model", "version", *QUANTILES, "probability"]
"""The columns of the forecasts that `walk` makes."""


def walk(
    known: Iterable[Known], models: Sequence[Model], on_session: Callable[[int], None] = lambda _: None
) -> pd.DataFrame:
    """The forecasts of `models` for the moments of `known`, which come earliest first, as `samples.known` gives them.

    Returns one row per ticker, session, hour, target and model: `ticker session hour reference sessions_used outcome`,
    `target`, the quantiles `q05 q25 q50 q75 q95` relative to the reference or the `probability`, `model` and `version`.
    Tickers with fewer than `LEAST_SESSIONS` earlier sessions are left out.
    """
    parts: list[Rows] = []
    for period in known:
        columns = {target: (_arrays(period.past[target]), _arrays(frame)) for target, frame in period.now.items()}
        for session in period.sessions:
            for target, (before, moments) in columns.items():
                past, now = _learned_from(before, session), _ready(moments, session)
                if not len(past["hour"]) or not len(now["hour"]):
                    continue
                for model in models:
                    values = model.forecast(target, past, now)
                    labels = {"target": target, "model": model.name, "version": model.version}
                    part = {name: now[name] for name in _KEPT}
                    part |= {name: np.full(len(values), label) for name, label in labels.items()}
                    part |= {name: np.full(len(values), np.nan) for name in (*QUANTILES, "probability")}
                    part |= dict(zip(["probability"] if target == DIRECTION else QUANTILES, values.T, strict=True))
                    parts.append(part)
            on_session(session)
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) if parts else [] for name in COLUMNS})


def _arrays(frame: pd.DataFrame) -> Rows:
    return {name: frame[name].to_numpy() for name in frame}


def _learned_from(rows: Rows, session: int) -> Rows:
    """The samples to learn from, whose outcomes are known."""
    first, end = np.searchsorted(rows["session"], [session - EMBARGO - LEARNED, session - EMBARGO])
    known = np.isfinite(rows["outcome"][first:end]) & np.isfinite(rows["size"][first:end])
    return _taken(rows, np.flatnonzero(known) + first)


def _ready(rows: Rows, session: int) -> Rows:
    """The samples to forecast."""
    begin, stop = np.searchsorted(rows["session"], [session, session + 1])
    return _taken(rows, np.flatnonzero(rows["sessions_used"][begin:stop] >= LEAST_SESSIONS) + begin)


def _taken(rows: Rows, places: np.ndarray) -> Rows:
    return {name: values[places] for name, values in rows.items()}
