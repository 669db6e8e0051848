"""Forecasts from a real lake: what it knew at the moment, whatever it has learned since."""

import datetime as dt
import shutil

import numpy as np
import pandas as pd
import pytest

from tickerlake import exchange
from tickerlake.actions import Split
from tickerlake.collect import collect
from tickerlake.errors import LakeEmpty
from tickerlake.exchange import XNYS
from tickerlake.forecast.making import just_begun, make, make_live
from tickerlake.forecast.samples import LEAST_SESSIONS, moments
from tickerlake.forecast.walk import QUANTILES
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource

SESSIONS = exchange.XNYS.sessions_between(dt.date(2026, 10, 1), dt.date(2026, 11, 20))[-LEAST_SESSIONS - 4 :]
FRIDAY = SESSIONS[-1]
HOUR = dt.timedelta(hours=1)
ELEVEN = FRIDAY.open + dt.timedelta(hours=1, minutes=30, seconds=20)
PRICES = ["open", "high", "low", "close"]


class Vendor(SimulatedSource):
    """Simulated bars, multiplied by `factors` of each session."""

    def __init__(self):
        super().__init__()
        self.factors = {}

    def bars(self, symbol, sessions, bar_minutes):
        frame = super().bars(symbol, sessions, bar_minutes)
        days = frame["ts"].dt.tz_convert(exchange.XNYS.zone).dt.date
        return frame.assign(**frame[PRICES].mul(days.map(self.factors).fillna(1.0), axis=0).round(4))


def collected(lake, sessions, now, vendor=None):
    collect(vendor or Vendor(), ParquetSink(lake), sessions, ["META"], 30, lambda: now)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    lake = tmp_path_factory.mktemp("filled")
    collected(lake, SESSIONS[:-1], SESSIONS[-2].close + HOUR)
    collected(lake, [FRIDAY], ELEVEN)
    return lake


@pytest.fixture
def lake(filled, tmp_path):
    """Up to Friday, 11:00."""
    return shutil.copytree(filled, tmp_path / "lake")


def made(lake, now=ELEVEN, **options):
    return make(DuckDBEngine(lake), [FRIDAY], now, **options).forecasts


def test_what_the_lake_learns_after_the_moment_changes_no_forecast_of_it(lake):
    before = made(lake)
    vendor = Vendor()
    # Restatements of the past, the rest of Friday, and a split.
    vendor.factors = {session.date: 1.05 for session in SESSIONS[-6:]}
    collected(lake, SESSIONS[-6:], FRIDAY.close + HOUR, vendor)
    ParquetSink(lake).report_splits(
        [Split("META", FRIDAY.date, 10.0, "manual", FRIDAY.close + HOUR)], FRIDAY.close + HOUR
    )

    pd.testing.assert_frame_equal(made(lake), before)
    later = made(lake, FRIDAY.close + HOUR)
    assert set(later["hour"]) == {10, 11, 12, 13, 14, 15}
    said = later[later["hour"] <= 11].reset_index(drop=True).assign(made_at=before["made_at"])
    pd.testing.assert_frame_equal(said, before)


def test_a_back_test_says_what_was_said_at_each_hour(tmp_path):
    # Collected as it happens, corrected after each session, and older sessions in the middle of later ones.
    vendor = Vendor()
    days = SESSIONS[-2:]
    collected(tmp_path, SESSIONS[:-2], days[0].open - HOUR, vendor)
    said = []
    for number, session in enumerate(days):
        for moment in moments(session)[::2]:
            now = moment.at + dt.timedelta(minutes=2)
            collected(tmp_path, [session], now, vendor)
            if moment.hour == 12:
                vendor.factors = {each.date: 1 + 0.01 * (number + 1) for each in SESSIONS[-9 : -4 + number]}
                collected(tmp_path, SESSIONS[-9 : -4 + number], now, vendor)
            found = make(DuckDBEngine(tmp_path), [session], now).forecasts
            said.append(found[found["known_until"] == moment.at])
        vendor.factors[session.date] = 1.02
        collected(tmp_path, [session], session.close + HOUR, vendor)

    order = ["session", "hour", "target", "model"]
    live = pd.concat(said).sort_values(order, ignore_index=True)
    later = make(DuckDBEngine(tmp_path), days, FRIDAY.close + 2 * HOUR).forecasts.sort_values(order, ignore_index=True)
    later = later[later["hour"].isin((10, 12, 14))].reset_index(drop=True)
    pd.testing.assert_frame_equal(later.drop(columns="made_at"), live.drop(columns="made_at"), atol=2e-6)
    assert len(later) == len(days) * 3 * 3 * 2


def test_an_hour_that_was_collected_later_counts_as_it_was_first_collected(tmp_path):
    collected(tmp_path, SESSIONS, FRIDAY.close + HOUR)
    first = made(tmp_path, FRIDAY.close + HOUR)
    vendor = Vendor()
    vendor.factors = {session.date: 1.05 for session in SESSIONS[-2:]}
    collected(tmp_path, SESSIONS[-2:], FRIDAY.close + 2 * HOUR, vendor)

    corrected = made(tmp_path, FRIDAY.close + 2 * HOUR)
    pd.testing.assert_frame_equal(corrected.drop(columns="made_at"), first.drop(columns="made_at"))


def test_a_split_in_the_window_changes_the_reference_and_nothing_else(lake, tmp_path_factory):
    other = tmp_path_factory.mktemp("split")
    vendor = Vendor()
    vendor.factors = {session.date: 10.0 for session in SESSIONS[:-3]}
    # The old sessions were collected before the split, at the old price.
    for sessions in (SESSIONS[:-3], SESSIONS[-3:-1]):
        collected(other, sessions, sessions[-1].close + HOUR, vendor)
    collected(other, [FRIDAY], ELEVEN)
    ParquetSink(other).report_splits([Split("META", SESSIONS[-3].date, 10.0, "manual", SESSIONS[-3].open)], ELEVEN)

    ours, theirs = made(lake), made(other)
    same = [*QUANTILES, "probability", "reference", "hour", "target", "model"]
    pd.testing.assert_frame_equal(ours[same], theirs[same], atol=2e-6)  # of prices with four decimals


def test_forecasts_are_stored_in_the_order_that_the_table_declares_and_at_the_clock(lake):
    found = made(lake)

    assert set(found["made_at"]) == {pd.Timestamp(ELEVEN)}
    assert set(found["known_until"] - pd.Timestamp(FRIDAY.open)) == {pd.Timedelta("30min"), pd.Timedelta("90min")}
    hour = found[found["hour"] == 11].set_index("target")["ends_at"]
    assert set(hour["next-hour-high"]) == {pd.Timestamp(FRIDAY.open) + pd.Timedelta("150min")}
    assert set(hour["day-high"]) == set(hour["close-above"]) == {pd.Timestamp(FRIDAY.close)}
    assert found["sessions_used"].eq(len(SESSIONS) - 1).all()
    assert np.allclose(found[QUANTILES], found[QUANTILES].round(6), equal_nan=True)


@pytest.mark.parametrize(
    ("minutes", "hour"), [(0, None), (29, None), (30, 10), (34.9, 10), (35, None), (90, 11), (330, 15), (390, None)]
)
def test_an_hour_has_just_begun_for_five_minutes(minutes, hour):
    moment = just_begun(FRIDAY.open + dt.timedelta(minutes=minutes), XNYS)

    assert (moment and moment.hour) == hour


def test_an_hour_is_forecast_live_once(lake):
    first = make_live(DuckDBEngine(lake), ELEVEN, XNYS)
    ParquetSink(lake).store_forecasts(first)

    assert set(first["hour"]) == {11}
    assert make_live(DuckDBEngine(lake), ELEVEN + dt.timedelta(minutes=1), XNYS).empty
    assert make_live(DuckDBEngine(lake), ELEVEN + dt.timedelta(minutes=10), XNYS).empty


def test_a_ticker_with_too_little_history_is_named_with_its_sessions(tmp_path):
    collected(tmp_path, SESSIONS[-LEAST_SESSIONS:-1], SESSIONS[-2].close + HOUR)
    collected(tmp_path, [FRIDAY], ELEVEN)

    found = make(DuckDBEngine(tmp_path), [FRIDAY], ELEVEN)
    assert found.forecasts.empty
    assert found.short == {"META": LEAST_SESSIONS - 1}


def test_a_lake_without_bars_is_said_to_be_empty(tmp_path):
    with pytest.raises(LakeEmpty):
        made(tmp_path)
