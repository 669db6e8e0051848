"""The simulated vendor: each fault alone, as somebody sees it who asks again later."""

import datetime as dt

import pandas as pd
import pytest

from tests.fakes.sinks import MemorySink
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.errors import NoData
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.simulated_vendor import Behaviour, Clock, SimulatedVendor, VendorSplit, WrongClock
from tickerlake.symbols import Rename

THURSDAY, FRIDAY = exchange.XNYS.sessions_between(dt.date(2026, 11, 19), dt.date(2026, 11, 20))
NOON = FRIDAY.open + dt.timedelta(hours=2, minutes=32)
LATER = FRIDAY.close + dt.timedelta(days=3)
PRICES = ["open", "high", "low", "close"]


@pytest.fixture
def clock():
    return Clock(LATER)


def asked(clock, moment=LATER, sessions=(FRIDAY,), symbol="META", size=5, **behaviour):
    clock.now = moment
    return SimulatedVendor(7, clock, Behaviour(**behaviour)).bars(symbol, sessions, size)


def moments():
    """Every other hour from Friday's open until all has settled."""
    return [FRIDAY.open + dt.timedelta(hours=hour) for hour in range(1, 60, 2)]


def versions(clock, column, **behaviour):
    """Of each bar the different values that it is given with, in order; None where it is not given."""
    seen: dict[pd.Timestamp, list] = {}
    vendor = SimulatedVendor(7, clock, Behaviour(**behaviour))
    for clock.now in moments():
        frame = vendor.bars("META", [FRIDAY], 5)
        given = dict(zip(frame["ts"], frame[column], strict=True))
        for ts in {*given, *seen}:
            history = seen.setdefault(ts, [])
            if not history or history[-1] != given.get(ts):
                history.append(given.get(ts))
    return seen


def test_a_vendor_without_faults_gives_the_simulated_market_up_to_now(clock):
    market = SimulatedSource().bars("META", [FRIDAY], 5).astype({"volume": "Int64"})

    pd.testing.assert_frame_equal(asked(clock), market)
    pd.testing.assert_frame_equal(asked(clock, NOON), market[market["ts"] <= NOON - dt.timedelta(minutes=5)])
    assert SimulatedVendor(7, clock).actions("META", [FRIDAY]) == []


def test_a_session_that_has_not_begun_has_no_data(clock):
    with pytest.raises(NoData, match="META: no bars between"):
        asked(clock, THURSDAY.close)


def test_a_late_bar_appears_minutes_after_its_end(clock):
    missing = len(asked(clock, NOON)) - len(asked(clock, NOON, late=0.5))

    assert 0 < missing <= 6
    assert len(asked(clock, NOON + dt.timedelta(hours=5), late=0.5)) == 78


def test_a_restated_bar_changes_up_to_three_times_and_may_go_back(clock):
    volumes = versions(clock, "volume", restated=1)

    assert {len(values) for values in volumes.values()} == {1, 2, 3, 4}
    assert any(values[0] == values[2] != values[1] for values in volumes.values() if len(values) > 2)
    closes = versions(clock, "close", restated=1)
    assert any(len(closes[ts]) == 1 < len(values) for ts, values in volumes.items())
    assert any(len(values) == 1 < len(closes[ts]) for ts, values in volumes.items())


def test_restated_bars_keep_the_rules(clock):
    sink = MemorySink()
    vendor = SimulatedVendor(7, clock, Behaviour(restated=1, withdrawn=0.5))
    for clock.now in moments():
        collect(vendor, sink, [FRIDAY], ["META", "AMZN"], 15, clock)

    assert not sink.rejected


def test_a_bad_tick_is_withdrawn_and_may_come_back(clock):
    market = SimulatedSource().bars("META", [FRIDAY], 5).set_index("ts")["high"]
    highs = versions(clock, "high", withdrawn=0.3)

    assert {len(values) for values in highs.values()} == {1, 2, 3}
    for ts, values in highs.items():
        if len(values) > 1:
            assert values[0] > 1.19 * market[ts]
            assert values[1:] in ([None], [None, market[ts]], [market[ts]])


def test_a_halt_leaves_a_hole_of_up_to_an_hour(clock):
    market = SimulatedSource().bars("META", [FRIDAY], 5)["ts"]
    missing = sorted(set(market) - set(asked(clock, halted=1)["ts"]))

    assert 1 <= len(missing) <= 12
    assert (pd.Series(missing).diff().dropna() == pd.Timedelta(minutes=5)).all()


def test_rows_are_repeated_without_a_change(clock):
    frame = asked(clock, repeated=0.2)

    assert 85 < len(frame) < 110
    assert len(frame.drop_duplicates()) == frame["ts"].nunique() == 78


def test_rows_off_the_grid_come_beside_the_bars_and_are_rejected(clock):
    sink = MemorySink()
    (report,) = collect(SimulatedVendor(7, clock, Behaviour(off_grid=0.1)), sink, [FRIDAY], ["META"], 5, clock)

    assert report.bars == 78
    assert set(report.rejected) == {"off-grid"}


def test_the_running_bar_and_the_last_trade_end_the_answer_and_are_left_out(clock):
    frame = asked(clock, NOON, running=True)
    whole = asked(clock, LATER)
    running = whole[whole["ts"] == frame["ts"].iloc[-2]].iloc[0]

    assert frame["ts"].iloc[-2] < NOON < frame["ts"].iloc[-2] + pd.Timedelta(minutes=5)
    assert frame["ts"].iloc[-1] == NOON
    assert frame["open"].iloc[-2] == running["open"]
    assert frame["volume"].iloc[-2] < running["volume"]
    clock.now = NOON
    (report,) = collect(
        SimulatedVendor(7, clock, Behaviour(running=True)), MemorySink(), [FRIDAY], ["META"], 5, lambda: NOON
    )
    assert report.bars == 30
    assert (report.unfinished, report.rejected) == (2, {})


def test_a_bar_without_prices_gets_them_later(clock):
    early = asked(clock, FRIDAY.close, unpriced=0.2)

    assert 5 < early["high"].isna().sum() < 30
    assert early["volume"].isna().equals(early["high"].isna())
    assert asked(clock, unpriced=0.2).notna().all(axis=None)


def test_old_minute_bars_are_not_kept(clock):
    with pytest.raises(NoData):
        asked(clock, one_minute_days=2, size=1)
    assert len(asked(clock, one_minute_days=2)) == 78
    assert SimulatedVendor(7, clock, Behaviour(one_minute_days=2)).oldest(1, LATER) == LATER - dt.timedelta(days=2)


def split(ratio, **details):
    return VendorSplit("META", FRIDAY.date, ratio, **details)


@pytest.mark.parametrize(("ratio", "tolerance"), [(10, 1e-9), (0.1, 2e-5), (1.5, 1e-6)])
def test_a_split_moves_older_bars_to_the_new_basis_from_the_ex_date_on(clock, ratio, tolerance):
    market = asked(clock, sessions=[THURSDAY])
    before = asked(clock, THURSDAY.close, [THURSDAY], splits=(split(ratio),))
    after = asked(clock, FRIDAY.open, [THURSDAY], splits=(split(ratio),))

    pd.testing.assert_frame_equal(before[PRICES], market[PRICES] * ratio, rtol=tolerance)
    pd.testing.assert_frame_equal(after[PRICES], market[PRICES], rtol=tolerance)
    assert before["volume"].sum() == pytest.approx(market["volume"].sum() / ratio, rel=1e-4)
    pd.testing.assert_frame_equal(asked(clock, splits=(split(ratio),)), asked(clock))


def test_a_vendor_adjusts_hours_late_or_never(clock):
    late = (split(10, adjusted_after=dt.timedelta(hours=14)),)
    never = (split(10, adjusted_after=None),)
    market = asked(clock, sessions=[THURSDAY])["high"].iloc[0]

    assert asked(clock, NOON, [THURSDAY], splits=late)["high"].iloc[0] == pytest.approx(10 * market)
    assert asked(clock, FRIDAY.close, [THURSDAY], splits=late)["high"].iloc[0] == pytest.approx(market)
    assert asked(clock, LATER, [THURSDAY], splits=never)["high"].iloc[0] == pytest.approx(10 * market)


def test_splits_come_as_actions_from_the_ex_date_on(clock):
    vendor = SimulatedVendor(
        7, clock, Behaviour(splits=(split(10), VendorSplit("AMZN", FRIDAY.date, 2, announced=False)))
    )

    assert vendor.actions("META", [THURSDAY, FRIDAY]) == [(FRIDAY.date, 10)]
    assert vendor.actions("META", [THURSDAY]) == vendor.actions("AMZN", [FRIDAY]) == []
    clock.now = THURSDAY.close
    assert vendor.actions("META", [THURSDAY, FRIDAY]) == []


def test_a_renamed_company_is_found_under_one_symbol_at_a_time(clock):
    renames = (Rename("OLD", "NEW", FRIDAY.date),)
    before = asked(clock, THURSDAY.close, [THURSDAY], "OLD", renames=renames)

    pd.testing.assert_frame_equal(before, asked(clock, FRIDAY.close, [THURSDAY], "NEW", renames=renames))
    for symbol, moment in (("NEW", THURSDAY.close), ("OLD", FRIDAY.open)):
        with pytest.raises(NoData, match="no such symbol"):
            asked(clock, moment, [THURSDAY], symbol, renames=renames)


def test_a_new_ticker_has_no_bars_before_its_listing(clock):
    listed = (("META", FRIDAY.date),)

    assert len(asked(clock, sessions=[THURSDAY, FRIDAY], listed=listed)) == 78
    with pytest.raises(NoData):
        asked(clock, sessions=[THURSDAY], listed=listed)


def test_a_wrong_clock_runs_fast_and_is_set_back(clock):
    minute = dt.timedelta(minutes=1)
    wrong = WrongClock(clock, (NOON + 10 * minute, -3 * minute), (NOON, 5 * minute))

    for passed, error in ((-1, 0), (0, 5), (9, 5), (10, -3), (99, -3)):
        clock.now = NOON + passed * minute
        assert wrong() == clock.now + error * minute
