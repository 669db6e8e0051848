import datetime as dt

import pytest

from tickerlake.errors import ConfigError
from tickerlake.exchange import XNYS
from tickerlake.plan import parse_date, plan

SUNDAY = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
DURING_FRIDAY = dt.datetime(2026, 11, 20, 15, 32, tzinfo=dt.UTC)
BEFORE_MONDAY = dt.datetime(2026, 11, 23, 14, tzinfo=dt.UTC)


def day(number):
    return dt.date(2026, 11, number)


@pytest.mark.parametrize(
    ("now", "request_", "days"),
    [
        (SUNDAY, {}, [20]),
        (DURING_FRIDAY, {}, [19]),
        (DURING_FRIDAY, {"session": "last"}, [19]),
        (DURING_FRIDAY, {"session": "today"}, [20]),
        (DURING_FRIDAY, {"session": day(18)}, [18]),
        (SUNDAY, {"first": day(18)}, [18, 19, 20]),
        (DURING_FRIDAY, {"first": day(18)}, [18, 19]),
        (DURING_FRIDAY, {"first": day(20)}, [20]),
        (DURING_FRIDAY, {"first": day(19), "last": day(20)}, [19, 20]),
        (SUNDAY, {"first": day(20), "last": day(22)}, [20]),
        (SUNDAY, {"first": day(14), "last": day(16)}, [16]),
        # What has not opened yet is left out, however far the range reaches.
        (DURING_FRIDAY, {"first": day(18), "last": day(24)}, [18, 19, 20]),
        (BEFORE_MONDAY, {"first": day(20), "last": dt.date(2999, 1, 1)}, [20]),
        # Open from the first second on.
        (dt.datetime(2026, 11, 20, 14, 30, tzinfo=dt.UTC), {"session": "today"}, [20]),
    ],
)
def test_a_request_means_these_sessions(now, request_, days):
    assert [session.date.day for session in plan(now, [XNYS], **request_)] == days


@pytest.mark.parametrize(
    ("now", "request_", "message"),
    [
        (SUNDAY, {"session": day(26)}, r"2026-11-26 .* is not a session .* 2026-11-25 and 2026-11-27"),
        (SUNDAY, {"session": "today"}, r"2026-11-22 .* is not a session"),
        (SUNDAY, {"first": day(21), "last": day(22)}, r"2026-11-21 .* is not a session"),
        (SUNDAY, {"session": day(23)}, "2026-11-23 has not opened yet; the last finished session is 2026-11-20"),
        (BEFORE_MONDAY, {"session": "today"}, "2026-11-23 has not opened yet"),
        (SUNDAY, {"first": day(24), "last": day(25)}, "2026-11-24 has not opened yet"),
        (SUNDAY, {"first": day(20), "last": day(18)}, "swap them"),
        (SUNDAY, {"session": day(20), "first": day(18)}, "give one or the other"),
        (SUNDAY, {"session": "last", "last": day(18)}, "give one or the other"),
        (SUNDAY, {"last": day(18)}, "last needs first"),
        (SUNDAY, {"session": dt.date(1926, 11, 19)}, "outside the exchange calendar"),
    ],
)
def test_a_request_that_means_no_session_says_why(now, request_, message):
    with pytest.raises(ConfigError, match=message):
        plan(now, [XNYS], **request_)


def test_a_date_is_written_one_way():
    assert parse_date("2026-11-20") == day(20)
    for text in ("20261120", "2026-W47-5", "2026-02-30", "2026-11-20 ", "yesterday", 20261120, None):
        with pytest.raises(ConfigError, match="is not a date; write YYYY-MM-DD"):
            parse_date(text)
