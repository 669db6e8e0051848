"""The watcher against a clock that only its own waits move."""

import datetime as dt
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.fakes.yahoo import running_yahoo
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.errors import ConfigError, RateLimited, SinkError, Unavailable
from tickerlake.forecast.samples import LEAST_SESSIONS
from tickerlake.lake.firehose import FirehoseSink
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.lake.presence import watching
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sender import HEARTBEAT, Sender
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.upkeep import FolderUpkeep
from tickerlake.watch import LONGEST_WAIT, Watch

ROOT = Path(__file__).parents[1]
NEW_YORK = exchange.XNYS.zone


def clock(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(dt.UTC)


class Vendor(SimulatedSource):
    """Simulated bars as far as the session has come, unless `fails` gives an error at that moment."""

    parallel = 1

    def __init__(self, machine):
        super().__init__()
        self.machine = machine
        self.asked = []

    def bars(self, symbol, sessions, bar_minutes):
        self.asked.append((self.machine.now, symbol))
        if error := self.machine.fails(self.machine.now, symbol):
            raise error
        frame = super().bars(symbol, sessions, bar_minutes)
        return frame[frame["ts"] <= self.machine.now]


class Machine:
    """A clock, a lake and what the watcher says. `run` watches until a moment."""

    def __init__(self, lake):
        self.lake = lake
        self.now = clock("2026-11-20T09:00")
        self.fails = lambda now, symbol: None
        self.jumps = {}
        """Moments at which the clock jumps, and to where: sleep, or a person at the clock."""
        self.said = []
        self.waits = []
        self.vendor = Vendor(self)
        self.upkeep = None
        """What keeps the bars, if not the folder of a lake."""

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += dt.timedelta(seconds=seconds)
        for moment in [moment for moment in self.jumps if moment <= self.now]:
            self.now = self.jumps.pop(moment)
        if self.now >= self.until:
            raise KeyboardInterrupt

    def watch(self, tickers=("META", "AMZN")):
        clock = lambda: self.now  # noqa: E731
        upkeep = self.upkeep or FolderUpkeep(self.lake, clock, self.said.append)
        return Watch(upkeep, self.vendor, 30, lambda: tickers, clock=clock, wait=self.wait, say=self.said.append)

    def run(self, start, until, tickers=("META", "AMZN")):
        self.now, self.until = clock(start), clock(until)
        with pytest.raises(KeyboardInterrupt):
            self.watch(tickers).run()
        return self.said

    def once(self, now):
        self.now = clock(now)
        return self.watch().once()

    def runs(self):
        """The moments at which the vendor was asked, in exchange time."""
        return list(dict.fromkeys(f"{moment.astimezone(NEW_YORK):%d %H:%M:%S}" for moment, _ in self.vendor.asked))

    def bars(self):
        starts = run(DuckDBEngine(self.lake), "bars").frame["ts"]
        return starts.groupby(starts.dt.strftime("%Y-%m-%d")).size().to_dict()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "lake")


@pytest.fixture
def swept(machine):
    """A machine whose lake has Thursday's sweep."""
    collect(
        SimulatedSource(),
        ParquetSink(machine.lake),
        [exchange.XNYS.session_on(dt.date(2026, 11, 19))],
        ["META", "AMZN"],
        30,
        lambda: clock("2026-11-19T17:05"),
    )
    return machine


def test_a_session_is_collected_bar_by_bar_and_swept_after_the_close(swept):
    said = swept.run("2026-11-20T09:00", "2026-11-20T18:00")

    assert len(swept.runs()) == 14
    assert swept.runs()[:2] + swept.runs()[-2:] == ["20 10:00:30", "20 10:30:30", "20 16:00:30", "20 17:05:00"]
    assert said[0] == "watching META, AMZN from simulated; next run Fri 2026-11-20 10:00:30 EST"
    assert said[2] == "10:30:30 2026-11-20: 4 bars of 2 tickers, 2 new, 2 unfinished, 0 rejected, 0 failed"
    assert said[-2:] == [
        "17:05:00 2026-11-20: 26 bars of 2 tickers, 0 new, 0 rejected, 0 failed",
        "next run Mon 2026-11-23 10:00:30 EST",
    ]
    assert len(said) == 16
    assert Layout(swept.lake).rejected() == []
    assert swept.bars() == {"2026-11-19": 26, "2026-11-20": 26}


def test_nothing_is_asked_on_weekends_and_holidays_nor_at_a_restart_after_the_sweep(swept):
    swept.run("2026-11-20T17:04", "2026-11-20T17:06")
    swept.vendor.asked.clear()

    swept.run("2026-11-20T20:00", "2026-11-23T10:00")

    assert swept.runs() == []
    assert max(swept.waits) == LONGEST_WAIT.total_seconds()


def test_a_new_lake_starts_with_the_last_finished_session(machine):
    machine.run("2026-11-22T12:00", "2026-11-22T12:02")

    assert machine.runs() == ["22 12:00:00"]
    assert machine.bars() == {"2026-11-20": 26}


def test_a_restart_asks_nothing_that_the_lake_says_was_asked(swept):
    swept.run("2026-11-20T09:59", "2026-11-20T10:02")
    swept.run("2026-11-20T10:02", "2026-11-20T10:05")
    assert swept.runs() == ["20 10:00:30"]

    swept.run("2026-11-20T10:05", "2026-11-20T10:06", ("META", "SNAP"))  # SNAP was never asked

    assert swept.runs() == ["20 10:00:30", "20 10:05:00"]


def test_after_sleep_it_sweeps_the_session_it_slept_through_and_catches_up(swept):
    swept.jumps = {clock("2026-11-20T10:33"): clock("2026-11-23T11:02")}

    said = swept.run("2026-11-20T10:29", "2026-11-23T11:04")

    assert swept.runs() == ["20 10:29:00", "20 10:30:30", "23 11:02:00"]
    assert [line for line in said if "slept" in line] == ["11:02:00 slept for 3 days, 0:28:30; catching up"]
    assert swept.bars() == {"2026-11-19": 26, "2026-11-20": 26, "2026-11-23": 6}


def full_disk(swept, down, monkeypatch):
    place = ParquetSink._place

    def full(self, target, write):
        if down():
            raise SinkError("no space left")
        place(self, target, write)

    monkeypatch.setattr(ParquetSink, "_place", full)


def lost_network(swept, down, monkeypatch):
    swept.fails = lambda now, symbol: Unavailable("no route") if down() else None


@pytest.mark.parametrize(("breaks", "message"), [(full_disk, "no space left"), (lost_network, "no route")])
def test_a_lost_network_and_a_full_disk_are_said_and_the_gap_is_filled_after_growing_waits(
    swept, breaks, message, monkeypatch
):
    down = lambda: clock("2026-11-20T10:03") < swept.now < clock("2026-11-20T10:46")  # noqa: E731
    breaks(swept, down, monkeypatch)

    said = swept.run("2026-11-20T09:59", "2026-11-20T11:01")

    assert [line for line in said if "next try" in line] == [
        f"10:30:30 {message}; next try at 10:31:30",
        f"10:31:30 {message}; next try at 10:33:30",
        f"10:33:30 {message}; next try at 10:38:30",
        f"10:38:30 {message}; next try at 10:48:30",
    ]
    assert swept.runs()[-2:] == ["20 10:48:30", "20 11:00:30"]
    assert swept.bars()["2026-11-20"] == 6


def test_after_a_rate_limit_it_pauses_longer_and_longer_then_fills_the_gap(swept):
    refused = lambda now: clock("2026-11-20T10:03") < now < clock("2026-11-20T11:31")  # noqa: E731
    swept.fails = lambda now, symbol: RateLimited("HTTP 429") if refused(now) and symbol == "AMZN" else None

    said = swept.run("2026-11-20T09:59", "2026-11-20T12:01")

    assert [line for line in said if "next try" in line] == [
        "10:30:30 HTTP 429; next try at 10:35:30",
        "10:35:30 HTTP 429; next try at 10:45:30",
        "10:45:30 HTTP 429; next try at 11:05:30",
        "11:05:30 HTTP 429; next try at 11:45:30",
    ]
    assert swept.runs()[-2:] == ["20 11:45:30", "20 12:00:30"]
    assert swept.bars()["2026-11-20"] == 10


def test_one_ticker_that_fails_waits_for_the_next_run(swept):
    swept.fails = lambda now, symbol: Unavailable("cannot read Yahoo's answer") if symbol == "AMZN" else None

    said = swept.run("2026-11-20T09:59", "2026-11-20T10:32")

    assert swept.runs() == ["20 10:00:30", "20 10:30:30"]
    assert said[-1].endswith("2 bars of 1 ticker, 1 new, 1 unfinished, 0 rejected, 1 failed (unavailable: AMZN)")


def test_a_clock_set_back_does_not_stop_it(swept):
    swept.jumps = {clock("2026-11-20T12:03"): clock("2026-11-20T10:02")}

    said = swept.run("2026-11-20T11:59", "2026-11-20T12:04")

    assert swept.runs() == ["20 11:59:00", "20 12:00:30", "20 10:30:30", "20 11:00:30", "20 11:30:30"]
    (line,) = [line for line in said if "clock" in line]
    assert re.fullmatch(r"10:02:00 the clock was set back by 2:0\d:\d\d; what was collected stays", line)
    assert swept.bars() == {"2026-11-19": 26, "2026-11-20": 10}


def test_the_tickers_are_read_for_each_run(swept):
    swept.now, swept.until = clock("2026-11-20T10:15"), clock("2026-11-20T10:31")
    watch = swept.watch()
    watch._tickers = lambda: ("META",) if swept.now < clock("2026-11-20T10:30") else ("META", "SNAP")

    with pytest.raises(KeyboardInterrupt):
        watch.run()

    assert [symbol for _, symbol in swept.vendor.asked] == ["META", "META", "SNAP"]


def test_once_collects_what_is_due_and_then_has_nothing_to_do(swept):
    times = ("09:31", "10:01", "10:02", "16:10", "17:06", "20:00")

    assert [swept.once(f"2026-11-20T{time}") for time in times] == [0] * 6

    assert swept.runs() == ["20 10:01:00", "20 16:10:00", "20 17:06:00"]
    assert swept.said[-1] == "nothing is due; next run Mon 2026-11-23 10:00:30 EST"


@pytest.mark.parametrize(("failing", "code"), [({"META"}, 3), ({"META", "AMZN"}, 1)], ids=["one of two", "both"])
def test_once_exits_as_collect_does(swept, failing, code):
    swept.fails = lambda now, symbol: Unavailable("no answer") if symbol in failing else None

    assert swept.once("2026-11-20T10:01") == code


def test_real_and_simulated_bars_are_not_mixed(swept):
    swept.vendor.name = "yahoo"

    with pytest.raises(ConfigError, match="cannot share a lake"):
        swept.watch().run()


@pytest.mark.usefixtures("interruptible")
def test_a_real_process_collects_from_yahoo_until_an_interrupt_ends_it_with_130_and_one_line(tmp_path):
    with running_yahoo() as server, watching(Layout(tmp_path / "lake").watching, clock("2026-11-20T09:31")):
        process = subprocess.Popen(
            [sys.executable, "-m", "tickerlake", "watch", "--tickers", "META"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **server.environment()},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert said.pop(0) == (
        f"another watcher collects into lake: process {os.getpid()}, since Fri 09:31 EST; "
        "two do no harm, they only ask twice\n"
    )
    assert said[0].startswith("watching META from yahoo; next run ")
    assert re.fullmatch(r"[\d:]{8} [\d-]{10}: \d+ bars of 1 ticker, \d+ new, .*, 0 failed\n", said[1])
    assert (process.returncode, err.strip()) == (130, "error: interrupted; what was stored stays")
    assert run(DuckDBEngine(tmp_path / "lake"), "bars").frame["source"].unique() == ["yahoo"]


def test_each_hour_is_forecast_when_it_begins(machine):
    before = exchange.XNYS.sessions_between(dt.date(2026, 10, 1), dt.date(2026, 11, 19))[-LEAST_SESSIONS:]
    sink = ParquetSink(machine.lake)
    collect(SimulatedSource(), sink, before, ["META", "AMZN"], 30, lambda: clock("2026-11-19T18:00"))

    machine.run("2026-11-20T10:58", "2026-11-20T12:20")

    said = [line for line in machine.said if "forecast" in line]
    assert [line.split(" forecast of ")[1] for line in said] == ["11:00: 2 tickers", "12:00: 2 tickers"]
    stored = run(DuckDBEngine(machine.lake), "forecasts").frame
    assert set(stored["kind"]) == {"live"}
    assert stored.groupby("hour").size().to_dict() == {11: 2 * 3 * 2, 12: 2 * 3 * 2}


def test_a_session_is_compacted_after_its_sweep(swept):
    said = swept.run("2026-11-20T15:31", "2026-11-20T17:06")

    files = [path.name for path in Layout(swept.lake).partition("2026-11-20").iterdir()]
    assert len(files) == 1
    assert files[0].endswith(".compact.parquet")
    assert not [line for line in said if "cannot" in line]
    assert swept.bars()["2026-11-20"] == 26


class Cloud:
    """Clients of Firehose and CloudWatch that keep what they get, unless the connection is `down`."""

    def __init__(self, machine):
        self.machine = machine
        self.bars = []
        self.metrics = []
        self.down = lambda: False

    def put_record_batch(self, DeliveryStreamName, Records):  # noqa: N803
        if self.down():
            raise EndpointConnectionError(endpoint_url="https://firehose")
        self.bars += [json.loads(record["Data"]) for record in Records]
        return {"FailedPutCount": 0}

    def put_metric_data(self, Namespace, MetricData):  # noqa: N803
        assert Namespace == "Tickerlake"
        if self.down():
            raise EndpointConnectionError(endpoint_url="https://monitoring")
        counts = {}
        for each in MetricData:
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in each["Dimensions"]}
            assert dimensions.pop("service") == "bars"
            counts[" ".join([each["MetricName"], *dimensions.values()])] = each["Value"]
        self.metrics.append((self.machine.now, counts))


@pytest.fixture
def cloud(machine):
    cloud = Cloud(machine)
    machine.vendor.name = "yahoo"
    sink = FirehoseSink(cloud, "bars", lambda _: None, skip_repeats=True)
    machine.upkeep = Sender(sink, "bars", cloud, machine.said.append)
    return cloud


class TestSending:
    """A watcher that sends to a stack."""

    def test_each_bar_is_sent_once_and_all_of_them_again_by_the_sweep(self, machine, cloud):
        machine.run("2026-11-20T09:00", "2026-11-20T18:00")

        assert machine.runs()[:2] + machine.runs()[-2:] == ["20 09:00:00", "20 10:00:30", "20 16:00:30", "20 17:05:00"]
        bars = [bar for bar in cloud.bars if bar["dt"] == "2026-11-20"]
        assert len(bars) == 2 * 26
        assert len({(bar["ticker"], bar["ts"]) for bar in bars}) == 26

    def test_it_starts_with_the_last_session_and_todays_so_far(self, machine, cloud):
        machine.run("2026-11-20T11:02", "2026-11-20T11:04")

        assert {bar["dt"] for bar in cloud.bars} == {"2026-11-19", "2026-11-20"}
        assert len(cloud.bars) == 26 + 6

    def test_its_heart_beats_day_and_night(self, machine, cloud):
        machine.run("2026-11-20T20:00", "2026-11-23T12:00")

        moments = [moment for moment, _ in cloud.metrics]
        assert max(later - earlier for earlier, later in itertools.pairwise(moments)) <= HEARTBEAT
        assert {counts["Runs XNYS"] for _, counts in cloud.metrics} == {1}
        assert len(cloud.metrics) <= 64 * 12 + 6

    def test_a_run_has_the_metrics_of_the_functions_runs(self, machine, cloud):
        machine.fails = lambda now, symbol: Unavailable("no answer") if symbol == "AMZN" else None

        machine.run("2026-11-21T12:00", "2026-11-21T12:01")

        assert cloud.metrics[0][1] == {
            "Runs XNYS": 1,
            "BarsDelivered XNYS": 13,
            "RecordsRejected": 0,
            "TickersFailed": 1,
            "VendorAnswers": 1,
        }

    def test_a_vendor_that_does_not_answer_shows(self, machine, cloud):
        machine.fails = lambda now, symbol: RateLimited("HTTP 429")

        machine.run("2026-11-21T12:00", "2026-11-21T12:01")

        assert cloud.metrics[0][1]["VendorAnswers"] == 0

    def test_what_was_not_delivered_is_sent_after_the_connection_is_back(self, machine, cloud):
        machine.run("2026-11-20T09:58", "2026-11-20T09:59")
        cloud.bars.clear()
        cloud.down = lambda: clock("2026-11-20T10:29") < machine.now < clock("2026-11-20T10:33")

        said = machine.run("2026-11-20T10:29", "2026-11-20T11:01")

        assert any("bars were not delivered" in line for line in said)
        assert any("cannot send metrics to CloudWatch" in line for line in said)
        assert len({bar["ts"] for bar in cloud.bars if bar["dt"] == "2026-11-20"}) == 3
