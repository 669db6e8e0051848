"""What the forecaster does where there is nothing to forecast."""

import datetime as dt

import pytest

from functions.forecaster.handler import _read, respond
from tickerlake import exchange
from tickerlake.errors import ConfigError
from tickerlake.query.engines.duckdb import DuckDBEngine

FRIDAY = exchange.XNYS.session_on(dt.date(2026, 11, 20))


def test_an_empty_lake_is_no_failure_because_every_stack_begins_with_one(tmp_path):
    report = respond(exchange.XNYS, DuckDBEngine(tmp_path), None, FRIDAY.open + dt.timedelta(minutes=33))

    assert report == {"session": FRIDAY.dt, "hour": 10, "tickers": 0, "stored": 0}


@pytest.mark.parametrize("event", [{}, None, {"exchange": "XPAR"}, {"exchange": "XLON", "tickers": []}])
def test_an_event_that_names_no_exchange_is_an_error_that_lists_them(event):
    with pytest.raises(ConfigError, match=r'name an exchange, \{"exchange": "XNYS"\}; known are XNYS, XLON'):
        _read(event)
