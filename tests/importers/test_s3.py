from __future__ import annotations

import datetime as dt
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from tests.fakes.aws import CREDENTIALS, RESET, Reply, s3_refusal, serving
from tests.fakes.sinks import MemorySink
from tickerlake.errors import ConfigError
from tickerlake.importers.importing import import_objects
from tickerlake.importers.s3 import s3_objects

PAGE = 3
WRITTEN = "2020-12-01T15:00:00.000Z"
RECORD = b'{"high": 293.1, "low": 290.2, "ts": "2020-12-01 09:30:00-05:00", "name": "FB"}'


class FakeS3:
    """Buckets that list their objects in pages of three and return them."""

    def __init__(self):
        self.objects = {}
        self.refusals = {}
        self.got = []

    def answer(self, call):
        url = urlsplit(call.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if refusal := self.refusals.get("GET" if key else "LIST"):
            return refusal
        if key:
            self.got.append(key)
            return Reply(self.objects[bucket, key][0], headers={"Content-Type": "binary/octet-stream"})
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        keys = sorted(key for of, key in self.objects if of == bucket and key.startswith(query.get("prefix", "")))
        start = int(query.get("continuation-token", "0"))
        listed = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{self.objects[bucket, key][1]}</LastModified></Contents>"
            for key in keys[start : start + PAGE]
        )
        more = start + PAGE < len(keys)
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        body = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{listed}</ListBucketResult>"
        return Reply(body.encode(), headers={"Content-Type": "application/xml"})


@pytest.fixture
def s3(monkeypatch):
    fake = FakeS3()
    with serving(fake.answer) as address:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": address}).items():
            monkeypatch.setenv(name, value)
        yield fake


def names(*urls):
    return [item.name for item in s3_objects(urls)]


def test_objects_come_in_the_order_they_were_written_over_several_pages(s3):
    for hour in range(20, 10, -1):
        s3.objects["old", f"bars/{30 - hour:02}.json"] = (b"x", f"2020-12-01T{hour}:00:00.000Z")
    found = list(s3_objects(["s3://old/bars"]))
    assert [item.name for item in found] == [f"s3://old/bars/{number}.json" for number in range(19, 9, -1)]
    assert found[0].collected_at == dt.datetime(2020, 12, 1, 11, tzinfo=dt.UTC)
    assert found[0].content == b"x"


def test_the_time_in_a_name_takes_precedence(s3):
    key = "2020/12/01/15/bars-1-2020-12-01-15-02-03-0a1b2c3d-0000-4000-8000-0123456789ab"
    s3.objects["old", key] = (b"x", "2026-01-01T00:00:00.000Z")
    assert next(s3_objects(["s3://old"])).collected_at == dt.datetime(2020, 12, 1, 15, 2, 3, tzinfo=dt.UTC)


def test_a_url_names_an_object_or_a_folder_and_never_part_of_a_name(s3):
    for key in ("bars/a b+c.json", "bars/day/2.json", "bars-old/3.json", "bars/.hidden/4.json", "bars/", "bars.json"):
        s3.objects["old", key] = (b"x", WRITTEN)
    assert names("s3://old/bars") == ["s3://old/bars/a b+c.json", "s3://old/bars/day/2.json"]
    assert names("s3://old/bars/") == names("s3://old/bars")
    assert names("s3://old/bars.json") == ["s3://old/bars.json"]
    assert len(names("s3://old")) == 4


def test_an_object_reached_twice_is_read_once(s3):
    s3.objects["old", "bars/1.json"] = (b"x", WRITTEN)
    assert names("s3://old/bars/1.json", "s3://old") == ["s3://old/bars/1.json"]
    assert s3.got == ["bars/1.json"]


def test_s3_objects_can_be_imported(s3):
    s3.objects["old", "bars/1"] = (RECORD, WRITTEN)
    sink = MemorySink()
    report = import_objects(s3_objects(["s3://old/bars"]), sink)
    assert report.stored == 1
    assert sink.tickers() == {"FB": 1}


@pytest.mark.parametrize("url", ["s3:/old", "old/bars", "s3://", "s3://A_B/x", "https://old.s3.amazonaws.com"])
def test_text_that_is_not_an_s3_url_is_refused(url):
    with pytest.raises(ConfigError, match=r"is not an S3 URL; write s3://bucket/prefix"):
        names(url)


@pytest.mark.usefixtures("s3")
def test_a_url_without_objects_is_an_error():
    with pytest.raises(ConfigError, match="no object at s3://old/bars"):
        names("s3://old/bars")


@pytest.mark.parametrize(
    ("request_", "answer", "message"),
    [
        ("LIST", s3_refusal(404, "NoSuchBucket"), r"cannot read s3://old/bars: .*NoSuchBucket.*; check its name"),
        ("LIST", s3_refusal(403, "AccessDenied"), r"cannot read s3://old/bars: .*; allow s3:ListBucket on the bucket"),
        ("GET", s3_refusal(403, "InvalidObjectState"), r"cannot read s3://old/bars/1: .*: restore it first"),
        ("GET", RESET, r"cannot read s3://old/bars/1: .*; check the network"),
    ],
    ids=["bucket", "denied", "archived", "reset"],
)
def test_an_unreadable_url_is_named_with_the_next_step(s3, request_, answer, message):
    s3.objects["old", "bars/1"] = (b"x", WRITTEN)
    s3.refusals[request_] = answer
    with pytest.raises(ConfigError, match=message):
        names("s3://old/bars")
