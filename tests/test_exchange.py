"""Sessions: holidays, early closes, daylight saving, and what is running when."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import time_machine

from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.errors import ConfigError
from tickerlake.lake.compaction import finished
from tickerlake.lake.parquet import ParquetSink
from tickerlake.plan import plan
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource

UTC = dt.UTC


def test_a_full_session_has_78_five_minute_bars_and_an_early_close_42():
    full, short = exchange.XNYS.session_on(dt.date(2026, 11, 25)), exchange.XNYS.session_on(dt.date(2026, 11, 27))

    assert len(full.bar_starts(5)) == 78
    assert len(short.bar_starts(5)) == 42
    assert (full.early_close, short.early_close) == (False, True)
    assert short.close == dt.datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


def test_the_open_moves_by_an_hour_of_utc_when_the_clocks_change():
    before, after = exchange.XNYS.session_on(dt.date(2026, 10, 30)), exchange.XNYS.session_on(dt.date(2026, 11, 2))

    assert (before.open.hour, after.open.hour) == (13, 14)


def test_a_holiday_is_refused_with_the_nearest_sessions():
    with pytest.raises(
        ConfigError, match=r"2026-11-26 \(Thursday\) is not a session of XNYS.*2026-11-25 and 2026-11-27"
    ):
        exchange.XNYS.session_on(dt.date(2026, 11, 26))


@pytest.mark.parametrize("date", [dt.date(1987, 10, 19), dt.date(2190, 1, 2)])
def test_a_date_outside_the_calendar_is_refused_with_its_bounds(date):
    with pytest.raises(ConfigError, match="runs from 1990"):
        exchange.XNYS.session_on(date)


def test_dates_the_wrong_way_round_are_refused():
    with pytest.raises(ConfigError, match="swap them"):
        exchange.XNYS.sessions_between(dt.date(2026, 11, 20), dt.date(2026, 11, 19))


@pytest.mark.parametrize(
    ("now", "finished", "running"),
    [
        ("2026-11-22T12:00:00+00:00", "2026-11-20", None),  # Sunday
        ("2026-11-20T14:29:59+00:00", "2026-11-19", None),  # a second before the open
        ("2026-11-20T14:30:00+00:00", "2026-11-19", "2026-11-20"),
        ("2026-11-20T20:59:59+00:00", "2026-11-19", "2026-11-20"),
        ("2026-11-20T21:00:00+00:00", "2026-11-20", None),
        ("2026-11-27T18:00:00+00:00", "2026-11-27", None),  # early close
        ("2026-11-26T17:00:00+00:00", "2026-11-25", None),  # Thanksgiving
        ("2026-11-21T03:00:00+00:00", "2026-11-20", None),  # Saturday in UTC, Friday evening at the exchange
    ],
)
def test_what_has_finished_and_what_runs_at_a_moment(now, finished, running):
    moment = dt.datetime.fromisoformat(now)

    assert exchange.XNYS.last_finished(moment).dt == finished
    assert (exchange.XNYS.running(moment).dt if running else exchange.XNYS.running(moment)) == running


def test_no_session_opens_earlier_or_closes_later_than_what_is_known_without_the_calendar():
    held = exchange.XNYS.bounds_by_dt()
    opens, closes = (held[name].dt.tz_convert(exchange.XNYS.zone).dt.time for name in ("open", "close"))

    assert (opens.min(), closes.max()) == (dt.time(9, 30), dt.time(16))


@pytest.mark.parametrize("now", ["2026-11-20T14:29:59+00:00", "2026-11-20T21:00:00+00:00"])
def test_out_of_hours_nothing_runs_and_no_calendar_is_loaded_to_know_it(monkeypatch, now):
    monkeypatch.setattr(exchange, "_calendar_until", None)

    assert exchange.XNYS.running(dt.datetime.fromisoformat(now)) is None


def test_only_bars_that_have_ended_are_finished():
    session = exchange.XNYS.session_on(dt.date(2026, 11, 20))

    assert len(session.bar_starts(5, until=session.open)) == 0
    assert len(session.bar_starts(5, until=session.open + dt.timedelta(minutes=9, seconds=59))) == 1
    assert len(session.bar_starts(5, until=session.open + dt.timedelta(minutes=10))) == 2
    assert len(session.bar_starts(60, until=session.close)) == 7


def test_a_process_that_runs_for_years_still_knows_the_sessions_ahead():
    with time_machine.travel("2030-12-31"):
        assert exchange.XNYS.sessions_between(dt.date(2031, 12, 1), dt.date(2031, 12, 31))


@pytest.mark.parametrize(
    ("ticker", "code", "currency"),
    [
        ("META", "XNYS", "USD"),
        ("BRK-B", "XNYS", "USD"),
        ("VOD.L", "XLON", "GBp"),
        ("BT-A.L", "XLON", "GBp"),
        ("7203.T", "XTKS", "JPY"),
        ("SAP.DE", "XETR", "EUR"),
        ("BTC-USD", "24/7", "USD"),
        ("BTC-EUR", "24/7", "EUR"),
    ],
)
def test_the_exchange_of_a_ticker_and_its_currency_follow_from_its_spelling(ticker, code, currency):
    assert (exchange.of(ticker).code, exchange.currency_of(ticker)) == (code, currency)


def test_a_suffix_that_no_exchange_has_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'VOD.XX'.*\.L \(London\), \.DE \(Xetra\), \.T \(Tokyo\), and none for New"):
        exchange.of("VOD.XX")


@pytest.mark.parametrize(
    ("code", "date", "bars", "early_close"),
    [
        ("XLON", dt.date(2026, 11, 20), 102, False),
        ("XLON", dt.date(2026, 12, 24), 54, True),
        ("XETR", dt.date(2026, 12, 30), 60, True),
        ("XTKS", dt.date(2026, 11, 20), 66, False),  # 2½ hours, lunch, 3 hours
        ("XTKS", dt.date(2024, 11, 1), 60, False),  # until then it closed at 15:00 every day
        ("24/7", dt.date(2026, 11, 21), 288, False),  # a Saturday
    ],
)
def test_each_exchange_has_its_own_hours(code, date, bars, early_close):
    session = exchange.EXCHANGES[code].session_on(date)

    assert (len(session.bar_starts(5)), session.early_close) == (bars, early_close)
    assert session.exchange.code == code


def test_no_bar_starts_during_lunch_though_the_session_is_running():
    noon = dt.datetime(2026, 11, 20, 12, 0, tzinfo=exchange.XTKS.zone)
    session = exchange.XTKS.running(noon)
    starts = session.bar_starts(60).tz_convert(exchange.XTKS.zone)

    assert [f"{start:%H:%M}" for start in starts] == ["09:00", "10:00", "11:00", "12:30", "13:30", "14:30"]


def test_one_entry_is_all_that_another_exchange_takes(monkeypatch, tmp_path):
    sydney = exchange.Exchange(
        "XASX", "Sydney", ZoneInfo("Australia/Sydney"), "AUD", dt.time(10), dt.time(16, 10), suffix=".AX"
    )
    monkeypatch.setitem(exchange.EXCHANGES, "XASX", sydney)
    [session] = plan(dt.datetime(2026, 11, 20, 8, tzinfo=UTC), exchange.all_of(["BHP.AX"]))
    evening = session.close + dt.timedelta(hours=1)

    collect(SimulatedSource(), ParquetSink(tmp_path), [session], ["BHP.AX"], 5, lambda: evening)

    engine, count = DuckDBEngine(tmp_path), len(session.bar_starts(5))
    assert engine.ask("SELECT DISTINCT exchange, currency, dt FROM records").rows == [("XASX", "AUD", "2026-11-20")]
    assert run(engine, "coverage", now=evening).rows == [("BHP.AX", "2026-11-20", 5, count, count, 0, 0, 0, "")]
    [row] = run(engine, "sessions", as_of="2026-11-20T17:00").rows
    assert row[1:5] == ("XASX", 1, count, "simulated")
    assert row[5].isoformat() == "2026-11-20T10:00:00+11:00"
    assert finished(tmp_path, evening) == [session.dt]
    assert finished(tmp_path, evening - dt.timedelta(seconds=1)) == []
