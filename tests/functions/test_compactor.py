"""Which sessions the compactor takes. The emulator's tests follow their records: tests/cloud/test_compaction.py."""

import datetime as dt
from dataclasses import replace

import pytest

from functions.compactor.compaction import Compacted, Listed
from functions.compactor.compaction import Lake as Bucket
from functions.compactor.handler import respond
from tickerlake.errors import ConfigError
from tickerlake.lake.bucket import Stored, keys_of_hours, settled

NIGHT = dt.datetime(2026, 11, 21, 3, tzinfo=dt.UTC)
BARS = [Stored(f"bars/dt=2026-11-20/{name}", "tag", NIGHT) for name in "ab"]
NEWEST = NIGHT.replace(microsecond=123_000)
TRADED = {"2026-11-20": ["XNYS", "XLON"], "2026-11-21": ["24/7"], "2026-11-22": ["24/7", "XNYS"]}


class Lake:
    """A lake with bars of `TRADED`, in two objects each."""

    def __init__(self):
        self.asked = []

    def sessions(self):
        return {
            session: Listed([Stored(f"bars/dt={session}/{number}", "tag", NIGHT) for number in (1, 2)])
            for session in TRADED
        }

    def exchanges(self, session):
        self.asked.append(session)
        return TRADED[session]

    def compact(self, session, listed, now):
        return Compacted(session, len(listed), 2, 1, 2)

    def settle(self, session):
        return True

    def delete(self, keys):
        assert not keys


@pytest.mark.parametrize(
    ("now", "compacted"),
    [
        ("2026-11-20 17:40", []),  # London's close is an hour ago
        ("2026-11-20 21:50", []),
        ("2026-11-20 22:00", ["2026-11-20"]),
        ("2026-11-22 00:50", ["2026-11-20"]),
        ("2026-11-22 01:00", ["2026-11-20", "2026-11-21"]),
    ],
)
def test_a_session_is_compacted_an_hour_after_the_last_close_of_the_exchanges_with_bars_in_it(now, compacted):
    report = respond({}, Lake(), dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC))

    assert [each["session"] for each in report["compacted"]] == compacted


def test_athena_is_asked_about_recent_sessions_only():
    lake = Lake()

    respond({}, lake, dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC))

    assert lake.asked == ["2026-11-21", "2026-11-22"]


def test_a_session_that_may_still_be_collected_is_refused_by_name():
    with pytest.raises(ConfigError, match="2026-11-21 may still be collected"):
        respond({"session": "2026-11-21"}, Lake(), dt.datetime(2026, 11, 22, 0, 59, tzinfo=dt.UTC))


# Settled hours


def made(run, bars=BARS, count=2, written=NIGHT):
    keys = keys_of_hours("2026-11-20", bars, NEWEST, run * 12, count)
    return [Stored(key, "tag", written) for key in keys]


def test_hours_hold_for_exactly_the_objects_that_they_were_made_from():
    held = settled(BARS, made("a"))

    assert (held.run, held.newest) == ("a" * 12, NEWEST)
    assert settled(BARS[::-1], made("a")) == held
    assert settled(BARS[:1], made("a")) is None
    assert settled([BARS[0], replace(BARS[1], tag="other")], made("a")) is None


def test_only_hours_that_are_all_there_hold_and_those_of_one_run():
    assert settled(BARS, made("a")[:1]) is None
    assert settled(BARS, [made("a")[0], made("b")[1]]) is None
    assert settled(BARS, [*made("a")[:1], *made("b")]).run == "b" * 12
    assert settled(BARS, [*made("b"), *made("a")]).run == "a" * 12


def test_hours_that_nobody_needs_are_deleted_an_hour_later():
    old, halves, new = made("b", BARS[:1]), made("c")[:1], made("a")
    listed = Listed(BARS, [*old, *halves, *new])

    assert listed.superseded(NIGHT + dt.timedelta(hours=1)) == []
    assert listed.superseded(NIGHT + dt.timedelta(hours=1, seconds=1)) == [each.key for each in (*old, *halves)]
    assert len(Listed([], new).superseded(NIGHT + dt.timedelta(days=1))) == len(new)


def test_a_session_in_which_no_bar_is_in_force_has_no_hours():
    class Nothing:
        """Athena over records that are all withdrawn, or over none; and S3, which lists one object."""

        def unload(self, select, location):
            return []

        def run(self, sql, parameters):
            pytest.fail("it was asked for the newest record")

        def get_paginator(self, operation):
            return self

        def paginate(self, **_):
            key = "bars/dt=2026-11-20/a"
            return [{"Contents": [{"Key": key, "ETag": "tag", "LastModified": NIGHT}]}]

    assert not Bucket("lake", "results", Nothing(), Nothing()).settle("2026-11-20")
