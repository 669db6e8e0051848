"""Faults on the path of a bar: nothing is lost, nothing counts twice, and every failure is reported.

Each test collects its own session. If a fault outlasts the run, the run fails visibly, and one run after the fault
completes the session.
"""

from __future__ import annotations

import contextlib
import datetime as dt

import pandas as pd
import pytest

from tests.cloud.emulator import until
from tests.cloud.stack import RunFailed, cells, own_code
from tests.fakes.vendor import HELD, UNAVAILABLE
from tests.fakes.yahoo import Bars
from tickerlake.errors import ConfigError, LakeEmpty, QueryFailed
from tickerlake.query import run
from tickerlake.query.engines import athena
from tickerlake.query.engines.athena import AthenaEngine
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.watchlist import DEFAULT as WATCHLIST

PUT = {"service": "firehose", "operation": "PutRecordBatch"}
THROTTLED = {"code": "ThrottlingException", "status": 400, "message": "Rate exceeded"}
UNAVAILABLE_503 = {"code": "ServiceUnavailableException", "status": 503, "message": "Slow down."}


@pytest.fixture(scope="module", autouse=True)
def _quick_to_start(stack):
    # A failed run ends its process, and the whole zip takes seconds to start.
    with stack.code(own_code()):
        yield


@pytest.fixture
def tickers(request):
    """The tickers to collect: three, for speed, unless the class names others."""
    return getattr(request.cls, "TICKERS", WATCHLIST[:3])


@pytest.fixture
def event(session, tickers):
    return {"session": session.dt, "tickers": list(tickers)}


@pytest.fixture
def count(session, tickers):
    """Number of bars in the session."""
    return len(tickers) * len(session.bar_starts(5))


pytestmark = pytest.mark.usefixtures("_points_at_the_stack")


@pytest.fixture
def engine(stack, _points_at_the_stack):
    return AthenaEngine(stack.settings, poll_seconds=0.05)


@pytest.fixture
def is_whole(stack, engine, local, session, tickers, count):
    """Checks that queries find exactly the bars of the session, whatever the bucket holds."""

    def check():
        stack.settle(session, count)
        when = {"first": session.date, "last": session.date}
        here = local(session, tickers=tickers)
        bars = [run(each, "bars", **when).frame.drop(columns="collected_at") for each in (engine, here)]
        pd.testing.assert_frame_equal(*bars)
        highs = [cells(run(each, "hourly_high", **when).frame) for each in (engine, here)]
        pd.testing.assert_series_equal(*highs)
        assert run(engine, "coverage", **when).frame["missing"].sum() == 0

    return check


class TestFirehose:
    TICKERS = WATCHLIST  # more than fit into one batch

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param({"times": 2, "error": THROTTLED}, id="throttles"),
            pytest.param({"times": 3, "error": UNAVAILABLE_503}, id="is unavailable"),
            pytest.param({"times": 2, "reset": True}, id="resets the connection"),
        ],
    )
    def test_a_fault_that_passes_is_not_noticed(self, stack, event, session, count, is_whole, fault):
        with stack.proxy.fault(**PUT, **fault):
            report = stack.invoke(event)
        assert (report["delivered"], report["failed"]) == (count, 0)
        is_whole()
        assert stack.records(session) == count
        assert stack.failures() == []

    def test_of_a_batch_it_refuses_in_part_only_that_part_is_sent_again(self, stack, event, session, count, is_whole):
        with stack.firehose_fault(refuse=100):
            report = stack.invoke(event)
        assert report["delivered"] == count
        is_whole()
        assert stack.records(session) == count

    def test_an_answer_that_is_lost_makes_repeats_that_no_query_sees(self, stack, event, session, count, is_whole):
        with stack.proxy.fault(**PUT, times=1, response={"abort_frac": 0.3}):
            report = stack.invoke(event)
        assert report["delivered"] == count
        until(lambda: stack.records(session) > count, "the repeats")
        is_whole()

    def test_lasting_throttling_is_reported_and_the_next_run_delivers(self, stack, event, session, count, is_whole):
        with stack.proxy.fault(**PUT, error=THROTTLED):
            metrics = stack.send(event)
        (failure,) = until(stack.failures, "the failure in the queue")
        assert failure["requestPayload"] == event
        message = failure["responsePayload"]["errorMessage"]
        assert f"{count} of {count} bars were not delivered" in message
        assert f"{count} ThrottlingException" in message
        assert (metrics["Runs"], metrics["BarsDelivered"]) == ([1], [0])
        assert stack.records(session) == 0

        assert stack.invoke(event)["delivered"] == count
        is_whole()

    def test_bars_delayed_by_s3_arrive_in_full(self, stack, event, session, count, is_whole, engine):
        with stack.firehose_fault(hold=True):
            assert stack.invoke(event)["delivered"] == count
            with pytest.raises((ConfigError, LakeEmpty)):
                run(engine, "bars", first=session.date, last=session.date)
        is_whole()

    def test_records_that_do_not_fit_the_table_go_to_errors(self, stack, event, session, is_whole):
        stream = stack.outputs["stream"]
        wrong = [b"no JSON", b'{"ticker":"META"}']
        stack.client("firehose").put_record_batch(DeliveryStreamName=stream, Records=[{"Data": data} for data in wrong])
        until(lambda: len(stack.objects("errors/bars/")) == len(wrong), "the records under errors/")
        stack.invoke(event)
        is_whole()


class TestAthena:
    def test_a_slow_s3_makes_a_large_answer_late(self, stack, event, engine, session, count, is_whole, monkeypatch):
        monkeypatch.setattr(athena, "ROWS_OF_FIRST_PAGE", 100)  # makes this a large answer
        stack.invoke(event)
        stack.settle(session, count)
        with stack.proxy.fault(service="s3", operation="GetObject", latency=1500):
            answer = run(engine, "bars", first=session.date, last=session.date)
        assert answer.seconds > 1.5
        assert len(answer.frame) == count
        is_whole()

    def test_throttling_that_passes_is_not_noticed(self, stack, event, session, is_whole):
        stack.invoke(event)
        with stack.proxy.fault(service="athena", operation="StartQueryExecution", times=2, error=THROTTLED):
            is_whole()

    def test_lasting_throttling_is_reported_in_one_line(self, stack, event, engine, session, is_whole, monkeypatch):
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # botocore's; PyAthena's own attempts remain
        stack.invoke(event)
        with (
            stack.proxy.fault(service="athena", operation="StartQueryExecution", error=THROTTLED),
            pytest.raises(QueryFailed, match="Athena is throttled"),
        ):
            run(AthenaEngine(stack.settings), "sessions")
        is_whole()


class TestYahoo:
    TICKERS = WATCHLIST  # more than are asked for at once

    def test_one_503_is_not_noticed(self, stack, event, session, count, is_whole):
        with answering(stack.yahoo, "META", UNAVAILABLE, Bars()):
            report = stack.invoke(event)
        assert (report["delivered"], report["failed"]) == (count, 0)
        is_whole()

    def test_429_midway_delivers_the_bars_so_far_and_stops_the_run(self, stack, event, session, count, is_whole):
        asked = len(stack.yahoo.charts)
        stack.yahoo.rate_limited_from = asked + 6
        try:
            metrics = stack.send(event)
        finally:
            stack.yahoo.rate_limited_from = None
        (failure,) = until(stack.failures, "the failure in the queue")
        message = failure["responsePayload"]["errorMessage"]
        bars = count // len(WATCHLIST)
        assert "rate-limited" in message
        assert f"{5 * bars} bars were delivered" in message
        assert metrics["BarsDelivered"] == [5 * bars]
        assert metrics["TickersFailed"] == [len(WATCHLIST) - 5]
        assert len(stack.yahoo.charts) - asked <= 6 + 3  # those sent at the same time

        assert stack.invoke(event)["delivered"] == count
        is_whole()

    def test_a_restatement_is_reported_and_the_later_bar_counts(self, stack, event, session, count, engine):
        stack.invoke(event)
        given = SimulatedSource().bars("META", [session], 5)
        later = given.assign(high=given["high"].where(given.index != 20, given["high"] + 5))
        with answering(stack.yahoo, "META", Bars(frame=later)):
            stack.invoke({**event, "tickers": ["META"]})
        stack.settle(session, count + len(given))

        when = {"first": session.date, "last": session.date}
        message = run(engine, "restatements", **when).frame
        assert message["ticker"].tolist() == ["META"]
        assert message["ts"].tolist() == [given["ts"][20]]
        bars = run(engine, "bars", **when, tickers=["META"]).frame
        assert len(bars) == len(given)
        assert bars["high"][20] == pytest.approx(later["high"][20], abs=1e-3)


class TestLambda:
    def test_a_timeout_is_reported_and_the_next_run_delivers(self, stack, event, session, count, is_whole):
        functions, name = stack.client("lambda"), stack.outputs["function"]
        functions.update_function_configuration(FunctionName=name, Timeout=10)
        try:
            with answering(stack.yahoo, "META", HELD):
                assert stack.send(event) == {}
        finally:
            functions.update_function_configuration(FunctionName=name, Timeout=240)
            stack.yahoo.released.set()
        (failure,) = until(stack.failures, "the failure in the queue")
        assert "timed out after 10" in failure["responsePayload"]["errorMessage"]
        stack.yahoo.released.clear()

        assert stack.invoke(event)["delivered"] == count
        is_whole()

    def test_an_event_sent_three_times_counts_once(self, stack, event, session, count, is_whole):
        for _ in range(3):
            assert stack.send(event)["BarsDelivered"] == [count]
        stack.settle(session, 3 * count)
        is_whole()
        assert stack.records(session) == 3 * count

    @pytest.mark.parametrize(
        ("event", "words"),
        [
            ({"sesion": "2026-11-20"}, "sesion: unknown key"),
            ({"session": "2020-12-01"}, "the oldest session that can be collected is"),
        ],
    )
    def test_a_bad_event_is_refused_and_sends_no_request(self, stack, event, words):
        asked = len(stack.yahoo.charts)
        with pytest.raises(RunFailed, match=words):
            stack.invoke(event)
        assert len(stack.yahoo.charts) == asked


class TestSchedule:
    TICKERS = WATCHLIST  # those of the schedule

    def test_runs_missed_for_twenty_minutes_are_filled_in_by_the_look_back(self, stack, engine, session):
        for minutes in (16, 36):
            with stack.clock(session.open + dt.timedelta(minutes=minutes)):
                assert stack.send({})["BarsDelivered"] == [len(WATCHLIST) * {16: 3, 36: 4}[minutes]]
        stack.settle(session, 7 * len(WATCHLIST))
        seen_at = session.open + dt.timedelta(minutes=35)
        coverage = run(engine, "coverage", first=session.date, last=session.date, now=seen_at).frame
        assert coverage["present"].tolist() == [7] * len(WATCHLIST)
        assert coverage["missing"].tolist() == [0] * len(WATCHLIST)

    def test_runs_missed_for_an_hour_leave_a_visible_gap_that_the_sweep_fills(
        self, stack, engine, session, count, is_whole
    ):
        for minutes in (31, 61 + 61):
            with stack.clock(session.open + dt.timedelta(minutes=minutes)):
                stack.fire("new-york-collect-1")
        stack.settle(session, 12 * len(WATCHLIST))
        seen_at = session.open + dt.timedelta(minutes=120)
        coverage = run(engine, "coverage", first=session.date, last=session.date, now=seen_at).frame
        assert set(coverage["gaps"]) == {"10:00-10:55"}

        with stack.clock(session.close + dt.timedelta(minutes=45)):
            stack.fire("new-york-sweep-1", repair=False)
        is_whole()
        assert stack.failures() == []


class TestCrawler:
    def test_a_failed_crawl_notifies_the_topic_and_stops_no_query(self, stack, event, engine, session, is_whole):
        stack.invoke(event)
        is_whole()
        glue, sqs = (stack.client(service) for service in ("glue", "sqs"))
        heard = stack.subscribe(stack.outputs["alarmTopic"], "who-hears-of-alarms")
        name = stack.outputs["crawler"]
        targets = glue.get_crawler(Name=name)["Crawler"]["Targets"]
        gone = {"CatalogTargets": [{"DatabaseName": stack.outputs["database"], "Tables": ["gone"]}]}
        glue.update_crawler(Name=name, Targets=gone)
        try:
            assert stack.crawl()["Status"] == "FAILED"
        finally:
            glue.update_crawler(Name=name, Targets=targets)
        (message,) = until(lambda: sqs.receive_message(QueueUrl=heard).get("Messages"), "the alarm")
        assert "Failed" in message["Body"]
        is_whole()

        assert stack.crawl()["Status"] == "SUCCEEDED"
        table = {"DatabaseName": stack.outputs["database"], "TableName": stack.outputs["table"]}
        values = [item["Values"] for item in glue.get_partitions(**table)["Partitions"]]
        assert [session.dt] in values


@contextlib.contextmanager
def answering(yahoo, symbol, *answers):
    yahoo.answers(symbol, *answers)
    try:
        yield
    finally:
        yahoo.answers(symbol, Bars())
