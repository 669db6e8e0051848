"""Gaps: which bars a lake lacks, which of them the source may still have, and which requests ask for those.

A gap is asked for after its session has closed, and once more a day later, because a vendor may be late. Then it is
left alone: the source has said twice that it has no such bars. The table `runs` remembers what was asked. The lake may
be on this machine or in the cloud: every engine answers the same queries.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tickerlake import exchange, symbols
from tickerlake.collect import FINAL
from tickerlake.errors import LakeEmpty
from tickerlake.exchange import Session
from tickerlake.lake import Run
from tickerlake.query import Engine, run
from tickerlake.sources.limits import FURTHEST_DAYS

ASK_AGAIN_AFTER = dt.timedelta(days=1)
_HELD = """
SELECT ticker, min(dt) AS first, min(bar_minutes) AS bar_minutes
FROM bars
WHERE high < 1e300
GROUP BY ticker
"""
_COUNT = "SELECT count(*) FROM bars WHERE dt BETWEEN %(first)s AND %(last)s AND high < 1e300"

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


def find_gaps(
    engine: Engine,
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
    finished = {place: place.last_finished(now).date for place in exchange.all_of(held)}
    newest = max(finished.values())
    last = min(last or newest, newest)
    oldest = min(reach(size) for size in sizes.values())
    first = max(first or dt.date.min, min(begins.values()), oldest.date())
    if first > last:
        return
    known = _coverage(engine, first, last, now)
    sessions = [
        session
        for place, ends in finished.items()
        if first <= min(last, ends)
        for session in place.sessions_between(first, min(last, ends))
    ]
    for session in sorted(sessions):
        for symbol, size in sizes.items():
            if exchange.of(symbol) != session.exchange:
                continue
            ticker = symbols.as_traded(symbol, session.date)
            nothing = [(size, len(session.bar_starts(size)), 0)] if session.date >= begins[symbol] else []
            for bar_minutes, bars, present in known.get((ticker, session.dt), nothing):
                if bars and session.open >= reach(bar_minutes):
                    yield Gap(session, ticker, bar_minutes, bars, present)


def to_ask(gaps: Iterable[Gap], runs: Iterable[Run], now: dt.datetime) -> list[Gap]:
    """Those of `gaps` that are worth a request, going by the `runs` of the source.

    Only requests for a whole session count. An answer with more bars than the lake holds does not count either: the
    source has them, and the lake has lost them.
    """
    answers: dict[tuple[str, str, int], list[Run]] = defaultdict(list)
    for each in runs:
        if each.outcome in FINAL:
            answers[each.session, each.ticker, each.bar_minutes].append(each)

    def is_due(gap: Gap) -> bool:
        asked = answers[gap.session.dt, gap.ticker, gap.bar_minutes]
        after = [
            each.collected_at
            for each in asked
            if each.collected_at >= gap.session.close and each.since <= gap.session.open and each.bars <= gap.present
        ]
        if not after:
            return True
        again = min(after) + ASK_AGAIN_AFTER
        return max(after) < again <= now

    return [gap for gap in gaps if is_due(gap)]


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


def requests(gaps: Iterable[Gap]) -> Iterator[tuple[int, list[Session], list[str]]]:
    """Bar size, consecutive sessions and symbols. One request covers a ticker from its first gap to its last."""
    mine: dict[tuple[int, str], list[Session]] = defaultdict(list)
    for gap in gaps:
        mine[gap.bar_minutes, symbols.current_symbol(gap.ticker)].append(gap.session)
    alike: dict[tuple[int, Session, Session], list[str]] = defaultdict(list)
    for (bar_minutes, symbol), sessions in mine.items():
        alike[bar_minutes, min(sessions), max(sessions)].append(symbol)
    for (bar_minutes, first, last), names in sorted(alike.items(), key=lambda each: each[0][1:]):
        yield bar_minutes, first.exchange.sessions_between(first.date, last.date), names


def _coverage(
    engine: Engine, first: dt.date, last: dt.date, now: dt.datetime
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
