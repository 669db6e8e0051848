"""How fast the dashboard is in a real browser, against the smallest possible Streamlit page in the same run."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Locator, Page
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from tests.bench import lakes
from tests.bench.timing import Row, peak
from tests.dashboard.browser import browsing, serving, settled, waited

DASHBOARD = "dashboard/app.py"
BARE = "tests/bench/bare_page.py"
ROUNDS = 5
VISITORS = 20
# What the page's charts look like, as text: the cells of the heat map, the lines of the bare page, or a canvas, which
# Streamlit takes for more than 2,000 marks.
_DRAWN = """[...document.querySelectorAll(
        '[data-testid="stVegaLiteChart"] :is(canvas, .mark-rect path, .mark-line path)'
    )].map(mark => mark.toDataURL?.() ?? mark.getAttribute('d') + mark.getAttribute('fill')).join()"""
# Counts what the page sends to the server.
_COUNTING = """() => {
    window.sent = 0
    const send = WebSocket.prototype.send
    WebSocket.prototype.send = function (...given) { window.sent++; return send.apply(this, given) }
}"""

Repaint = Callable[[], float]
"""Clicks on something; returns the seconds until the chart has changed."""


def first_chart() -> Iterator[Row]:
    """From starting the server to the first chart, on one session of 500 tickers."""
    with browsing() as browser:
        times = [[_started(browser, lakes.session(), script) for script in (DASHBOARD, BARE)] for _ in range(ROUNDS)]
    first, bare = (median(each) for each in zip(*times, strict=True))
    ratio = median(mine / theirs for mine, theirs in times)
    yield Row("first chart after a cold start", f"{first:.2f} s", f"bare page {bare:.2f} s", f"{ratio:.2f}", "1.15")


def clicks() -> Iterator[Row]:
    """From a click to the next chart, in turns with a click on the bare page."""
    places = itertools.cycle([1, 0])  # the page opens with the first measure
    with browsing() as browser, _opened(browser, lakes.week(), BARE) as (bare, _):
        baseline = _clicking(bare, lambda: _earlier(bare))
        for what, lake, aim in (
            ("5 sessions of 11 tickers", lakes.week(), "2"),
            ("252 sessions of 500 tickers", lakes.year(), "2.5"),
        ):
            with _opened(browser, lake, DASHBOARD) as (page, address):
                for change, path, target in (
                    ("another session", "", lambda: _earlier(page)),
                    ("one ticker less", "", lambda: _removal(page)),
                    ("another measure", "", lambda: _entry(page, "Measure", next(places))),
                    ("page Session, another session", "session", lambda: _earlier(page)),
                    ("page Session, another ticker", "session", lambda: page.get_by_role("button", name="Next")),
                ):
                    _go(page, f"{address}/{path}")
                    yield _compared(f"{change}, {what}", _clicking(page, target), baseline, "bare page", aim)
                yield Row(f"memory of the server, {what}", _memory(address), aim="600 MB")


def ranges() -> Iterator[Row]:
    """One ticker less in a year's range of twelve, against the same in one session."""
    first, last = lakes.YEAR[0].dt, lakes.YEAR[-1].dt
    tickers = ",".join(lakes.TICKERS[:12])
    with browsing() as browser, _opened(browser, lakes.year(), DASHBOARD) as (year, address), _tab(browser) as day:
        _go(year, f"{address}/?session={first}&to={last}&tickers={tickers}")
        _go(day, f"{address}/?session={last}&tickers={tickers}")
        less = [_clicking(page, lambda page=page: _removal(page)) for page in (year, day)]
        yield _compared("one of 12 tickers less, a year's range", *less, "one session", "3")


def hovering() -> Iterator[Row]:
    """What pointing at the candles sends to the server."""
    with browsing() as browser, _opened(browser, lakes.week(), DASHBOARD, "session") as (page, _):
        page.evaluate(_COUNTING)
        box = page.locator("[data-testid='stVegaLiteChart'] svg.marks").first.bounding_box()
        assert box
        for part in range(1, 20):
            page.mouse.move(box["x"] + box["width"] * part / 20, box["y"] + box["height"] / 2)
        waited(page, "() => document.querySelector('#vg-tooltip-element.visible')")
        yield Row("pointing at 19 bars", f"{page.evaluate('window.sent')} messages", aim="0 messages")


def visitors() -> Iterator[Row]:
    """How long the last of 20 visitors waits for the whole first page, against a visitor alone; without browsers."""
    for what, script, aim in (("", DASHBOARD, "5"), (" of the bare page", BARE, "")):
        with (
            tempfile.TemporaryDirectory() as folder,
            serving(lakes.week(), lakes.NOW, Path(folder) / "log", script=script) as address,
            ThreadPoolExecutor(VISITORS) as pool,
        ):
            _visited(address)
            times = []
            for _ in range(ROUNDS):
                alone = _visited(address)
                times.append((max(pool.map(_visited, [address] * VISITORS)), alone))
        slowest, alone = (median(each) * 1000 for each in zip(*times, strict=True))
        ratio = median(last / first for last, first in times)
        yield Row(f"{VISITORS} visitors{what} at once", f"{slowest:.0f} ms", f"one {alone:.0f} ms", f"{ratio:.2f}", aim)


def _visited(address: str) -> float:
    """Asks for the first page as a browser does; returns the seconds until the script has finished."""
    started = time.perf_counter()
    with connect(
        f"{address.replace('http', 'ws')}/_stcore/stream", subprotocols=["streamlit"], max_size=None, proxy=None
    ) as socket:
        asking = BackMsg()
        asking.rerun_script.query_string = ""
        socket.send(asking.SerializeToString())
        while True:
            answer = ForwardMsg()
            answer.ParseFromString(socket.recv(timeout=120))
            if answer.WhichOneof("type") == "script_finished":
                return time.perf_counter() - started


def _started(browser: Browser, lake: Path, script: str) -> float:
    """Seconds from starting the server to the first chart."""
    with _tab(browser) as page, tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with serving(lake, lakes.NOW, Path(folder) / "log", script=script) as at:
            page.goto(at, wait_until="commit")
            waited(page, f"() => {_DRAWN}")
            return time.perf_counter() - started


@contextlib.contextmanager
def _opened(browser: Browser, lake: Path, script: str, path: str = "") -> Iterator[tuple[Page, str]]:
    """A page on a server of its own, and the server's address."""
    with (
        _tab(browser) as page,
        tempfile.TemporaryDirectory() as folder,
        serving(lake, lakes.NOW, Path(folder) / "log", script=script) as address,
    ):
        _go(page, f"{address}/{path}")
        yield page, address


@contextlib.contextmanager
def _tab(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    try:
        yield page
    finally:
        page.close()


def _go(page: Page, address: str) -> None:
    page.goto(address)
    settled(waited(page, f"() => {_DRAWN}"))


def _clicking(page: Page, target: Callable[[], Locator]) -> Repaint:
    def repaint() -> float:
        there = target()
        before = page.evaluate(f"() => {_DRAWN}")
        started = time.perf_counter()
        there.click()
        settled(waited(page, f"before => !['', before].includes({_DRAWN})", before))
        return time.perf_counter() - started

    return repaint


def _compared(what: str, mine: Repaint, theirs: Repaint, whose: str, aim: str) -> Row:
    """The median over some rounds, in turns. The first round of each warms up and does not count."""
    times = [(mine(), theirs()) for _ in range(ROUNDS - 1)][1:]
    figure, baseline = (median(each) * 1000 for each in zip(*times, strict=True))
    ratio = median(first / second for first, second in times)
    return Row(what, f"{figure:.0f} ms", f"{whose} {baseline:.0f} ms", f"{ratio:.2f}", aim)


def _earlier(page: Page) -> Locator:
    return page.get_by_role("button", name="Earlier")


def _removal(page: Page) -> Locator:
    return page.get_by_role("button", name="Remove ").first


def _entry(page: Page, label: str, place: int) -> Locator:
    """Opens a list; returns the entry at `place`."""
    page.get_by_role("combobox", name=label).first.click()
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
