"""The page Outlook, on a lake with forecasts."""

import datetime as dt

import pandas as pd
import pytest

from dashboard.data import outlook
from tests.dashboard import lakes
from tests.dashboard.conftest import text
from tickerlake import exchange
from tickerlake.forecast.making import make
from tickerlake.forecast.verdict import verdict
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

SESSIONS = exchange.XNYS.sessions_between(dt.date(2026, 10, 1), lakes.FRIDAY)[-24:]
LAST = SESSIONS[-1]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = lakes.fill(tmp_path_factory.mktemp("outlook"), SESSIONS[0].date, tickers=["META", "NFLX"])
    made = make(DuckDBEngine(folder), SESSIONS[-3:], lakes.EVENING).forecasts
    ParquetSink(folder).store_forecasts(made)
    return folder


@pytest.fixture(scope="module")
def forecasts(lake):
    return run(DuckDBEngine(lake), "forecasts").frame


def test_the_page_shows_the_fan_the_outcomes_and_the_scores(app, lake):
    at = app(lake, "outlook")

    read = text(at)
    assert not at.exception
    assert "Next hour's high: no better than usual for this hour so far, with 3 of 60 sessions, back-tested." in read
    assert "Bands hold the highest price still to come in 50 and in 90 of 100 cases; back-tested." in read
    assert read.count("Not investment advice.") == 1
    assert len(at.get("vega_lite_chart")) == 3  # skill over time needs 20 sessions
    assert "Skill over time shows after 20 sessions with scores." in read


def test_a_session_without_forecasts_says_so_beside_the_scores(app, lake):
    at = app(lake, "outlook", session="2026-11-10")

    assert "No forecasts of META in this session." in text(at)
    assert len(at.get("vega_lite_chart")) == 1


def test_the_fan_starts_at_the_last_close_and_ends_at_the_close(forecasts):
    rows = outlook.shown(forecasts, "META", LAST, verdict(forecasts).champions)
    fan = outlook.fan(rows, 12, LAST)

    reference = rows.loc[rows["hour"] == 12, "reference"].iloc[0]
    assert fan["minute"].tolist() == [12 * 60, 13 * 60, 16 * 60]
    assert fan.iloc[0, 1:].tolist() == [reference] * 5
    assert (fan["q95"].diff().dropna() > 0).all()
    # At 15:00 the hour ends with the session.
    assert outlook.fan(rows, 15, LAST)["minute"].tolist() == [15 * 60, 16 * 60]


def test_forecasts_against_outcomes_are_in_usd(forecasts, lake):
    rows = outlook.shown(forecasts, "META", LAST, verdict(forecasts).champions)
    against = outlook.against(rows, "next-hour-high").set_index("hour")
    highs = run(DuckDBEngine(lake), "hourly", first=LAST.date, tickers="META").frame.set_index("hour")["high"]

    assert against["actual"].tolist() == pytest.approx(highs.loc[10:].tolist(), abs=1e-4)
    inside = (against["q05"] <= against["actual"]) & (against["actual"] <= against["q95"])
    assert (against["inside"] == "inside").tolist() == inside.tolist()


def test_a_live_forecast_is_shown_before_a_back_tested_one(forecasts):
    mixed = pd.concat([forecasts.assign(kind="live"), forecasts])
    rows = outlook.shown(mixed, "META", LAST, verdict(forecasts).champions)

    assert len(rows) == 6 * 3
    assert set(rows["kind"]) == {"live"}
