"""`tickerlake forecast` as a user types it."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
import time_machine

from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.simulated import SimulatedSource

SESSIONS = exchange.XNYS.sessions_between(dt.date(2026, 10, 1), dt.date(2026, 11, 20))[-26:]
FRIDAY = SESSIONS[-1]
SECONDS = dt.timedelta(seconds=20)


def at(hour, minute=0):
    return FRIDAY.open + dt.timedelta(hours=hour - 9, minutes=minute - 30) + SECONDS


def collected(sessions, now, tickers=("META", "AMZN"), lake=Path("lake")):
    collect(SimulatedSource(), ParquetSink(lake), sessions, tickers, 30, lambda: now)


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    folder = tmp_path_factory.mktemp("month")
    collected(SESSIONS[:-1], SESSIONS[-2].close + dt.timedelta(hours=1), lake=folder)
    return folder


@pytest.fixture
def call(tickerlake, month):
    shutil.copytree(month, "lake")
    return tickerlake


def queried(call, text):
    code, out, err = call("sql", "--format", "csv", text)
    assert code == 0, err
    return out.splitlines()[1:]


def test_forecasts_made_at_the_hour_are_live_and_later_ones_back_tested(call):
    with time_machine.travel(at(11), tick=False):
        collected([FRIDAY], at(11))
        code, out, err = call("forecast")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("2026-11-20 11:00 EST: next-hour-high by hour-of-day, day-high by hour-of-day, ")
    assert [line.split()[0] for line in lines[2:4]] == ["AMZN", "META"]
    assert lines[-1] == "2026-11-20: 24 forecasts, 24 new"

    with time_machine.travel(at(17), tick=False):
        collected([FRIDAY], at(17))
        assert call("forecast", "--session", "last")[1].splitlines()[-1] == "2026-11-20: 72 forecasts, 48 new"
        assert call("forecast")[1].splitlines()[-1] == "2026-11-20: 72 forecasts, nothing new"
        rows = call("query", "forecasts", "--tickers", "META", "--format", "csv")[1].splitlines()[1:]
    kinds = {(row.split(",")[2], row.split(",")[6]) for row in rows}
    assert kinds == {("11", "live"), *((str(hour), "back-tested") for hour in (10, 12, 13, 14, 15))}
    assert all(row.split(",")[-1] for row in rows), "each has its loss"


def test_scores_end_with_the_sentence(call):
    with time_machine.travel(at(8), tick=False):
        assert call("forecast", "--first", "2026-11-10")[0] == 0
        code, out, err = call("forecast", "score")

    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["target", "model", "kind", "sessions", "skill", "DM", "in", "90", "%"]
    assert out.splitlines()[-1].endswith(
        "Direction: no better than a coin so far, with 5 of 250 sessions, back-tested."
    )


def test_what_cannot_be_forecast_is_said(call):
    with time_machine.travel(at(8), tick=False):
        code, out, err = call("forecast", "score")
        assert (code, out) == (1, "")
        assert err == "error: lake has no forecast that can be scored yet; make some: tickerlake forecast\n"
        code, out, err = call("forecast", "--session", "2026-10-30")
        assert (code, out) == (1, "")
        assert "META: not enough history: " in err
        assert "error: no forecast was made: not enough history" in err
        assert call("forecast", "--session", "2026-11-21")[0] == 2


def test_a_ticker_listed_yesterday_is_named_and_the_others_are_forecast(call):
    with time_machine.travel(at(8), tick=False):
        collected(SESSIONS[-2:-1], at(8), ["NEWCO"])
        code, out, err = call("forecast")

    assert code == 3
    assert err == "failed: NEWCO: not enough history: 0 earlier sessions, and 20 are needed\n"
    assert out.splitlines()[-1] == "2026-11-19: 72 forecasts, 72 new"


def test_free_sql_reads_the_forecasts(call):
    assert queried(call, "SELECT count(*) AS n FROM forecasts") == ["0"]
    with time_machine.travel(at(8), tick=False):
        call("forecast")
    assert queried(call, "SELECT count(*) AS n FROM forecasts WHERE model = 'har'") == ["36"]


def test_the_challenger_is_asked_for_and_keeps_what_it_learned(call):
    with time_machine.travel(at(8), tick=False):
        assert call("forecast", "--boosted")[1].splitlines()[-1] == "2026-11-19: 108 forecasts, 108 new"
        file = Path("lake/models/boosted.json")
        file.write_text(file.read_text().replace('"version": 1', '"version": 9'))
        code, out, err = call("forecast", "--boosted")

    assert (code, out) == (2, "")
    assert err.startswith("error: lake/models/boosted.json holds version 9 of boosted, this is version 1")
