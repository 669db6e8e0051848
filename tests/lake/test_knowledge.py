"""The order of knowledge in a local lake: what is in force after corrections, withdrawals and odd clocks."""

import datetime as dt

import pandas as pd
import pytest

from tests.sources.answers import Vendor
from tickerlake.collect import collect
from tickerlake.errors import LakeEmpty
from tickerlake.exchange import XNYS
from tickerlake.importers.importing import import_objects
from tickerlake.importers.recorded import local_objects
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

FRIDAY = XNYS.session_on(dt.date(2026, 11, 20))
EVENING = FRIDAY.close + dt.timedelta(hours=2)


def stored(lake):
    """Every record of the lake, in the order of knowledge."""
    frame = ParquetSink(lake)._stored(FRIDAY.dt, ["META", "AMZN"])
    return frame.sort_values(["ts", "collected_at"], kind="stable", ignore_index=True)


def collected(lake, vendor, now=EVENING, **options):
    (report,) = collect(vendor, ParquetSink(lake), [FRIDAY], ["META"], 5, lambda: now, **options)
    return report


def highs(lake, ts):
    """The highs that the lake holds of the bar at `ts`, oldest knowledge first; None where it was withdrawn."""
    frame = stored(lake)
    found = frame.loc[frame["ts"] == ts, "high"]
    return [None if pd.isna(high) else high for high in found]


def test_a_bar_that_a_later_answer_lacks_is_withdrawn_and_may_come_back(tmp_path):
    vendor = Vendor(FRIDAY)
    tick = vendor.restate(10, high=999.0)
    collected(tmp_path, vendor)
    vendor.leave_out(10)

    report = collected(tmp_path, vendor, EVENING + dt.timedelta(hours=1))
    again = collected(tmp_path, vendor, EVENING + dt.timedelta(hours=2))
    vendor.restate(10, high=101.0)
    back = collected(tmp_path, vendor, EVENING + dt.timedelta(hours=3))

    assert (report.stored, report.withdrawn, again.withdrawn, back.stored) == (0, 1, 0, 1)
    assert report.line() == "2026-11-20: 77 bars of 1 ticker, 0 new, 1 withdrawn, 0 rejected, 0 failed"
    assert highs(tmp_path, tick) == [999.0, None, 101.0]


def test_a_withdrawn_bar_keeps_no_numbers(tmp_path):
    vendor = Vendor(FRIDAY)
    collected(tmp_path, vendor)
    vendor.leave_out(10)
    collected(tmp_path, vendor, EVENING + dt.timedelta(hours=1))

    (row,) = stored(tmp_path).query("high.isna()").to_dict("records")

    assert all(pd.isna(row[name]) for name in ("open", "high", "low", "close", "volume"))
    assert (row["ticker"], row["source"], row["hour"], row["collected_at"]) == (
        "META", "yahoo", 10, pd.Timestamp(EVENING + dt.timedelta(hours=1)),
    )  # fmt: skip


def test_the_newest_bars_of_a_running_session_may_be_late_and_are_not_withdrawn(tmp_path):
    noon = FRIDAY.open + dt.timedelta(hours=2, minutes=30)
    vendor = Vendor(FRIDAY, until=noon)
    collected(tmp_path, vendor, noon)
    vendor.leave_out(28, 29)

    assert collected(tmp_path, vendor, noon + dt.timedelta(minutes=1)).withdrawn == 0


def test_the_last_bars_are_withdrawn_once_the_session_is_long_over(tmp_path):
    vendor = Vendor(FRIDAY)
    collected(tmp_path, vendor)
    vendor.leave_out(76, 77)

    assert collected(tmp_path, vendor, FRIDAY.close + dt.timedelta(minutes=59)).withdrawn == 0
    assert collected(tmp_path, vendor, FRIDAY.close + dt.timedelta(hours=1)).withdrawn == 2


def test_an_empty_answer_and_a_look_back_withdraw_nothing(tmp_path):
    vendor = Vendor(FRIDAY)
    collected(tmp_path, vendor)
    vendor.leave_out(10)

    assert collected(tmp_path, vendor, EVENING, since=FRIDAY.open).withdrawn == 0
    vendor.leave_out(*range(78))
    assert collected(tmp_path, vendor, EVENING).withdrawn == 0


def test_a_bar_that_the_vendor_still_lists_without_prices_is_not_withdrawn(tmp_path):
    vendor = Vendor(FRIDAY)
    collected(tmp_path, vendor)
    vendor.restate(10, high=float("nan"))

    report = collected(tmp_path, vendor, EVENING + dt.timedelta(hours=1))

    assert (report.withdrawn, report.rejected) == (0, {"missing-price": 1})


@pytest.mark.parametrize("back", [dt.timedelta(minutes=1), dt.timedelta(days=400)])
def test_a_correction_counts_although_the_clock_was_set_back(tmp_path, back):
    vendor = Vendor(FRIDAY)
    collected(tmp_path, vendor, EVENING + dt.timedelta(days=400))
    ts = vendor.restate(10, high=101.5)

    collected(tmp_path, vendor, EVENING + dt.timedelta(days=400) - back)

    assert highs(tmp_path, ts)[-1] == 101.5
    assert stored(tmp_path).query("ts == @ts")["collected_at"].diff().iloc[-1] == pd.Timedelta(milliseconds=1)


def test_a_change_back_and_forth_keeps_every_change(tmp_path):
    vendor = Vendor(FRIDAY)
    ts = vendor.restate(10, high=101.0)
    for hours, high in enumerate([101.0, 102.0, 101.0, 101.0, 102.0]):
        vendor.restate(10, high=high)
        collected(tmp_path, vendor, EVENING + dt.timedelta(hours=hours))

    assert highs(tmp_path, ts) == [101.0, 102.0, 101.0, 102.0]


def test_an_older_record_that_is_merged_later_does_not_become_the_last_word(tmp_path):
    vendor = Vendor(FRIDAY)
    ts = vendor.restate(10, high=101.0)
    early, middle, late = (EVENING + dt.timedelta(hours=hours) for hours in (0, 1, 2))
    sink = ParquetSink(tmp_path)

    for moment, high in ((early, 101.0), (late, 101.0), (middle, 105.0)):
        vendor.restate(10, high=high)
        sink.merge(vendor.records(moment))

    assert highs(tmp_path, ts) == [101.0, 105.0, 101.0]


def test_merging_the_same_records_again_stores_nothing(tmp_path):
    vendor = Vendor(FRIDAY)
    sink = ParquetSink(tmp_path)
    frames = [vendor.records(EVENING), vendor.records(EVENING + dt.timedelta(hours=1))]

    assert [sink.merge(frame) for frame in frames] == [78, 78]
    assert [sink.merge(frame) for frame in frames] == [0, 0]


def test_a_row_that_one_answer_holds_twice_is_stored_once(tmp_path):
    class Repeating(Vendor):
        def bars(self, symbol, sessions, bar_minutes):
            frame = super().bars(symbol, sessions, bar_minutes)
            return pd.concat([frame, frame.head(3)])

    assert collected(tmp_path, Repeating(FRIDAY)).stored == 78
    assert len(stored(tmp_path)) == 78


def test_importing_a_lake_keeps_its_withdrawals(tmp_path):
    vendor = Vendor(FRIDAY)
    ts = vendor.restate(10, high=999.0)
    collected(tmp_path / "one", vendor)
    vendor.leave_out(10)
    collected(tmp_path / "one", vendor, EVENING + dt.timedelta(hours=1))

    report = import_objects(local_objects([tmp_path / "one"]), ParquetSink(tmp_path / "two"))

    assert (report.stored, report.rejected.total()) == (79, 0)
    assert highs(tmp_path / "two", ts) == [999.0, None]


def test_a_record_from_the_future_is_rejected_on_import(tmp_path):
    vendor = Vendor(FRIDAY)
    collected(tmp_path / "one", vendor)
    clock = EVENING - dt.timedelta(minutes=6)

    report = import_objects(local_objects([tmp_path / "one"]), ParquetSink(tmp_path / "two"), clock=lambda: clock)

    assert (report.stored, report.rejected) == (0, {"collected-in-future": 78})
    clock += dt.timedelta(minutes=1)
    report = import_objects(local_objects([tmp_path / "one"]), ParquetSink(tmp_path / "two"), clock=lambda: clock)
    assert report.stored == 78


def test_the_lake_remembers_what_was_asked_and_what_came_of_it(tmp_path):
    vendor = Vendor(FRIDAY)
    collected(tmp_path, vendor)
    collected(tmp_path, vendor, EVENING + dt.timedelta(hours=1))
    vendor.restate(10, high=101.0)
    vendor.leave_out(20)
    collected(tmp_path, vendor, EVENING + dt.timedelta(hours=2))
    vendor.leave_out(*range(78))
    collected(tmp_path, vendor, EVENING + dt.timedelta(hours=3))

    engine = DuckDBEngine(tmp_path)
    runs = run(engine, "runs").frame

    assert set(runs["ticker"]) == {"META"}
    assert set(runs["since"]) == {pd.Timestamp(FRIDAY.open)}
    assert set(runs["until"]) == {pd.Timestamp(FRIDAY.close)}
    came = runs[["bars", "stored", "withdrawn", "rejected", "outcome"]].to_numpy().tolist()
    assert came == [
        [78, 78, 0, 0, "answered"],
        [78, 0, 0, 0, "answered"],
        [77, 1, 1, 0, "answered"],
        [0, 0, 0, 0, "no-data"],
    ]
    assert run(engine, "runs", as_of=EVENING).frame.to_dict() == runs.head(1).to_dict()
    assert len(run(engine, "runs", tickers="AMZN")) == 0
    assert engine.ask("SELECT max(withdrawn) FROM runs").rows == [(1,)]


def test_a_lake_without_bars_still_tells_what_was_asked(tmp_path):
    vendor = Vendor(FRIDAY)
    vendor.leave_out(*range(78))
    collected(tmp_path, vendor)

    assert run(DuckDBEngine(tmp_path), "runs").column("outcome") == ["no-data"]
    with pytest.raises(LakeEmpty, match="holds no bars; collect some"):
        run(DuckDBEngine(tmp_path), "hourly_high")


def test_a_run_of_a_session_that_has_no_bar_yet_is_not_remembered(tmp_path):
    collected(tmp_path, Vendor(FRIDAY), FRIDAY.open + dt.timedelta(minutes=4))

    assert Layout(tmp_path).runs() == []


def test_an_import_that_holds_its_last_record_twice_keeps_the_time_of_that_record(tmp_path):
    first, last = (Vendor(FRIDAY).records(EVENING + dt.timedelta(hours=hours)).head(1) for hours in (0, 1))

    assert ParquetSink(tmp_path).merge(pd.concat([first, last, last], ignore_index=True)) == 2

    assert stored(tmp_path)["collected_at"].tolist() == [EVENING, EVENING + dt.timedelta(hours=1)]
