"""Repair: what is missing, what of it is worth a request, and what became of it."""

import datetime as dt
import shutil

import pytest

from tests.test_watch import Machine, clock
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.errors import LakeEmpty, RateLimited, Unavailable
from tickerlake.gaps import Gap, deadline, find_gaps
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.repair import open_gaps, repair
from tickerlake.sources.limits import oldest
from tickerlake.sources.simulated import SimulatedSource

TICKERS = ("META", "AMZN")
WEEK = exchange.XNYS.sessions_between(dt.date(2026, 11, 16), dt.date(2026, 11, 20))
SATURDAY = clock("2026-11-21T12:00")


class Vendor(SimulatedSource):
    """Simulated bars without those that start at `lacks`; `fails` has the errors of some tickers."""

    parallel = 1

    def __init__(self, lacks=(), fails=None):
        super().__init__()
        self.lacks, self.fails, self.asked = [clock(moment) for moment in lacks], fails or {}, []

    def bars(self, symbol, sessions, bar_minutes):
        self.asked.append((symbol, sessions[0].dt, sessions[-1].dt))
        if symbol in self.fails:
            raise self.fails[symbol]
        frame = super().bars(symbol, sessions, bar_minutes)
        return frame[~frame["ts"].isin(self.lacks)]


@pytest.fixture
def empty(tmp_path):
    return tmp_path / "lake"


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repair") / "week"
    fill(folder)
    return folder


@pytest.fixture
def lake(week, tmp_path):
    """A complete week."""
    return shutil.copytree(week, tmp_path / "lake")


def fill(lake, vendor=None, tickers=TICKERS, sessions=WEEK, now="2026-11-20T17:05", bar_minutes=30):
    collect(vendor or Vendor(), ParquetSink(lake), sessions, tickers, bar_minutes, lambda: clock(now))


def lose(lake, *days):
    """Removes sessions and the memory of having asked for them, as if nothing had been running."""
    for day in days:
        shutil.rmtree(lake / "bars" / f"dt={day}")
    shutil.rmtree(lake / "runs")


def lines(lake, vendor, now=SATURDAY, **bounds):
    return [report.line() for report in repair(lake, vendor, TICKERS, lambda: now, **bounds)]


def test_a_complete_lake_needs_no_request(lake):
    vendor = Vendor()

    assert lines(lake, vendor) == []
    assert vendor.asked == []


def test_missing_sessions_are_asked_for_with_one_request_a_ticker_and_then_complete(lake):
    vendor = Vendor()
    lose(lake, "2026-11-17", "2026-11-19")

    assert lines(lake, vendor) == [
        "2026-11-17: 26 of 26 missing bars found",
        "2026-11-19: 26 of 26 missing bars found",
    ]

    assert sorted(vendor.asked) == [(ticker, "2026-11-17", "2026-11-19") for ticker in sorted(TICKERS)]
    assert len(run(DuckDBEngine(lake), "bars").frame) == 5 * 26


def test_only_the_ticker_and_the_session_with_a_gap_are_asked_for(lake):
    fill(lake, tickers=("SNAP",))
    fill(lake, Vendor(lacks=["2026-11-18T10:00"]), tickers=("NVDA",))
    shutil.rmtree(lake / "runs")
    vendor = Vendor()

    assert [report.line() for report in repair(lake, vendor, ("META", "NVDA"), lambda: SATURDAY)] == [
        "2026-11-18: 1 of 1 missing bars found"
    ]
    assert vendor.asked == [("NVDA", "2026-11-18", "2026-11-18")]


def test_what_the_vendor_does_not_have_is_asked_for_again_after_a_day_and_then_left_alone(empty):
    vendor = Vendor(lacks=["2026-11-18T10:00"])
    fill(empty, vendor, now="2026-11-20T17:05")
    vendor.asked.clear()

    asked = {now: lines(empty, vendor, clock(now)) for now in ("2026-11-20T17:06", "2026-11-21T17:04")}
    assert asked == {"2026-11-20T17:06": [], "2026-11-21T17:04": []}
    assert lines(empty, vendor, clock("2026-11-21T17:05")) == [
        "2026-11-18: 0 of 2 missing bars found, 2 not at the source"
    ]
    assert lines(empty, vendor, clock("2026-11-21T17:06")) == []
    assert lines(empty, vendor, clock("2026-12-01T17:06"), last=WEEK[-1].date) == []
    assert len(vendor.asked) == 2


def test_an_answer_during_the_session_does_not_count_because_the_bar_may_be_late(empty):
    fill(empty, sessions=WEEK[:4])
    fill(empty, Vendor(lacks=["2026-11-20T10:00"]), sessions=WEEK[4:], now="2026-11-20T15:59")

    gaps = open_gaps(empty, "simulated", TICKERS, lambda size: oldest("simulated", size, SATURDAY), SATURDAY)

    assert [(gap.session.dt, gap.ticker, gap.bars, gap.present) for gap in gaps] == [
        ("2026-11-20", ticker, 2, 11) for ticker in TICKERS
    ]


def test_coverage_tells_what_is_missing_from_what_the_vendor_has_not_and_from_a_halt(empty):
    whole = [f"2026-11-19T{start:%H:%M}" for start in WEEK[3].bar_starts(30).tz_convert(exchange.XNYS.zone)]
    fill(empty, Vendor(lacks=["2026-11-17T09:30", "2026-11-18T10:00", "2026-11-18T10:30", *whole]), ("META",))
    shutil.rmtree(Layout(empty).partition("2026-11-20"))
    fill(empty, tickers=("AMZN",), sessions=WEEK[4:])

    coverage = run(DuckDBEngine(empty), "coverage", tickers=["META"], last=WEEK[4].date, now=SATURDAY).frame

    assert coverage.set_index("session")[["missing", "absent", "halted"]].T.to_dict("list") == {
        "2026-11-16": [0, 0, 0],
        "2026-11-17": [1, 1, 0],
        "2026-11-18": [2, 2, 2],
        "2026-11-19": [13, 13, 0],
        "2026-11-20": [13, 0, 0],
    }


def test_bars_that_the_vendor_gave_and_the_lake_lost_are_asked_for(lake):
    shutil.rmtree(lake / "bars" / "dt=2026-11-18")

    assert lines(lake, Vendor()) == ["2026-11-18: 26 of 26 missing bars found"]


def test_a_damaged_file_is_moved_to_quarantine_and_its_bars_are_asked_for(lake, caplog):
    layout = Layout(lake)
    before = run(DuckDBEngine(lake), "hourly_high").rows
    (file,) = layout.files(WEEK[1].date, WEEK[1].date)
    file.write_bytes(file.read_bytes()[:-100])

    assert lines(lake, Vendor())[-1].startswith("2026-11-17: 26 of 26 missing bars found")
    assert [path.relative_to(layout.quarantine) for path in layout.quarantine.rglob("*.parquet")] == [
        file.relative_to(lake)
    ]
    assert f"moved to {layout.quarantine}" in caplog.text
    assert run(DuckDBEngine(lake), "hourly_high").rows == before


@pytest.mark.parametrize(
    ("error", "reason"), [(Unavailable("503"), "unavailable"), (RateLimited("429"), "rate-limited")]
)
def test_what_got_no_answer_is_counted_by_its_reason_and_asked_for_again(lake, error, reason):
    lose(lake, "2026-11-18")

    assert lines(lake, Vendor(fails={"AMZN": error})) == [f"2026-11-18: 13 of 26 missing bars found, 13 {reason}"]
    assert lines(lake, Vendor()) == ["2026-11-18: 13 of 13 missing bars found"]


def test_after_a_rate_limit_no_other_ticker_is_asked(lake):
    fill(lake, sessions=WEEK[:1], tickers=("SNAP",))
    lose(lake, "2026-11-16", "2026-11-18")
    vendor = Vendor(fails={"META": RateLimited("429")})

    reports = repair(lake, vendor, (*TICKERS, "SNAP"), lambda: SATURDAY)

    assert [request[0] for request in vendor.asked] == ["META"]
    assert sum((report.unanswered for report in reports), start=reports[0].unanswered.__class__()).keys() == {
        "rate-limited",
        "not-asked",
    }


def test_only_what_the_vendor_still_serves_is_a_gap(empty):
    fill(empty, sessions=[exchange.XNYS.session_on(dt.date(2026, 9, 30))], now="2026-09-30T17:05")
    now = clock("2026-11-20T18:00")

    gaps = list(find_gaps(DuckDBEngine(empty), TICKERS, lambda size: oldest("yahoo", size, now), now))

    assert gaps[0] == Gap(exchange.XNYS.session_on(dt.date(2026, 10, 1)), "META", 30, 13, 0)
    assert len(gaps) == 2 * len(exchange.XNYS.sessions_between(dt.date(2026, 10, 1), dt.date(2026, 11, 20)))


def test_a_lake_whose_last_session_the_vendor_has_forgotten_lacks_everything_in_reach(empty):
    fill(empty, sessions=[exchange.XNYS.session_on(dt.date(2026, 6, 1))], now="2026-06-05T17:05")
    now = clock("2026-11-20T18:00")

    gaps = list(find_gaps(DuckDBEngine(empty), TICKERS, lambda size: oldest("yahoo", size, now), now))

    assert (gaps[0].session.dt, gaps[-1].session.dt) == ("2026-09-23", "2026-11-20")


def test_a_ticker_is_not_expected_before_its_first_session_nor_in_the_running_one(empty):
    fill(empty, tickers=("META",))
    fill(empty, tickers=("AMZN",), sessions=WEEK[3:])

    assert lines(empty, Vendor(), clock("2026-11-23T12:00")) == []


def test_each_bar_size_of_a_session_is_repaired(empty):
    fill(empty, tickers=("META",))
    fill(empty, Vendor(lacks=["2026-11-19T10:30"]), tickers=("META",), sessions=WEEK[3:4], bar_minutes=15)
    shutil.rmtree(empty / "runs")
    assert lines(empty, Vendor()) == ["2026-11-19: 1 of 1 missing bars found"]


def test_sessions_outside_the_bounds_are_left_alone(lake):
    lose(lake, "2026-11-17", "2026-11-19")

    bounds = {"first": dt.date(2026, 11, 18), "last": dt.date(2026, 11, 18)}
    assert lines(lake, Vendor(), **bounds) == []
    assert lines(lake, Vendor(), first=dt.date(2026, 11, 18)) == ["2026-11-19: 26 of 26 missing bars found"]


def test_an_empty_lake_says_so(empty):
    with pytest.raises(LakeEmpty):
        repair(empty, Vendor(), TICKERS, lambda: SATURDAY)


@pytest.mark.parametrize(
    ("now", "when"),
    [
        ("2026-11-21T12:00", "in 53 days"),
        ("2027-01-12T09:00", "in 2 days"),
        ("2027-01-13T09:00", "in 1 day"),
        ("2027-01-14T09:00", "within a day"),
    ],
)
def test_the_deadline_names_what_is_forgotten_first(now, when):
    gaps = [Gap(session, "META", 5, 3, 75) for session in WEEK]

    said = deadline(gaps, "yahoo", lambda size: oldest("yahoo", size, clock(now)))

    assert said == f"15 bars of 5 sessions are missing; yahoo forgets 2026-11-16 {when}"
    assert deadline([], "yahoo", lambda size: oldest("yahoo", size, clock(now))) == ""


def test_the_watcher_repairs_after_the_sweep_and_says_what_is_left(tmp_path):
    machine = Machine(tmp_path / "lake")
    fill(machine.lake, sessions=WEEK[:4], now="2026-11-19T17:05")
    lose(machine.lake, "2026-11-17")
    fill(machine.lake, sessions=WEEK[3:4], now="2026-11-19T17:05")
    machine.fails = lambda now, symbol: (
        RateLimited("HTTP 429") if symbol == "AMZN" and len(machine.vendor.asked) == 6 else None
    )

    said = machine.run("2026-11-20T17:04", "2026-11-20T17:12")

    assert [line for line in said if "repair" in line or "next try" in line] == [
        "17:05:00 repair: total: 13 of 26 missing bars found, 13 rate-limited",
        "17:05:00 13 bars of 1 session are missing; next try at 17:10:00",
        "17:10:00 repair: total: 13 of 13 missing bars found",
    ]
    assert machine.bars() == {session.dt: 26 for session in WEEK}
