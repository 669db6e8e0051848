"""From when on a source's answers are adjusted for a split, worked out from bars that it gave more than once."""

import datetime as dt
from dataclasses import replace

import pandas as pd
import pytest

from tests.sources.answers import Vendor
from tickerlake import bars, basis
from tickerlake.actions import MANUAL, NEVER, Split, applying, in_force
from tickerlake.basis import Comparison, adjusted_from, compare
from tickerlake.collect import collect
from tickerlake.exchange import XNYS
from tickerlake.importers.importing import import_objects
from tickerlake.importers.recorded import local_objects
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

THURSDAY, FRIDAY = XNYS.session_on(dt.date(2026, 11, 19)), XNYS.session_on(dt.date(2026, 11, 20))
EX_DATE = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
BEFORE, NOON, EVENING, SATURDAY = (
    THURSDAY.close + dt.timedelta(minutes=45),
    FRIDAY.open + dt.timedelta(hours=2),
    FRIDAY.close + dt.timedelta(minutes=45),
    FRIDAY.close + dt.timedelta(hours=15),
)
SPLIT = Split("META", FRIDAY.date, 10.0, "yahoo", NOON)
REVERSE = replace(SPLIT, ratio=0.125)


def same(before, after, count=78):
    return Comparison(before, after, adjusted=False, bars=count)


def changed(before, after, count=78):
    return Comparison(before, after, adjusted=True, bars=count)


@pytest.mark.parametrize(
    ("comparisons", "expected"),
    [
        pytest.param([], EX_DATE, id="nothing came twice"),
        pytest.param([changed(BEFORE, NOON)], EX_DATE, id="adjusted at once"),
        pytest.param([same(BEFORE, NOON)], NEVER, id="not adjusted yet"),
        pytest.param([same(BEFORE, NOON), changed(BEFORE, SATURDAY)], SATURDAY, id="late"),
        pytest.param([changed(NOON, SATURDAY, 1)], SATURDAY, id="late, and one bar that came on the day shows it"),
        pytest.param([changed(BEFORE, EVENING), changed(NOON, SATURDAY)], EVENING, id="late, seen in two sessions"),
        pytest.param([same(NOON, SATURDAY)], EX_DATE, id="came twice after it, which says nothing"),
        pytest.param([changed(BEFORE, NOON, 70), same(BEFORE, NOON, 8)], EX_DATE, id="most bars adjusted"),
        pytest.param([changed(BEFORE, NOON, 8), same(BEFORE, NOON, 70)], NEVER, id="most bars not adjusted"),
    ],
)
def test_the_moment_is_the_one_that_contradicts_the_fewest_bars(comparisons, expected):
    assert adjusted_from(SPLIT, comparisons) == expected


def test_a_moment_that_was_learned_stays_until_bars_contradict_it():
    late = replace(SPLIT, adjusted_from=EVENING)

    assert adjusted_from(late, [changed(BEFORE, SATURDAY)]) == EVENING
    assert adjusted_from(late, [changed(EVENING, SATURDAY)]) == SATURDAY


def test_a_source_that_had_not_adjusted_yet_did_so_later():
    waiting = replace(SPLIT, adjusted_from=NEVER)

    assert adjusted_from(waiting, [changed(BEFORE, SATURDAY)], [NOON]) == SATURDAY


def history(*answers, ticker="META"):
    """Records of Thursday's first bars: of each answer when it came, and the price of each bar."""
    rows = [
        {"ticker": ticker, "ts": start, "bar_minutes": 5, "source": "yahoo", "collected_at": pd.Timestamp(moment)}
        | dict.fromkeys(("open", "high", "low", "close"), price)
        | {"volume": 100}
        for moment, *prices in answers
        for start, price in zip(THURSDAY.bar_starts(5), prices, strict=False)
    ]
    return bars.as_bars(bars.placed(pd.DataFrame(rows)))


@pytest.mark.parametrize("split", [SPLIT, REVERSE, replace(SPLIT, ratio=1.5)])
@pytest.mark.parametrize("noise", [1, 1.004, 0.97])
def test_a_ratio_near_the_split_is_an_adjustment_and_one_near_1_is_a_correction(split, noise):
    before, after = (BEFORE, 100.0, 101.0), (SATURDAY, 100 / split.ratio * noise, 101 / split.ratio)

    assert compare(history(before, after), [split])[split] == [changed(BEFORE, SATURDAY, 2)]
    assert compare(history(before, (NOON, 100 * noise, 101.0)), [split])[split] == [same(BEFORE, NOON, 2)]


@pytest.mark.parametrize("price", [33.0, 400.0, 1000.0])
def test_a_ratio_that_fits_neither_says_nothing(price):
    assert compare(history((BEFORE, 100.0), (SATURDAY, price)), [SPLIT])[SPLIT] == []


def test_a_bad_tick_among_good_bars_does_not_matter():
    records = history((BEFORE, 100.0, 101.0, 102.0), (NOON, 999.0, 101.0, 102.0))

    assert compare(records, [SPLIT])[SPLIT] == [same(BEFORE, NOON, 3)]


def test_a_bar_that_was_withdrawn_in_between_is_compared_with_what_it_was():
    records = history((BEFORE, 100.0), (NOON, None), (SATURDAY, 10.0))

    assert compare(records, [SPLIT])[SPLIT] == [changed(BEFORE, SATURDAY, 1)]


def test_two_splits_are_told_apart_unless_they_have_one_ratio():
    later = replace(SPLIT, ex_date=dt.date(2026, 12, 1), ratio=2.0)
    alike = replace(later, ratio=10.0)
    records = history((BEFORE, 100.0), (SATURDAY, 10.0), (SATURDAY + dt.timedelta(days=9), 5.0))

    found = compare(records, [SPLIT, later])

    assert [each.adjusted for each in found[SPLIT]] == [True, False]
    assert [each.adjusted for each in found[later]] == [False, True]
    assert [each.adjusted for each in compare(records, [SPLIT, alike])[alike]] == []


def test_a_report_of_a_source_counts_for_its_bars_and_a_person_overrules_it():
    other = replace(SPLIT, source="alpaca", collected_at=EVENING)
    person = replace(SPLIT, source=MANUAL, collected_at=SATURDAY)

    assert applying([SPLIT, other], "yahoo") == [SPLIT]
    assert applying([SPLIT, other], "recorded") == [other]
    assert applying([SPLIT, other, person], "yahoo") == [person]
    assert (
        applying([person, replace(SPLIT, collected_at=SATURDAY + dt.timedelta(days=1))], "yahoo")[0].source == "yahoo"
    )


class Splitting(Vendor):
    """Thursday's bars at 100, and at 10 once `adjusted`. The split comes with them, as if Friday were asked for too."""

    def __init__(self, price=100.0, until=None):
        super().__init__(THURSDAY, until)
        self.splits = [(FRIDAY.date, 10.0)]
        self.price(price)

    def price(self, price):
        for place in range(len(self._bars)):
            self.restate(place, open=price, high=price, low=price, close=price, volume=round(1e5 / price))


def collected(lake, vendor, moment):
    collect(vendor, ParquetSink(lake), [THURSDAY], ["META"], 5, lambda: moment)


def closes(lake, **options):
    return run(DuckDBEngine(lake), "daily", now=SATURDAY, **options).column("close")


def moments(lake):
    return [report.adjusted_from for report in sorted(ParquetSink(lake).reports(), key=lambda each: each.collected_at)
            if report.ticker == "META"]  # fmt: skip


def test_a_late_vendor_is_followed_and_each_moment_is_answered_as_it_was_known(tmp_path):
    vendor = Splitting()
    collected(tmp_path, vendor, BEFORE)
    collected(tmp_path, vendor, NOON)
    collected(tmp_path, vendor, EVENING)
    vendor.price(10.0)
    collected(tmp_path, vendor, SATURDAY)

    assert moments(tmp_path) == [None, NEVER, SATURDAY]
    for as_of in (NOON, EVENING, SATURDAY):
        assert closes(tmp_path, as_of=as_of) == [10.0]
        assert closes(tmp_path, as_of=as_of, basis="as-traded") == [100.0]
    assert run(DuckDBEngine(tmp_path), "restatements").rows == []


def test_a_vendor_that_adjusts_at_once_leaves_one_report(tmp_path):
    collected(tmp_path, Splitting(), BEFORE)
    collected(tmp_path, Splitting(10.0), NOON)
    collected(tmp_path, Splitting(10.0), SATURDAY)

    assert moments(tmp_path) == [None]
    assert closes(tmp_path) == [10.0]


def test_bars_that_first_came_on_the_day_are_known_by_their_later_adjustment(tmp_path):
    vendor = Splitting()
    collected(tmp_path, vendor, NOON)
    assert closes(tmp_path) == [100.0]  # taken for adjusted: nothing says otherwise yet
    vendor.price(10.0)
    collected(tmp_path, vendor, SATURDAY)

    assert moments(tmp_path)[-1] == SATURDAY
    assert closes(tmp_path, as_of=SATURDAY, basis="as-traded") == [100.0]
    assert run(DuckDBEngine(tmp_path), "restatements").rows == []


def test_a_small_correction_beside_a_split_stays_a_restatement(tmp_path):
    vendor = Splitting()
    collected(tmp_path, vendor, BEFORE)
    vendor.price(10.0)
    vendor.restate(5, high=10.02)
    collected(tmp_path, vendor, NOON)

    assert moments(tmp_path) == [None]
    assert run(DuckDBEngine(tmp_path), "restatements").column("new_high") == [10.02]


def test_a_split_added_by_hand_is_held_against_all_that_came_before(tmp_path):
    vendor = Splitting()
    vendor.splits = []
    vendor.restate(0, high=100.5)
    collected(tmp_path, vendor, BEFORE)
    vendor.restate(0, high=100.6)
    collected(tmp_path, vendor, NOON)
    vendor.price(10.0)
    collected(tmp_path, vendor, SATURDAY)
    sink = ParquetSink(tmp_path)

    sink.report_splits([replace(SPLIT, source=MANUAL, collected_at=SATURDAY)], SATURDAY)

    learned = {report.source: report.adjusted_from for report in in_force(sink.reports())}
    assert learned == {MANUAL: None, "yahoo": SATURDAY}
    assert closes(tmp_path, basis="as-traded") == [100.0]


def test_imported_records_are_compared_too_and_again_changes_nothing(tmp_path):
    vendor = Splitting()
    vendor.splits = []
    for moment, price in ((BEFORE, 100.0), (NOON, 100.5), (SATURDAY, 10.0)):
        vendor.price(price)
        collected(tmp_path / "old", vendor, moment)
    sink = ParquetSink(tmp_path / "new")
    sink.report_splits([SPLIT], NOON)

    for _ in range(2):
        import_objects(local_objects([tmp_path / "old"]), sink, clock=lambda: SATURDAY + dt.timedelta(days=1))

    assert moments(tmp_path / "new") == [None, SATURDAY]
    assert closes(tmp_path / "new", basis="as-traded") == [100.0]


def test_a_split_that_was_taken_back_is_not_looked_for(tmp_path):
    revoked = replace(SPLIT, source=MANUAL, ratio=1.0, collected_at=EVENING)

    assert basis.learned(history((BEFORE, 100.0), (SATURDAY, 100.0)), [SPLIT, revoked], SATURDAY) == []
