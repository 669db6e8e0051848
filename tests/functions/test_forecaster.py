"""What the forecaster does where there is nothing to forecast."""

import datetime as dt

from functions.forecaster.handler import respond
from tickerlake import exchange
from tickerlake.query.engines.duckdb import DuckDBEngine

FRIDAY = exchange.XNYS.session_on(dt.date(2026, 11, 20))


def test_an_empty_lake_is_no_failure_because_every_stack_begins_with_one(tmp_path):
    report = respond(exchange.XNYS, DuckDBEngine(tmp_path), None, FRIDAY.open + dt.timedelta(minutes=33))

    assert report == {"session": FRIDAY.dt, "hour": 10, "tickers": 0, "stored": 0}
