"""Checks of the lake, the settings, the vendor and the installed versions, each with what to do next."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import tickerlake
from tickerlake import symbols, watchlist
from tickerlake.errors import ConfigError, NoData, SourceError, TickerlakeError, WrongInstrument
from tickerlake.lake.hours import session_of
from tickerlake.lake.layout import ABANDONED_AFTER, Layout
from tickerlake.settings import SETTINGS, Settings
from tickerlake.sources import Source

_BELOW = {"python": 3.14, "duckdb": 2, "yfinance": 2, "pandas": 4, "streamlit": 2}
"""The first version of each that Tickerlake is not tested with. DuckDB 2.0.0 runs out of memory on many small files."""
_OPTIONAL = ("streamlit",)
_PROBE_MINUTES = 60
_CURRENCIES = """
SELECT ticker, min(currency) AS one, max(currency) AS other
FROM bars
WHERE high < 1e300
GROUP BY ticker
HAVING min(currency) <> max(currency)
ORDER BY ticker
"""
_NAMED = 5
_MANY_FILES = 20
"""Collecting leaves fewer in a session, unless it has thousands of tickers."""


@dataclass(frozen=True)
class Finding:
    """One line of the report. Only a `problem` needs attention."""

    level: Literal["ok", "note", "problem"]
    what: str
    next_step: str = ""
    """What to do about it; empty if nothing."""


def check_settings(environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Whether the settings can be used, which differ from their defaults, and variables that look misspelt."""
    environment = os.environ if environment is None else environment
    try:
        explained = Settings.explain(environment)
    except ConfigError as error:
        yield Finding("problem", str(error), "correct these variables, or unset them for the defaults")
    else:
        changed = [
            item.variable + (f" (from {item.origin})" if item.origin != item.variable else "")
            for item in explained
            if item.origin != "default"
        ]
        yield Finding("ok", f"set: {', '.join(changed)}" if changed else "all settings have their defaults")
    known = [item.variable for item in SETTINGS]
    for name in sorted(environment):
        if (
            name.startswith("LAKE_")
            and name not in known
            and (near := get_close_matches(name, known, n=1, cutoff=0.75))
        ):
            yield Finding("note", f"{name} is not a setting and has no effect", f"if you mean {near[0]}, rename it")


def check_files(layout: Layout, flag: str = "") -> Iterator[Finding]:
    """Files of a local lake that cannot be read, or that another program wrote, and sessions with many files.

    `flag` is what the commands in a next step need to name this lake, such as ` --lake data`.
    """
    from tickerlake.lake.faults import all_faults  # noqa: PLC0415

    for fault in all_faults(layout):
        yield Finding(
            "problem",
            f"{fault.path} cannot be used and is skipped: {fault.reason}",
            f"move it to quarantine and fill the gap: tickerlake repair{flag}",
        )
    counts = Counter(map(session_of, layout.files()))
    if many := [f"{session} ({count})" for session, count in counts.items() if count > _MANY_FILES]:
        yield Finding("note", f"too many files, so queries are slow: {_some(many)}", f"tickerlake compact --all{flag}")


def check_leftovers(layout: Layout, now: dt.datetime) -> Iterator[Finding]:
    """What lies in a local lake without being part of it, and what interrupted runs left behind."""
    faults = {fault.path for fault in layout.scan()[1]}  # `check_files` names these
    for path in (path for path in layout.strays() if path not in faults):
        yield Finding("problem", f"{path} is not part of the lake and is never read", "move it out of the lake")
    latest = (now - ABANDONED_AFTER).timestamp()
    incoming = layout.incoming.iterdir() if layout.incoming.is_dir() else ()
    if left := [path for path in incoming if path.stat().st_mtime < latest]:
        found = f"{_count(left, 'unfinished file')} in {layout.incoming} from interrupted runs"
        yield Finding("note", found, "delete what is in there")


def check_sessions(
    rows: Sequence[Mapping[str, Any]],
    place: str,
    tickers: Sequence[str],
    now: dt.datetime,
    oldest: dt.datetime,
    collect: str,
) -> Iterator[Finding]:
    """What the lake holds, and which sessions of the exchanges of `tickers` it lacks.

    `rows` is the answer of the query `sessions`. Sessions that open before `oldest` can no longer be collected: the
    vendor has forgotten them. `collect` is the command that fills this lake.
    """
    from tickerlake import exchange  # noqa: PLC0415  # the calendar takes a moment

    held = sorted({str(row["session"]) for row in rows})
    sources = _sources(rows)
    records = sum(int(row["records"]) for row in rows)
    kind = "SIMULATED" if sources == {"simulated"} else f"from {', '.join(sorted(sources))}"
    span = held[0] if len(held) == 1 else f"{held[0]} to {held[-1]}"
    yield Finding("ok", f"{place}: {_count(held, 'session')}, {span}, {records:,} records, {kind}")
    if "simulated" in sources and len(sources) > 1:
        yield Finding(
            "problem", "simulated and real bars are in one lake", "delete it and collect into a new folder: --lake"
        )
    by_date: dict[str, exchange.Session] = {}
    for traded in exchange.all_of(tickers):
        # What it lacks before its own first session was never asked for.
        mine = [str(row["session"]) for row in rows if row["exchange"] == traded.code]
        days = [dt.date.fromisoformat(day) for day in (*mine[:1], held[-1])]
        wanted = traded.sessions_between(*days) if mine else []
        by_date |= {each.dt: each for each in wanted if each.dt not in mine and each.close <= now}
    missing = sorted(by_date.values())
    # A simulated session can always be made again.
    oldest = dt.datetime.min.replace(tzinfo=dt.UTC) if sources == {"simulated"} else oldest
    for session in (late := [each for each in missing if each.open >= oldest])[:_NAMED]:
        yield Finding("problem", f"session {session.dt} is missing", f"{collect} --session {session.dt}")
    if len(late) > _NAMED:
        yield Finding(
            "problem",
            f"{len(late) - _NAMED} more sessions are missing, up to {late[-1].dt}",
            f"{collect} --first {late[_NAMED].dt} --last {late[-1].dt}",
        )
    if gone := [each.dt for each in missing if each.open < oldest]:
        yield Finding(
            "note",
            f"{_count(gone, 'session')} missing that the vendor no longer serves: {_some(gone)}",
            "import them if another copy exists: tickerlake import --help",
        )


def check_coverage(
    rows: Sequence[Mapping[str, Any]], tickers: Sequence[str], collect: str, flag: str = ""
) -> Iterator[Finding]:
    """Which bars of the watchlist's `tickers` are missing. `rows` is the answer of the query `coverage`."""
    held = {symbols.current_symbol(str(row["ticker"])) for row in rows}
    if new := [ticker for ticker in tickers if symbols.current_symbol(ticker) not in held]:
        yield Finding(
            "note",
            f"on the watchlist, but not in the lake yet: {_some(new)}",
            collect,
        )
    wanted = {symbols.current_symbol(ticker) for ticker in tickers}
    collected = {row["session"] for row in rows if row["present"]}  # `check_sessions` reports the others
    gaps = [
        row
        for row in rows
        if row["missing"] and row["session"] in collected and symbols.current_symbol(str(row["ticker"])) in wanted
    ]
    if not gaps:
        if rows:
            yield Finding("ok", "no gaps in the sessions held")
        return
    absent = [f"{row['ticker']} {row['session']}" for row in gaps if not row["present"]]
    if absent:
        yield Finding("note", f"no bars at all: {_some(absent)}", f"{collect} --session {absent[0].split()[-1]}")
    missing = sum(int(row["missing"]) for row in gaps if row["present"])
    partly = sorted({str(row["ticker"]) for row in gaps if row["present"]})
    if missing:
        yield Finding(
            "note",
            f"{missing:,} single bars are missing, of {_some(partly)}",
            "often nothing traded; see them: tickerlake query coverage" + flag,
        )


def check_currencies(rows: Sequence[Sequence[str]]) -> Iterator[Finding]:
    """Tickers whose bars are in several currencies. `rows` has a ticker and two of them each."""
    for ticker, one, other in rows:
        yield Finding(
            "problem",
            f"{ticker} has bars in {one} and in {other}: their prices cannot be compared",
            "see which source gave which, and when: tickerlake sql",
        )


def check_deadline(
    lake: Path, source: str, tickers: Sequence[str], now: dt.datetime, flag: str = ""
) -> Iterator[Finding]:
    """When `source` forgets what is missing, if it was not asked for that twice already."""
    from tickerlake.repair import forgetting  # noqa: PLC0415  # loads pandas
    from tickerlake.sources import limits  # noqa: PLC0415

    reach = partial(limits.oldest, source, now=now)
    if said := forgetting(lake, source, tickers, reach, now):
        yield Finding("note", said, f"ask for them: tickerlake repair{flag}")


def check_splits(rows: Sequence[Mapping[str, Any]], flag: str = "") -> Iterator[Finding]:
    """Jumps of the price that look like a split. `rows` is the answer of the query `suspected_splits`."""
    for row in rows[:_NAMED]:
        ticker, session, ratio = row["ticker"], row["session"], row["ratio"]
        jump = f"{ticker} went from {row['previous_close']:g} to {row['open']:g} on {session}, near {ratio}"
        add = f"tickerlake actions add {ticker} {session} {ratio}"
        if row["known_ratio"] == row["known_ratio"]:  # a number
            yield Finding(
                "note",
                f"{jump}, although this split is known",
                f"if its earlier bars are not adjusted: {add} --adjusted-from never{flag}",
            )
        else:
            yield Finding("note", f"{jump}, and no split is known", f"if it was one: {add}{flag}")
    if len(rows) > _NAMED:
        yield Finding(
            "note", f"{len(rows) - _NAMED} more jumps may be splits", f"tickerlake query suspected_splits{flag}"
        )


def check_vendor(source: Source, ticker: str, now: dt.datetime) -> Finding:
    """Whether `source` answers: one request, for the hourly bars of `ticker` in the last finished session."""
    from tickerlake import exchange  # noqa: PLC0415

    symbol = symbols.current_symbol(ticker)
    session = exchange.of(symbol).last_finished(now)
    try:
        bars = source.bars(symbol, [session], _PROBE_MINUTES)
    except (NoData, WrongInstrument) as error:
        return Finding("note", f"{source.name} answers, but: {error}", "if it is delisted, take it off the watchlist")
    except SourceError as error:
        return Finding("problem", f"{source.name} does not answer: {error}", "what is stored can be queried meanwhile")
    return Finding("ok", f"{source.name} answers: {_count(bars, 'hourly bar')} of {symbol} on {session.dt}")


def check_versions(installed: Mapping[str, str | None]) -> Iterator[Finding]:
    """The versions in `installed`, None for a missing package, and those that Tickerlake is not tested with."""
    shown = [f"{name} {version or 'not installed'}" for name, version in installed.items()]
    yield Finding("ok", f"tickerlake {tickerlake.__version__}, {', '.join(shown)}")
    for name, version in installed.items():
        below = str(_BELOW[name])
        if version is None:
            if name not in _OPTIONAL:
                yield Finding("problem", f"{name} is not installed", "pip install --force-reinstall tickerlake")
        elif _numbers(version) >= _numbers(below):
            yield Finding(
                "note",
                f"{name} {version} is newer than Tickerlake is tested with (below {below})",
                f"use Python below {below}" if name == "python" else f"pip install '{name}<{below}'",
            )


def installed_versions() -> dict[str, str | None]:
    """The versions of Python and of the packages that matter; None for one that is not installed."""

    def version(name: str) -> str | None:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            return None

    return {"python": platform.python_version()} | {name: version(name) for name in _BELOW if name != "python"}


def examine(now: dt.datetime, source: Source | None, lake: Path | None = None) -> Iterator[tuple[str, Finding]]:
    """Every check, each with its topic. Without a `source` no vendor is asked; `lake` overrides the settings."""
    flag = f" --lake {shlex.quote(str(lake))}" if lake else ""
    for finding in check_versions(installed_versions()):
        yield "Versions", finding
    for finding in check_settings():
        yield "Settings", finding
    try:
        settings = Settings.from_environment()
    except ConfigError:
        settings = Settings()
    settings = settings.on(lake)
    layout = Layout(settings.lake)
    tickers = watchlist.DEFAULT
    try:
        tickers = watchlist.read(layout.config)
        origin = str(layout.config) if watchlist.is_set(layout.config) else "the default list"
        yield "Watchlist", Finding("ok", f"{_count(tickers, 'ticker')}, from {origin}")
    except ConfigError as error:
        yield "Watchlist", Finding("problem", str(error), f"correct {layout.config}, or delete it for the default list")
    for finding in _lake(settings, layout, tickers, now, source, flag):
        yield "Lake", finding
    if source is not None:
        yield "Vendor", check_vendor(source, tickers[0], now)


def _lake(
    settings: Settings, layout: Layout, tickers: Sequence[str], now: dt.datetime, source: Source | None, flag: str
) -> Iterator[Finding]:
    from tickerlake.query import open_engine, run  # noqa: PLC0415  # slow to import

    local = settings.engine == "duckdb"
    try:
        if local:
            yield from check_files(layout, flag)
            yield from check_leftovers(layout, now)
        files = layout.files() if local else []
        if local and not files:
            yield Finding(
                "problem",
                f"no bars in {settings.lake} yet",
                f"tickerlake collect{flag}, or look around first: tickerlake demo",
            )
            return
        engine = open_engine(settings)
        sessions = run(engine, "sessions").frame.to_dict("records")
        size = sum(path.stat().st_size for path in files)
        place = f"{settings.lake}, {_count(files, 'file')}, {size / 1e6:.1f} MB" if local else engine.lake
        oldest = source.oldest(5, now) if source else now - dt.timedelta(days=59)
        collect = f"tickerlake collect{' --source simulated' * (_sources(sessions) == {'simulated'})}{flag}"
        yield from check_sessions(sessions, place, tickers, now, oldest, collect)
        if local:
            coverage = run(engine, "coverage", now=now).frame.to_dict("records")
            yield from check_coverage(coverage, tickers, collect, flag)
            yield from check_currencies(engine.run(_CURRENCIES, {}).rows)
            if _sources(sessions) != {"simulated"}:  # those can always be made again
                yield from check_deadline(settings.lake, "yahoo", tickers, now, flag)
            with suppress(ConfigError):  # of a tickerlake.toml that cannot be read, which is reported already
                yield from check_splits(run(engine, "suspected_splits").frame.to_dict("records"), flag)
    except TickerlakeError as error:
        yield Finding("problem", str(error), "fix this, then run this again")


def _sources(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    return {source for row in rows for source in str(row["sources"]).split(", ")}


def _count(things: Any, word: str) -> str:
    return f"{len(things):,} {word}{'' if len(things) == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
