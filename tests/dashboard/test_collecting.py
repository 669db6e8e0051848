"""The collect control: it asks only when a person says so, tells its progress, can be stopped, mixes nothing."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
import streamlit as st

from dashboard.data import collection
from tests.dashboard import lakes
from tests.dashboard.conftest import told
from tickerlake import exchange
from tickerlake.errors import ConfigError, RateLimited, SinkError
from tickerlake.lake.parquet import sources_held

FRIDAY = [exchange.session_on(lakes.FRIDAY)]


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
    monkeypatch.setattr(collection, "open_source", lambda: given)
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


@pytest.mark.parametrize("page", ["hourly_highs", "session", "data_quality", "pipeline"])
def test_a_page_never_asks_while_it_renders(app, real, page, monkeypatch):
    monkeypatch.setattr(collection, "open_source", lambda: pytest.fail("a page asked for a source"))
    open_control(app(real, page))


def test_an_empty_lake_is_filled_by_one_button(app, tmp_path, source):
    at = open_control(app(tmp_path / "lake"))
    press(at, "Start")
    wait()
    at.run()
    assert "Collected 858 new bars of 11 tickers, Fri 20 Nov 2026." in told(at)
    assert "7 of 11 tickers closed above their open." in told(at)
    press(at, "Close")
    assert "Collected" not in told(at)


def test_real_bars_never_go_into_a_simulated_lake(app, tmp_path, simulated, source):
    at = open_control(app(simulated))
    assert "This lake is simulated, and real bars are never mixed in: they go into `lake/`." in told(at)
    press(at, "Start")
    wait()
    at.run()
    assert sources_held(simulated) == {"simulated"}
    assert sources_held(tmp_path / "lake") == {"yahoo"}
    press(at, "Show lake/")
    assert "SIMULATED" not in told(at)
    assert "Source: Yahoo Finance" in told(at)


def test_starting_into_a_simulated_lake_is_refused(simulated, source):
    with pytest.raises(ConfigError, match="cannot share a lake"):
        start(simulated, source)


def test_a_ticker_that_is_no_symbol_is_told_in_the_control(app, real, source):
    at = open_control(app(real))
    at.text_input[0].set_value("META, ???").run()
    press(at, "Start")
    assert "??? is not a symbol" in told(at)
    assert collection.desk().job is None


def test_the_tickers_offered_are_those_of_the_lake(app, tmp_path, source):
    lake = lakes.fill(tmp_path / "two", tickers=["META", "AMZN"])
    assert open_control(app(lake)).text_input[0].value == "AMZN, META"


def test_a_range_is_limited_to_what_the_source_serves(app, real, source):
    at = open_control(app(real))
    at.radio[0].set_value("A range").run()
    assert at.date_input[0].min == dt.date(2026, 9, 23)
    assert at.date_input[0].max == lakes.FRIDAY


def test_today_so_far_is_offered_only_while_a_session_runs(app, running, source):
    assert open_control(app(running, now=lakes.MIDDAY)).radio[0].options[0] == "Today so far"
    assert open_control(app(running)).radio[0].options[0] == "The last finished session"


def test_there_is_one_collection_at_a_time(tmp_path):
    source = Held()
    job = start(tmp_path, source)
    with pytest.raises(ConfigError, match="running already"):
        start(tmp_path, source)
    source.let.set()
    job.thread.join(5)


def test_progress_is_told_and_a_person_can_stop_it(app, tmp_path, monkeypatch):
    source = Held()
    source.parallel = 1
    monkeypatch.setattr(collection, "open_source", lambda: source)
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
    assert (
        "Collected 78 new bars of 1 ticker, Fri 20 Nov 2026; stopped before AMZN and SNAP had been asked; "
        "what had come is stored." in told(at)
    )
    assert sources_held(tmp_path / "lake") == {"yahoo"}


def test_failures_are_told_by_reason_with_their_words(app, real, monkeypatch, tmp_path):
    class Refusing(lakes.Invented):
        def bars(self, symbol, sessions, bar_minutes):
            raise RateLimited(f"{symbol}: Yahoo answers no more for now (HTTP 429)")

    monkeypatch.setattr(collection, "open_source", lambda: Refusing("yahoo"))
    at = open_control(app(tmp_path / "lake"))
    press(at, "Start")
    wait()
    at.run()
    assert "failed: 10 not-asked, 1 rate-limited" in told(at)
    assert "HTTP 429" in at.code[0].value


def test_a_lake_that_cannot_be_written_is_told(app, tmp_path, monkeypatch, source):
    def write(*_):
        raise SinkError("cannot write: no space left on device; nothing of this file was stored")

    monkeypatch.setattr(collection.ParquetSink, "write", write)
    at = open_control(app(tmp_path / "lake"))
    press(at, "Start")
    wait()
    at.run()
    assert "no space left on device" in told(at)
