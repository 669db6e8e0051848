"""Makes forecasts from a lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tickerlake import exchange
from tickerlake.exchange import Exchange, Session
from tickerlake.forecast.models import Har, HourOfDay, Model
from tickerlake.forecast.samples import LEAST_SESSIONS, LIVE, Moment, known, moments
from tickerlake.forecast.walk import LOOK_BACK, QUANTILES, walk
from tickerlake.query import Engine, run
from tickerlake.query.runner import traded
from tickerlake.record import FORECASTS

MODELS: tuple[Model, ...] = (HourOfDay(), Har())
"""The models that need nothing but NumPy."""
KEY = ["ticker", "session", "hour", "target", "model", "version"]
_STORED = """
SELECT DISTINCT ticker, session, hour, target, model, version
FROM forecasts
WHERE session BETWEEN %(first)s AND %(last)s
"""


@dataclass(frozen=True)
class Made:
    """What one run made."""

    forecasts: pd.DataFrame
    """The columns of `record.FORECASTS`; times are aware."""
    short: dict[str, int]
    """The tickers without enough history, and how many earlier sessions the lake has of each."""


def make(
    engine: Engine,
    sessions: Sequence[Session],
    now: dt.datetime,
    *,
    tickers: Sequence[str] | None = None,
    models: Sequence[Model] = MODELS,
    on_session: Callable[[str], None] = lambda _: None,
) -> Made:
    """The forecasts of `sessions` of one exchange, consecutive and oldest first, at every full hour begun by `now`.

    Each is made from what was known at its hour, as `samples` explains; no later than `now`. Prices are in the shares
    of their own session. Raises as `query.run` does.
    """
    place = sessions[0].exchange
    before = sessions[0].date - dt.timedelta(days=LOOK_BACK * 2)  # more than enough days for so many sessions
    days = place.sessions_between(before, sessions[-1].date)[-LOOK_BACK - len(sessions) :]
    if tickers is None:
        tickers = traded(engine, sessions)
    mine = [ticker for ticker in tickers if exchange.of(ticker) == place]
    if not mine:
        return Made(_dated(walk((), models), days, now), {})
    parameters: dict[str, Any] = {"first": days[0].date, "last": days[-1].date, "tickers": mine, "as_of": now}
    hours = run(engine, "hourly_versions", basis="as-traded", **parameters).frame
    wanted = range(len(days) - len(sessions), len(days))
    made = walk(known(hours, days, wanted, LOOK_BACK), models, lambda place: on_session(days[place].dt))
    return Made(_dated(made, days, now), _short(hours, sessions))


def joined(parts: Sequence[Made]) -> Made:
    """What was made for several exchanges."""
    short = {ticker: count for part in parts for ticker, count in part.short.items()}
    return Made(pd.concat([part.forecasts for part in parts], ignore_index=True), short)


def just_begun(now: dt.datetime, place: Exchange) -> Moment | None:
    """The full hour of the running session that began so recently that a forecast of it is still live."""
    session = place.running(now)
    begun = [moment for moment in moments(session) if moment.at <= now < moment.at + LIVE] if session else []
    return begun[0] if begun else None


def make_live(engine: Engine, now: dt.datetime, place: Exchange, tickers: Sequence[str] | None = None) -> pd.DataFrame:
    """The forecasts of the hour that has just begun at an exchange, those that the lake has none of yet.

    Empty without enough history. Raises as `query.run` does.
    """
    moment = just_begun(now, place)
    if moment is None:
        return pd.DataFrame(columns=[column.name for column in FORECASTS])
    made = make(engine, [moment.session], now, tickers=tickers).forecasts
    return without_stored(engine, made[made["known_until"] == moment.at])


def without_stored(engine: Engine, forecasts: pd.DataFrame) -> pd.DataFrame:
    """The forecasts that the lake has none of yet: a forecast is never made twice."""
    if forecasts.empty:
        return forecasts
    span = {"first": forecasts["session"].min(), "last": forecasts["session"].max()}
    stored = engine.run(_STORED, span).rows
    new = ~pd.MultiIndex.from_frame(forecasts[KEY]).isin(stored) if stored else np.full(len(forecasts), fill_value=True)
    return forecasts[new]


def _dated(made: pd.DataFrame, days: Sequence[Session], now: dt.datetime) -> pd.DataFrame:
    """`made` with the columns of the table, without the hours that have not begun."""
    by_key = {(place, moment.hour): moment for place, session in enumerate(days) for moment in moments(session)}
    found = [by_key[key] for key in zip(made["session"], made["hour"], strict=True)]
    ends = [moment.ends(target) for moment, target in zip(found, made["target"], strict=True)]
    utc = partial(pd.Series, index=made.index, dtype="datetime64[us, UTC]")
    made = made.assign(
        exchange=days[0].exchange.code,
        session=[moment.session.dt for moment in found],
        made_at=utc(now),
        known_until=utc([moment.at for moment in found]),
        ends_at=utc(ends),
        sessions_used=made["sessions_used"].astype(int),
        **made[[*QUANTILES, "probability"]].astype(float).round(6),
    )
    return made.loc[made["known_until"] <= now, [column.name for column in FORECASTS]].reset_index(drop=True)


def _short(hours: pd.DataFrame, sessions: Sequence[Session]) -> dict[str, int]:
    """The tickers of the last session with fewer than `LEAST_SESSIONS` earlier ones."""
    last = sessions[-1].dt
    traded = hours.drop_duplicates(["ticker", "session"])
    there = traded.loc[traded["session"] == last, "ticker"]
    earlier = traded[traded["session"] < last].groupby("ticker").size()
    counts = {ticker: int(earlier.get(ticker, 0)) for ticker in there}
    return {ticker: count for ticker, count in counts.items() if count < LEAST_SESSIONS}
