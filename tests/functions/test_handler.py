from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from functions.collector import handler as module
from functions.collector.handler import CollectFailed, Event, handler, respond, window_of
from functions.collector.settings import Settings
from tests.fakes.aws import refusal
from tests.fakes.firehose import STREAM, running_firehose
from tests.fakes.sinks import MemorySink
from tests.fakes.vendor import UNAVAILABLE
from tests.fakes.yahoo import NOT_FOUND, Bars, LoopbackSession
from tickerlake.errors import ConfigError, NoData, RateLimited, SinkError, Unavailable, WrongInstrument
from tickerlake.exchange import XNYS
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.yahoo import YahooSource
from tickerlake.watchlist import DEFAULT as WATCHLIST

EVENTS = Path(__file__).parents[1] / "data" / "events"
ROOT = Path(__file__).parents[2]
FRIDAY = XNYS.session_on(dt.date(2026, 11, 20))
SETTINGS = Settings(STREAM, ("META", "AMZN"))


def at(text):
    """A moment in exchange time, in November 2026 unless it names a date."""
    zone = module.exchange.XNYS.zone
    return (
        dt.datetime.fromisoformat(text if "-" in text else f"2026-11-20 {text}").replace(tzinfo=zone).astimezone(dt.UTC)
    )


NOW = at("10:32")


def event(name):
    return json.loads((EVENTS / f"{name}.json").read_text())


class ScriptedSource(SimulatedSource):
    """Simulated bars, with errors for some symbols."""

    name = "yahoo"
    parallel = 1

    def __init__(self, errors=(), days_back=59):
        super().__init__()
        self.errors = dict(errors)
        self.days_back = days_back
        self.requested = []

    def oldest(self, bar_minutes, now):
        return now - pd.Timedelta(days=self.days_back)

    def bars(self, symbol, sessions, bar_minutes):
        self.requested.append(symbol)
        if symbol in self.errors:
            raise self.errors[symbol]
        return super().bars(symbol, sessions, bar_minutes)


def answer(request_, *, now=NOW, source=None, sink=None, settings=SETTINGS, stop=None):
    return respond(Event.read(request_), source or ScriptedSource(), sink or MemorySink(), lambda: now, settings, stop)


# Events


@pytest.mark.parametrize(
    ("now", "first", "last"),
    [
        ("09:35", "09:30", "09:30"),
        ("09:36", "09:30", "09:30"),
        ("10:01", "09:30", "09:55"),
        ("10:32", "10:00", "10:25"),
        ("15:59", "15:25", "15:50"),
        ("16:00", "15:25", "15:55"),
        ("16:30", "15:55", "15:55"),
        ("2026-11-27 13:05", "12:30", "12:55"),
    ],
    ids=lambda text: text,
)
def test_an_empty_event_collects_the_bars_that_ended_within_the_look_back(now, first, last):
    sink = MemorySink()
    answer(event("last_bars"), now=at(now), sink=sink)
    starts = sink.frame()["ts"].dt.tz_convert(module.exchange.XNYS.zone).dt.strftime("%H:%M")
    assert (starts.min(), starts.max()) == (first, last)


@pytest.mark.parametrize(
    "now",
    ["09:00", "09:30", "09:34", "16:31", "2026-11-21 11:00", "2026-11-26 11:00", "2026-11-27 13:31"],
    ids=lambda text: text,
)
def test_without_a_finished_bar_nothing_is_requested(now):
    source = ScriptedSource()
    report = answer(event("last_bars"), now=at(now), source=source)
    assert source.requested == []
    assert report["requested"]["sessions"] == []
    assert (report["delivered"], report["sessions"]) == (0, [])


def test_a_look_back_shorter_than_a_bar_still_finds_the_last_one():
    settings = Settings(STREAM, ("META",), bar_minutes=30, look_back_minutes=10)
    assert window_of(Event(), settings, at("11:00")).since == at("10:30")


def test_the_last_bar_of_a_size_that_does_not_divide_the_session_ends_at_the_close():
    settings = Settings(STREAM, ("META",), bar_minutes=60, look_back_minutes=10)
    assert window_of(Event(), settings, at("16:05")).since == at("15:30")
    assert window_of(Event(), settings, at("16:11")).sessions == []


def collected(sink):
    """How many bars of each ticker and session."""
    return sink.frame().groupby(["ticker", "dt"]).size().to_dict()


def test_each_ticker_is_collected_in_the_sessions_of_its_own_exchange():
    event = {"tickers": ["META", "VOD.L", "BTC-USD"]}
    running, whole = MemorySink(), MemorySink()

    answer(event, now=at("11:45"), sink=running)  # a quarter of an hour after London's close
    answer({"session": "last", **event}, now=at("12:35"), sink=whole)

    assert collected(running) == {
        ("META", "2026-11-20"): 7,
        ("VOD.L", "2026-11-20"): 4,
        ("BTC-USD", "2026-11-20"): 7,
    }
    assert collected(whole) == {
        ("META", "2026-11-19"): 78,
        ("VOD.L", "2026-11-20"): 102,
        ("BTC-USD", "2026-11-19"): 288,
    }


def test_after_midnight_the_last_bars_of_a_day_without_a_close_are_still_collected():
    sink = MemorySink()

    answer({"tickers": ["BTC-USD"]}, now=dt.datetime(2026, 11, 21, 0, 12, tzinfo=dt.UTC), sink=sink)

    assert collected(sink) == {("BTC-USD", "2026-11-20"): 4, ("BTC-USD", "2026-11-21"): 2}


@pytest.mark.parametrize(
    ("name", "now", "days"),
    [
        ("session", "2026-11-22 12:00", ["2026-11-20"]),
        ("sweep_of_a_shard", "2026-11-20 17:05", ["2026-11-20"]),
        ("sweep_of_a_shard", "2026-11-20 15:45", ["2026-11-19"]),
        ("backfill", "2026-11-22 12:00", ["2026-11-18", "2026-11-19", "2026-11-20"]),
        ("backfill_to_the_last", "2026-11-20 12:00", ["2026-11-18", "2026-11-19"]),
        ("backfill", "2026-11-19 20:00", ["2026-11-18", "2026-11-19"]),
    ],
)
def test_an_event_may_name_whole_sessions(name, now, days):
    sink = MemorySink()
    report = answer(event(name), now=at(now), sink=sink)
    assert report["requested"]["sessions"] == days
    assert report["delivered"] == 2 * 78 * len(days)
    assert [each["session"] for each in report["sessions"]] == days
    assert sink.frame()["dt"].unique().tolist() == days


def test_the_running_session_is_collected_as_far_as_it_has_come():
    assert answer(event("session"))["delivered"] == 2 * 12


def test_tickers_in_the_event_replace_the_watchlist():
    source = ScriptedSource()
    answer({"tickers": ["shop"]}, source=source)
    assert source.requested == ["SHOP"]


def test_without_tickers_the_watchlist_is_collected():
    source = ScriptedSource()
    answer(event("last_bars"), source=source, settings=Settings(STREAM))
    assert sorted(source.requested) == sorted(WATCHLIST)


def test_an_error_names_the_oldest_session_that_can_be_collected():
    with pytest.raises(ConfigError, match=r"no longer serves .* 2026-09-01; the oldest .* is 2026-09-23"):
        answer({"first": "2026-09-01", "last": "2026-11-20"}, now=at("2026-11-20 17:00"))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"session": "2026-11-26"}, "2026-11-26 .Thursday. is not a session .* 2026-11-25 and 2026-11-27"),
        ({"session": "2026-11-23"}, "2026-11-23 has not opened yet; the last finished session is 2026-11-19"),
        ({"last": "2026-11-20"}, "last needs first"),
    ],
)
def test_an_event_without_a_possible_session_is_an_error(request_, message):
    source = ScriptedSource()
    with pytest.raises(ConfigError, match=message):
        answer(request_, source=source)
    assert source.requested == []


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (None, "the event is None"),
        ([], "the event is []"),
        ({"sesion": "last"}, "sesion: unknown key"),
        ({"session": "yesterday"}, "session: 'yesterday' is not a date"),
        ({"session": None}, "session: None is not a date"),
        ({"session": 20261120}, "session: 20261120 is not a date"),
        ({"first": "last"}, "first: 'last' is not a date"),
        ({"tickers": "META"}, "tickers: 'META' is not a list of symbols"),
        ({"tickers": ["META", 7]}, "tickers: ['META', 7] is not a list of symbols"),
        ({"tickers": []}, "tickers: tickers: '' is not a symbol"),
        ({"tickers": ["<script>"]}, "<SCRIPT> is not a symbol"),
        ({"session": "last", "repair": "yes"}, "repair: 'yes' is neither true nor false"),
    ],
)
def test_a_bad_event_is_an_error_that_says_what_is_allowed(request_, fault):
    with pytest.raises(ConfigError) as error:
        Event.read(request_)
    assert fault in str(error.value)
    assert 'allowed are {} for the last finished bars, {"session": "YYYY-MM-DD"}' in str(error.value)
    assert "\n" not in str(error.value)


def test_all_faults_of_an_event_are_reported_together():
    with pytest.raises(ConfigError) as error:
        Event.read({"sesion": 1, "first": "soon", "tickers": 7})
    assert all(fault in str(error.value) for fault in ("sesion: unknown key", "first: 'soon'", "tickers: 7"))


# Reports


def test_the_report_says_what_was_requested_delivered_rejected_and_failed():
    source = ScriptedSource({"SHOP": NoData("SHOP: none")})
    report = answer({"tickers": ["META", "SHOP"]}, source=source)
    assert report == {
        "requested": {
            "sessions": ["2026-11-20"],
            "since": "2026-11-20T15:00:00+00:00",
            "tickers": ["META", "SHOP"],
            "bar_minutes": 5,
        },
        "delivered": 6,
        "withdrawn": 0,
        "unfinished": 66,
        "rejected": {},
        "failed": 1,
        "messages": {"no-data": "SHOP: none"},
        "sessions": [
            {
                "session": "2026-11-20",
                "bars": 6,
                "delivered": 6,
                "rejected": {},
                "failed": {"SHOP": "no-data"},
            }
        ],
        "repaired": [],
        "missing": "",
    }
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize("error", [Unavailable("down"), WrongInstrument("a fund"), RateLimited("enough")])
def test_good_tickers_are_delivered_before_the_run_fails(error):
    sink = MemorySink()
    with pytest.raises(CollectFailed) as failed:
        answer(event("last_bars"), source=ScriptedSource({"AMZN": error}), sink=sink)
    assert sink.frame()["ticker"].unique().tolist() == ["META"]
    assert failed.value.report["delivered"] == len(sink.frame()) == 6
    assert failed.value.report["sessions"][0]["failed"] == {"AMZN": error.reason}
    assert str(failed.value) == (
        f"1 of 2 tickers failed ({error.reason}): AMZN; 6 bars were delivered; first failure: {error}"
    )


def test_a_vendor_that_answers_for_no_exchange_does_not_answer():
    counts = {}
    event, source = Event(tickers=("META", "VOD.L")), ScriptedSource(dict.fromkeys(("META", "VOD.L"), Unavailable("")))

    with pytest.raises(CollectFailed):
        respond(event, source, MemorySink(), lambda: NOW, SETTINGS, count=counts.update)

    assert counts["VendorAnswers"] == 0


def test_a_ticker_without_bars_does_not_fail_the_run():
    assert answer(event("last_bars"), source=ScriptedSource({"AMZN": NoData("none")}))["failed"] == 1


def test_a_run_without_any_bars_fails():
    errors = {"META": NoData("META: none"), "AMZN": NoData("AMZN: none")}
    with pytest.raises(CollectFailed, match=r"2 of 2 tickers failed \(no-data\): META, AMZN; 0 bars"):
        answer(event("last_bars"), source=ScriptedSource(errors))


def test_nothing_is_requested_after_the_first_rate_limit():
    source = ScriptedSource({"SHOP": RateLimited("enough")})
    sink = MemorySink()
    with pytest.raises(CollectFailed):
        answer({"tickers": ["META", "SHOP", "AMZN", "NFLX"]}, source=source, sink=sink)
    assert source.requested == ["META", "SHOP"]
    assert sink.frame()["ticker"].unique().tolist() == ["META"]


def test_stop_ends_the_requests_and_what_has_arrived_is_delivered():
    stop = threading.Event()

    class SlowSource(ScriptedSource):
        def bars(self, symbol, sessions, bar_minutes):
            frame = super().bars(symbol, sessions, bar_minutes)
            stop.set()
            return frame

    source, sink = SlowSource(), MemorySink()
    with pytest.raises(CollectFailed, match=r"1 of 2 tickers failed .*: AMZN; 6 bars .* was stopped"):
        answer(event("last_bars"), source=source, sink=sink, stop=stop)
    assert source.requested == ["META"]
    assert sink.frame()["ticker"].unique().tolist() == ["META"]


def test_many_failures_are_shortened_to_one_message_per_reason():
    tickers = [f"T{number}" for number in range(40)]
    errors = {ticker: Unavailable(f"{ticker}: down") for ticker in tickers[:30]}
    with pytest.raises(CollectFailed, match=r"30 of 40 .* T9 and 20 more; 60 bars") as failed:
        answer({"tickers": tickers}, source=ScriptedSource(errors))
    assert failed.value.report["messages"] == {"unavailable": "T0: down"}


# Settings


def test_settings_have_defaults_except_for_the_stream():
    assert Settings.from_environment({"COLLECTOR_STREAM": "bars"}) == Settings("bars", WATCHLIST, 5, 30, "yahoo")


def test_settings_come_from_the_environment():
    environment = {
        "COLLECTOR_STREAM": "bars",
        "COLLECTOR_TICKERS": "meta, AMZN",
        "COLLECTOR_BAR_MINUTES": "15",
        "COLLECTOR_LOOK_BACK_MINUTES": "45",
    }
    assert Settings.from_environment(environment) == Settings("bars", ("META", "AMZN"), 15, 45)


def test_all_faults_of_the_settings_are_reported_together():
    environment = {
        "COLLECTOR_TICKERS": "META,7",
        "COLLECTOR_BAR_MINUTES": "7",
        "COLLECTOR_LOOK_BACK_MINUTES": "0",
    }
    with pytest.raises(ConfigError) as error:
        Settings.from_environment(environment)
    assert str(error.value) == (
        "COLLECTOR_STREAM is not set; it is the name of the Firehose stream; "
        "COLLECTOR_TICKERS: tickers: 7 is not a symbol; "
        "write symbols separated by commas, such as META,AMZN, BRK-B, VOD.L or BTC-USD; "
        "COLLECTOR_BAR_MINUTES is '7'; it must be one of 1, 2, 5, 15, 30, 60, 90; "
        "COLLECTOR_LOOK_BACK_MINUTES is '0'; it must be a whole number from 1 to 1440"
    )


# The function as Lambda calls it


@dataclass
class Context:
    """Lambda's context."""

    seconds: float = 240
    function_name: str = "collector"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:collector"
    aws_request_id: str = "5d7a1f6e"

    def get_remaining_time_in_millis(self):
        return int(self.seconds * 1000)


@pytest.fixture
def stream(monkeypatch):
    with running_firehose() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def deployed(monkeypatch, yahoo, stream):
    monkeypatch.setenv("COLLECTOR_STREAM", STREAM)
    monkeypatch.setenv("COLLECTOR_TICKERS", "META,AMZN,SHOP")
    monkeypatch.setattr(module, "_now", lambda: NOW)
    monkeypatch.setattr(yahoo, "now", lambda: NOW)
    monkeypatch.setattr(
        module,
        "open_source",
        lambda _, pause: YahooSource(LoopbackSession(yahoo.origin), pause=lambda _: pause(0)),
    )
    monkeypatch.setattr("tickerlake.lake.firehose.FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("tickerlake.lake.firehose.LONGEST_PAUSE_SECONDS", 0.001)
    module._settings.cache_clear()
    module._look_back_sink.cache_clear()
    module._asked.clear()
    yield stream
    module._settings.cache_clear()
    module._look_back_sink.cache_clear()


def counted(capsys):
    """The metrics that CloudWatch reads from the log, by name and exchange."""
    found = Counter()
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "Tickerlake"
            for metric in directive["Metrics"]:
                place = line["exchange"] if directive["Dimensions"] == [["service", "exchange"]] else ""
                found[f"{metric['Name']} {place}".strip()] += sum(line[metric["Name"]])
    return found


def test_from_yahoo_to_firehose(deployed, capsys):
    report = handler(event("last_bars"), Context())
    assert report["delivered"] == len(deployed.taken) == 18
    assert {(bar["ticker"], bar["dt"], bar["source"]) for bar in deployed.bars} == {
        (ticker, "2026-11-20", "yahoo") for ticker in ("META", "AMZN", "SHOP")
    }
    assert deployed.bars[0]["collected_at"] == "2026-11-20 15:32:00.000"
    assert counted(capsys) == {
        "Runs XNYS": 1,
        "BarsDelivered XNYS": 18,
        "RecordsRejected": 0,
        "TickersFailed": 0,
        "VendorAnswers": 1,
    }


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize("answers", [True, False])
def test_the_first_run_outside_a_session_shows_whether_yahoo_answers(yahoo, monkeypatch, capsys, answers):
    monkeypatch.setattr(module, "_now", lambda: at("03:00"))
    if not answers:
        yahoo.rate_limited_from = 1

    handler(event("last_bars"), Context())
    handler(event("last_bars"), Context())

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["VendorAnswers"] for line in lines if "VendorAnswers" in line] == [[float(answers)]]


@pytest.mark.usefixtures("deployed")
def test_the_heartbeat_is_that_of_the_exchanges_whose_tickers_are_collected(yahoo, monkeypatch, capsys):
    monkeypatch.setattr(module, "_now", lambda: at("03:00"))  # eight o'clock in London: no bar has ended

    handler({"tickers": ["VOD.L"]}, Context())

    assert counted(capsys).keys() >= {"Runs XLON", "BarsDelivered XLON", "VendorAnswers"}
    assert yahoo.charts == ["VOD.L"]


def test_a_run_sends_only_what_the_previous_one_did_not(deployed, monkeypatch):
    handler(event("last_bars"), Context())
    monkeypatch.setattr(module, "_now", lambda: at("10:37"))
    assert handler(event("last_bars"), Context())["delivered"] == 3
    assert len(deployed.taken) == 21


@pytest.mark.usefixtures("deployed")
def test_a_whole_session_is_sent_again_each_time():
    handler(event("last_bars"), Context())
    for _ in range(2):
        assert handler({"session": "2026-11-20"}, Context())["delivered"] == 36


def test_failures_are_counted_logged_and_raised_after_the_rest_is_delivered(deployed, yahoo, capsys, caplog):
    yahoo.answers("AMZN", UNAVAILABLE)
    yahoo.answers("SHOP", NOT_FOUND)
    with pytest.raises(CollectFailed, match=r"1 of 3 tickers failed \(unavailable\): AMZN"):
        handler(event("last_bars"), Context())
    assert {bar["ticker"] for bar in deployed.bars} == {"META"}
    logged = next(record for record in caplog.records if record.levelname == "ERROR")
    assert logged.report["sessions"][0]["failed"] == {"AMZN": "unavailable", "SHOP": "no-data"}
    counts = {"Runs XNYS": 1, "BarsDelivered XNYS": 6, "RecordsRejected": 0, "TickersFailed": 2, "VendorAnswers": 1}
    assert counted(capsys) == counts


def test_a_rate_limit_is_not_retried(deployed, yahoo):
    yahoo.rate_limited_from = 1
    with pytest.raises(CollectFailed, match="rate-limited"):
        handler(event("last_bars"), Context())
    assert len(yahoo.charts) <= YahooSource.parallel
    assert deployed.calls == []


@pytest.mark.usefixtures("deployed")
def test_rejected_records_are_counted_and_the_running_bar_is_none_of_them(yahoo, capsys):
    yahoo.answers("META", Bars(null_prices=[pd.Timestamp("2026-11-20 15:05", tz="UTC")]))
    report = handler(event("last_bars"), Context())
    assert (report["rejected"], report["unfinished"]) == ({"missing-price": 1}, 3)
    assert counted(capsys)["RecordsRejected"] == 1


def test_bars_that_firehose_refuses_fail_the_run_and_the_others_are_counted(deployed, capsys):
    deployed.refused_tickers = frozenset({"AMZN"})
    with pytest.raises(SinkError, match="6 of 18 bars were not delivered"):
        handler(event("last_bars"), Context())
    assert counted(capsys) == {"Runs XNYS": 1, "BarsDelivered XNYS": 12}


def test_the_next_run_makes_up_for_a_refused_delivery(deployed):
    deployed.script = [refusal(400, "AccessDeniedException", "Not yet.")]
    with pytest.raises(SinkError):
        handler(event("last_bars"), Context())
    assert handler(event("last_bars"), Context())["delivered"] == 18


def test_a_bad_event_fails_before_any_request_and_counts_for_no_exchange(deployed, yahoo, capsys):
    with pytest.raises(ConfigError, match="sesion: unknown key"):
        handler({"sesion": "last"}, Context())
    assert yahoo.charts == []
    assert deployed.calls == []
    assert counted(capsys) == {}


@pytest.mark.usefixtures("deployed")
def test_a_missing_setting_is_an_error(monkeypatch):
    monkeypatch.delenv("COLLECTOR_STREAM")
    with pytest.raises(ConfigError, match="COLLECTOR_STREAM is not set"):
        handler(event("last_bars"), Context())


@pytest.mark.usefixtures("deployed")
def test_a_run_without_time_requests_nothing(yahoo):
    with pytest.raises(CollectFailed, match="was stopped"):
        handler(event("last_bars"), Context(seconds=0))
    assert yahoo.charts == []


@pytest.mark.parametrize(("seconds", "left"), [(240, 210), (40, 20)])
def test_time_is_reserved_for_delivery(monkeypatch, seconds, left):
    waits = []
    timer = threading.Timer

    def recorded(interval, function):
        waits.append(interval)
        return timer(interval, function)

    monkeypatch.setattr(threading, "Timer", recorded)
    with module._stop_before_timeout(seconds) as stop:
        assert not stop.is_set()
    assert waits == [left]


def test_pauses_end_on_stop():
    stop = threading.Event()
    module._pause(stop)(0)
    stop.set()
    with pytest.raises(Unavailable, match="was stopped"):
        module._pause(stop)(60)


IN_LAMBDA = """
import datetime as dt, os, sys

class NotInTheZip:
    def find_spec(self, name, path=None, target=None):
        missing = ("pyarrow", "click", "rich", "tomlkit", "duckdb", "pyathena", "streamlit", "pulumi")
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, NotInTheZip())
from functions.collector import handler as module

class Context:
    function_name, memory_limit_in_mb, aws_request_id, invoked_function_arn = "collector", 1024, "1", "arn"
    get_remaining_time_in_millis = staticmethod(lambda: 240_000)

module._now = lambda: dt.datetime.fromisoformat(os.environ["NOW"])
module.handler({}, Context())
"""


def test_the_handler_needs_only_the_packages_of_the_zip_and_writes_nothing_to_disk(yahoo, stream, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    yahoo.now = lambda: NOW
    environment = os.environ | yahoo.environment() | stream.environment()
    environment |= {"COLLECTOR_STREAM": STREAM, "COLLECTOR_TICKERS": "META,AMZN"}
    environment |= {"HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1", "NOW": NOW.isoformat()}
    command = [sys.executable, "-c", IN_LAMBDA]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert len(stream.taken) == 12
    assert list(home.iterdir()) == []
