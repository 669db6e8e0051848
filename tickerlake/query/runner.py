"""Runs a named query: checks its parameters, types its columns, and explains an empty answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from tickerlake import exchange
from tickerlake.errors import ConfigError, LakeEmpty
from tickerlake.query import types
from tickerlake.query.answer import Answer
from tickerlake.query.catalog import FILLED_IN, Field, Query, load
from tickerlake.query.engines import Engine

EVERY_TICKER = "*"
DEFAULTS: dict[str, Any] = {"first": f"{exchange.FIRST_YEAR}-01-01", "last": "2099-12-31", "tickers": [EVERY_TICKER]}
"""The whole lake."""
_SHOWN = 20


def run(
    engine: Engine, name: str, *, now: dt.datetime | None = None, limit: int | None = None, **parameters: Any
) -> Answer:
    """Runs the query `name` with the `parameters` that its header declares; None stands for the default.

    `first` and `last` are dates, or text; `tickers` one symbol or several. The answer has the columns that the header
    declares, at most `limit` rows, and timestamps in exchange time. `now` bounds what `coverage` expects of a
    running session. Raises ConfigError, with what is allowed, for an unknown query, an unknown or unusable
    parameter, and for sessions or tickers that the lake does not hold; LakeEmpty; QueryFailed.
    """
    query = load(name)
    values = bind(query, parameters)
    if any(field.name == FILLED_IN for field in query.parameters):
        values[FILLED_IN] = _calendar(engine, values, now or dt.datetime.now(dt.UTC))
    found = engine.run(query.sql, values, limit).declared(query.columns)
    asked = set(values.get("tickers", ())) - {EVERY_TICKER}
    has_tickers = any(field.name == "ticker" for field in query.columns)
    if not len(found) or (asked and has_tickers and not asked.issubset(found.distinct("ticker"))):
        _explain(engine, values)
    return found


def bind(query: Query, parameters: dict[str, Any]) -> dict[str, Any]:
    """The values of the parameters of `query`, with their defaults. ConfigError."""
    allowed = [field.name for field in query.options]
    if unknown := [name for name in parameters if name not in allowed]:
        raise ConfigError(f"the query {query.name} has no parameter {unknown[0]!r}; it has {', '.join(allowed)}")
    values = {}
    for field in query.options:
        value = parameters.get(field.name)
        if value is None and is_required(field):
            raise ConfigError(f"the query {query.name} needs {field.name}: {field.comment}")
        if value is None:
            value = DEFAULTS.get(field.name, field.default)
        values[field.name] = types.parse(field.name, field.type, value)
    if "first" in values and "last" in values and values["first"] > values["last"]:
        raise ConfigError(f"first session {values['first']} is after last session {values['last']}; swap them")
    return values


def is_required(field: Field) -> bool:
    """True if a parameter has no default."""
    return field.name not in DEFAULTS and field.default is None


def _calendar(engine: Engine, values: dict[str, Any], now: dt.datetime) -> str:
    """The sessions asked for, as `coverage` takes them; a running one up to its last full minute."""
    first, last = values["first"], values["last"]
    if first == DEFAULTS["first"] or last == DEFAULTS["last"]:
        held = run(engine, "sessions", first=first, last=last).column("session")
        first, last = max(first, held[0]), min(last, held[-1])
    until = now.astimezone(dt.UTC).replace(second=0, microsecond=0)
    entries = [
        f"{session.date} {session.open:%Y-%m-%d %H:%M:%S} {min(session.close, until):%Y-%m-%d %H:%M:%S}"
        for session in exchange.sessions_between(dt.date.fromisoformat(first), dt.date.fromisoformat(last))
        if session.open < until
    ]
    if not entries:
        raise ConfigError(f"no session of {exchange.EXCHANGE} from {first} to {last} has opened yet")
    return ";".join(entries)


def _explain(engine: Engine, values: dict[str, Any]) -> None:
    """Raises the error that says what the lake lacks of what was asked; returns if it lacks nothing.

    An answer may well be empty: `restatements` has no row if no bar was restated.
    """
    asked = [ticker for ticker in values.get("tickers", ()) if ticker != EVERY_TICKER]
    first, last = (values.get(name, DEFAULTS[name]) for name in ("first", "last"))
    inside = set(_held(engine, first, last).column("ticker"))
    if inside and inside.issuperset(asked):
        return
    lake = f"the lake {engine.lake!r}"
    held = {row[0]: row for row in _held(engine, DEFAULTS["first"], DEFAULTS["last"]).rows}
    if not held:
        raise LakeEmpty(f"{lake} holds no bars; collect some: tickerlake collect")
    if unknown := [ticker for ticker in asked if ticker not in held]:
        more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
        raise ConfigError(f"{lake} holds no bars of {', '.join(unknown)}; it holds {_some(list(held))}{more}")
    if first == last:
        exchange.session_on(
            dt.date.fromisoformat(first)
        )  # if the exchange was closed, raises with the nearest sessions
    begin = first if first != DEFAULTS["first"] else "the beginning"
    end = last if last != DEFAULTS["last"] else "the end"
    when = f"on {first}" if first == last else f"from {begin} to {end}"
    who = [ticker for ticker in asked if ticker not in inside]
    rows = [held[ticker] for ticker in asked] if asked else list(held.values())
    raise ConfigError(
        f"{lake} holds no bars {f'of {_some(who)} ' if who else ''}{when}; it holds "
        f"{'theirs' if who else 'sessions'} from {min(row[1] for row in rows)} to {max(row[2] for row in rows)}"
    )


def _some(tickers: Sequence[str]) -> str:
    return ", ".join(tickers[:_SHOWN])


def _held(engine: Engine, first: str, last: str) -> Answer:
    """One row a ticker of the lake in these sessions: its symbol, its first and last session."""
    query = load("tickers")
    parameters = {"first": first, "last": last, "tickers": [EVERY_TICKER]}
    return engine.run(query.sql, parameters).declared(query.columns)
