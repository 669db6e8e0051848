"""What the runner fills in, expands, refuses and explains."""

import datetime as dt

import pandas as pd
import pytest

from tests.query.lakes import read_records, read_splits, write_case, write_lake
from tickerlake.cli import cli
from tickerlake.cli.console import run_command
from tickerlake.errors import ConfigError, OutOfMemory
from tickerlake.lake.layout import Layout
from tickerlake.query import load, names, run
from tickerlake.query.engines.duckdb import DuckDBEngine

FRIDAY = "2026-11-20"


def engine_of(case, tmp_path):
    return DuckDBEngine(write_case(tmp_path / "lake", case))


def record(ticker, moment, *, bar_minutes=30, high=10.0):
    numbers = {"open": None, "high": high, "low": 9.0, "close": None, "volume": 1}
    start = dt.datetime.fromisoformat(moment)
    collected_at = start + dt.timedelta(hours=12)
    key = {"ticker": ticker, "ts": start, "bar_minutes": bar_minutes, "source": "yahoo"}
    return key | numbers | {"collected_at": collected_at}


@pytest.mark.parametrize(
    ("as_of", "highs"),
    [
        ("2026-11-20T17:00-05:00", [11.0, 999.0, 12.0, 11.0]),
        ("2026-11-21 16:59:59", [11.0, 999.0, 12.0, 11.0]),
        ("2026-11-20", [11.0, 999.0, 12.0, 11.0]),
        (dt.date(2026, 11, 21), [11.0, 10.5]),
        (dt.datetime(2026, 11, 21, 22, tzinfo=dt.UTC), [11.0, 10.5]),
        ("2026-11-22T22:00:00Z", [11.0, 12.5, 10.5]),
        (None, [11.0, 12.5, 10.5]),
    ],
)
def test_only_what_the_lake_knew_at_a_moment_counts(as_of, highs, tmp_path):
    assert run(engine_of("withdrawn", tmp_path), "bars", as_of=as_of).column("high") == highs


def test_a_moment_without_an_offset_is_in_the_time_of_the_only_exchange_in_the_lake(tmp_path):
    engine = engine_of("tokyo_lunch_break", tmp_path)
    kinds = {
        as_of: run(engine, "restatements", as_of=as_of).column("kind") for as_of in ("2026-11-24T20:59", "2026-11-24")
    }
    assert kinds == {"2026-11-24T20:59": ["restated"], "2026-11-24": ["restated", "withdrawn"]}


@pytest.mark.parametrize("as_of", ["soon", "2026-13-01", "12:00", "2026-11-20T25:00", 7])
def test_what_is_no_moment_is_refused_in_one_line(as_of, tmp_path):
    with pytest.raises(ConfigError, match=r"^as_of: [^\n]+$"):
        run(engine_of("withdrawn", tmp_path), "bars", as_of=as_of)


def test_before_the_first_record_the_lake_held_nothing(tmp_path):
    with pytest.raises(ConfigError, match="held no bars as of 2026-11-02 04:59:59 UTC; give a later time"):
        run(engine_of("withdrawn", tmp_path), "hourly_high", as_of="2026-11-01")


def test_a_split_is_on_the_basis_only_once_it_is_known(tmp_path):
    engine = engine_of("splits", tmp_path)
    asked = {"tickers": "AAA", "first": "2026-11-18", "last": "2026-11-18"}

    assert run(engine, "daily", **asked).column("high") == [10.3]
    assert run(engine, "daily", **asked, basis="as-traded").column("high") == [103.0]
    assert run(engine, "daily", **asked, as_of="2026-11-19").column("high") == [102.0]
    with pytest.raises(ConfigError, match="basis: 'raw' is not a basis; write latest or as-traded"):
        run(engine, "daily", basis="raw")


def test_the_lake_says_which_source_comes_first(tmp_path):
    engine = engine_of("two_sources", tmp_path)
    assert run(engine, "bars").column("source") == ["yahoo", "yahoo", "recorded", "yahoo"]

    Layout(tmp_path / "lake").config.write_text('sources = ["archive", "recorded"]\n')

    assert run(engine, "bars").column("source") == ["recorded", "recorded", "recorded", "archive"]
    assert engine.ask("SELECT source FROM bars ORDER BY ts").column("source") == run(engine, "bars").column("source")
    Layout(tmp_path / "lake").config.write_text('sources = ["a\'b"]\n')
    with pytest.raises(ConfigError, match="sources must be a list of names"):
        run(engine, "bars")


def test_a_company_is_found_under_its_earlier_symbols(tmp_path):
    records = [record("FB", "2022-06-08T09:30-04:00"), record("META", "2022-06-09T09:30-04:00")]
    engine = DuckDBEngine(write_lake(tmp_path, records))

    assert run(engine, "tickers", tickers="META").column("ticker") == ["FB", "META"]
    assert run(engine, "bars", tickers="META", last="2022-06-08").column("ticker") == ["FB"]
    assert run(engine, "tickers", tickers="META", first="2022-06-09").column("ticker") == ["META"]
    assert run(engine, "tickers", tickers="FB").column("ticker") == ["FB"]


def test_a_ticker_is_expected_from_its_first_session_until_it_is_renamed(tmp_path):
    records = [
        record("OLD", "2022-06-07T09:30-04:00"),
        record("FB", "2022-06-08T09:30-04:00"),
        record("META", "2022-06-09T09:30-04:00"),
        record("OLD", "2022-06-10T09:30-04:00"),
    ]
    engine = DuckDBEngine(write_lake(tmp_path, records))

    def expected(**asked):
        return {(row[0], row[1]) for row in run(engine, "coverage", **asked).rows}

    days = [f"2022-06-{day:02}" for day in range(7, 11)]
    everything = {("OLD", day) for day in days} | {("FB", days[1]), ("META", days[2]), ("META", days[3])}
    assert expected() == everything
    # Without a bar in these sessions, META is not expected in them.
    assert expected(first=days[3]) == {("OLD", days[3])}
    assert expected(first=days[1], tickers="OLD") == {("OLD", day) for day in days[1:]}
    assert expected(first=days[2]) == {("META", days[2]), ("META", days[3]), ("OLD", days[2]), ("OLD", days[3])}


def test_long_bars_alone_have_no_hourly_high_and_a_note_says_so(tmp_path, capsys, monkeypatch):
    records = [record("META", f"{day}T09:30-05:00", bar_minutes=60) for day in ("2026-11-19", FRIDAY)]
    records.append(record("AMZN", f"{FRIDAY}T09:30-05:00"))
    engine = DuckDBEngine(write_lake(tmp_path / "lake", records))
    monkeypatch.chdir(tmp_path)

    found = run(engine, "hourly_high", tickers="META", first=FRIDAY)
    note = f"META in {FRIDAY} has only 60-minute bars; hourly_high needs bars within one clock hour"
    assert (found.rows, found.notes) == ([], (note,))
    assert run(engine, "hourly_high", tickers="AMZN").notes == ()
    assert run_command(cli, ["query", "hourly_high", "--as-of", "2026-12-01"]) == 0
    assert "note: META in 2026-11-19 has only 60-minute bars (so have 1 more" in capsys.readouterr().err
    assert run(engine, "daily", tickers="META").column("bar_minutes") == [60, 60]


def test_long_bars_that_come_later_are_noted_too(tmp_path):
    engine = DuckDBEngine(write_lake(tmp_path, [record("AMZN", f"{FRIDAY}T09:30-05:00")]))
    assert run(engine, "hourly_high").notes == ()
    assert not engine.may_hold_long_bars(FRIDAY, FRIDAY)

    write_lake(tmp_path, [record("META", f"{FRIDAY}T09:30-05:00", bar_minutes=60)])

    assert len(run(engine, "hourly_high").notes) == 1


def test_a_person_who_reports_a_split_last_overrules_the_source(tmp_path):
    records, splits = read_records("splits"), read_splits("splits")
    revoked = [
        type(split)(split.ticker, split.ex_date, 1.0, "manual", split.collected_at + dt.timedelta(days=1))
        for split in splits
    ]
    engine = DuckDBEngine(write_lake(tmp_path, records, [*splits, *revoked]))

    assert run(engine, "bars", tickers="AAA").column("high") == [101.25, 10.2, 10.3, 10.2]


class CrampedEngine(DuckDBEngine):
    """Runs the text `sql` for one ticker at a time only."""

    sql = ""

    def run(self, sql, parameters, limit=None, *, columns=False):
        if sql == self.sql and (len(parameters["tickers"]) > 1 or parameters["tickers"] == ["*"]):
            raise OutOfMemory("too much")
        return super().run(sql, parameters, limit, columns=columns)


@pytest.mark.parametrize("name", [name for name in names() if "ticker" in {field.name for field in load(name).columns}])
def test_what_takes_too_much_memory_is_answered_ticker_by_ticker(name, tmp_path):
    lake = write_case(tmp_path, "splits")
    cramped, whole = CrampedEngine(lake), DuckDBEngine(lake)
    cramped.sql = load(name).sql
    now = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)

    assert run(cramped, name, now=now, limit=4).rows == run(whole, name, now=now).rows[:4]
    frames = [run(engine, name, now=now, columns=True).frame for engine in (cramped, whole)]
    pd.testing.assert_frame_equal(*frames)


def test_a_query_that_takes_too_much_memory_is_stopped_by_duckdb_and_not_by_the_machine(tmp_path):
    engine = engine_of("ties", tmp_path)
    engine._connection.execute("SET GLOBAL memory_limit = '10MB'")

    with pytest.raises(OutOfMemory, match="query fewer sessions"):
        engine.run("SELECT count(*) FROM (SELECT DISTINCT range FROM range(5000000))", {})
