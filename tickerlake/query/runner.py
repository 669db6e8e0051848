"""Runs a named query: checks its parameters, types its columns, and explains an empty answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from tickerlake import exchange, symbols
from tickerlake.errors import ConfigError, LakeEmpty, OutOfMemory
from tickerlake.query import types
from tickerlake.query.answer import Answer, joined
from tickerlake.query.catalog import Field, Query, load
from tickerlake.query.engines import Engine
from tickerlake.query.statement import NOW, preference

EVERY_TICKER = "*"
DEFAULTS: dict[str, Any] = {
    "first": f"{exchange.XNYS.first_year}-01-01",
    "last": "2099-12-31",
    "tickers": [EVERY_TICKER],
    "as_of": f"{NOW}+00:00",
}
"""The whole lake as it is now."""
LOOK_BACK = dt.timedelta(days=14)
"""`coverage` takes a ticker without bars in this time before the first session for a new one."""
_SHOWN = 20
_FEWER = 4
"""A part of the tickers that takes too much memory is divided by this."""
_SPANS = """
SELECT
    exchange,
    CAST(min(CAST(dt AS date)) AS varchar) AS oldest,
    CAST(max(CAST(dt AS date)) AS varchar) AS newest
FROM bars
WHERE dt BETWEEN %(first)s AND %(last)s
    AND (%(as_of)s > '9999' OR collected_at <= CAST(%(as_of)s AS timestamp))
GROUP BY exchange
"""
_ANY = """
SELECT ticker FROM bars
WHERE dt BETWEEN %(first)s AND %(last)s AND collected_at <= CAST(%(as_of)s AS timestamp) AND high < 1e300
LIMIT 1
"""
_TICKERS = """
SELECT ticker FROM bars WHERE dt BETWEEN %(first)s AND %(last)s
UNION SELECT ticker FROM runs WHERE session BETWEEN %(first)s AND %(last)s
UNION SELECT ticker FROM forecasts WHERE session BETWEEN %(first)s AND %(last)s
ORDER BY ticker
"""
_LONG_BARS = """
SELECT ticker, dt AS session, min(bar_minutes) AS bar_minutes
FROM bars
WHERE dt BETWEEN %(first)s AND %(last)s
    AND ('*' IN %(tickers)s OR ticker IN %(tickers)s)
    AND collected_at <= CAST(%(as_of)s AS timestamp)
    AND bar_minutes > 30
    AND high < 1e300
GROUP BY ticker, dt
ORDER BY session, ticker
"""


def run(
    engine: Engine,
    name: str,
    *,
    now: dt.datetime | None = None,
    limit: int | None = None,
    columns: bool = False,
    **parameters: Any,
) -> Answer:
    """Runs the query `name` with the `parameters` that its header declares; None stands for the default.

    `first` and `last` are dates, or text; `tickers` one symbol or several, which also find the company's sessions
    under earlier symbols; `as_of` a moment, without an offset in the time of the tickers' exchange. The answer has the
    columns that the header declares, at most `limit` rows, and timestamps in the time of each row's exchange.
    `columns` makes its `frame` faster, and its `rows` slower. `now` bounds what `coverage` expects of a running
    session. Raises ConfigError, with what is allowed, for an unknown query, an unknown or unusable parameter, and for
    sessions or tickers that the lake does not hold; LakeEmpty; QueryFailed.
    """
    query = load(name)
    values = bind(engine, query, parameters)
    tickers = [ticker for ticker in values.get("tickers", ()) if ticker != EVERY_TICKER]
    asked = {ticker: names_since(ticker, values["first"]) for ticker in tickers}
    if asked:
        values["tickers"] = list(dict.fromkeys(name for names in asked.values() for name in names))
    declared = {field.name for field in query.parameters}
    filled_in = {
        "sources": lambda: preference(engine.sources),
        "calendar": lambda: _calendar(engine, values, now or dt.datetime.now(dt.UTC)),
        # An engine that knows the files puts the settled sessions here as it lists them.
        "settled": lambda: "",
        "renames": lambda: ";".join(f"{rename.on} {rename.old}" for rename in symbols.RENAMES),
        "since": lambda: str(dt.date.fromisoformat(values["first"]) - LOOK_BACK),
    }
    values |= {parameter: value() for parameter, value in filled_in.items() if parameter in declared}
    found = _run(engine, query, values, limit, columns=columns)
    has_tickers = any(field.name == "ticker" for field in query.columns)
    there = found.distinct("ticker") if asked and has_tickers else set()
    incomplete = not len(found) or (has_tickers and any(there.isdisjoint(names) for names in asked.values()))
    # An empty answer of `runs` is one: nobody asked.
    if incomplete and name != "runs":
        _explain(engine, values, asked)
    if name == "hourly_high" and (incomplete or engine.may_hold_long_bars(values["first"], values["last"])):
        found = replace(found, notes=(*found.notes, *_long_bars(engine, values, found)))
    return found


def bind(engine: Engine, query: Query, parameters: dict[str, Any]) -> dict[str, Any]:
    """The values of the parameters of `query`, with their defaults. ConfigError; for `as_of` also QueryFailed."""
    allowed = [field.name for field in query.options]
    if unknown := [name for name in parameters if name not in allowed]:
        raise ConfigError(f"the query {query.name} has no parameter {unknown[0]!r}; it has {', '.join(allowed)}")
    values: dict[str, Any] = {field.name: field.always for field in query.parameters if field.always}
    for field in query.options:
        value = parameters.get(field.name)
        if value is None and is_required(field):
            raise ConfigError(f"the query {query.name} needs {field.name}: {field.comment}")
        if value is None:
            value = DEFAULTS.get(field.name, field.default)
        values[field.name] = types.parse(field.name, field.type, value) if field.name != "as_of" else value
    if "as_of" in values:
        values["as_of"] = _moment(engine, values)
    if "first" in values and "last" in values and values["first"] > values["last"]:
        raise ConfigError(f"first session {values['first']} is after last session {values['last']}; swap them")
    return values


def traded(engine: Engine, sessions: Sequence[exchange.Session]) -> list[str]:
    """The tickers with bars in `sessions`, which are of one exchange, oldest first. LakeEmpty, QueryFailed."""
    held = _held(engine, sessions[0].dt, sessions[-1].dt, NOW).column("ticker")
    place = sessions[0].exchange
    return [ticker for ticker in held if symbols.is_symbol(ticker) and exchange.of(ticker) == place]


def is_required(field: Field) -> bool:
    """True if a parameter has no default."""
    return field.name not in DEFAULTS and field.default is None


def _moment(engine: Engine, values: dict[str, Any]) -> str:
    """The moment `as_of`. Without an offset it is in the time of the exchange of the tickers asked for. ConfigError."""
    value, tickers = values["as_of"], values["tickers"]

    def at(zone: dt.tzinfo) -> str:
        return types.parse("as_of", "timestamp", value, zone)

    if at(dt.UTC) == at(exchange.XNYS.zone):  # with an offset
        return at(dt.UTC)
    asked = EVERY_TICKER not in tickers
    places = exchange.all_of(tickers) if asked else _places(engine, values["first"], values["last"])
    moments = {at(place.zone): place for place in reversed(places)}  # London's time may be that of UTC
    if len(moments) > 1:
        local = {dt.datetime.fromisoformat(f"{utc}+00:00").astimezone(place.zone) for utc, place in moments.items()}
        raise ConfigError(
            f"as_of: {value} has no offset, and the tickers are of several exchanges; "
            f"write {' or '.join(each.isoformat(timespec='minutes') for each in sorted(local))}"
        )
    return at(places[0].zone if places else exchange.XNYS.zone)


def _places(engine: Engine, first: str, last: str) -> list[exchange.Exchange]:
    """The known exchanges with bars in these sessions."""
    codes = engine.run(_SPANS, {"first": first, "last": last, "as_of": NOW}).column("exchange")
    return [each for code, each in exchange.EXCHANGES.items() if code in codes]


def _run(engine: Engine, query: Query, values: dict[str, Any], limit: int | None, *, columns: bool) -> Answer:
    """Runs the query on all tickers at once or, if that takes too much memory, on as many at a time as fit."""
    try:
        return engine.run(query.sql, values, limit, columns=columns).declared(query.columns)
    except OutOfMemory:
        if all(field.name != "ticker" for field in query.columns):
            raise
    tickers = values["tickers"]
    if EVERY_TICKER in tickers:
        tickers = engine.run(_TICKERS, {name: values[name] for name in ("first", "last")}).column("ticker")
    parts: list[Answer] = []
    done, step = 0, ceil(len(tickers) / _FEWER)
    while done < len(tickers):
        some = {"tickers": tickers[done : done + step]}
        try:
            parts.append(engine.run(query.sql, values | some, limit, columns=columns).declared(query.columns))
            done += step
        except OutOfMemory:
            if step == 1:
                raise
            step = ceil(step / _FEWER)
    return joined(parts, limit)


def names_since(ticker: str, first: str) -> list[str]:
    """The symbol, and those that the company traded under before it, as far back as the session `first`."""
    names = symbols.names(ticker)
    ended = {rename.old: str(rename.on) for rename in symbols.RENAMES}
    earlier = names[names.index(ticker) + 1 :] if ticker in names else ()
    return [ticker, *(name for name in earlier if first < ended[name])]


def _calendar(engine: Engine, values: dict[str, Any], now: dt.datetime) -> str:
    """The sessions asked for, as `coverage` takes them; a running one up to its last full minute."""
    first, last, as_of = values["first"], values["last"], dt.datetime.fromisoformat(f"{values['as_of']}+00:00")
    is_open_ended = first == DEFAULTS["first"] or last == DEFAULTS["last"]
    places = exchange.all_of(ticker for ticker in values["tickers"] if ticker != EVERY_TICKER)
    if is_open_ended or not places:
        spans = engine.run(_SPANS, {"first": first, "last": last, "as_of": values["as_of"]}).rows
        if not spans:
            _explain(engine, values, {})
        places = places or [exchange.EXCHANGES[code] for code, *_ in sorted(spans) if code in exchange.EXCHANGES]
        if is_open_ended:
            first = max(first, min(oldest for _, oldest, _ in spans))
            last = min(last, max(newest for _, _, newest in spans))
    until = min(now.astimezone(dt.UTC), as_of).replace(second=0, microsecond=0)
    days = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    sessions = [session for place in places for session in place.sessions_between(*days) if session.open < until]
    if not sessions:
        names = ", ".join(place.code for place in places)
        raise ConfigError(f"no session of {names} from {first} to {last} has opened yet")
    return ";".join(calendar_entry(session, until) for session in sessions)


def calendar_entry(session: exchange.Session, until: dt.datetime | None = None) -> str:
    """One session as the parameter `calendar` has it.

    Its date, open and close in UTC, its open on the exchange's clock, the minutes before and of its lunch break, and
    its exchange.
    """
    close = session.close if until is None else min(session.close, until)
    opens = session.open.astimezone(session.exchange.zone)
    (start, morning_ends), *rest = session.parts
    morning = (morning_ends - start) // dt.timedelta(minutes=1)
    lunch = (rest[0][0] - morning_ends) // dt.timedelta(minutes=1) if rest else 0
    return (
        f"{session.date} {session.open:%Y-%m-%d %H:%M:%S} {close:%Y-%m-%d %H:%M:%S} {opens:%H:%M} "
        f"{morning:04} {lunch:04} {session.exchange.code}"
    )


def _long_bars(engine: Engine, values: dict[str, Any], found: Answer) -> tuple[str, ...]:
    """A note if tickers have no hourly high in sessions of which the lake holds long bars only."""
    long = engine.run(_LONG_BARS, {name: values[name] for name in ("first", "last", "tickers", "as_of")}).rows
    if not long:
        return ()
    answered = set(zip(found.column("ticker"), found.column("session"), strict=True))
    without = [row for row in long if row[:2] not in answered]
    if not without:
        return ()
    ticker, session, bar_minutes = without[0]
    more = f" (so have {len(without) - 1:,} more sessions of tickers)" if len(without) > 1 else ""
    note = (
        f"{ticker} in {session} has only {bar_minutes}-minute bars{more}; hourly_high needs bars within one clock hour"
    )
    return (note,)


def _explain(engine: Engine, values: dict[str, Any], asked: dict[str, list[str]]) -> None:
    """Raises the error that says what the lake lacks of what was asked; returns if it lacks nothing.

    An answer may well be empty: `restatements` has no row if no bar was restated. `asked` has the symbols that each
    ticker asked for may be stored under.
    """
    first, last = (values.get(name, DEFAULTS[name]) for name in ("first", "last"))
    as_of = values.get("as_of", NOW)
    if not asked and engine.run(_ANY, {"first": first, "last": last, "as_of": as_of}).rows:
        return
    inside = set(_held(engine, first, last, as_of).column("ticker"))
    if inside and not any(inside.isdisjoint(names) for names in asked.values()):
        return
    lake = f"the lake {engine.lake!r}"
    held = {row[0]: row for row in _held(engine, DEFAULTS["first"], DEFAULTS["last"], as_of).rows}
    if not held and as_of != NOW and _held(engine, DEFAULTS["first"], DEFAULTS["last"], NOW).rows:
        raise ConfigError(f"{lake} held no bars as of {as_of[:19]} UTC; give a later time, or none for now")
    if not held:
        raise LakeEmpty(f"{lake} holds no bars; collect some: tickerlake collect")
    if unknown := [ticker for ticker, names in asked.items() if held.keys().isdisjoint(names)]:
        more = f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else ""
        raise ConfigError(f"{lake} holds no bars of {', '.join(unknown)}; it holds {_some(list(held))}{more}")
    if first == last:
        day, places = dt.date.fromisoformat(first), exchange.all_of(asked or held)
        if not any(place.sessions_between(day, day) for place in places):
            places[0].session_on(day)  # raises, with the nearest sessions
    begin = first if first != DEFAULTS["first"] else "the beginning"
    end = last if last != DEFAULTS["last"] else "the end"
    when = f"on {first}" if first == last else f"from {begin} to {end}"
    who = [ticker for ticker, names in asked.items() if inside.isdisjoint(names)]
    rows = [row for ticker, row in held.items() if not asked or any(ticker in names for names in asked.values())]
    raise ConfigError(
        f"{lake} holds no bars {f'of {_some(who)} ' if who else ''}{when}; it holds "
        f"{'theirs' if who else 'sessions'} from {min(row[1] for row in rows)} to {max(row[2] for row in rows)}"
    )


def _some(tickers: Sequence[str]) -> str:
    return ", ".join(tickers[:_SHOWN])


def _held(engine: Engine, first: str, last: str, as_of: str) -> Answer:
    """One row a ticker of the lake in these sessions: its symbol, its first and last session."""
    query = load("tickers")
    parameters = {"first": first, "last": last, "tickers": [EVERY_TICKER], "as_of": as_of}
    return engine.run(query.sql, parameters).declared(query.columns)
