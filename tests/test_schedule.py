"""When the watcher collects: over clock changes, early closes, holidays, year ends."""

import datetime as dt

import pytest

from tickerlake.exchange import CRYPTO, XLON, XNYS, XTKS
from tickerlake.schedule import SWEEP_AFTER, last_sweep, missed, next_run, retry_after

NEW_YORK = XNYS.zone


def clock(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(dt.UTC)


def shown(due):
    return f"{due.at.astimezone(NEW_YORK):%Y-%m-%dT%H:%M:%S}{' sweep' * due.sweep}"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-20T09:30", "2026-11-20T09:35:30"),
        ("2026-11-20T09:35:29", "2026-11-20T09:35:30"),
        ("2026-11-20T09:35:30", "2026-11-20T09:40:30"),
        ("2026-11-20T16:00", "2026-11-20T16:00:30"),
        ("2026-11-20T16:00:30", "2026-11-20T17:05:00 sweep"),
        ("2026-11-20T17:05", "2026-11-23T09:35:30"),  # over the weekend
        ("2026-11-25T20:00", "2026-11-27T09:35:30"),  # over Thanksgiving
        ("2026-11-27T12:55:30", "2026-11-27T13:00:30"),  # early close
        ("2026-11-27T13:00:30", "2026-11-27T14:05:00 sweep"),
        ("2026-12-31T18:00", "2027-01-04T09:35:30"),  # over New Year
        ("2026-03-06T18:00", "2026-03-09T09:35:30"),  # over the clock change in spring
        ("2026-10-30T18:00", "2026-11-02T09:35:30"),  # and in autumn
        ("2001-09-10T18:00", "2001-09-17T09:35:30"),  # the longest time without a session
    ],
)
def test_a_run_follows_each_bar_and_the_sweep_the_close(now, expected):
    assert shown(next_run(clock(now), [XNYS], 5)) == expected


@pytest.mark.parametrize(("bar_minutes", "runs"), [(5, 79), (60, 8), (90, 6)])
def test_a_session_has_a_run_for_each_bar_and_a_sweep_also_where_the_last_bar_is_short(bar_minutes, runs):
    now, found = clock("2026-11-20T00:00"), []
    while (due := next_run(now, [XNYS], bar_minutes, dt.timedelta(seconds=20))).session.dt == "2026-11-20":
        found.append(shown(due))
        now = due.at

    assert len(found) == len(set(found)) == runs
    assert found[-2:] == ["2026-11-20T16:00:20", "2026-11-20T17:05:00 sweep"]


def test_a_year_has_a_sweep_for_each_session_and_none_on_another_day():
    due = missed(clock("2026-01-01T00:00"), clock("2027-01-01T00:00"), XNYS, 5)

    assert all(each.sweep for each in due)
    assert [each.session for each in due] == XNYS.sessions_between(dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    assert last_sweep(clock("2027-01-01T00:00"), XNYS) == due[-1]
    assert last_sweep(due[-1].at - dt.timedelta(seconds=1), XNYS) == due[-2]
    assert due[-1].at - due[-1].session.close == SWEEP_AFTER


def test_of_what_was_missed_only_the_last_run_of_each_session_is_left():
    due = missed(clock("2026-11-24T11:00"), clock("2026-11-27T10:02"), XNYS, 5)

    assert [shown(each) for each in due] == [
        "2026-11-24T17:05:00 sweep",
        "2026-11-25T17:05:00 sweep",
        "2026-11-27T10:00:30",
    ]


def test_nothing_is_missed_between_two_runs():
    assert missed(clock("2026-11-20T10:00:30"), clock("2026-11-20T10:05:29"), XNYS, 5) == []
    assert [shown(due) for due in missed(clock("2026-11-20T10:05:29"), clock("2026-11-20T10:05:30"), XNYS, 5)] == [
        "2026-11-20T10:05:30"
    ]


def test_waits_grow_up_to_a_limit_and_are_longer_after_a_rate_limit():
    assert [retry_after(count, rate_limited=False).seconds // 60 for count in range(1, 9)] == [
        *(1, 2, 5, 10, 20, 30),
        *(30, 30),
    ]
    assert [retry_after(count, rate_limited=True).seconds // 60 for count in range(1, 7)] == [5, 10, 20, 40, 60, 60]


def runs_of(*exchanges):
    """The runs with 90-minute bars from the start of a day in UTC until two hours after its end."""
    now, found = dt.datetime(2026, 11, 20, tzinfo=dt.UTC), []
    while (due := next_run(now, exchanges, 90)).at < dt.datetime(2026, 11, 21, 2, tzinfo=dt.UTC):
        found.append(f"{due.at:%d %H:%M}")
        now = due.at
    return found


def test_each_exchange_has_its_own_runs_and_sweep_and_those_of_several_are_merged():
    places = (XTKS, XLON, XNYS, CRYPTO)
    tokyo, london, new_york, crypto = map(runs_of, places)

    assert tokyo == ["20 01:30", "20 02:30", "20 05:00", "20 06:30", "20 07:35"]  # lunch from 02:30 to 03:30
    assert london == ["20 09:30", "20 11:00", "20 12:30", "20 14:00", "20 15:30", "20 16:30", "20 17:35"]
    assert new_york == ["20 16:00", "20 17:30", "20 19:00", "20 20:30", "20 21:00", "20 22:05"]
    assert crypto[:2] == ["20 00:00", "20 01:05"]  # of the day before
    assert crypto[-3:] == ["21 00:00", "21 01:05", "21 01:30"]
    assert runs_of(*places) == sorted({*tokyo, *london, *new_york, *crypto})
