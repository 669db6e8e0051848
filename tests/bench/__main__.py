"""`make bench`: how fast it is, as ratios to a named baseline, both taken in the same run.

Nothing here passes or fails: machines differ and are shared. Each figure is the median of its runs.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
from playwright.sync_api import Browser, Locator, Page
from rich.console import Console
from rich.table import Table

from tests.dashboard.browser import browsing, serving, settled, waited
from tests.fakes.yahoo import LoopbackSession, running_yahoo
from tickerlake import exchange, watchlist
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.yahoo import YahooSource

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
FRIDAY = exchange.session_on(dt.date(2026, 11, 20))
YEAR = exchange.sessions_between(dt.date(2025, 1, 1), FRIDAY.date)[-252:]
TICKERS = [f"T{number:03}" for number in range(500)]
ROOT = Path(__file__).parents[2]
DASHBOARD = "dashboard/app.py"
SCRIPTS = (DASHBOARD, "tests/bench/bare.py")
# What the page's charts have drawn with one kind of mark, as text.
_DRAWN = """[...document.querySelectorAll('[data-testid="stVegaLiteChart"] .mark-%s path')]
    .map(path => path.getAttribute('d')).join()"""
_LINES, _CANDLES = _DRAWN % "line", _DRAWN % "rect"

# Run in a process of its own, so that its peak of memory is its own.
_QUERY = """
import json, resource, statistics, sys, time
import tickerlake.query
from pathlib import Path
engine = tickerlake.query.open_engine(tickerlake.query.Settings(lake=Path(sys.argv[1])))
bare = "SELECT ticker, date_trunc('hour', ts) AS utc_hour, max(high) AS high FROM bars GROUP BY 1, 2"
def seconds(call, runs=5):
    call()
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
figures = {"hourly_high": seconds(lambda: tickerlake.query.run(engine, "hourly_high").frame)}
figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
figures["bare"] = seconds(lambda: engine.run(bare, {}).frame)
print(json.dumps(figures))
"""


def main() -> None:
    """Measures collecting, simulating, querying and the first chart, and prints a table."""
    table = Table(title="Benchmarks", title_justify="left", header_style="bold")
    for heading in ("what", "figure", "baseline", "ratio", "aim"):
        table.add_column(heading)
    with tempfile.TemporaryDirectory() as folder:
        for measure in (_collecting, _querying, _looking):
            for row in measure(Path(folder)):
                table.add_row(*row)
    Console(width=150 if not sys.stdout.isatty() else None).print(table)


def _collecting(folder: Path) -> list[tuple[str, ...]]:
    session = exchange.last_finished(dt.datetime.now(dt.UTC))

    def run(origin: str, parallel: int) -> float:
        source = YahooSource(LoopbackSession(origin))
        source.parallel = parallel
        lake = ParquetSink(folder / f"collected-{time.monotonic_ns()}")
        now = dt.datetime.now(dt.UTC)
        return _seconds(lambda: collect(source, lake, [session], watchlist.DEFAULT, 5, lambda: now))

    # In a process of its own: in this one it would take turns with the client.
    command = [sys.executable, "-m", "tests.fakes.yahoo", "--latency-ms", "100"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            origin = shlex.split(server.stdout.readline())[1].partition("=")[2]
            run(origin, 4)
            pairs = [(run(origin, 4), run(origin, 1)) for _ in range(7)]
        finally:
            server.terminate()
    with running_yahoo() as yahoo:
        run(yahoo.origin, 4)
        requests = len(yahoo.requests)
    together, alone = (median(pair[side] for pair in pairs) for side in (0, 1))
    return [
        (
            "collect a session of 11 tickers, 100 ms an answer",
            f"{together:.2f} s, {requests} requests",
            f"one after another {alone:.2f} s",
            f"{median(one / four for four, one in pairs):.1f} times faster",
            "at least 3; at most 13 requests",
        )
    ]


def _querying(folder: Path) -> list[tuple[str, ...]]:
    rows = []
    for days, aim in (([FRIDAY], "under 0.2 s"), (YEAR, "at most 6 times, under 2,048 MB")):
        lake = folder / f"lake-{len(days)}"
        simulated = _seconds(
            lambda days=days, lake=lake: collect(SimulatedSource(), ParquetSink(lake), days, TICKERS, 5, lambda: NOW)
        )
        bars = sum(len(day.bar_starts(5)) for day in days) * len(TICKERS)
        rows.append((f"simulate and store {bars:,} bars", f"{simulated:.1f} s", "", "", "a year under 120 s"))
        printed = subprocess.run(
            [sys.executable, "-c", _QUERY, str(lake)], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        figures = json.loads(printed)
        rows.append(
            (
                f"hourly_high over {bars:,} bars",
                f"{figures['hourly_high']:.3f} s, {figures['peak_mb']:,.0f} MB at the most",
                f"bare max(high) {figures['bare']:.3f} s",
                f"{figures['hourly_high'] / figures['bare']:.1f} times the baseline",
                aim,
            )
        )
    return rows


def _looking(folder: Path) -> list[tuple[str, ...]]:
    week = folder / "lake-week"
    collect(SimulatedSource(), ParquetSink(week), YEAR[-5:], watchlist.DEFAULT, 5, lambda: NOW)
    with browsing() as browser:
        cold = [[_visit(browser, folder / "lake-1", folder, script).first for script in SCRIPTS] for _ in range(7)]
        few, bare = (_visit(browser, week, folder, script) for script in SCRIPTS)
        many = _visit(browser, folder / f"lake-{len(YEAR)}", folder, DASHBOARD)
    first, bare_first = (median(times[n] for times in cold) for n in range(2))
    rows = [
        (
            "first chart after a cold start, one session",
            f"{first:.2f} s",
            f"bare page {bare_first:.2f} s",
            f"{median(mine / theirs for mine, theirs in cold):.2f} times the baseline",
            "under 3 s",
        )
    ]
    for held, visit, aim in (
        ("few in the lake", few, "under 500 ms"),
        (f"{len(YEAR)} of {len(TICKERS)} tickers", many, "under 1 s, under 600 MB"),
    ):
        for change, seconds in (
            ("another session", visit.session),
            ("one ticker less", visit.ticker),
            ("page Session, another session", visit.candles),
            ("page Session, another ticker", visit.candles_of_another),
        ):
            rows.append(
                (
                    f"{change}, {held}",
                    f"{seconds * 1000:.0f} ms" + (f", server {visit.memory}" if visit is many else ""),
                    f"bare page {bare.session * 1000:.0f} ms",
                    f"{seconds / bare.session:.1f} times the baseline",
                    aim,
                )
            )
    return rows


class Visit(NamedTuple):
    """What one visit took."""

    first: float
    """Seconds from starting the server to the lines of the first chart."""
    session: float
    """Seconds from a click to the lines of the session before; 0 where the lake holds one session."""
    ticker: float
    """Seconds from a click to the lines without one of the tickers; 0 where the page has none to remove."""
    candles: float
    """On the page Session, seconds from a click to the candles of the session before; 0 where there is no such page."""
    candles_of_another: float
    """The same to the candles of another ticker."""
    memory: str


def _visit(browser: Browser, lake: Path, folder: Path, script: str) -> Visit:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    started = time.perf_counter()
    with serving(lake, NOW, folder / "log", script=script) as address:
        page.goto(address, wait_until="commit")
        waited(page, f"() => {_LINES}")
        first = time.perf_counter() - started
        settled(page)
        earlier, less = page.get_by_role("button", name="Earlier"), page.get_by_role("button", name="Remove ")
        session = _repainted(page, _LINES, lambda: earlier)
        ticker = _repainted(page, _LINES, lambda: less.first)
        candles = candles_of_another = 0.0
        if script == DASHBOARD:
            page.goto(f"{address}/session")
            settled(waited(page, f"() => {_CANDLES}"))
            candles = _repainted(page, _CANDLES, lambda: earlier)
            places = itertools.count(1)  # the first of the list is on the page
            candles_of_another = _repainted(page, _CANDLES, lambda: _ticker(page, next(places)))
        memory = _memory(address)
        page.close()
    return Visit(first, session, ticker, candles, candles_of_another, memory)


def _repainted(page: Page, drawn: str, target: Callable[[], Locator]) -> float:
    """Seconds from a click on the target to other marks, the median of four; 0 without one to click on."""
    repaints = [0.0]
    while len(repaints) < 5 and (there := target()).count() and there.is_enabled():
        before = page.evaluate(f"() => {drawn}")
        started = time.perf_counter()
        there.click()
        settled(waited(page, f"before => !['', before].includes({drawn})", before))
        repaints.append(time.perf_counter() - started)
    return median(repaints[1:] or repaints)


def _ticker(page: Page, place: int) -> Locator:
    """The ticker at `place` of the list, which it opens."""
    page.get_by_role("combobox", name="Ticker").click()
    option = page.get_by_role("option").nth(place)
    option.wait_for()
    return option


def _memory(address: str) -> str:
    """The most memory that the server at `address` has held; nothing where the system does not tell."""
    port = address.rpartition(":")[2]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"streamlit" in words and port.encode() in words:
                found = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
                return f"{int(found[1]) / 1024:,.0f} MB at the most" if found else ""
    return ""


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    click.echo("Measuring; this takes a few minutes ...", err=True)
    main()
