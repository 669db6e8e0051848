"""Sessions: holidays, early closes, daylight saving, and what is running when."""

import datetime as dt

import pytest
import time_machine

from tickerlake import exchange
from tickerlake.errors import ConfigError

UTC = dt.UTC


def test_a_full_session_has_78_five_minute_bars_and_an_early_close_42():
    full, short = exchange.session_on(dt.date(2026, 11, 25)), exchange.session_on(dt.date(2026, 11, 27))

    assert len(full.bar_starts(5)) == 78
    assert len(short.bar_starts(5)) == 42
    assert (full.early_close, short.early_close) == (False, True)
    assert short.close == dt.datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


def test_the_open_moves_by_an_hour_of_utc_when_the_clocks_change():
    before, after = exchange.session_on(dt.date(2026, 10, 30)), exchange.session_on(dt.date(2026, 11, 2))

    assert (before.open.hour, after.open.hour) == (13, 14)


def test_a_holiday_is_refused_with_the_nearest_sessions():
    with pytest.raises(
        ConfigError, match=r"2026-11-26 \(Thursday\) is not a session of XNYS.*2026-11-25 and 2026-11-27"
    ):
        exchange.session_on(dt.date(2026, 11, 26))


@pytest.mark.parametrize("date", [dt.date(1987, 10, 19), dt.date(2190, 1, 2)])
def test_a_date_outside_the_calendar_is_refused_with_its_bounds(date):
    with pytest.raises(ConfigError, match="runs from 1990"):
        exchange.session_on(date)


def test_dates_the_wrong_way_round_are_refused():
    with pytest.raises(ConfigError, match="swap them"):
        exchange.sessions_between(dt.date(2026, 11, 20), dt.date(2026, 11, 19))


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

    assert exchange.last_finished(moment).dt == finished
    assert (exchange.running(moment).dt if running else exchange.running(moment)) == running


def test_no_session_opens_earlier_or_closes_later_than_what_is_known_without_the_calendar():
    held = exchange.bounds_by_dt(dt.date(1990, 1, 1), dt.date(2099, 12, 31))
    opens, closes = (held[name].dt.tz_convert(exchange.EXCHANGE_TIME).dt.time for name in ("open", "close"))

    assert (opens.min(), closes.max()) == (dt.time(9, 30), dt.time(16))


@pytest.mark.parametrize("now", ["2026-11-20T14:29:59+00:00", "2026-11-20T21:00:00+00:00"])
def test_out_of_hours_nothing_runs_and_no_calendar_is_loaded_to_know_it(monkeypatch, now):
    monkeypatch.setattr(exchange, "_calendar", None)

    assert exchange.running(dt.datetime.fromisoformat(now)) is None


def test_only_bars_that_have_ended_are_finished():
    session = exchange.session_on(dt.date(2026, 11, 20))

    assert len(session.bar_starts(5, until=session.open)) == 0
    assert len(session.bar_starts(5, until=session.open + dt.timedelta(minutes=9, seconds=59))) == 1
    assert len(session.bar_starts(5, until=session.open + dt.timedelta(minutes=10))) == 2
    assert len(session.bar_starts(60, until=session.close)) == 7


def test_a_process_that_runs_for_years_still_knows_the_sessions_ahead():
    with time_machine.travel("2030-12-31"):
        assert exchange.sessions_between(dt.date(2031, 12, 1), dt.date(2031, 12, 31))
