"""The collect control: it collects on request only, shows progress, can be stopped, and never mixes lakes."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import threading
import tomllib
from pathlib import Path
from types import MappingProxyType

import pytest
import streamlit as st

from dashboard import access
from dashboard.chrome.collect_control import LAST, RANGE, TODAY
from dashboard.data import collection, news
from tests.dashboard import lakes
from tests.dashboard.conftest import text
from tests.fakes.yahoo import running_yahoo
from tests.test_watch import Machine, clock
from tickerlake import exchange, limits, watchlist
from tickerlake.errors import ConfigError, RateLimited, SinkError
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import sources_held
from tickerlake.lake.presence import watching
from tickerlake.sources.simulated import SimulatedSource

FRIDAY = [exchange.XNYS.session_on(lakes.FRIDAY)]

ROOT = Path(__file__).parents[2]


class Held(lakes.Invented):
    """A source that answers only once it is let."""

    def __init__(self):
        super().__init__("yahoo")
        self.asked = threading.Event()
        self.let = threading.Event()

    def bars(self, symbol, sessions, bar_minutes):
        self.asked.set()
        assert self.let.wait(5)
        return super().bars(symbol, sessions, bar_minutes)


@pytest.fixture(autouse=True)
def _no_job_from_before():
    yield
    job = collection.desk().job
    if job is not None and job.thread is not None:
        job.stop.set()
        job.thread.join(5)
    st.cache_resource.clear()


@pytest.fixture
def source(monkeypatch):
    given = lakes.Invented("yahoo")
    monkeypatch.setattr(collection, "open_source", lambda _: given)
    return given


def start(lake, source, tickers=("META", "AMZN")):
    return collection.start(lake, FRIDAY, tickers, source, lambda: lakes.EVENING)


def open_control(at):
    at.session_state["collect"] = True
    return at.run()


def press(at, label):
    next(button for button in at.button if button.label == label).click().run()
    assert not at.exception


def wait():
    collection.desk().job.thread.join(10)


def test_the_open_control_asks_nobody_before_start_is_pressed(app, real, monkeypatch):
    monkeypatch.setattr(collection, "open_source", lambda _: pytest.fail("the control asked for a source"))
    open_control(app(real))


def test_an_empty_lake_is_filled_by_one_button(app, tmp_path, source):
    at = open_control(app(tmp_path / "lake"))
    press(at, "Start")
    wait()
    at.run()
    assert "Collected 858 new bars of 11 tickers, Fri 20 Nov 2026." in text(at)
    assert " leads: " in text(at)
    press(at, "Close")
    assert "Collected" not in text(at)


def test_what_is_typed_counts_even_if_start_is_pressed_before_the_page_is_drawn_again(app, tmp_path, source):
    at = open_control(app(tmp_path / "lake"))
    at.text_input(key="collect tickers").set_value("META, AMZN")
    press(at, "Start")
    wait()
    at.run()
    assert "Collected 156 new bars of 2 tickers, Fri 20 Nov 2026." in text(at)


def test_an_empty_lake_offers_to_collect_now(app, tmp_path, source):
    at = app(tmp_path / "lake")
    press(at, "Collect now")
    wait()
    at.run()
    assert "Collected 858 new bars of 11 tickers, Fri 20 Nov 2026." in text(at)
    assert sources_held(tmp_path / "lake") == {"yahoo"}


def test_an_empty_lake_offers_to_simulate_in_a_lake_beside_it(app, tmp_path):
    at = app(tmp_path / "lake")
    press(at, "Simulate")
    wait()
    at.run()
    assert "Simulated 4,290 new bars of 11 tickers, Mon 16 Nov 2026 to Fri 20 Nov 2026." in text(at)
    assert "Simulated prices, for demonstration only" in text(at)
    assert sources_held(tmp_path / "lake-simulated") == {"simulated"}
    assert not (tmp_path / "lake").exists()


def test_real_bars_never_go_into_a_simulated_lake(app, tmp_path, simulated, source):
    at = open_control(app(simulated))
    assert "This lake holds simulated prices. Real bars go into lake/." in text(at)
    press(at, "Start")
    wait()
    at.run()
    assert sources_held(simulated) == {"simulated"}
    assert sources_held(tmp_path / "lake") == {"yahoo"}
    press(at, "Show lake/")
    assert "Simulated" not in text(at)
    assert "Source: Yahoo Finance" in text(at)


def test_starting_into_a_simulated_lake_is_refused(simulated, source):
    with pytest.raises(ConfigError, match="cannot share a lake"):
        start(simulated, source)


def test_a_ticker_that_is_no_symbol_is_told_in_the_control(app, real, source):
    at = open_control(app(real))
    at.text_input[0].set_value("META, ???").run()
    press(at, "Start")
    assert "??? is not a symbol" in text(at)
    assert collection.desk().job is None


def test_the_tickers_offered_are_the_lakes_watchlist(app, tmp_path, source):
    lake = lakes.fill(tmp_path / "two", tickers=["META", "AMZN"])
    assert open_control(app(lake)).text_input[0].value == ", ".join(watchlist.DEFAULT)
    watchlist.remove(Layout(lake).config, watchlist.DEFAULT[2:])
    assert open_control(app(lake)).text_input[0].value == "META, SHOP"


def test_a_watchlist_that_cannot_be_read_is_reported_in_the_control(app, tmp_path):
    lake = lakes.fill(tmp_path / "lake", tickers=["META"])
    Layout(lake).config.write_text("tickers = 3")
    words = text(open_control(app(lake, "data_quality")))
    assert "tickers must be a list of symbols" in words
    assert "Coverage" in words


def test_a_range_is_cut_to_the_sessions_that_have_opened(app, real, source):
    at = open_control(app(real))
    at.radio[0].set_value(RANGE).run()
    at.date_input[0].set_value((dt.date(2026, 11, 19), dt.date(2026, 11, 20))).run()
    press(at, "Start")
    wait()
    assert [session.dt for session in collection.desk().job.sessions] == ["2026-11-19", "2026-11-20"]


def test_a_range_is_limited_to_what_the_source_serves(app, real, source):
    at = open_control(app(real))
    at.radio[0].set_value(RANGE).run()
    assert at.date_input[0].min == dt.date(2026, 9, 23)
    assert at.date_input[0].max == lakes.FRIDAY


def test_today_so_far_is_offered_only_while_a_session_runs(app, running, source):
    assert open_control(app(running, now=lakes.MIDDAY)).radio[0].options[0] == TODAY
    assert open_control(app(running)).radio[0].options[0] == LAST


def test_there_is_one_collection_at_a_time(tmp_path):
    source = Held()
    job = start(tmp_path, source)
    with pytest.raises(ConfigError, match="a collection is running"):
        start(tmp_path, source)
    source.let.set()
    job.thread.join(5)


def test_progress_is_told_and_a_person_can_stop_it(app, tmp_path, monkeypatch):
    source = Held()
    source.parallel = 1
    monkeypatch.setattr(collection, "open_source", lambda _: source)
    at = open_control(app(tmp_path / "lake"))
    at.text_input[0].set_value("META, AMZN, SNAP").run()
    press(at, "Start")
    assert source.asked.wait(5)
    at.run()
    assert collection.desk().job.is_running
    press(at, "Stop")
    source.let.set()
    wait()
    at.run()
    assert "Collected 78 new bars of 1 ticker, Fri 20 Nov 2026; stopped before AMZN and SNAP." in text(at)
    assert sources_held(tmp_path / "lake") == {"yahoo"}


def test_failures_are_told_by_reason_with_their_words(app, real, monkeypatch, tmp_path):
    class Refusing(lakes.Invented):
        def bars(self, symbol, sessions, bar_minutes):
            raise RateLimited(f"{symbol}: Yahoo answers no more for now (HTTP 429)")

    monkeypatch.setattr(collection, "open_source", lambda _: Refusing("yahoo"))
    at = open_control(app(tmp_path / "lake"))
    press(at, "Start")
    wait()
    at.run()
    assert "failed: 10 not-asked, 1 rate-limited" in text(at)
    assert "HTTP 429" in at.code[0].value


def test_the_options_of_the_lake_for_its_vendor_count(app, tmp_path):
    Layout(tmp_path / "lake").config.parent.mkdir()
    Layout(tmp_path / "lake").config.write_text("[vendor.yahoo]\nnonsense = 1\n")
    at = open_control(app(tmp_path / "lake"))
    press(at, "Start")
    assert "[vendor.yahoo] has an unknown option 'nonsense'" in text(at)


def test_a_lake_that_cannot_be_written_is_told(app, tmp_path, monkeypatch, source):
    def write(*_):
        raise SinkError("cannot write: no space left on device; nothing of this file was stored")

    monkeypatch.setattr(collection.ParquetSink, "write", write)
    at = open_control(app(tmp_path / "lake"))
    press(at, "Start")
    wait()
    at.run()
    assert "no space left on device" in text(at)


class TestReadOnly:
    ONLY = MappingProxyType({access.VARIABLE: "1"})

    def test_visitors_neither_collect_nor_see_settings(self, app, real, tmp_path):
        at = app(real, "pipeline", environment=self.ONLY)
        assert "LAKE_DIR" not in "".join(frame.value.to_csv() for frame in at.dataframe)
        assert "collect" not in at.session_state
        assert "collect" in app(real).session_state
        empty = text(app(tmp_path / "nothing", environment=self.ONLY))
        assert "**Collect**" not in empty
        assert "tickerlake collect" not in empty

    def test_one_visitor_asks_for_a_page_at_a_time(self, app, crowded, monkeypatch):
        monkeypatch.setattr(limits, "MOST_TICKERS", 69)
        everything = ",".join(app(crowded).multiselect[0].options)
        said = "70 tickers are too many at once here; choose at most 69"
        assert said in text(app(crowded, environment=self.ONLY, tickers=everything))
        assert said not in text(app(crowded, tickers=everything))

    def test_one_visitor_asks_for_no_more_sessions_of_tickers_than_a_page_should_take(self, app, real, monkeypatch):
        monkeypatch.setattr(limits, "MOST_TICKER_SESSIONS", 54)
        asked = {"session": "2026-11-16", "to": "2026-11-20"}
        said = "55 sessions times tickers are too many at once here; choose at most 54"
        assert said in text(app(real, environment=self.ONLY, **asked))
        assert said in text(app(real, "across_days", environment=self.ONLY))

    @pytest.mark.parametrize(
        ("address", "read_only"),
        [("localhost", False), ("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), (None, True), ("host", True)],
    )
    def test_it_is_the_default_where_others_can_reach_the_server(self, monkeypatch, address, read_only):
        monkeypatch.delenv(access.VARIABLE, raising=False)
        monkeypatch.setattr(access.st, "get_option", lambda _: address)
        assert access.is_read_only() == read_only

    def test_the_apps_own_configuration_listens_on_this_machine_alone(self):
        config = tomllib.loads((ROOT / "dashboard" / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
        assert config["server"]["address"] == "localhost"


def test_the_buttons_of_the_watcher_run_its_command_and_end_its_process(app, tmp_path, real, monkeypatch):
    begun, signals = [], []
    monkeypatch.setattr(access, "is_on_this_machine", lambda: True)
    monkeypatch.setattr(news.subprocess, "Popen", lambda command, **_: begun.append(command))
    monkeypatch.setattr(news.os, "kill", lambda process, number: signals.append((process, number)))
    lake = shutil.copytree(real, tmp_path / "lake")

    at = open_control(app(lake, now=lakes.MIDDAY))
    assert "No watcher runs" in text(at)
    press(at, "Watch")
    with watching(Layout(lake).watching, lakes.MIDDAY):
        Layout(lake).watch_log.write_text("watching META\n13:20:30 2026-11-20: 4 bars\n")
        at.run()
        assert f"A watcher runs: process {os.getpid()}, since Fri 13:23 EST." in text(at)
        assert "Watching" in text(at)
        assert at.code[0].value == "13:20:30 2026-11-20: 4 bars"
        press(at, "Stop watching")

    assert [command[1:] for command in begun] == [["-m", "tickerlake", "watch", "--lake", str(lake)]]
    assert signals == [(os.getpid(), signal.SIGTERM)]


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_real_watcher_is_started_from_the_page_and_seen_and_stopped_there(app, tmp_path, real, monkeypatch):
    monkeypatch.setattr(access, "is_on_this_machine", lambda: True)
    lake = shutil.copytree(real, tmp_path / "lake")
    with running_yahoo() as yahoo:
        for name, value in {"PYTHONPATH": str(ROOT), **yahoo.environment()}.items():
            monkeypatch.setenv(name, value)
        at = open_control(app(lake, now=lakes.MIDDAY))
        press(at, "Watch")
        try:
            until(at, "A watcher runs: process")
            until(at, "next run")
        finally:
            press(at, "Stop watching")
        until(at, "No watcher runs")


def until(at, words):
    """Runs the page again and again until it says `words`."""
    for _ in range(500):
        if words in text(at) + "".join(block.value for block in at.code):
            return
        at.run()
    pytest.fail(f"the page never said {words!r}")


@pytest.mark.parametrize("where", ["served", "read-only"])
def test_a_watcher_can_only_be_controlled_on_this_machine(app, running, monkeypatch, where):
    monkeypatch.setattr(access, "is_on_this_machine", lambda: where == "read-only")
    at = app(running, now=lakes.MIDDAY, environment={access.VARIABLE: "1" if where == "read-only" else "0"})
    if where == "served":
        open_control(at)

    assert "No watcher runs" in text(at)
    assert not {"Watch", "Stop watching"} & {button.label for button in at.button}


def test_a_new_high_is_a_toast_and_the_title_of_the_tab_once(app, tmp_path):
    lake = lakes.fill(tmp_path / "lake", tickers=["META", "AMZN", "SNAP"], now=lakes.MIDDAY)
    Layout(lake).config.write_text("[[alerts]]\nnew_high = 1\n")
    at = app(lake, now=lakes.MIDDAY)
    assert not at.toast
    assert " new high " in at.session_state["news"]

    best = SimulatedSource().bars("SNAP", FRIDAY, 5)["high"].max() * 2
    lakes.fill(
        lake,
        tickers=["SNAP"],
        now=lakes.MIDDAY,
        change=lambda _, bars: bars.assign(high=bars["high"].where(bars.index != 20, best)),
    )
    at.run()
    assert [toast.value.replace("\\", "") for toast in at.toast] == [
        f"SNAP: new high, {best:,.2f} USD at 11:10, Fri 20 Nov."
    ]
    assert at.session_state["news"] == "SNAP new high 11:10"
    at.run()
    assert not at.toast


def test_alerts_are_added_and_removed_in_the_page_and_comments_of_the_file_stay(app, tmp_path, real, monkeypatch):
    monkeypatch.setattr(access, "is_on_this_machine", lambda: True)
    lake = shutil.copytree(real, tmp_path / "lake")
    config = Layout(lake).config
    config.write_text("# mine\n[[alerts]] # first\nnew_high = 1\n")
    at = open_control(app(lake))

    at.selectbox("alert kind").set_value("Above").run()
    at.number_input("alert price").set_value(700.0)
    at.text_input("alert tickers").set_value("META, AMZN").run()
    press(at, "Add")
    assert tomllib.loads(config.read_text())["alerts"] == [
        {"new_high": 1},
        {"above": 700.0, "tickers": ["META", "AMZN"]},
    ]
    at.text_input("alert tickers").set_value("").run()
    press(at, "Add")
    assert "a price level needs its ticker" in text(at)
    at.button("alert 1").click().run()
    assert config.read_text() == "# mine\n[[alerts]] # first\nnew_high = 1\n"


def test_an_alert_that_is_set_in_the_page_reaches_the_watcher_that_runs(app, tmp_path, monkeypatch):
    monkeypatch.setattr(access, "is_on_this_machine", lambda: True)
    machine = Machine(tmp_path / "lake")
    rest, noon = machine.wait, clock("2026-11-20T12:00")

    def wait(seconds):
        rest(seconds)
        if machine.now < noon and noon - machine.now <= dt.timedelta(seconds=seconds):
            press(open_control(app(machine.lake, now=machine.now)), "Add")

    machine.wait = wait
    said = machine.run("2026-11-20T11:29", "2026-11-20T12:32", ("AMZN",))

    assert tomllib.loads(Layout(machine.lake).config.read_text())["alerts"] == [{"new_high": 1}]
    told = [line for line in said if " alert: " in line]
    assert [line[:30] for line in told] == [f"{at}:30 alert: AMZN: new high" for at in ("12:00", "12:30")]


def test_the_watchlist_is_edited_in_the_page_and_the_pages_tickers_follow(app, tmp_path, monkeypatch):
    monkeypatch.setattr(access, "is_on_this_machine", lambda: True)
    lake = lakes.fill(tmp_path / "lake", tickers=["META", "AMZN", "NVDA"])
    config = Layout(lake).config
    config.write_text('# mine\ntickers = ["META", "AMZN"] # two\n')
    at = open_control(app(lake, tickers="META"))
    assert at.multiselect("pick watchlist").value == ["META", "AMZN"]

    at.multiselect("pick watchlist").set_value(["META", "AMZN", "nvda"]).run()
    assert config.read_text() == '# mine\ntickers = ["META", "AMZN", "NVDA"] # two\n'
    assert at.multiselect("pick watchlist").value == ["META", "AMZN", "NVDA"]
    assert at.multiselect("pick tickers").value == ["META", "AMZN", "NVDA"]
    assert at.text_input("collect tickers").value == "META, AMZN, NVDA"

    at.multiselect("pick watchlist").set_value(["AMZN", "NVDA"]).run()
    assert watchlist.read(config) == ("AMZN", "NVDA")
    assert at.multiselect("pick tickers").value == ["AMZN", "NVDA"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["META", "???"], "??? is not a symbol"),
        ([], "the watchlist would be empty; add another ticker first"),
    ],
)
def test_a_watchlist_that_cannot_be_stays_as_it_was(app, tmp_path, real, monkeypatch, chosen, said):
    monkeypatch.setattr(access, "is_on_this_machine", lambda: True)
    lake = shutil.copytree(real, tmp_path / "lake")
    watchlist.remove(Layout(lake).config, watchlist.DEFAULT[1:])
    at = open_control(app(lake))
    at.multiselect("pick watchlist").set_value(chosen).run()
    assert said in text(at)
    assert at.multiselect("pick watchlist").value == ["META"]
    assert watchlist.read(Layout(lake).config) == ("META",)
    assert said not in text(at.run())
