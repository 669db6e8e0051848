"""The lake as the dashboard reads it: named queries, with cached answers.

Answers from a local lake are kept until a file of the sessions asked for changes. Answers from a cloud lake are
refreshed every few minutes in the background; the page shows the old answer until the new one is there.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboard import clock
from tickerlake import watchlist
from tickerlake.errors import ConfigError, TickerlakeError
from tickerlake.exchange import EXCHANGES, Exchange, of
from tickerlake.lake.hours import session_of
from tickerlake.lake.layout import Fault, Layout
from tickerlake.query import Engine, Settings, open_engine, run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.runner import EVERY_TICKER, names_since
from tickerlake.sources import limits

ALL = (EVERY_TICKER,)
FIRST = next(iter(EXCHANGES.values()))
"""The exchange of an empty lake, and of names that no exchange spells."""
ANSWERS_KEPT = 128
_BY_SESSION = {"bars", "daily", "hourly", "hourly_high", "restatements"}
"""Queries whose answer is that of each of its sessions, one after the other. They are kept session by session: the next
choice mostly needs the same sessions and one more."""
_LITTLE, _MUCH, _TOO_MUCH = 50_000, 500_000, 2_500_000
"""Numbers of bars. DuckDB plans for 30 ms and reads `_LITTLE` in 20 ms. So a query asks about the whole month if that
has no more bars, else about the week. `_MUCH` takes half a second, which pays only if other sessions follow."""
_FEW = 50
"""Up to so many tickers in the lake, their bars are kept for the next choice of a ticker."""
_ROWS_KEPT = 500_000
"""At most, of single sessions; about 50 MB."""
_FRESH = 5.0
"""For how many seconds a page goes by its listing of the files: of a year of sessions it takes 9 ms."""
_BARS = 78
"""About how many bars a ticker has in a session."""
_CLOUD_REFRESH = dt.timedelta(minutes=5)
"""New bars arrive every five minutes; querying more often costs money and shows nothing new."""
_DELIVERY = dt.timedelta(minutes=10)
"""How long a bar may take from the vendor into the lake; until then it does not count as missing."""


class _Question(NamedTuple):
    """A query and its arguments. Answers are kept by its text, which Streamlit hashes in a tenth of the time."""

    settings: Settings
    name: str
    first: dt.date | None
    last: dt.date | None
    tickers: tuple[str, ...]
    now: dt.datetime | None
    as_of: dt.datetime | None
    zone: str
    """The time zone of the answer's times."""


class _Reply(NamedTuple):
    """An answer, and its notes."""

    frame: pd.DataFrame
    notes: tuple[str, ...]


class _Session(NamedTuple):
    """What is kept of one session."""

    state: str
    """Of its files when the query began."""
    frame: pd.DataFrame | None
    """The answer. None if there were notes, which may be about other sessions."""


class _Kept(NamedTuple):
    """What is kept of the answers to one question."""

    opened: tuple[dt.date, dt.date]
    """The first and the last session that were asked about first."""
    sessions: dict[str, _Session]


class _Files(NamedTuple):
    """What tells the files of a lake from those of any other moment."""

    listed: float
    sessions: dict[str, str]
    """By session: its bars, and all that may change their meaning: the splits, and the order of sources."""
    others: str
    """Splits, settings, runs and forecasts."""


@dataclass(frozen=True)
class Lake:
    """The lake that the settings name, as of a moment."""

    settings: Settings
    as_of: dt.datetime | None = None
    """Queries answer with what the lake knew then; None for now."""
    exchange: Exchange = FIRST
    """The one that the pages show, in whose time they are."""
    exchanges: tuple[Exchange, ...] = ()
    """Those whose tickers have bars."""
    tickers: tuple[str, ...] = ALL
    """The tickers of `exchange`, to which queries of every ticker are limited."""
    size: int = 0
    """How many tickers the lake has of all exchanges; 0 if that is not known."""
    seen: list[_Files] = field(default_factory=list, repr=False, compare=False)
    """The latest listing. Each run of a page makes its own lake, and asks several times."""

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder on this machine."""
        return self.settings.engine == "duckdb"

    @property
    def layout(self) -> Layout:
        """The paths of a local lake."""
        return Layout(self.settings.lake)

    @property
    def name(self) -> str:
        """The folder of a local lake, `lake/`; the address of any other."""
        return f"{self.settings.lake}/" if self.is_local else _engine(self.settings).lake

    def now(self) -> dt.datetime:
        """The moment that the pages show, UTC."""
        return self.as_of or clock.now()

    def showing(self, code: str | None) -> Lake:
        """The lake with the tickers of the exchange `code` alone.

        Without one, or if it has no bars, the exchange of the first ticker of the watchlist that has bars.
        """
        try:
            held = {ticker: _exchange_of(ticker) for ticker in self.query("tickers")["ticker"]}
            watched = self.watchlist()
        except TickerlakeError:  # the page shows it
            return self
        there = tuple(each for each in EXCHANGES.values() if each in set(held.values()))
        first = next((held[ticker] for ticker in watched if ticker in held), there[0])
        shown = next((each for each in there if each.code == code), first)
        mine = tuple(ticker for ticker, place in held.items() if place == shown)
        tickers = mine if len(there) > 1 else ALL
        return replace(self, exchange=shown, exchanges=there, tickers=tickers, size=len(held))

    def query(
        self,
        name: str,
        first: dt.date | None = None,
        last: dt.date | None = None,
        tickers: tuple[str, ...] = ALL,
        now: dt.datetime | None = None,
    ) -> pd.DataFrame:
        """The answer of the query `name`; see `tickerlake.query.run` for arguments and errors."""
        return self._ask(name, first, last, tickers, now).frame

    def hourly_high(
        self, first: dt.date, last: dt.date, tickers: tuple[str, ...] = ALL
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """The answer of `hourly_high`, and notes about what it leaves out."""
        return self._ask("hourly_high", first, last, tickers, None)

    def _ask(
        self,
        name: str,
        first: dt.date | None,
        last: dt.date | None,
        tickers: tuple[str, ...],
        now: dt.datetime | None,
    ) -> _Reply:
        if first and last and self.size and name in _BY_SESSION and self.is_local:
            found = self._by_session(name, first, last, tickers)
            return found or self._of_asked(name, first, last, tickers)
        return self._answer(name, first, last, tickers, now)

    def _by_session(self, name: str, first: dt.date, last: dt.date, tickers: tuple[str, ...]) -> _Reply | None:
        """The answer put together from those of its sessions. Those that are missing are asked for, with neighbours.

        None if these sessions and tickers must be asked about by themselves.
        """
        states = self._files().sessions
        whose = tickers if name == "bars" and self.size > _FEW else ALL
        question = (self.settings, name, whose, self.as_of, self.exchange.code)
        kept = _sessions_kept().setdefault(question, _Kept((first, last), {}))
        known = {session: held for session, held in kept.sessions.copy().items() if held.state == states.get(session)}
        wanted = [session for session in states if str(first) <= session <= str(last)]
        if not wanted:
            return None
        if missing := [session for session in wanted if session not in known]:
            bars = _BARS * self.size
            block = _month if 22 * bars <= _LITTLE else _week
            low, high = block(missing[0]), block(missing[-1])
            unknown = [session for session in states if session not in known and low <= block(session) <= high]
            if (bars := bars * len(unknown)) > _TOO_MUCH or (bars > _MUCH and kept.opened == (first, last)):
                return None
            begin, end = (dt.date.fromisoformat(unknown[place]) for place in (0, -1))
            try:
                frame, notes = self._answer(name, begin, end, whose, None)
            except ConfigError:  # the other question says what is missing
                return None
            by_session = dict(iter(frame.groupby("session")))
            for session in unknown:
                part = None if notes else by_session.get(session, frame.head(0))
                kept.sessions[session] = known[session] = _Session(states[session], part)
            _make_room()
        return _joined(name, [known[session].frame for session in wanted], first, tickers)

    def _of_asked(self, name: str, first: dt.date, last: dt.date, tickers: tuple[str, ...]) -> _Reply:
        """The answer about these sessions, as part of one that is there if somebody asked for few more tickers."""
        asked = self._asked(name, first, last, tickers)
        if asked != tickers:
            whole = self._answer(name, first, last, asked, None)
            found = None if whole.notes else _joined(name, [whole.frame], first, tickers)
            if found is not None:
                return found
        return self._answer(name, first, last, tickers, None)

    def _asked(self, name: str, first: dt.date, last: dt.date, tickers: tuple[str, ...]) -> tuple[str, ...]:
        """The tickers about which somebody asked this before, if these are most of them; else these."""
        asked, question = _asked_before(), (self.settings, name, first, last, self.as_of)
        before = asked.get(question, ())
        if len(before) <= 2 * len(tickers) and set(before).issuperset(tickers):
            return before
        if len(asked) >= ANSWERS_KEPT:
            asked.clear()
        asked[question] = tickers
        return tickers

    def _answer(
        self, name: str, first: dt.date | None, last: dt.date | None, tickers: tuple[str, ...], now: dt.datetime | None
    ) -> _Reply:
        # An answer without tickers cannot be limited afterwards; any other must not complain of those without bars.
        asked = self.tickers if tickers == ALL and name == "sessions" else tickers
        question = _Question(self.settings, name, first, last, asked, now, self.as_of, self.exchange.zone.key)
        frame, notes = (
            _query_folder(question, f"{question} {self._fingerprint(first, last)}")
            if self.is_local
            else _query_cloud(question, str(question))
        )
        if tickers == ALL != self.tickers and "ticker" in frame:
            frame = frame[frame["ticker"].isin(self.tickers)].reset_index(drop=True)
        return _Reply(frame, notes)

    def faults(self) -> list[Fault]:
        """Files of a local lake that the answers skip."""
        engine = _engine(self.settings)
        return engine.faults() if isinstance(engine, DuckDBEngine) else []

    def sessions(self) -> pd.DataFrame:
        """The answer of `sessions`, newest first. LakeEmpty if there are none."""
        return self.query("sessions").iloc[::-1].reset_index(drop=True)

    def watchlist(self) -> tuple[str, ...]:
        """The lake's watchlist; for a lake that is not local, the default one. ConfigError if it cannot be read."""
        return watchlist.read(self.layout.config) if self.is_local else watchlist.DEFAULT

    def forgetting(self) -> str:
        """When Yahoo forgets what a local lake lacks, in one sentence; empty if nothing is missing or it is simulated.

        LakeEmpty, QueryFailed.
        """
        held = self.sessions()["sources"].str.split(", ").explode()
        if not self.is_local or set(held) == {"simulated"}:  # those can always be made again
            return ""
        now = clock.now().replace(minute=0, second=0, microsecond=0)
        first = now.date() - dt.timedelta(days=limits.FURTHEST_DAYS)
        return _forgetting(self.settings.lake, self.watchlist(), now, self._fingerprint(first, None))

    def fingerprint(self, first: dt.date | None, last: dt.date | None) -> str | None:
        """Changes whenever a file of these sessions does, a split, a run, a forecast, or the order of sources.

        None for a lake that is not local: nobody tells when it changes.
        """
        return self._fingerprint(first, last) if self.is_local else None

    def _fingerprint(self, first: dt.date | None, last: dt.date | None) -> str:
        files = self._files()
        low, high = str(first or ""), str(last or "9999-12-31")
        inside = [state for session, state in files.sessions.items() if low <= session <= high]
        return _digest(*inside, files.others)

    def _files(self) -> _Files:
        if self.seen and time.monotonic() - self.seen[0].listed < _FRESH:
            return self.seen[0]
        listed, layout = time.monotonic(), self.layout
        meaning = _state(*layout.actions(), layout.config)
        sessions = {
            session: _digest(meaning, _state(*files)) for session, files in groupby(layout.files(), key=session_of)
        }
        # The log's time changes with each new file.
        self.seen[:] = [_Files(listed, sessions, _digest(meaning, _state(layout.log, *layout.forecasts())))]
        return self.seen[0]


def current() -> Lake:
    """The lake in the settings, or the one this visitor switched to. ConfigError if the settings cannot be used."""
    settings = Settings.from_environment()
    switched_to: Path | None = st.session_state.get("lake")
    return Lake(Settings(engine=settings.engine, lake=switched_to) if switched_to else settings)


def coverage_until(last: dt.date, now: dt.datetime, place: Exchange) -> dt.datetime:
    """Up to when coverage of sessions up to `last` expects bars: the close, or a while ago in a running session."""
    close = max((session.close for session in place.sessions_between(last, last)), default=now)
    due = now - _DELIVERY
    return min(close, due.replace(minute=due.minute // 5 * 5, second=0, microsecond=0))


def open_early() -> None:
    """Open the engine before the first query. Pages report faulty settings."""
    with contextlib.suppress(TickerlakeError):
        _engine(Settings.from_environment())


def _state(*paths: Path) -> str:
    """Changes whenever one of these files does."""
    found = []
    for path in paths:
        # A file may go between listing and here, as compaction replaces it.
        with contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            found.append(f"{path} {stat.st_size} {stat.st_mtime_ns}")
    return "\n".join(found)


def _digest(*texts: str) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=16).hexdigest()


def _month(session: str) -> str:
    return session[:7]


def _week(session: str) -> str:
    return f"{dt.date.fromisoformat(session):%G-%V}"


def _joined(
    name: str, frames: Sequence[pd.DataFrame | None], first: dt.date, tickers: tuple[str, ...]
) -> _Reply | None:
    """The rows of `tickers` in `frames`. None if a frame is missing, or a ticker, which an error then explains."""
    parts = [frame for frame in frames if frame is not None]
    if len(parts) < len(frames):
        return None
    found = pd.concat(parts, ignore_index=True)
    asked = [names_since(ticker, str(first)) for ticker in tickers] if tickers != ALL else []
    if asked:
        mine = found["ticker"].isin([symbol for names in asked for symbol in names])
        found = found[mine].reset_index(drop=True)
    there = set(found["ticker"])
    # Most answers of `restatements` are empty.
    is_complete = name == "restatements" or (there and not any(there.isdisjoint(names) for names in asked))
    return _Reply(found, ()) if is_complete else None


def _make_room() -> None:
    every = _sessions_kept()
    frames = [held.frame for kept in every.copy().values() for held in kept.sessions.copy().values()]
    if sum(len(frame) for frame in frames if frame is not None) > _ROWS_KEPT:
        every.clear()


@functools.lru_cache(maxsize=10_000)
def _exchange_of(ticker: str) -> Exchange:
    """The exchange of `ticker`. A lake that other programs write may hold any name."""
    try:
        return of(ticker)
    except ConfigError:
        return FIRST


@st.cache_resource(show_spinner=False)
def _engine(settings: Settings) -> Engine:
    return open_engine(settings)


@st.cache_resource(show_spinner=False)
def _sessions_kept() -> dict[tuple[object, ...], _Kept]:
    return {}


@st.cache_resource(show_spinner=False)
def _asked_before() -> dict[tuple[object, ...], tuple[str, ...]]:
    return {}


@st.cache_data(max_entries=ANSWERS_KEPT, show_spinner=False)
def _query_folder(_question: _Question, key: str) -> _Reply:  # noqa: ARG001
    return _run(_question)


@st.cache_data(
    ttl=_CLOUD_REFRESH, refresh_mode="background", max_entries=ANSWERS_KEPT, show_spinner="Querying the lake …"
)
def _query_cloud(_question: _Question, key: str) -> _Reply:  # noqa: ARG001
    return _run(_question)


@st.cache_data(max_entries=4, show_spinner=False)
def _forgetting(folder: Path, tickers: tuple[str, ...], now: dt.datetime, fingerprint: str) -> str:  # noqa: ARG001
    from tickerlake.repair import forgetting  # noqa: PLC0415  # loads pandas and the calendar

    return forgetting(folder, "yahoo", tickers, functools.partial(limits.oldest, "yahoo", now=now), now)


def _run(question: _Question) -> _Reply:
    arguments = question._asdict()
    settings, name, zone = (arguments.pop(part) for part in ("settings", "name", "zone"))
    found = run(_engine(settings), name, columns=True, **arguments)
    times = found.frame.select_dtypes("datetimetz")
    return _Reply(found.frame.assign(**{time: times[time].dt.tz_convert(zone) for time in times}), found.notes)
