# ruff: noqa: N803  # AWS's own names
"""What the alerter publishes, what it remembers, and what becomes of both if a run is killed or another is at it."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from functools import partial

import pytest
from botocore.exceptions import ClientError

from functions.alerter import handler as module
from functions.alerter.handler import handler, publish, respond
from functions.alerter.memory import LEASE, Memory
from functions.alerter.settings import Settings
from tests.query.lakes import write_lake
from tickerlake.alerts import Message, Rule
from tickerlake.errors import ConfigError, SinkError
from tickerlake.exchange import XNYS
from tickerlake.query.engines.duckdb import DuckDBEngine

FRIDAY = XNYS.session_on(dt.date(2026, 11, 20))
NOW = FRIDAY.open + dt.timedelta(minutes=13)
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
RULES = (Rule("new-high", 1), Rule("new-high", 2, ("NFLX",)))


def refused(code):
    return ClientError({"Error": {"Code": code, "Message": "No."}}, "PutObject")


class Bucket:
    """S3 as far as the alerter knows it. `fails` gives an error for the put with that number."""

    def __init__(self):
        self.objects, self.puts, self.fails = {}, 0, {}

    def list_objects_v2(self, Prefix, **_):
        return {"KeyCount": sum(key.startswith(Prefix) for key in self.objects)}

    def get_object(self, Key, **_):
        return {"Body": io.BytesIO(self.objects[Key]), "ETag": self.version(Key)}

    def put_object(self, Key, Body, IfMatch=None, IfNoneMatch=None, **_):
        self.puts += 1
        if error := self.fails.get(self.puts):
            raise error
        if (IfNoneMatch and Key in self.objects) or (IfMatch and IfMatch != self.version(Key)):
            raise refused("PreconditionFailed")
        self.objects[Key] = Body
        return {"ETag": self.version(Key)}

    def version(self, key):
        return hashlib.md5(self.objects[key], usedforsecurity=False).hexdigest()


class Topic:
    """An SNS topic: the subjects and the texts."""

    def __init__(self):
        self.sent, self.fails = [], False

    def publish(self, Subject, Message, **_):
        if self.fails:
            raise refused("Throttled")
        self.sent.append((Subject, Message))


def record(minute, high, ticker="NFLX", session=FRIDAY, later=0):
    """A bar that begins so many minutes after the open, collected a minute after it ended, or later."""
    ts = session.open + dt.timedelta(minutes=minute)
    prices = {"open": 10.0, "high": high, "low": 9.0, "close": 10.0}
    known = {"source": "yahoo", "collected_at": ts + dt.timedelta(minutes=6 + later)}
    return {"ticker": ticker, "ts": ts, "bar_minutes": 5, "volume": 100, "currency": "USD", **prices, **known}


@pytest.fixture
def bucket():
    return Bucket()


@pytest.fixture
def topic():
    return Topic()


@pytest.fixture
def lake(tmp_path):
    """A lake in which NFLX makes a new high at 09:35; Thursday's was higher."""
    thursday = XNYS.session_on(dt.date(2026, 11, 19))
    return write_lake(tmp_path, [record(0, 20.0, session=thursday), record(0, 10.0), record(5, 11.0)])


@pytest.fixture
def judged(lake, bucket, topic):
    """`judged()` is a run; returns how many alerts it counts."""

    def run(now=NOW, tell=None):
        tell = tell or partial(publish, topic, TOPIC)
        report = respond(DuckDBEngine(lake), Memory(bucket, "lake", "XNYS"), tell, RULES, XNYS, now)
        assert (report["exchange"], report["session"]) == ("XNYS", "2026-11-20")
        return report["alerts"]

    return run


def test_a_high_is_published_once_and_a_restated_one_corrected(lake, judged, topic):
    assert (judged(), judged()) == (1, 0)
    write_lake(lake, [record(5, 10.8, later=30)])
    assert (judged(), judged()) == (1, 0)

    assert topic.sent == [
        ("NFLX new high 09:35", "NFLX: new high, 11.00 USD at 09:35, Fri 20 Nov."),
        ("NFLX corrected 09:35", "NFLX: the bar of the new high 11.00 USD at 09:35 was restated to 10.80 USD."),
    ]


def test_earlier_sessions_are_read_for_the_rules_that_compare_with_them(lake, judged, topic):
    write_lake(lake, [record(10, 21.0)])

    assert judged() == 2
    assert topic.sent[0][0] == "NFLX new high 09:40 and 1 more"
    assert topic.sent[0][1].splitlines()[1].startswith("NFLX: new high of 2 sessions, 21.00 USD")


def test_what_could_not_be_published_is_published_by_the_run_after_the_claim(judged, topic):
    topic.fails = True
    with pytest.raises(SinkError, match=r"cannot publish to arn:.*No\.; the next run tries again"):
        judged()
    topic.fails = False

    assert judged(NOW + LEASE / 2) == 0
    assert judged(NOW + LEASE) == 1
    assert len(topic.sent) == 1


@pytest.mark.parametrize("ends", [KeyboardInterrupt(), refused("SlowDown")])
def test_a_run_that_ends_between_publishing_and_storing_is_repeated(bucket, judged, topic, ends):
    bucket.fails = {2: ends}
    with pytest.raises((KeyboardInterrupt, SinkError)):
        judged()

    assert [judged(NOW + LEASE), judged(NOW + 2 * LEASE)] == [1, 0]
    assert topic.sent[0] == topic.sent[1]
    assert len(topic.sent) == 2


def test_of_two_runs_at_once_one_publishes(judged, topic):
    within = []

    def tell(messages):
        within.append(judged())  # the other run looks while this one has its claim
        publish(topic, TOPIC, messages)

    assert judged(tell=tell) == 1
    assert (within, len(topic.sent)) == ([0], 1)


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict"])
def test_a_run_that_finds_the_object_changed_publishes_nothing(bucket, judged, topic, code):
    bucket.fails = {1: refused(code)}

    assert judged() == 0
    assert topic.sent == []


def test_without_a_session_or_its_bars_there_is_nothing_to_tell(tmp_path):
    for now in (NOW, NOW + dt.timedelta(days=1)):
        report = respond(DuckDBEngine(tmp_path / "none"), Memory(Bucket(), "lake", "XNYS"), None, RULES, XNYS, now)
        assert report["alerts"] == 0


def test_an_object_that_does_not_hold_what_was_sent_is_named_with_what_to_do(bucket, judged):
    for content in (b"", b"[]", b'{"sent": 1, "claimed_at": null}'):
        bucket.objects["alerts/XNYS.json"] = content
        with pytest.raises(SinkError, match=r"s3://lake/alerts/XNYS\.json does not hold what was sent: .*; delete it"):
            judged()


def test_a_subject_is_what_sns_takes_and_a_message_has_room_for_its_lines(topic):
    hostile = "<b>\n\x07*É*" + "x" * 200

    publish(topic, TOPIC, [Message(hostile, "a" * 100)] * 1_500)

    assert [len(text.splitlines()) for _, text in topic.sent] == [1_000, 500]
    for subject, text in topic.sent:
        assert subject.startswith("<b>**xxx")
        assert subject.endswith("9 more")
        assert len(subject) == 99
        assert len(text) < 256_000


def test_an_event_that_cannot_be_used_is_one_line_in_the_log(monkeypatch, caplog):
    monkeypatch.setattr(module, "_settings", lambda: None)

    with pytest.raises(ConfigError):
        handler({"exchange": "NYSE"}, Context())

    (line,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert (line.exc_info, "\n" in line.getMessage()) == (None, False)


class Context:
    function_name = function_version = invoked_function_arn = aws_request_id = "x"
    memory_limit_in_mb = 1024


def test_rules_that_cannot_be_read_are_a_fault_of_the_settings():
    given = {f"ALERTER_{name}": "x" for name in ("TOPIC", "BUCKET", "DATABASE", "WORKGROUP")}
    for rules, says in (
        ("{", "ALERTER_RULES Expecting"),
        ('[{"above": 1}]', r"ALERTER_RULES: \[\[alerts\]\] number 1"),
    ):
        with pytest.raises(ConfigError, match=says):
            Settings.from_environment({**given, "ALERTER_RULES": rules})
