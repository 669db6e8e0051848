"""How fast bars are collected and simulated, and in how much memory."""

from __future__ import annotations

import datetime as dt
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.lakes import TICKERS, YEAR
from tests.bench.timing import ROOT, Row, pair, timed, worker
from tests.fakes.yahoo import LoopbackSession, running_yahoo
from tickerlake import exchange, watchlist
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.yahoo import YahooSource


def collecting() -> Iterator[Row]:
    """Collecting the default watchlist from a Yahoo that takes 100 ms, four at once against one after another."""
    # In a process of its own: in this one it would take turns with the client.
    command = [sys.executable, "-m", "tests.fakes.yahoo", "--latency-ms", "100"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            origin = shlex.split(server.stdout.readline())[1].partition("=")[2]
            taken = pair(timed(_collection(origin, 4)), timed(_collection(origin, 1)), runs=5)
        finally:
            server.terminate()
    with running_yahoo() as yahoo:
        _collection(yahoo.origin, 4)()
        requests = len(yahoo.requests)
    yield Row(
        "collect a session of 11 tickers, 100 ms an answer",
        f"{taken.figure:.2f} s, {requests} requests",
        f"one after another {taken.baseline:.2f} s",
        taken.ratio,
        "0.33, 13 requests",
    )


def simulating() -> Iterator[Row]:
    """Simulating, checking and storing sessions of 500 tickers: one window of the simulator's, and three."""
    for sessions in (21, 63):
        with worker("simulate", str(sessions)) as simulation:
            seconds, memory = simulation(), simulation.peak()
        bars = sum(len(session.bar_starts(5)) for session in YEAR[-sessions:]) * len(TICKERS)
        yield Row(
            f"simulate and store {bars:,} bars",
            f"{seconds:.1f} s, {bars / seconds:,.0f} bars a second, {memory}",
            aim="82,000 bars a second, 500 MB",
        )


def importing() -> Iterator[Row]:
    """Importing 390,000 records in lines of JSON, against parsing them one by one; and the memory of a million."""
    with worker("imported", "10") as one, worker("parsed", "10") as other:
        taken = pair(one, other, runs=2)
    records = 10 * 78 * len(TICKERS)
    yield Row(
        f"import {records:,} records in JSON lines",
        f"{taken.figure:.1f} s, {records / taken.figure:,.0f} records a second",
        f"json.loads {taken.baseline:.1f} s, {records / taken.baseline:,.0f} a second",
        taken.ratio,
        "100,000 records a second",
    )
    with worker("imported", "26") as million:
        seconds, memory = million(), million.peak()
    yield Row("import a million records in JSON lines", f"{seconds:.1f} s, {memory}", aim="300 MB")


def _collection(origin: str, parallel: int) -> Callable[[], None]:
    """One collection from the Yahoo at `origin` into a new lake."""

    def run() -> None:
        now = dt.datetime.now(dt.UTC)
        source = YahooSource(LoopbackSession(origin))
        source.parallel = parallel
        with tempfile.TemporaryDirectory() as folder:
            sink = ParquetSink(Path(folder))
            collect(source, sink, [exchange.XNYS.last_finished(now)], watchlist.DEFAULT, 5, lambda: now)

    return run
