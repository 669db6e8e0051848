"""The sweep: bars that the vendor no longer gives are withdrawn, and earlier gaps are filled, as on one machine."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from tests.cloud.stack import RunFailed, own_code
from tests.fakes.yahoo import Bars, LoopbackSession
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.yahoo import YahooSource

TICKERS = ("META", "AMZN")
QUERIES = ("bars", "hourly_high", "daily", "restatements", "coverage")

pytestmark = pytest.mark.usefixtures("_points_at_the_stack")


@pytest.fixture(scope="module", autouse=True)
def _quick_to_start(stack):
    with stack.code(own_code()):
        yield


@pytest.fixture
def here(tmp_path, stack):
    """`here(session)` collects it into a local lake from the same vendor, and returns the engine on it."""

    def collected(session, tickers=TICKERS):
        source = YahooSource(LoopbackSession(stack.yahoo.origin))
        collect(source, ParquetSink(tmp_path / "lake"), [session], tickers, 5, stack.yahoo.now)
        return DuckDBEngine(tmp_path / "lake")

    return collected


@pytest.fixture
def gives(stack):
    """`gives(session, leaving_out)` sets what Yahoo has of META in the session, without the bars at these places."""

    def given(session, leaving_out=(), change=0.0):
        frame = SimulatedSource().bars("META", [session], 5)
        changed = frame["high"] + change * (frame.index == 20)
        stack.yahoo.answers("META", Bars(frame.assign(high=changed).drop(index=list(leaving_out))))

    yield given
    stack.yahoo.answers("META", Bars())


def test_a_bar_that_the_vendor_takes_back_is_withdrawn_and_may_return(stack, engine, session, here, gives):
    places = (20, len(session.bar_starts(5)) - 1)
    stored = 0
    answers = (((), 999.0), (places, 0.0), (places, 0.0), ((), 0.0))
    for hours, ((leaving_out, change), withdrawn) in enumerate(zip(answers, (0, 2, 0, 0), strict=True)):
        gives(session, leaving_out, change)
        with stack.clock(session.close + dt.timedelta(hours=hours, minutes=65)):
            local = here(session)
            report = stack.invoke({"session": session.dt, "tickers": list(TICKERS)})
        stored += report["delivered"] + withdrawn
        stack.settle(session, stored)

        assert report["withdrawn"] == withdrawn
        for name in QUERIES:
            left, right = (run(each, name, first=session.date, last=session.date).frame for each in (local, engine))
            # A local lake does not store again what it holds; a stream does.
            when = [column for column in left if "collected" in column]
            pd.testing.assert_frame_equal(left.drop(columns=when), right.drop(columns=when), obj=f"{name}, {hours} h")


def test_a_sweep_that_cannot_read_the_lake_delivers_and_fails(stack, session, gives):
    event = {"session": session.dt, "tickers": list(TICKERS)}
    gives(session)
    refused = {"code": "InvalidRequestException", "status": 400, "message": "WorkGroup is disabled"}
    with (
        stack.proxy.fault(service="athena", operation="StartQueryExecution", error=refused),
        pytest.raises(RunFailed, match=r"the lake could not be read, so nothing was withdrawn.*WorkGroup is disabled"),
    ):
        stack.invoke(event)
    stack.settle(session, len(session.bar_starts(5)) * len(TICKERS))


def test_it_fills_gaps_of_earlier_sessions_and_asks_for_a_gap_twice_only(stack, engine, session, next_session):
    gappy, swept = session, next_session
    bars = len(gappy.bar_starts(5))
    frame = SimulatedSource().bars("ROKU", [gappy, swept], 5)

    def asked(event, now, lacking):
        stack.yahoo.answers("ROKU", Bars(frame.drop(index=lacking)))
        before = len(stack.yahoo.charts)
        with stack.clock(now):
            report = stack.invoke({**event, "tickers": ["ROKU"]})
        return report, len(stack.yahoo.charts) - before

    asked({"session": gappy.dt}, gappy.close + dt.timedelta(minutes=65), [30, 31])
    stack.settle(gappy, bars - 2)

    report, _ = asked({"session": "last", "repair": True}, swept.close + dt.timedelta(minutes=65), [31])
    stack.settle(gappy, bars - 2 + bars - 1)
    stack.settle(swept, len(swept.bar_starts(5)))
    again, requests = asked({"repair": True}, swept.close + dt.timedelta(hours=3), [31])

    assert report["missing"].startswith("2 bars of 1 session are missing; yahoo forgets")
    assert [(each["session"], each["bars"]) for each in report["repaired"]] == [(gappy.dt, bars - 1)]
    assert (again["repaired"], again["missing"], requests) == ([], "", 0)
    coverage = run(engine, "coverage", first=gappy.date, last=swept.date, tickers="ROKU").frame
    assert coverage["missing"].tolist() == [1, 0]
    assert coverage["absent"].tolist() == [1, 0]
