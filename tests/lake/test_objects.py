"""Splits and runs as objects in the lake's bucket."""

import datetime as dt
import json
import logging
from dataclasses import replace

import pytest

from tests.fakes.aws import CREDENTIALS, Reply, s3_refusal, serving
from tests.sources.answers import Vendor
from tickerlake import record
from tickerlake.actions import NEVER, Split
from tickerlake.collect import collect
from tickerlake.errors import SinkError
from tickerlake.exchange import XNYS
from tickerlake.lake.firehose import FirehoseSink
from tickerlake.lake.objects import LakeObjects

FRIDAY = XNYS.session_on(dt.date(2026, 11, 20))
EVENING = FRIDAY.close + dt.timedelta(hours=2, milliseconds=123)
SPLIT = Split("NVDA", FRIDAY.date, 10.0, "yahoo", EVENING)


class Bucket:
    def __init__(self):
        self.objects = {}
        self.puts = 0
        self.refusal = None

    def answer(self, call):
        self.puts += 1
        if self.refusal:
            return self.refusal
        self.objects[call.path] = call.body["content"]
        return Reply(b"")


class Stream:
    """A client of Firehose that accepts every record."""

    def __init__(self):
        self.records = []

    def put_record_batch(self, DeliveryStreamName, Records):  # noqa: N803
        self.records += Records
        return {"FailedPutCount": 0}


@pytest.fixture
def bucket(monkeypatch):
    bucket = Bucket()
    with serving(bucket.answer) as address:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": address}).items():
            monkeypatch.setenv(name, value)
        yield bucket


@pytest.fixture
def splits(bucket):  # the bucket's environment
    return LakeObjects("lake")


def test_a_split_is_one_line_of_json_without_nulls_under_actions(splits, bucket):
    assert splits.put_splits([SPLIT]) == 1
    ((path, content),) = bucket.objects.items()
    assert path.startswith("/lake/actions/20261120T230000Z-")
    assert content == (
        b'{"ticker":"NVDA","exchange":"XNYS","ex_date":"2026-11-20","ratio":10.0,"source":"yahoo",'
        b'"collected_at":"2026-11-20 23:00:00.123"}\n'
    )


def test_splits_of_one_run_share_an_object_with_the_columns_of_the_table(splits, bucket):
    known = replace(SPLIT, ticker="FB", ratio=0.125, adjusted_from=NEVER)
    assert splits.put_splits([SPLIT, known]) == 2
    (content,) = bucket.objects.values()
    lines = [json.loads(line) for line in content.splitlines()]
    assert [line["ticker"] for line in lines] == ["NVDA", "FB"]
    assert list(lines[1]) == [column.name for column in record.ACTIONS]
    assert lines[1]["adjusted_from"] == "9999-12-31 00:00:00.000"


def test_a_split_is_put_once_and_a_change_and_its_return_are_put_too(splits, bucket):
    runs = [SPLIT, SPLIT, replace(SPLIT, ratio=20.0), SPLIT]
    put = [
        splits.put_splits([replace(split, collected_at=EVENING + dt.timedelta(minutes=5 * number))])
        for number, split in enumerate(runs)
    ]
    assert put == [1, 0, 1, 1]
    assert len(bucket.objects) == 3
    assert splits.put_splits([]) == 0


def test_the_same_report_has_the_same_name_in_every_process(bucket):
    for _ in range(2):
        LakeObjects("lake").put_splits([SPLIT])
    assert (bucket.puts, len(bucket.objects)) == (2, 1)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (s3_refusal(403, "AccessDenied"), "AccessDenied.*; allow s3:PutObject on actions/"),
        (s3_refusal(404, "NoSuchBucket"), "NoSuchBucket.*; check the bucket's name"),
        (s3_refusal(503, "SlowDown"), "SlowDown.*; collect this session again"),
        (Reply(then="reset"), "; collect this session again"),
    ],
)
def test_a_fault_names_the_splits_and_the_next_step_and_the_next_run_tries_again(splits, bucket, refusal, message):
    bucket.refusal = refusal
    with pytest.raises(SinkError, match=rf"cannot store the splits NVDA 2026-11-20 10 in s3://lake/.*{message}"):
        splits.put_splits([SPLIT])
    bucket.refusal = None
    assert splits.put_splits([SPLIT]) == 1


def test_bars_are_delivered_before_a_split_that_cannot_be_stored_fails_the_run(splits, bucket):
    bucket.refusal = s3_refusal(403, "AccessDenied")
    vendor, stream = Vendor(FRIDAY), Stream()
    vendor.splits = [(FRIDAY.date, 10.0)]
    with pytest.raises(SinkError, match="cannot store the splits META 2026-11-20 10, FB 2026-11-20 10 in s3"):
        collect(vendor, FirehoseSink(stream, "bars", objects=splits), [FRIDAY], ["META"], 5, lambda: EVENING)
    assert len(stream.records) == 78


def test_a_run_stores_what_it_asked_by_session(splits, bucket):
    sessions = XNYS.sessions_between(FRIDAY.date - dt.timedelta(days=1), FRIDAY.date)
    collect(Vendor(FRIDAY), FirehoseSink(Stream(), "bars", objects=splits), sessions, ["META"], 5, lambda: EVENING)

    (earlier, nothing), (later, content) = sorted(bucket.objects.items())
    assert earlier.startswith("/lake/runs/session%3D2026-11-19/")
    assert later.startswith("/lake/runs/session%3D2026-11-20/20261120T230000Z-")
    assert json.loads(nothing)["outcome"] == "no-data"
    assert content == (
        b'{"ticker":"META","exchange":"XNYS","since":"2026-11-20 14:30:00.000","until":"2026-11-20 21:00:00.000",'
        b'"bar_minutes":5,"bars":78,"stored":78,"withdrawn":0,"rejected":0,"outcome":"answered","source":"yahoo",'
        b'"collected_at":"2026-11-20 23:00:00.123"}\n'
    )


def test_a_stream_without_a_bucket_logs_splits(caplog):
    with caplog.at_level(logging.WARNING):
        assert FirehoseSink(Stream(), "bars").report_splits([SPLIT], SPLIT.collected_at) == 0
    assert "split: NVDA 2026-11-20 10.0" in caplog.text
