"""Filling gaps: which bars the lake lacks, which of them the source may still have, and asking for those once more.

A gap is asked for after its session has closed, and once more a day later, because a vendor may be late. Then it is
left alone: the source has said twice that it has no such bars. The table `runs` remembers what was asked.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from tickerlake import exchange, symbols
from tickerlake.collect import FINAL, collect
from tickerlake.errors import LakeEmpty
from tickerlake.exchange import Session
from tickerlake.lake import Run
from tickerlake.lake.faults import quarantine
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.lake.runs import read_runs
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources import Source
from tickerlake.sources.limits import FURTHEST_DAYS

ASK_AGAIN_AFTER = dt.timedelta(days=1)
_HELD = """
SELECT ticker, min(dt) AS first, min(bar_minutes) AS bar_minutes
FROM bars
WHERE high < 1e300
GROUP BY ticker
"""
_COUNT = "SELECT count(*) FROM bars WHERE dt BETWEEN %(first)s AND %(last)s AND high < 1e300"

_log = logging.getLogger(__name__)

Reach = Callable[[int], dt.datetime]
"""For a bar size, the earliest bar start that the source still has."""


@dataclass(frozen=True, order=True)
class Gap:
    """Bars of one size that a ticker lacks in a finished session."""

    session: Session
    ticker: str
    bar_minutes: int
    bars: int
    """How many."""
    present: int
    """How many of this size the lake holds."""


@dataclass
class Repaired:
    """What became of the gaps that were asked for, in bars: those of one session, or all."""

    what: str
    """The session's date, or `total`."""
    missing: int = 0
    """Missing before."""
    found: int = 0
    absent: int = 0
    """Not at the source, as it said."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """Asked for in vain, by reason."""

    def line(self) -> str:
        """One line for a person: `2026-11-20: 12 of 14 missing bars found, 2 not at the source`."""
        absent = f", {self.absent:,} not at the source" if self.absent else ""
        reasons = "".join(f", {count:,} {reason}" for reason, count in sorted(self.unanswered.items()))
        return f"{self.what}: {self.found:,} of {self.missing:,} missing bars found{absent}{reasons}"


def total(reports: Iterable[Repaired]) -> Repaired:
    """The sum of `reports`."""
    whole = Repaired("total")
    for report in reports:
        whole.missing += report.missing
        whole.found += report.found
        whole.absent += report.absent
        whole.unanswered += report.unanswered
    return whole


def repair(
    lake: Path,
    source: Source,
    tickers: Sequence[str],
    clock: Callable[[], dt.datetime],
    first: dt.date | None = None,
    last: dt.date | None = None,
) -> list[Repaired]:
    """Moves damaged files to quarantine, and asks `source` for what the lake in the folder `lake` lacks of `tickers`.

    `first` and `last` bound the sessions. Returns one report a session, oldest first. Raises LakeEmpty, QueryFailed and
    SinkError; what was stored before stays.
    """
    for fault, place in quarantine(Layout(lake)):
        _log.warning("%s: %s; %s", fault.path, fault.reason, f"moved to {place}" if place else "cannot be moved")
    now, sink, stop = clock(), ParquetSink(lake), Event()
    sink.check_sources({source.name})
    reach = partial(source.oldest, now=now)
    wanted = open_gaps(lake, source.name, tickers, reach, now, first, last)
    unanswered: dict[tuple[str, str, int], str] = {}
    for bar_minutes, sessions, names in _requests(wanted):
        # A rate limit sets `stop`: the tickers after it are not asked.
        for report in collect(source, sink, sessions, names, bar_minutes, clock, stop=stop):
            for failure in report.failures:
                if failure.reason not in FINAL:
                    unanswered[report.session.dt, failure.ticker, bar_minutes] = failure.reason
    if not wanted:
        return []
    left = find_gaps(DuckDBEngine(lake), tickers, reach, now, wanted[0].session.date, wanted[-1].session.date)
    return _repaired(wanted, left, unanswered)


def open_gaps(
    lake: Path,
    source: str,
    tickers: Sequence[str],
    reach: Reach,
    now: dt.datetime,
    first: dt.date | None = None,
    last: dt.date | None = None,
) -> list[Gap]:
    """The gaps of `tickers` that are worth a request to `source`, oldest first. LakeEmpty, QueryFailed."""
    gaps = list(find_gaps(DuckDBEngine(lake), tickers, reach, now, first, last))
    runs = read_runs(Layout(lake).runs(since=gaps[0].session.open)) if gaps else []
    return to_ask(gaps, [each for each in runs if each.source == source], now)


def find_gaps(
    engine: DuckDBEngine,
    tickers: Sequence[str],
    reach: Reach,
    now: dt.datetime,
    first: dt.date | None = None,
    last: dt.date | None = None,
) -> Iterator[Gap]:
    """The gaps of `tickers` in finished sessions from `first` to `last` that the source still serves, oldest first.

    A company is expected from its first session in the lake on, also in sessions of which the lake holds nothing.
    Raises LakeEmpty, QueryFailed.
    """
    rows = engine.run(_HELD, {}).rows
    held = {
        symbol: mine
        for symbol in dict.fromkeys(map(symbols.current_symbol, tickers))
        if (mine := [row for row in rows if symbols.current_symbol(row[0]) == symbol])
    }
    if not rows:
        raise LakeEmpty(
            f"the lake {engine.lake!r} holds no bars; collect some: tickerlake collect --lake {engine.lake}"
        )
    if not held:
        return
    begins = {symbol: dt.date.fromisoformat(min(row[1] for row in mine)) for symbol, mine in held.items()}
    sizes = {symbol: min(row[2] for row in mine) for symbol, mine in held.items()}
    finished = exchange.last_finished(now).date
    last = min(last or finished, finished)
    oldest = min(reach(size) for size in sizes.values())
    first = max(first or dt.date.min, min(begins.values()), oldest.date())
    if first > last:
        return
    known = _coverage(engine, first, last, now)
    for session in exchange.sessions_between(first, last):
        for symbol, size in sizes.items():
            ticker = symbols.as_traded(symbol, session.date)
            nothing = [(size, len(session.bar_starts(size)), 0)] if session.date >= begins[symbol] else []
            for bar_minutes, bars, present in known.get((ticker, session.dt), nothing):
                if bars and session.open >= reach(bar_minutes):
                    yield Gap(session, ticker, bar_minutes, bars, present)


def to_ask(gaps: Iterable[Gap], runs: Iterable[Run], now: dt.datetime) -> list[Gap]:
    """Those of `gaps` that are worth a request, going by the `runs` of the source.

    An answer with more bars than the lake holds does not count: the source has them, and the lake has lost them.
    """
    answers: dict[tuple[str, str, int], list[Run]] = defaultdict(list)
    for each in runs:
        if each.outcome in FINAL:
            answers[each.session, each.ticker, each.bar_minutes].append(each)

    def is_due(gap: Gap) -> bool:
        asked = answers[gap.session.dt, gap.ticker, gap.bar_minutes]
        after = [
            each.collected_at for each in asked if each.collected_at >= gap.session.close and each.bars <= gap.present
        ]
        if not after:
            return True
        again = min(after) + ASK_AGAIN_AFTER
        return max(after) < again <= now

    return [gap for gap in gaps if is_due(gap)]


def forgetting(lake: Path, source: str, tickers: Sequence[str], reach: Reach, now: dt.datetime) -> str:
    """`deadline` of everything that is worth a request. LakeEmpty, QueryFailed."""
    return deadline(open_gaps(lake, source, tickers, reach, now), source, reach)


def deadline(gaps: Sequence[Gap], source: str, reach: Reach) -> str:
    """One sentence that says when the source forgets what is missing; empty without a gap."""
    if not gaps:
        return ""
    first = min(gaps, key=lambda gap: (gap.session.open - reach(gap.bar_minutes), gap))
    days = (first.session.open - reach(first.bar_minutes)).days
    sessions = len({gap.session for gap in gaps})
    missing = f"{sum(gap.bars for gap in gaps):,} bars of {sessions} session{'s' * (sessions != 1)} are missing"
    if days > FURTHEST_DAYS:
        return missing
    when = f"in {days} day{'s' * (days != 1)}" if days else "within a day"
    return f"{missing}; {source} forgets {first.session.date} {when}"


def _coverage(
    engine: DuckDBEngine, first: dt.date, last: dt.date, now: dt.datetime
) -> dict[tuple[str, str], list[tuple[int, int, int]]]:
    """By ticker and session: bar size, bars missing, bars present. Only of tickers with bars in these sessions."""
    bounds = {"first": str(first), "last": str(last)}
    if not engine.run(_COUNT, bounds).rows[0][0]:
        return {}
    known: dict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
    answer = run(engine, "coverage", first=first, last=last, now=now)
    names = ("ticker", "session", "bar_minutes", "missing", "present")
    for ticker, session, *bars in zip(*map(answer.column, names), strict=True):
        known[ticker, session].append(tuple(bars))
    return known


def _requests(gaps: Iterable[Gap]) -> Iterator[tuple[int, list[Session], list[str]]]:
    """Bar size, consecutive sessions and symbols. One request covers a ticker from its first gap to its last."""
    mine: dict[tuple[int, str], list[dt.date]] = defaultdict(list)
    for gap in gaps:
        mine[gap.bar_minutes, symbols.current_symbol(gap.ticker)].append(gap.session.date)
    alike: dict[tuple[int, dt.date, dt.date], list[str]] = defaultdict(list)
    for (bar_minutes, symbol), dates in mine.items():
        alike[bar_minutes, min(dates), max(dates)].append(symbol)
    for (bar_minutes, first, last), names in sorted(alike.items(), key=lambda each: each[0][1:]):
        yield bar_minutes, exchange.sessions_between(first, last), names


def _repaired(
    wanted: Iterable[Gap], left: Iterable[Gap], unanswered: Mapping[tuple[str, str, int], str]
) -> list[Repaired]:
    still = {(gap.session.dt, gap.ticker, gap.bar_minutes): gap.bars for gap in left}
    reports: dict[str, Repaired] = {}
    for gap in wanted:
        key = gap.session.dt, gap.ticker, gap.bar_minutes
        missing = min(still.get(key, 0), gap.bars)
        report = reports.setdefault(gap.session.dt, Repaired(gap.session.dt))
        report.missing += gap.bars
        report.found += gap.bars - missing
        if key in unanswered:
            report.unanswered[unanswered[key]] += missing
        else:
            report.absent += missing
    return list(reports.values())
