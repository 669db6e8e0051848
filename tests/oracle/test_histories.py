"""Random histories of misbehaving vendors, collected into a real lake: every query equals the oracle.

`ORACLE_SEEDS` says how many histories of each kind are tried.
"""

from __future__ import annotations

import datetime as dt
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import History, Oracle
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.lake.compaction import compact, finished
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import load, run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.simulated_vendor import Behaviour, Clock, SimulatedVendor, VendorSplit, WrongClock

MOMENTS = 3
"""As of how many moments the queries of one history are asked."""
SEEDS = int(os.environ.get("ORACLE_SEEDS", "1"))
PRICED = ("bars", "hourly_high", "daily", "restatements")
"""The queries that have a basis."""
QUERIES = (*PRICED, "sessions", "tickers", "coverage")
THANKSGIVING = exchange.XNYS.sessions_between(dt.date(2026, 11, 25), dt.date(2026, 11, 27))
"""A full session, a holiday, and an early close."""
CHRISTMAS = sorted(
    session
    for place in (exchange.XNYS, exchange.XLON, exchange.XTKS, exchange.CRYPTO)
    for session in place.sessions_between(dt.date(2025, 12, 24), dt.date(2025, 12, 26))
)
"""Early closes in New York and London, then a holiday there, and another in London; Tokyo and crypto trade each day."""
RENAMING = exchange.XNYS.sessions_between(dt.date(2022, 6, 8), dt.date(2022, 6, 9))
"""FB trades as META from the second on."""
NOW = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
END = dt.datetime.max.replace(tzinfo=dt.UTC)
HOUR, MINUTE, SECOND = dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(seconds=1)
FAULTS: dict[str, Any] = {
    "late": 0.1,
    "late_minutes": 90,
    "restated": 0.3,
    "unpriced": 0.05,
    "halted": 0.3,
    "repeated": 0.1,
    "off_grid": 0.05,
    "running": True,
    "listed": (("BBB", dt.date(2026, 11, 27)),),
}


@dataclass(frozen=True)
class Kind:
    """One kind of history."""

    behaviour: dict[str, Any] = field(default_factory=dict)
    any_moment: bool = False
    """Whether the queries are asked as of moments on the way, not only at the end."""
    sources: Sequence[str] = ("vendor",)
    sizes: Sequence[int] = (30,)
    sessions: Sequence[exchange.Session] = tuple(THANKSGIVING)
    tickers: Sequence[str] = ("AAA", "BBB", "META")
    clock_errors: Sequence[dt.timedelta] = ()
    """The collector's clock takes these errors, one after another."""
    hours: int = 36
    """How long it goes on after the last close."""
    waits: Sequence[dt.timedelta] = (20 * MINUTE, 2 * HOUR, 9 * HOUR, 15 * HOUR)
    """Between two runs."""
    every_ticker: bool = False
    """Whether each run asks for all tickers, not only for some."""
    since: bool = False
    """Whether some runs keep only the bars from a moment on."""


# A bar that is given while it runs and is missing once it has ended would be withdrawn.
STEADY = FAULTS | {"late": 0, "unpriced": 0, "halted": 0}
SPLITS = (
    VendorSplit("AAA", dt.date(2026, 11, 27), 10),
    VendorSplit("BBB", dt.date(2026, 11, 27), 0.1, adjusted_after=14 * HOUR),
    VendorSplit("META", dt.date(2026, 11, 27), 3, adjusted_after=None),
)
KINDS = {
    "a vendor without faults": Kind(),
    "short bars": Kind(FAULTS, sizes=(5,)),
    "runs that take the newest bars only": Kind(FAULTS, since=True),
    "a company that is renamed": Kind(FAULTS, sessions=tuple(RENAMING)),
    "a clock that runs fast": Kind(STEADY, clock_errors=(7 * MINUTE,)),
    "as of any moment": Kind(FAULTS, any_moment=True),
    "withdrawn bars": Kind(FAULTS | {"withdrawn": 0.2}),
    "a clock that is set back": Kind(
        STEADY | {"restated": 0.9, "settled_hours": 12},
        sessions=THANKSGIVING[:1],
        clock_errors=(0 * HOUR, -2 * HOUR, 1 * HOUR, -4 * HOUR, 0 * HOUR),
        hours=12,
        waits=(20 * MINUTE, 2 * HOUR),
    ),
    "several sizes": Kind(FAULTS, sizes=(30, 60, 90)),
    "long bars of several exchanges": Kind(
        FAULTS, sessions=tuple(CHRISTMAS), tickers=("AAA", "VOD.L", "7203.T", "BTC-USD"), sizes=(60,)
    ),
    "two sources": Kind(FAULTS, sources=("second", "first")),
    "splits": Kind(FAULTS | {"splits": SPLITS, "listed": ()}, any_moment=True),
    "everything at once": Kind(
        FAULTS | {"withdrawn": 0.1, "splits": SPLITS},
        any_moment=True,
        sources=("second", "first"),
        sizes=(30, 60),
        since=True,
    ),
}


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("kind", [pytest.param(kind, id=name.replace(" ", "-")) for name, kind in KINDS.items()])
def test_every_query_equals_the_oracle(kind, seed, tmp_path):
    oracle, moments = lived(kind, seed, tmp_path)
    engine = DuckDBEngine(tmp_path)
    bases = ("latest", "as-traded") if "splits" in kind.behaviour else (None,)
    asked_at = random.Random(seed).sample(moments, min(MOMENTS, len(moments))) if kind.any_moment else []
    for as_of, basis, name in product([None, *asked_at], bases, QUERIES):
        if name in PRICED or basis != "as-traded":
            expected = answered(oracle, name, kind, as_of or END, basis or "latest")
            assert asked(engine, name, kind, as_of, basis) == expected, (name, as_of, basis)


def lived(kind: Kind, seed: int, lake: Path) -> tuple[Oracle, list[dt.datetime]]:
    """Collects for some days at random moments; every second lake is compacted at random moments as well.

    Returns the oracle, and moments worth asking about.
    """
    rng = random.Random(seed)
    clock = Clock(kind.sessions[0].open + 40 * MINUTE)
    asking = collectors_clock(kind, clock)
    vendors = []
    for number, name in enumerate(kind.sources):
        # Sources differ in some bars only, as real ones do: the same market, other faults.
        behaviour = Behaviour(**kind.behaviour if number == 0 else kind.behaviour | {"restated": 0.5})
        vendor = SimulatedVendor(seed, clock, behaviour)
        vendor.name = name
        vendors.append(History(vendor, asking, adjusted_at(behaviour, clock)))
    end = ended(kind)
    answers = []
    for vendor in vendors:
        vendor.answers = answers  # of all vendors, in the order in which they come
    moments = []
    while clock.now < end:
        opened = [session for session in kind.sessions if session.open + 20 * MINUTE <= clock.now]
        first = rng.randrange(len(opened))
        source = rng.choice(vendors)
        source.since = opened[-1].open + rng.randrange(8) * 30 * MINUTE if kind.since and rng.random() < 0.3 else None
        count = len(kind.tickers) if kind.every_ticker else rng.randint(1, len(kind.tickers))
        tickers, size = rng.sample(kind.tickers, count), rng.choice(kind.sizes)
        places = exchange.all_of(tickers)
        sessions = [session for session in opened[first:] if session.exchange in places]
        collect(source, ParquetSink(lake), sessions, tickers, size, asking, since=source.since)
        if seed % 2 and random.Random(str(clock.now)).random() < 0.3:
            assert not [done.error for done in compact(lake, finished(lake, clock.now), clock.now) if done.error]
        moments += [asking(), asking() - dt.timedelta(milliseconds=1)]
        # An odd second: no last trade falls on the grid, and no two runs have one time.
        clock.now += rng.choice(kind.waits) + rng.randint(1, 50) * 7 * SECOND
    names = ", ".join(f'"{name}"' for name in sorted(kind.sources))
    Layout(lake).config.write_text(f"sources = [{names}]\n", encoding="utf-8")
    oracle = Oracle(answers, sorted(kind.sources))
    first_known = min(said[0].at for said in oracle.said(END).values())  # before that the lake is empty
    return oracle, [moment for moment in moments if moment >= first_known]


def ended(kind: Kind) -> dt.datetime:
    return max(session.close for session in kind.sessions) + kind.hours * HOUR


def collectors_clock(kind: Kind, clock: Clock) -> WrongClock:
    step = (ended(kind) - clock.now) / max(1, len(kind.clock_errors))
    return WrongClock(clock, *((clock.now + number * step, error) for number, error in enumerate(kind.clock_errors)))


def adjusted_at(behaviour: Behaviour, clock: Clock):
    """The splits that the vendor has adjusted a symbol's prices for by now."""

    def adjusted(symbol: str) -> list[tuple[dt.date, float]]:
        zone = exchange.of(symbol).zone
        return [
            (split.ex_date, split.ratio)
            for split in behaviour.splits
            if split.symbol == symbol
            and split.adjusted_after is not None
            and dt.datetime.combine(split.ex_date, dt.time(), zone) + split.adjusted_after <= clock.now
        ]

    return adjusted


def answered(oracle: Oracle, name: str, kind: Kind, as_of: dt.datetime, basis: str) -> list[list]:
    if name == "coverage":
        rows = oracle.coverage(as_of, min(as_of, NOW))
    elif name in PRICED:
        rows = getattr(oracle, name)(as_of, basis)
    else:
        rows = getattr(oracle, name)(as_of)
    return plain(rows, compared(name, kind))


def compared(name: str, kind: Kind) -> list[str]:
    """The columns that must be equal. How many records it takes to remember a withdrawal is the lake's own business."""
    left_out = {"records"} if "withdrawn" in kind.behaviour else set()
    return [column.name for column in load(name).columns if column.name not in left_out]


def asked(
    engine: DuckDBEngine, name: str, kind: Kind, as_of: dt.datetime | None = None, basis: str | None = None
) -> list[list]:
    arguments = {name: value for name, value in {"as_of": as_of, "basis": basis}.items() if value is not None}
    if name not in PRICED:
        arguments.pop("basis", None)
    frame = run(engine, name, now=as_of or NOW, **arguments).frame
    return plain(frame.to_dict("records"), compared(name, kind))


def plain(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> list[list]:
    assert all(set(columns) <= set(row) for row in rows)
    return [[None if row[name] is None or row[name] != row[name] else row[name] for name in columns] for row in rows]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_oracle_sees_the_market_through_every_way_to_adjust_for_a_split(seed, tmp_path):
    # Nobody can tell whether bars that came once, after the split, are adjusted; so all come before it.
    kind = Kind({"splits": SPLITS, "repeated": 0.1}, every_ticker=True)
    oracle, _ = lived(kind, seed, tmp_path)

    assert oracle.restatements(END) == []
    for ticker in kind.tickers:
        assert oracle.known_splits(ticker, "vendor", END)
        market = SimulatedSource(seed).bars(ticker, kind.sessions, kind.sizes[0])
        prices = dict(zip(market["ts"], market["high"], strict=True))
        for row in oracle.bars(END):
            if row["ticker"] == ticker:
                assert row["high"] == pytest.approx(prices[row["ts"]], abs=6e-4), row
