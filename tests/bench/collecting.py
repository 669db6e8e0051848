"""How fast bars are collected and simulated, and in how much memory."""

from __future__ import annotations

import contextlib
import datetime as dt
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from curl_cffi.requests import Session

from tests.bench import lakes
from tests.bench.lakes import TICKERS, YEAR
from tests.bench.timing import ROOT, Pair, Row, pair, timed, worker
from tests.fakes.yahoo import CHART, LoopbackSession, running_yahoo
from tickerlake import exchange, watchlist
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.yahoo import YahooSource


def collecting() -> Iterator[Row]:
    """Collecting the default watchlist from a Yahoo that takes 100 ms, four at once against one after another."""
    with _yahoo(latency_ms=100) as origin:
        taken = pair(timed(_collection(origin, 4)), timed(_collection(origin, 1)), runs=5)
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


def collecting_many() -> Iterator[Row]:
    """Collecting 300 tickers from a Yahoo that takes 200 ms, and the processor's time beside that of a raw client."""
    tickers, parallel = TICKERS[:300], YahooSource.parallel
    with _yahoo(latency_ms=200) as origin:
        _collection(origin, parallel)()  # loads the calendar
        collecting = timed(_collection(origin, parallel, tickers))
        before = time.process_time()
        taken = Pair(collecting(), len(tickers) / parallel * 0.2)
        processor = time.process_time() - before
    with _yahoo() as origin:
        before = time.process_time()
        _charts(origin, tickers)
        raw = time.process_time() - before
    yield Row(
        f"collect a session of 300 tickers, 200 ms an answer, {parallel} at once",
        f"{taken.figure:.1f} s",
        f"waiting alone {taken.baseline:.1f} s",
        taken.ratio,
        "1.20",
    )
    figure, baseline = (1000 * seconds / len(tickers) for seconds in (processor, raw))
    yield Row(
        "processor time of one ticker of these",
        f"{figure:.1f} ms",
        f"HTTP and JSON alone {baseline:.1f} ms",
        f"{figure / baseline:.1f}",
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
    lakes.session()  # Two workers would build it at the same time.
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
    for what, low in (("records", ""), ("rejected records", "-")):
        with worker("imported", "26", low) as million:
            seconds, memory = million(), million.peak()
        yield Row(f"import a million {what} in JSON lines", f"{seconds:.1f} s, {memory}", aim="300 MB")


@contextlib.contextmanager
def _yahoo(latency_ms: int = 0) -> Iterator[str]:
    """The address of a Yahoo in a process of its own: in this one it would take turns with the client."""
    command = [sys.executable, "-m", "tests.fakes.yahoo", "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield shlex.split(server.stdout.readline())[1].partition("=")[2]
        finally:
            server.terminate()


def _charts(origin: str, tickers: Sequence[str]) -> None:
    """Asks for the same bars with a bare HTTP client, one ticker after another."""
    session = exchange.XNYS.last_finished(dt.datetime.now(dt.UTC))
    period = {"period1": int(session.open.timestamp()), "period2": int(session.close.timestamp()), "interval": "5m"}
    with Session() as client:
        for ticker in tickers:
            client.get(origin + CHART + ticker, params=period).json()


def _collection(origin: str, parallel: int, tickers: Sequence[str] = watchlist.DEFAULT) -> Callable[[], None]:
    """One collection from the Yahoo at `origin` into a new lake."""

    def run() -> None:
        now = dt.datetime.now(dt.UTC)
        source = YahooSource(LoopbackSession(origin))
        source.parallel = parallel
        with tempfile.TemporaryDirectory() as folder:
            sink = ParquetSink(Path(folder))
            collect(source, sink, [exchange.XNYS.last_finished(now)], tickers, 5, lambda: now)

    return run
