"""What the functions ask of Athena: our own client against an Athena on loopback, and texts that Trino can read."""

import datetime as dt

import pandas as pd
import pytest
import trino_sql_validator

from functions.athena import Athena
from functions.collector import lake as collector
from functions.compactor.compaction import Lake, Listed, is_compact
from functions.compactor.handler import CompactionFailed, respond
from tests.fakes.aws import refusal
from tickerlake.errors import ConfigError, QueryFailed, SinkError
from tickerlake.lake import hours
from tickerlake.lake.bucket import RUN_OF_HOURS, Stored
from tickerlake.lake.sql import in_force

KEYS = ["bars/dt=2026-11-20/a.parquet", "bars/dt=2026-11-20/b.parquet"]
SUNDAY = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
OWN = "bars/dt=2026-11-20/20261122T000000Z-0123456789ab-{}.compact.parquet"


def opened(**options):
    return Athena("lake", "functions", pause=lambda _: None, **options)


def test_it_reads_every_page_with_types_and_nulls(athena):
    athena.answer_to = lambda _: pd.DataFrame({"ticker": ["META", None] * 1000, "bars": range(2000)})

    rows = opened().run("SELECT 1", {}).rows

    assert len(rows) == 2000
    assert rows[:2] == [("META", 0), (None, 1)]
    assert athena.started()["QueryExecutionContext"] == {"Database": "lake"}


def test_parameters_are_quoted(athena):
    opened().run("SELECT %(text)s, %(number)s WHERE x IN %(list)s", {"text": "O'B", "number": 5, "list": ["a", "b"]})

    assert athena.started()["QueryString"] == "SELECT 'O''B', 5 WHERE x IN ('a', 'b')"


def test_a_query_that_takes_too_long_is_cancelled(athena):
    athena.state = "RUNNING"
    times = iter(range(0, 1000, 50))

    with pytest.raises(QueryFailed, match="took longer than 120 seconds and was cancelled"):
        opened(clock=lambda: next(times)).run("SELECT 1", {})

    assert len(athena.stopped) == 1


def test_a_query_that_fails_says_why(athena):
    athena.state, athena.reason = "FAILED", "SYNTAX_ERROR: line 1:1"
    with pytest.raises(QueryFailed, match="could not run the query: SYNTAX_ERROR: line 1:1"):
        opened().unload("SELECT 1", "s3://results/x/")

    athena.refusals["StartQueryExecution"] = [refusal(400, "AccessDeniedException", "not authorized")]
    with pytest.raises(QueryFailed, match="did not run the query: .*not authorized"):
        opened().run("SELECT 1", {})


# Texts


class Heard:
    """Takes down what it is asked."""

    def __init__(self):
        self.texts = []

    def run(self, sql, parameters):
        self.texts.append(sql)
        raise QueryFailed("enough")

    def unload(self, select, location):
        self.texts.append(select)
        return ["s3://results/1"]


class Bucket:
    """A bucket that copies and deletes without a word."""

    def copy_object(self, **_):
        pass

    def delete_objects(self, **_):
        return {}


def test_trino_can_read_every_text_of_the_functions():
    heard = Heard()
    with pytest.raises(QueryFailed):
        Lake("bucket", "results", heard, Bucket()).compact("2026-11-20", KEYS, SUNDAY)
    texts = [
        *heard.texts,
        hours.summed(f"({in_force('bars')})"),
        f"SELECT {RUN_OF_HOURS} FROM settled_hours",
        collector._IN_FORCE,
        collector._RUNS,
    ]

    for text in texts:
        given = {name: f"'{name}'" for name in ("first", "last", "source")}
        lists = dict.fromkeys(("tickers", "outcomes"), "('x')")
        found = trino_sql_validator.validate(text % {**given, **lists} if "%(" in text else text)
        assert found.valid, (text, found)
        assert not found.unknown_functions, found.unknown_functions
    assert len(texts) == 6


# The compactor


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], True),
        (KEYS[:1], True),
        (KEYS, False),
        ([OWN.format(1), OWN.format(2)], True),
        ([OWN.format(1), KEYS[0]], False),
        ([OWN.format(1), OWN.format(1).replace("0123456789ab", "ba9876543210")], False),
    ],
)
def test_a_session_is_compact_if_one_object_or_one_run_holds_it(keys, expected):
    assert is_compact(keys) == expected


class Sessions:
    """A lake whose sessions all fail, or all work."""

    def __init__(self, *sessions, fails=()):
        self._sessions, self._fails, self.compacted = sessions, fails, []

    def sessions(self):
        return dict.fromkeys(self._sessions, Listed([Stored(key, "tag", SUNDAY) for key in KEYS]))

    def exchanges(self, session):
        return ["XNYS"]

    def compact(self, session, listed, now):
        self.compacted.append(session)
        raise SinkError(f"{session} cannot be compacted") if session in self._fails else QueryFailed("slow down")


def test_one_session_that_fails_does_not_stop_the_others():
    lake = Sessions("2026-11-20", "2026-11-19", fails=["2026-11-20"])

    with pytest.raises(CompactionFailed, match="2 sessions were not compacted; the first, 2026-11-20: 2026-11-20 cann"):
        respond({}, lake, SUNDAY)

    assert lake.compacted == ["2026-11-20", "2026-11-19"]


def test_what_there_is_no_time_for_is_left_to_the_next_run():
    assert respond({}, Sessions("2026-11-20", "2026-11-19"), SUNDAY, lambda: 60)["left"] == 2


@pytest.mark.parametrize("event", [None, [], {"sesion": "2026-11-20"}, {"session": "last"}, {"session": "2026-11-23"}])
def test_an_event_that_cannot_be_used_is_refused(event):
    with pytest.raises(ConfigError):
        respond(event, Sessions("2026-11-20"), SUNDAY)
