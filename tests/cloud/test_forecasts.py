"""Forecasts in the cloud: made by the function before the hour, and answered by Athena as by the local engine."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from tests.cloud.stack import metric, own_code
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.forecast.making import make_live
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource

pytestmark = pytest.mark.usefixtures("_points_at_the_stack")

# Long before the sessions that other tests collect.
SESSIONS = exchange.XNYS.sessions_between(dt.date(2024, 5, 1), dt.date(2024, 6, 14))[-25:]
LAST = SESSIONS[-1]
NOW = LAST.open + dt.timedelta(hours=1, minutes=33)
"""Three minutes past eleven."""
WHEN = {"first": LAST.date, "last": LAST.date}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A local lake with the bars up to eleven, then with the forecasts, then with the rest of the day."""
    lake = tmp_path_factory.mktemp("forecasts")
    for sessions, now in ((SESSIONS[:-1], SESSIONS[-2].close + dt.timedelta(hours=1)), ([LAST], NOW)):
        collect(SimulatedSource(), ParquetSink(lake), sessions, ["META", "NFLX"], 30, lambda now=now: now)
    return lake


@pytest.fixture
def there(stack, here):
    """`there()` copies what is new of the local lake's bars into the bucket; they are removed at the end."""
    put = set()

    def copied():
        for file in set(Layout(here).files()) - put:
            key = file.relative_to(here).as_posix()
            stack.client("s3").put_object(Bucket=stack.outputs["bucket"], Key=key, Body=file.read_bytes())
            put.add(file)

    copied()
    with stack.code(own_code()):
        yield copied
    for file in put:
        stack.client("s3").delete_object(Bucket=stack.outputs["bucket"], Key=file.relative_to(here).as_posix())
    for key in stack.objects("forecasts/"):
        stack.client("s3").delete_object(Bucket=stack.outputs["bucket"], Key=key)


def test_its_schedule_forecasts_the_hour_and_athena_scores_it_as_duckdb_does(stack, here, there, engine):
    since = dt.datetime.now(dt.UTC)
    with stack.clock(NOW):
        stack.fire("new-york-forecast", "forecaster")
        again = stack.invoke({"exchange": "XNYS"}, "forecaster")

    reports = [line["report"] for line in stack.log(since, "forecaster") if "report" in line]
    assert reports[0] == {"session": LAST.dt, "hour": 11, "tickers": 2, "stored": 2 * 3 * 2}
    assert again["stored"] == 0
    assert metric(stack.runs(since, "forecaster"), "ForecastsStored") == [12, 0]
    assert [key.rpartition("/")[0] for key in stack.objects("forecasts/")] == [f"forecasts/session={LAST.dt}"]
    assert stack.failures() == []

    made = make_live(DuckDBEngine(here), NOW, exchange.XNYS)
    ParquetSink(here).store_forecasts(made)
    evening = LAST.close + dt.timedelta(hours=1)
    collect(SimulatedSource(), ParquetSink(here), [LAST], ["META", "NFLX"], 30, lambda: evening)
    there()
    for name in ("forecasts", "forecast_scores"):
        found, expected = (run(each, name, **WHEN).frame for each in (engine, DuckDBEngine(here)))
        assert len(expected) >= 6
        pd.testing.assert_frame_equal(found, expected)
    assert set(found["kind"]) == {"live"}


def test_outside_the_session_it_ends_at_once(stack):
    with stack.code(own_code()), stack.clock(LAST.close + dt.timedelta(minutes=3)):
        assert stack.invoke({"exchange": "XNYS"}, "forecaster") == {
            "session": None,
            "hour": None,
            "tickers": 0,
            "stored": 0,
        }
