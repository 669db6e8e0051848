"""The dashboard in a real Chromium: every page, both widths, both themes, by mouse and by keyboard."""

from __future__ import annotations

import datetime as dt
import io
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageColor
from playwright.sync_api import expect

from dashboard import labels
from dashboard.charts.theme import LIGHT
from dashboard.chrome import live
from dashboard.pages import PAGES
from tests.dashboard import lakes
from tests.dashboard.browser import PATIENCE, browsing, executable, free_port, serving, settled, waited
from tests.fakes.oidc import CLIENT, USER, running_provider
from tests.fakes.yahoo import running_yahoo
from tickerlake.exchange import XNYS
from tickerlake.lake.layout import Layout
from tickerlake.query import Settings, open_engine, run
from tickerlake.query.formats import to_csv

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE * 1000)  # five seconds are too short on a busy machine

TITLES = {page.name: page.title for page in PAGES}
ADDRESSES = (
    *("" if page is PAGES[0] else page.name for page in PAGES),
    *("?view=Lines", "?measure=unusual", "?view=Small+multiples", "?view=Table", "?session=2026-11-18&to=2026-11-20"),
    "across_days?compare=One+clock&other=2026-11-18",
    "across_days?compare=Calendar",
    "across_days?compare=Side+by+side",
)
WIDTHS = (1440, 390)
LOOKS = ((1440, "light"), (390, "dark"), (1440, "dark"), (390, "light"))
LOOKED_AT = [
    (path, *look)
    for number, path in enumerate(ADDRESSES)
    for look in (LOOKS if os.environ.get("BROWSER_TESTS") else LOOKS[number % 4 : number % 4 + 1])
]
"""Every page and view once, each in another width and theme than the one before; `make test-browser` tries them all."""
SERIOUS = ("serious", "critical")
# Counts what the page sends to the server.
COUNTING = """() => {
    window.sent = 0
    const send = WebSocket.prototype.send
    WebSocket.prototype.send = function (...given) { window.sent++; return send.apply(this, given) }
}"""
# The bodies of the candles, where they are drawn.
SHOWN = """() => [...document.querySelectorAll('.st-key-zoom .mark-rect path')]
    .map(body => body.getAttribute('d') + body.getAttribute('transform')).join()"""
# Records the titles of the notifications that the browser has shown.
NOTED = """() => {
    window.noted = []
    const Browsers = window.Notification
    window.Notification = class extends Browsers {
        constructor(title, more) {
            super(title, more)
            this.addEventListener("show", () => window.noted.push(title))
        }
    }
}"""
# Records how the chart looks in each frame: whether it is drawn, its opacity, its height.
WATCHING = """() => new Promise(watched => {
    window.looks = []
    const look = () => {
        const chart = document.querySelector('[data-testid="stVegaLiteChart"]')
        const frame = chart.closest('[data-testid="stElementContainer"]')
        window.looks.push(
            `${!!chart.querySelector('.marks path')} ${getComputedStyle(frame).opacity} ${chart.clientHeight}`)
        watched()
        requestAnimationFrame(look)
    }
    look()
})"""


@pytest.fixture(scope="module")
def browser():
    if executable() is None and not os.environ.get("CI"):
        pytest.skip("found no Chromium; the dashboard was not tried in a browser")
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def address(faulty, tmp_path_factory):
    with serving(faulty, lakes.EVENING, tmp_path_factory.mktemp("server") / "log") as found:
        yield found


@pytest.fixture(scope="module")
def tab(browser):
    """Where all visits but those with a clock of their own happen: a new tab takes as long as the visit itself."""
    return browser.new_page()


class Ear:
    """Hears the errors that pages log, and the requests that they send to other hosts."""

    def __init__(self):
        self.errors, self.foreign, self.pages = [], [], set()
        self._events = {"console": self._logged, "pageerror": self._failed, "request": self._asked}

    def listen(self, page):
        if page not in self.pages:
            self.pages.add(page)
            for event, heard in self._events.items():
                page.on(event, heard)

    def leave(self):
        for page in self.pages:
            for event, heard in self._events.items():
                page.remove_listener(event, heard)

    def _logged(self, message):
        # Opened by its address, a page finds its own root by trial.
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            self.errors.append(message.text)

    def _failed(self, error):
        self.errors.append(str(error))

    def _asked(self, request):
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.foreign.append(request.url)


@pytest.fixture
def visit(browser, tab):
    """Opens an address at a width in a theme; fails if the page logs an error or calls another host."""
    ear = Ear()

    def visited(url, *, width=1440, theme="light", clock=False):
        page = browser.new_page() if clock else tab
        ear.listen(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        if clock:
            page.clock.install()
        page.mouse.move(0, 0)
        page.goto(url)
        return settled(page)

    yield visited
    ear.leave()
    for page in ear.pages - {tab}:
        page.close()
    assert ear.errors == []
    assert ear.foreign == []


def changed(page, before):
    """What the candles show, once that differs from `before`."""
    waited(page, f"before => before !== ({SHOWN})()", before)
    return page.evaluate(SHOWN)


def serious_faults(page):
    found = Axe().run(page).response["violations"]
    return [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found if fault["impact"] in SERIOUS]


@pytest.mark.parametrize(("path", "width", "theme"), LOOKED_AT)
def test_every_page_and_view_is_drawn_and_accessible_and_fits(visit, address, path, width, theme):
    page = visit(f"{address}/{path}", width=width, theme=theme)
    title = TITLES[path.partition("?")[0] or PAGES[0].name]
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.locator(".st-key-vega [data-testid='stVegaLiteChart']")).to_have_count(0)
    assert serious_faults(page) == []
    for other in (width, *WIDTHS):
        page.set_viewport_size({"width": other, "height": 900})
        waited(page, "() => document.documentElement.scrollWidth <= window.innerWidth")


def test_the_control_is_accessible(visit, address):
    page = visit(address, width=390, theme="dark")
    page.get_by_role("button", name="Collect").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    assert serious_faults(page) == []


def test_every_page_and_view_works_on_a_lake_without_opens(visit, without_open, tmp_path):
    def works():
        settled(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert page.locator("h1, h2").get_by_text("Cannot show this").count() == 0
        assert page.locator("svg [d*=NaN], svg [transform*=NaN]").count() == 0

    with serving(without_open, lakes.EVENING, tmp_path / "log") as address:
        page = visit(address)
        works()
        for view in ("Lines", "Small multiples", "Table"):
            page.get_by_role("tab", name=view).click()
            page.wait_for_url(lambda url, view=view: f"view={view.replace(' ', '+')}" in url)
            works()
        for title in list(TITLES.values())[1:]:
            page.get_by_role("link", name=title, exact=True).click()
            expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
            works()
        asked = ("measure=unusual", "measure=change", "session=2026-11-18&to=2026-11-20")
        for path in (*(f"?{each}" for each in asked), f"session?ticker={quote(lakes.HOSTILE)}"):
            page.goto(f"{address}/{path}")
            works()
        expect(page.get_by_text(lakes.HOSTILE).first).to_be_visible()
        lure = "[log in](http://evil.example) ![x](https://evil.example/x.png) www.evil.example me@evil.example"
        for path in ("?session=", "?tickers=", "session?ticker="):
            settled(page.goto(f"{address}/{path}{quote(lure)}") and page)
            expect(page.get_by_text("evil.example").first).to_be_visible()
            assert page.locator("a[href^='http'][href*='//evil'], a[href*='www.evil'], a[href^=mailto]").count() == 0
        page.goto("about:blank")


def test_session_and_tickers_are_chosen_and_the_csv_is_the_querys(visit, address, faulty):
    page = visit(address)
    page.get_by_role("button", name="Earlier").click()
    expect(page.get_by_role("heading", name="Thu 19 Nov 2026, closed")).to_be_visible()
    for ticker in ("AMZN", "BYND", "DDOG"):
        page.get_by_role("button", name=f"Remove {ticker}").click()
        expect(page.get_by_role("button", name=f"Remove {ticker}")).to_have_count(0)
        page.wait_for_url(lambda url, ticker=ticker: "tickers=" in url and ticker not in url)
        settled(page)
    page.get_by_role("tab", name="Table").click()
    files = {}
    for kind in ("CSV", "Parquet"):
        settled(page)
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        files[download.value.suggested_filename] = Path(download.value.path())
    left = ["META", "NFLX", "PINS", "SHOP", "SNAP", "TTD", "XYZ"]
    page.wait_for_url(lambda url: "view=Table" in url)
    assert parse_qs(urlsplit(page.url).query) == {
        "session": ["2026-11-19"],
        "tickers": [",".join(left)],
        "view": ["Table"],
    }
    session = dt.date(2026, 11, 19)
    asked = run(open_engine(Settings(lake=faulty)), "hourly_high", first=session, last=session, tickers=left)
    assert list(files) == ["hourly-high-2026-11-19.csv", "hourly-high-2026-11-19.parquet"]
    as_csv, as_parquet = files.values()
    assert as_csv.read_text(encoding="utf-8") == to_csv(asked.frame)
    pd.testing.assert_frame_equal(pd.read_parquet(as_parquet), asked.frame)


def test_a_chart_is_saved_as_a_picture_without_a_server(visit, address):
    page = visit(address)
    page.locator(".stVegaLiteChart:visible").first.hover()
    page.evaluate(COUNTING)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as PNG").first.click()
    with Image.open(download.value.path()) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300

    page.get_by_role("button", name="Save as SVG").first.focus()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "hourly-highs-2026-11-20.svg"
    drawing = ET.parse(download.value.path()).getroot()
    assert "Hourly highs, USD" in [each.text for each in drawing.findall(".//{*}text")]
    assert page.evaluate("window.sent") == 0


def test_a_link_shows_what_its_sender_saw_and_goes_along_to_the_next_page(visit, address):
    page = visit(f"{address}/?session=2026-11-18&tickers=NFLX")
    expect(page.get_by_role("heading", name="Wed 18 Nov 2026, closed")).to_be_visible()
    page.get_by_role("link", name="Session").click()
    expect(page.get_by_role("heading", name="Wed 18 Nov 2026, closed")).to_be_visible()
    assert "session=2026-11-18" in settled(page).url


def test_the_map_begins_on_the_first_half_of_the_screen_and_a_cell_opens_its_hour(visit, address):
    page = visit(f"{address}/?session=2026-11-19")
    chart = page.get_by_test_id("stVegaLiteChart").first
    assert chart.bounding_box()["y"] < 900 / 2
    page.set_viewport_size({"width": 390, "height": 844})
    waited(page, "() => document.querySelector('[data-testid=stVegaLiteChart]').getBoundingClientRect().right <= 390")
    assert chart.bounding_box()["y"] < 844 / 2
    cell = page.locator("[aria-label*='ticker: META'][aria-label*='hour: 10:00']").first
    # Beside the text in the middle, which is a mark of its own, and within the frame of the cell.
    cell.click(position={"x": 12, "y": 12}, force=True)
    page.wait_for_url("**/session?*ticker=META*")
    expect(page.get_by_role("heading", name="META, Thu 19 Nov 2026, closed")).to_be_visible()
    expect(page.get_by_text(f"{labels.hour_span(10, XNYS)}: high")).to_be_visible()
    settled(page).go_back()
    expect(page.get_by_role("heading", name="Thu 19 Nov 2026, closed", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Hourly highs", level=1)).to_be_visible()


def test_the_keyboard_moves_over_the_cells_and_enter_opens_one(visit, address):
    page = visit(f"{address}/?session=2026-11-19")
    cell = page.locator(".st-key-cells [tabindex='0']")
    cell.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".st-key-cells path:focus")).to_have_attribute("aria-label", re.compile("hour: 10:00"))
    ticker = re.search(r"ticker: (\w+)", page.locator(".st-key-cells path:focus").get_attribute("aria-label"))[1]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/session?*ticker={ticker}*")
    expect(page.get_by_text(f"{labels.hour_span(10, XNYS)}: high")).to_be_visible()


@pytest.fixture(scope="class")
def chart(tab, address):
    """The page with the candles, and the middle of their chart. Nothing is sent to the server meanwhile."""
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(f"{address}/session?ticker=NFLX&session=2026-11-19")
    plot = settled(tab).locator(".st-key-zoom svg.marks")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    tab.evaluate(COUNTING)
    yield tab, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert tab.evaluate("window.sent") == 0


class TestTheCandles:
    """Hover, zoom and pan happen in the browser alone; arrows ask the server for another page."""

    def test_a_tooltip_appears_anywhere_in_a_column(self, chart):
        page, x, y = chart
        page.mouse.move(x, y)
        tooltip = page.locator("#vg-tooltip-element")
        expect(tooltip).to_contain_text("12:")
        first = tooltip.inner_text()
        page.mouse.move(x, y + 200)  # the volume of the same bar
        expect(tooltip).to_have_text(re.compile("volume"))
        assert tooltip.inner_text() == first

    def test_wheel_and_drag_change_the_times_and_a_double_click_resets_them(self, chart):
        page, x, y = chart
        whole = page.evaluate(SHOWN)
        page.mouse.move(x, y)
        page.mouse.wheel(0, -400)
        zoomed = changed(page, whole)
        page.mouse.down()
        page.mouse.move(x - 150, y, steps=3)
        page.mouse.up()
        changed(page, zoomed)
        page.mouse.dblclick(x, y)
        waited(page, f"whole => whole === ({SHOWN})()", whole)

    def test_keys_do_the_same(self, chart):
        page, *_ = chart
        whole = page.evaluate(SHOWN)
        page.keyboard.press("+")
        zoomed = changed(page, whole)
        page.keyboard.press("Shift+ArrowRight")
        changed(page, zoomed)
        page.keyboard.press("0")
        waited(page, f"whole => whole === ({SHOWN})()", whole)


def test_arrows_step_through_sessions_and_tickers(visit, address):
    page = visit(f"{address}/session?ticker=NFLX&session=2026-11-19")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="NFLX, Fri 20 Nov 2026, closed")).to_be_visible()
    settled(page).keyboard.press("ArrowDown")
    expect(page.get_by_role("heading", name="OKTA, Fri 20 Nov 2026, closed")).to_be_visible()


def test_a_day_of_the_calendar_opens_its_session(visit, address):
    page = visit(f"{address}/across_days?compare=Calendar&ticker=NFLX")
    page.locator(".st-key-cells [aria-label*='session: 2026-11-18']").first.click(force=True)
    expect(page.get_by_role("heading", name="NFLX, Wed 18 Nov 2026, closed")).to_be_visible()


def test_a_running_session_updates_without_flicker_and_notifies(visit, tmp_path):
    lake = lakes.fill(tmp_path / "lake", now=lakes.MIDDAY - dt.timedelta(minutes=20))
    Layout(lake).config.write_text("[[alerts]]\nnew_high = 1\ntickers = ['SNAP']\n")
    with serving(lake, lakes.MIDDAY, tmp_path / "log") as address:
        page = visit(address, clock=True)
        expect(page.get_by_text("Bars are in up to 13:00 EST")).to_be_visible()
        page.context.grant_permissions(["notifications"])
        page.evaluate(NOTED)
        page.evaluate(WATCHING)
        before = page.evaluate("[...new Set(window.looks)]")
        lakes.fill(lake, now=lakes.MIDDAY, change=_snap_doubles)
        page.clock.fast_forward(live.REFRESH.seconds * 1000)
        expect(page.get_by_text("Bars are in up to 13:20 EST")).to_be_visible()
        expect(page.get_by_text("Newest bar 8 minutes ago").first).to_be_visible()
        assert page.evaluate("[...new Set(window.looks)]") == before
        waited(page, "() => window.noted.length")
        assert page.evaluate("window.noted") == ["SNAP new high 13:15"]
        page.close()


def _snap_doubles(symbol, bars):
    return bars.assign(high=bars["high"].where((symbol != "SNAP") | (bars.index != 45), bars["high"] * 2))


def test_a_click_on_a_coverage_cell_lists_its_gaps(visit, address):
    page = visit(f"{address}/data_quality")
    chart = page.get_by_test_id("stVegaLiteChart").first
    chart.scroll_into_view_if_needed()
    picture = Image.open(io.BytesIO(chart.screenshot(animations="disabled"))).convert("RGB")
    partial = ImageColor.getrgb(LIGHT.warn)
    x, y = next(
        (x, y) for y in range(picture.height) for x in range(picture.width) if picture.getpixel((x, y)) == partial
    )
    chart.click(position={"x": x + 5, "y": y + 5})
    text = "the source does not have 4 of the others. Missing (start, exchange time): 09:55-10:10"
    expect(page.get_by_text(text)).to_be_visible()


def test_the_keyboard_reaches_everything(visit, address):
    page = visit(address)
    page.get_by_role("button", name="Earlier").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Thu 19 Nov 2026, closed")).to_be_visible()
    settled(page).get_by_role("tab", name="Heat map").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Lines", selected=True)).to_be_visible()
    page.keyboard.press("Tab")


def test_a_session_is_collected_from_yahoo(visit, tmp_path):
    with (
        running_yahoo(now=lambda: lakes.EVENING) as yahoo,
        serving(tmp_path / "lake", lakes.EVENING, tmp_path / "log", yahoo.environment()) as address,
    ):
        page = visit(address)
        expect(page.get_by_role("heading", name="The lake is empty")).to_be_visible()
        assert yahoo.requests == []
        page.get_by_role("button", name="Collect", exact=True).click()
        page.get_by_role("textbox", name="Tickers").fill("META, AMZN")
        page.get_by_role("textbox", name="Tickers").press("Enter")
        settled(page).get_by_role("button", name="Start").click()
        expect(page.get_by_text("Collected 156 new bars of 2 tickers, Fri 20 Nov 2026.")).to_be_visible()
        expect(page.get_by_role("heading", name="Fri 20 Nov 2026, closed")).to_be_visible()
        assert sorted(yahoo.charts) == ["AMZN", "META"]
        page.goto("about:blank")


def test_a_visitor_logs_in_at_the_owners_provider_and_out_again(browser, real, tmp_path):
    port = free_port()
    secrets = tmp_path / ".streamlit" / "secrets.toml"
    secrets.parent.mkdir()
    with running_provider() as provider:
        secrets.write_text(
            "[auth]\n"
            f'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
            'cookie_secret = "nobody else knows this"\n'
            f'client_id = "{CLIENT[0]}"\nclient_secret = "{CLIENT[1]}"\n'
            f'server_metadata_url = "{provider}/.well-known/openid-configuration"\n'
        )
        with serving(real, lakes.EVENING, tmp_path / "log", {"HOME": str(tmp_path)}, port=port) as address:
            page = browser.new_page()
            page.goto(address)
            expect(page.get_by_text("Log in to see this lake")).to_be_visible()
            assert "NFLX" not in page.content()
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("link", name=f"Continue as {USER}").click()
            expect(settled(page).get_by_role("heading", level=1)).to_be_visible()
            page.get_by_role("button", name="Log out").click()
            expect(page.get_by_text("Log in to see this lake")).to_be_visible()
            page.context.close()
    assert "a-secret" not in (tmp_path / "log").read_text()
