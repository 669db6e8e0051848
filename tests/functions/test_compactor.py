"""Which sessions the compactor takes. The emulator's tests follow their records: tests/cloud/test_compaction.py."""

import datetime as dt

import pytest

from functions.compactor.compaction import Compacted
from functions.compactor.handler import respond
from tickerlake.errors import ConfigError

TRADED = {"2026-11-20": ["XNYS", "XLON"], "2026-11-21": ["24/7"], "2026-11-22": ["24/7", "XNYS"]}


class Lake:
    """A lake with bars of `TRADED`, in two objects each."""

    def __init__(self):
        self.asked = []

    def sessions(self):
        return {session: [f"bars/dt={session}/{number}" for number in (1, 2)] for session in TRADED}

    def exchanges(self, session):
        self.asked.append(session)
        return TRADED[session]

    def compact(self, session, listed, now):
        return Compacted(session, len(listed), 2, 1, 2)


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
