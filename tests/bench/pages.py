"""How long the dashboard takes to show a chart, against the smallest possible Streamlit page."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from playwright.sync_api import Browser, Locator, Page

from tests.bench import lakes
from tests.bench.timing import Row, peak
from tests.dashboard.browser import browsing, serving, settled, waited

DASHBOARD = "dashboard/app.py"
BARE = "tests/bench/bare_page.py"
# What the marks of the page's charts look like, as text: the cells of the heat map, the lines of the bare page.
_DRAWN = """[...document.querySelectorAll('[data-testid="stVegaLiteChart"] :is(.mark-rect, .mark-line) path')]
    .map(path => path.getAttribute('d') + path.getAttribute('fill')).join()"""


def first_chart() -> Iterator[Row]:
    """From starting the server to the first chart, on one session of 500 tickers."""
    with browsing() as browser:
        times = [[_visit(browser, lakes.session(), script).first for script in (DASHBOARD, BARE)] for _ in range(5)]
    first, bare = (median(each) for each in zip(*times, strict=True))
    ratio = median(mine / theirs for mine, theirs in times)
    yield Row(
        "first chart after a cold start", f"{first:.2f} s", f"bare page {bare:.2f} s", f"{ratio:.2f}", "under 3 s"
    )


def clicks() -> Iterator[Row]:
    """From a click to the next chart, on a small lake and on a large one."""
    with browsing() as browser:
        bare = _visit(browser, lakes.week(), BARE)
        for what, lake, aim in (
            ("5 sessions of 11 tickers", lakes.week(), "500 ms"),
            ("252 sessions of 500 tickers", lakes.year(), "1 s, 600 MB"),
        ):
            visit = _visit(browser, lake, DASHBOARD)
            for change, seconds in (
                ("another session", visit.session),
                ("one ticker less", visit.ticker),
                ("page Session, another session", visit.candles),
                ("page Session, another ticker", visit.candles_of_another),
            ):
                yield Row(
                    f"{change}, {what}",
                    f"{seconds * 1000:.0f} ms, server {visit.memory}",
                    f"bare page {bare.session * 1000:.0f} ms",
                    f"{seconds / bare.session:.2f}",
                    aim,
                )


class Visit(NamedTuple):
    """The times of one visit, in seconds. 0 where the page has nothing to click on."""

    first: float
    """From starting the server to the first chart."""
    session: float
    """From a click to the chart of the session before."""
    ticker: float
    """From a click to the chart without one of the tickers."""
    candles: float
    """On the page Session, from a click to the candles of the session before."""
    candles_of_another: float
    """On the page Session, from a click to the candles of another ticker."""
    memory: str
    """The most memory that the server has held."""


def _visit(browser: Browser, lake: Path, script: str) -> Visit:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, serving(lake, lakes.NOW, Path(folder) / "log", script=script) as at:
        page.goto(at, wait_until="commit")
        waited(page, f"() => {_DRAWN}")
        first = time.perf_counter() - started
        settled(page)
        earlier, less = page.get_by_role("button", name="Earlier"), page.get_by_role("button", name="Remove ")
        session = _repainted(page, _DRAWN, lambda: earlier)
        ticker = _repainted(page, _DRAWN, lambda: less.first)
        candles = candles_of_another = 0.0
        if script == DASHBOARD:
            page.goto(f"{at}/session")
            settled(waited(page, f"() => {_DRAWN}"))
            candles = _repainted(page, _DRAWN, lambda: earlier)
            places = itertools.count(1)  # the page opens with the first ticker of the list
            candles_of_another = _repainted(page, _DRAWN, lambda: _ticker(page, next(places)))
        memory = _memory(at)
        page.close()
    return Visit(first, session, ticker, candles, candles_of_another, memory)


def _repainted(page: Page, drawn: str, target: Callable[[], Locator]) -> float:
    """The median time from a click on the target to changed marks, over four clicks."""
    repaints = [0.0]
    while len(repaints) < 5 and (there := target()).count() and there.is_enabled():
        before = page.evaluate(f"() => {drawn}")
        started = time.perf_counter()
        there.click()
        settled(waited(page, f"before => !['', before].includes({drawn})", before))
        repaints.append(time.perf_counter() - started)
    return median(repaints[1:] or repaints)


def _ticker(page: Page, place: int) -> Locator:
    """Opens the list of tickers; returns the entry at `place`."""
    page.get_by_role("combobox", name="Ticker").click()
    option = page.get_by_role("option").nth(place)
    option.wait_for()
    return option


def _memory(address: str) -> str:
    """The most memory that the server at `address` has held; known on Linux only."""
    port = address.rpartition(":")[2]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"streamlit" in words and port.encode() in words:
                return peak(process.name)
    return "? MB"
