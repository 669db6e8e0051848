"""Running a query: fill in its parameters, type its columns, and say plainly why there is nothing to show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tickerlake import exchange
from tickerlake.errors import ConfigError, LakeEmpty
from tickerlake.query.catalog import Field, load
from tickerlake.query.engines import Engine, Result

EVERY_TICKER = "*"
FIRST_DAY, LAST_DAY = dt.date(exchange.FIRST_YEAR, 1, 1), dt.date(2099, 12, 31)
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
    if result.frame.empty or set(tickers) - {EVERY_TICKER} - found:
        _explain(engine, first, last, tickers)
    return result._replace(frame=_typed(result.frame, query.columns))


def _typed(frame: pd.DataFrame, columns: Sequence[Field]) -> pd.DataFrame:
    """`frame` with the declared columns and types, whichever engine gave it."""
    typed = {}
    for column in columns:
        values = frame[column.name]
        if column.type == "timestamp":
            utc = pd.to_datetime(values).astype("datetime64[us]").dt.tz_localize("UTC")
            typed[column.name] = utc.dt.tz_convert(exchange.EXCHANGE_TIME)
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
        for session in exchange.sessions_between(first, last)
        if session.open < until
    ]
    if not entries:
        raise ConfigError(f"there is no session of {exchange.EXCHANGE} from {first} to {last} that has opened")
    return ";".join(entries)


def _explain(engine: Engine, first: dt.date | None, last: dt.date | None, tickers: Sequence[str]) -> None:
    """Raises the error that says what the lake lacks of what was asked; nothing, where it lacks nothing.

    A query may well have no row to give, as when no bar was restated.
    """
    asked = [ticker for ticker in tickers if ticker != EVERY_TICKER]
    inside = set(_held(engine, first or FIRST_DAY, last or LAST_DAY)["ticker"])
    if inside and inside.issuperset(asked):
        return
    lake = f"the lake {engine.lake!r}"
    held = _held(engine, FIRST_DAY, LAST_DAY)
    if held.empty:
        raise LakeEmpty(f"{lake} holds no bars; collect some: tickerlake collect")
    if unknown := [ticker for ticker in asked if ticker not in set(held["ticker"])]:
        more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
        raise ConfigError(
            f"{lake} holds no bars of {', '.join(unknown)}; it holds {', '.join(held['ticker'].head(_SHOWN))}{more}"
        )
    if first is not None and first == last:
        exchange.session_on(first)  # says so, and names the nearest sessions, where the exchange was closed
    when = f"on {first}" if first == last else f"from {first or 'the beginning'} to {last or 'the end'}"
    who = ", ".join(ticker for ticker in asked if ticker not in inside)
    mine = held[held["ticker"].isin(asked)] if asked else held
    raise ConfigError(
        f"{lake} holds no bars {f'of {who} ' if who else ''}{when}; "
        f"it holds {'theirs' if who else 'sessions'} from {mine['first_session'].min()} to {mine['last_session'].max()}"
    )


def _held(engine: Engine, first: dt.date, last: dt.date) -> pd.DataFrame:
    """The tickers that the lake holds in these sessions, and from when to when."""
    parameters = {"first": first.isoformat(), "last": last.isoformat(), "tickers": [EVERY_TICKER]}
    return engine.run(load("tickers").sql, parameters).frame
