"""Repair of a local lake: damaged files go to quarantine, and the source is asked once more for what is missing."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from tickerlake.collect import FINAL, collect
from tickerlake.gaps import Gap, Reach, deadline, find_gaps, requests, to_ask
from tickerlake.lake.faults import quarantine
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.lake.runs import read_runs
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources import Source

_log = logging.getLogger(__name__)


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
    for bar_minutes, sessions, names in requests(wanted):
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


def forgetting(lake: Path, source: str, tickers: Sequence[str], reach: Reach, now: dt.datetime) -> str:
    """`deadline` of everything that is worth a request. LakeEmpty, QueryFailed."""
    return deadline(open_gaps(lake, source, tickers, reach, now), source, reach)


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
