"""Running a query: fill in its parameters, type its columns, and say plainly why there is nothing to show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd

from functions.collector import sessions
from functions.collector.errors import ConfigError, LakeEmpty
from queries.catalog import Field, load
from queries.engines import Engine, Result

EVERY_TICKER = "*"
FIRST_DAY, LAST_DAY = dt.date(sessions.FIRST_YEAR, 1, 1), dt.date(2099, 12, 31)
_TYPES = {"varchar": "str", "integer": "int64", "bigint": "Int64", "double": "float64"}
_SHOWN = 20


def run(
    engine: Engine,
    name: str,
    *,
    first: dt.date | None = None,
    last: dt.date | None = None,
    tickers: Sequence[str] = (EVERY_TICKER,),
    now: dt.datetime | None = None,
) -> Result:
    """Runs the query `name` over the sessions from `first` to `last`, by default over all that the lake holds.

    The frame has the columns that the query declares, its timestamps in exchange time. `now` bounds what
    `coverage` expects of a running session. Raises ConfigError for a query, a day or a ticker that is not
    there, naming those that are; LakeEmpty; QueryFailed.
    """
    query = load(name)
    if first and last and first > last:
        raise ConfigError(f"first session {first} is after last session {last}; swap them")
    parameters: dict[str, Any] = {
        "first": (first or FIRST_DAY).isoformat(),
        "last": (last or LAST_DAY).isoformat(),
        "tickers": list(tickers),
    }
    if any(parameter.name == "calendar" for parameter in query.parameters):
        parameters["calendar"] = _calendar(engine, first, last, now or dt.datetime.now(dt.UTC))
    result = engine.run(query.sql, parameters)
    found = set(result.frame["ticker"].unique()) if "ticker" in result.frame else set(tickers)
    absent = [ticker for ticker in tickers if ticker not in found and ticker != EVERY_TICKER]
    if result.frame.empty or absent:
        _explain(engine, first, last, absent)
    return result._replace(frame=_typed(result.frame, query.columns))


def _typed(frame: pd.DataFrame, columns: Sequence[Field]) -> pd.DataFrame:
    """`frame` with the declared columns and types, whichever engine gave it."""
    typed = {}
    for column in columns:
        values = frame[column.name]
        if column.type == "timestamp":
            utc = pd.to_datetime(values).astype("datetime64[us]").dt.tz_localize("UTC")
            typed[column.name] = utc.dt.tz_convert(sessions.EXCHANGE_TIME)
        else:
            typed[column.name] = values.astype(_TYPES[column.type])
    return pd.DataFrame(typed)


def _calendar(engine: Engine, first: dt.date | None, last: dt.date | None, now: dt.datetime) -> str:
    """The sessions from `first` to `last`, as `coverage` takes them; a running one up to its last finished minute."""
    if first is None or last is None:
        held = run(engine, "sessions", first=first, last=last).frame["session"]
        first = first or dt.date.fromisoformat(held.iloc[0])
        last = last or dt.date.fromisoformat(held.iloc[-1])
    until = now.astimezone(dt.UTC).replace(second=0, microsecond=0)
    entries = [
        f"{session.date} {session.open:%Y-%m-%d %H:%M:%S} {min(session.close, until):%Y-%m-%d %H:%M:%S}"
        for session in sessions.sessions_between(first, last)
        if session.open < until
    ]
    if not entries:
        _explain(engine, first, last, [])
    return ";".join(entries)


def _explain(engine: Engine, first: dt.date | None, last: dt.date | None, absent: Sequence[str]) -> None:
    """Raises the error that says why there is nothing to show, and what there is."""
    held = engine.run(
        load("tickers").sql,
        {"first": FIRST_DAY.isoformat(), "last": LAST_DAY.isoformat(), "tickers": [EVERY_TICKER]},
    ).frame
    if held.empty:
        raise LakeEmpty(f"the lake {engine.lake!r} holds no bars; collect some: python -m functions.collector collect")
    span = f"{held['first_session'].min()} to {held['last_session'].max()}"
    asked = f"{first or 'the first session'} to {last or 'the last'}" if first != last else f"{first}"
    unknown = [ticker for ticker in absent if ticker not in set(held["ticker"])]
    if unknown:
        shown = ", ".join(held["ticker"].head(_SHOWN)) + (f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else "")
        raise ConfigError(f"the lake {engine.lake!r} holds no bars of {', '.join(unknown)}; it holds {shown}")
    if first is not None and first == last:
        sessions.session_on(first)  # says so, and names the nearest sessions, where the exchange was closed
    who = f"of {', '.join(absent)} " if absent else ""
    raise ConfigError(f"the lake {engine.lake!r} holds no bars {who}for {asked}; it holds sessions from {span}")
