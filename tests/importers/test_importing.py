"""All prices here are invented."""

from __future__ import annotations

import csv
import datetime as dt
import errno
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickerlake import exchange, watchlist
from tickerlake.collect import collect
from tickerlake.errors import ConfigError, SinkError
from tickerlake.importers import importing, recorded
from tickerlake.importers.importing import ImportReport, import_objects
from tickerlake.importers.recorded import (
    LONGEST_PIECE,
    RecordedObject,
    collected_at_in,
    local_objects,
    read_times,
)
from tickerlake.lake import Rejected
from tickerlake.lake.parquet import ParquetSink
from tickerlake.record import COLUMNS, KEY
from tickerlake.sources.simulated import SimulatedSource

DATA = Path(__file__).parents[1] / "data" / "recorded"
FORMS = sorted((DATA / "forms").iterdir())
NOON = dt.datetime(2020, 12, 14, 12, tzinfo=dt.UTC)


def record(high: float = 101.0, ts: str = "2020-12-02 09:30:00-05:00", name: str = "FB", **more: object) -> str:
    return json.dumps({"high": high, "low": 100.0, "ts": ts, "name": name} | more)


class Record(NamedTuple):
    """A record of an object, or a piece of text without fields."""

    text: str
    fields: list | None


def read_records(content: bytes) -> Iterator[Record]:
    for block in recorded.read_records(content):
        columns = (getattr(each, "to_pylist", lambda each=each: each)() for each in (block.texts, *block.columns))
        for is_record, text, *fields in zip(block.are_records, *columns, strict=True):
            yield Record(text, fields if is_record else None)


def written(*records: str, name: str = "object", at: dt.datetime = NOON) -> RecordedObject:
    return RecordedObject(name, at, "\n".join(records).encode())


def imported(lake: Path, *objects: RecordedObject, timezone: dt.tzinfo = exchange.XNYS.zone) -> ImportReport:
    """Imports, and checks that every record is accounted for."""
    before = len(stored(lake))
    report = import_objects(objects, ParquetSink(lake), timezone)
    assert report.read == report.stored + report.duplicate + report.rejected.total()
    assert len(stored(lake)) == before + report.stored
    return report


def stored(lake: Path) -> pd.DataFrame:
    """Every record of the lake, times in UTC without a zone."""
    files = sorted(lake.glob("bars/*/*.parquet"))
    tables = [pq.read_table(file, partitioning=None).to_pandas().assign(dt=file.parent.name[3:]) for file in files]
    frame = pd.concat(tables) if tables else pd.DataFrame(columns=[*(c.name for c in COLUMNS), "dt"])
    return frame.sort_values([*KEY, "collected_at"]).reset_index(drop=True)


def rejected(lake: Path) -> list[dict]:
    files = sorted(lake.glob("rejected/*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def contents(lake: Path) -> dict[str, str]:
    """The hash of each file of the lake."""
    files = sorted(path for path in lake.rglob("*") if path.is_file())
    return {path.relative_to(lake).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Forms


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_every_form_gives_the_same_bars(form, tmp_path):
    report = imported(tmp_path, *local_objects([form]))

    expected = pd.read_csv(DATA / "forms.csv")
    expected["ts"] = pd.to_datetime(expected["ts"]).dt.tz_localize(None).astype("datetime64[us]")
    lake = stored(tmp_path)
    pd.testing.assert_frame_equal(
        lake[list(expected.columns)], expected.astype({"bar_minutes": "int32"}), check_exact=True
    )
    assert set(lake["source"]) == {"recorded"}
    assert lake[["open", "close", "volume"]].isna().all(axis=None)
    assert report.line() == "read 6 records from 1 file: 6 stored, 0 duplicate, 0 rejected"


def test_names_are_kept_and_not_renamed(tmp_path):
    imported(tmp_path, written(record(name="fb"), record(name=" Meta "), record(name="brk-b"), record(name="SQ")))

    assert stored(tmp_path)["ticker"].tolist() == ["BRK-B", "FB", "META", "SQ"]


def test_bars_of_several_exchanges_are_imported_together(tmp_path):
    imported(tmp_path, written(record(), record(name="VOD.L"), record(name="BTC-USD")))

    assert stored(tmp_path)["exchange"].tolist() == ["24/7", "XNYS", "XLON"]


def test_many_lines_are_read_as_few_are():
    odd = [
        *({"open": open_} for open_ in (None, 101.5, 7, "7", "", True)),
        {"ts": "2020-12-02"}, {"ts": None}, {"name": "\ud800"}, {"name": None}, {"symbol": "AMZN"}, {"symbol": None},
        {"NAME": "A"}, {"note": {}}, {"bar_minutes": 15}, {"collected_at": "2020-12-20 00:00:00"}, {"x": "2020-12-02"},
    ]  # fmt: skip
    numbers = ["Inf", "-Infinity", "1e400", "9" * 5000, "01", "-0", "1.5"]
    lines = [record(**more) for more in odd] + [f'{record()[:-1]}, "open": {number}}}' for number in numbers]
    for line in [
        *lines,
        record()[:-1] + ', "open": 101, "open": 100}',
        '{"NAME": "A", ' + record()[1:],
        "{ }",
        "cut {",
    ]:
        few = [record(), line, record(102.0)]
        assert [*read_records("\n".join(few * 300).encode())] == [*read_records("\n".join(few).encode())] * 300, line


def test_prices_are_kept_to_the_last_digit(tmp_path):
    text = '{"high": 289.29998779296875, "low": 0.1, "ts": "2020-12-02 09:30:00-05:00", "name": "FB"}'
    imported(tmp_path, written(text), written("high,low,ts,name\n9007199254740993.5,0.30000000000000004,1606919700,A"))

    assert stored(tmp_path)["high"].tolist() == [9007199254740993.5, 289.29998779296875]
    assert stored(tmp_path)["low"].tolist() == [0.30000000000000004, 0.1]


def test_bars_off_the_grid_are_kept(tmp_path):
    imported(tmp_path, written(record(ts="2020-12-02 09:31:17-05:00")))

    assert stored(tmp_path)["ts"].tolist() == [pd.Timestamp("2020-12-02 14:31:17")]


def test_empty_files_hold_no_record():
    for content in (b"", b" \n\n", b"[]", b"\xef\xbb\xbf", b"\xff\xfe", b"high,low,ts,name\n", gzip.compress(b"")):
        assert list(read_records(content)) == []


def test_the_first_known_key_names_the_ticker():
    (read,) = read_records(json.dumps({"name": "Facebook", "TICKER": "FB", "sector": "x"}).encode())

    assert read.fields is not None
    assert read.fields[0] == "FB"


# Text that is not a record


def test_a_truncated_record_does_not_harm_its_neighbours():
    cut = record(102.0, "2020-12-02 09:35:00-05:00")
    for at in range(1, len(cut)):
        for joint in ("\n", "", ", "):
            text = joint.join([record(), cut[:at], record(103.0), record(104.0)])
            records = list(read_records(text.encode()))

            pieces = [read.text for read in records if read.fields is None]
            assert [read.text for read in records if read.fields] == [record(), record(103.0), record(104.0)]
            assert [piece.rstrip(" ,") for piece in pieces] == [cut[:at].rstrip(" ,")], (at, joint)


def test_a_record_without_its_beginning_does_not_harm_its_neighbours():
    lost = record(102.0, "2020-12-02 09:35:00-05:00")
    for at in range(1, len(lost)):
        records = list(read_records("\n".join([record(), lost[at:], record(103.0)]).encode()))

        assert [read.text for read in records if read.fields] == [record(), record(103.0)]
        assert [read.text for read in records] == [record(), lost[at:].lstrip(", "), record(103.0)]


def test_a_truncated_python_dict_does_not_harm_its_neighbours():
    whole = "{'high': 101.0, 'low': 100.0, 'ts': '2020-12-02 09:30:00-05:00', 'name': 'FB'}"
    for at in range(1, len(whole)):
        records = list(read_records("\n".join([whole, whole[:at], whole]).encode()))

        assert [read.text for read in records if read.fields] == [whole, whole]
        assert len(records) == 3


def test_garbage_between_records_is_rejected_with_its_position(tmp_path):
    text = f"{record()}<<<< a proxy's error page >>>>\n{record(102.0, '2020-12-02 09:35:00-05:00')}\n\x00\x00\n"
    report = imported(tmp_path, written(text, name="mixed"))

    assert report.line() == "read 4 records from 1 file: 2 stored, 0 duplicate, 2 rejected (2 unreadable)"
    found = [(line["rule"], line["record"], line["origin"], line["position"]) for line in rejected(tmp_path)]
    assert found == [
        ("unreadable", "<<<< a proxy's error page >>>>", "mixed", 2),
        ("unreadable", "\x00\x00", "mixed", 4),
    ]


def test_records_in_an_envelope_are_found():
    records = list(read_records(f'{{"Records": [{record()}, {record(102.0)}], "count": 2}}'.encode()))

    assert [read.text for read in records] == ['{"Records": [', record(), record(102.0), '"count": 2}']


def test_a_short_row_of_csv_does_not_harm_its_neighbours():
    rows = ["high,low,ts,name", "1,1,2020-12-02 09:30:00-05:00,A", "1,1,2020-12", "2,1,2020-12-02 09:35:00-05:00,A"]

    assert [bool(read.fields) for read in read_records("\n".join(rows).encode())] == [True, False, True]


@pytest.mark.parametrize(
    "content",
    [
        bytes(range(256)) * 400,
        b"PAR1" + random.Random(7).randbytes(50_000) + b"PAR1",
        b"\xff\xfe" + random.Random(8).randbytes(50_001),
        b'{"a": ' * 10_000,
        b"{'a': " * 10_000,
        b"[1, " * 100_000,
        b'{"a": ' + b"[" * 100_000 + b"}",
        b"{'a': " + b"-" * 100_000 + b"1}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"hourly_high,name\n1.5,FB\n",
    ],
    ids=["bytes", "parquet", "utf-16", "open", "open-dicts", "brackets", "deep", "minus", "digits", "another-table"],
)
def test_a_file_without_any_record_is_one_unreadable_piece(content, tmp_path):
    report = imported(tmp_path, RecordedObject("other", NOON, content))

    assert report.rejected == {"unreadable": 1}
    (line,) = rejected(tmp_path)
    assert (line["origin"], line["position"], line["ticker"], line["ts"]) == ("other", 1, None, None)
    assert 0 < len(line["record"]) < LONGEST_PIECE + 40


def test_a_truncated_gzip_file_is_read_as_far_as_possible():
    lines = [record(100 + number / 1000, name=f"T{number}") for number in range(2000)]
    packed = gzip.compress("\n".join(lines).encode(), mtime=0)

    for content in (packed[: len(packed) // 2], packed[:-4], packed[:15_000] + b"?" * 100 + packed[15_100:]):
        records = list(read_records(content))
        good = [read.text for read in records if read.fields]
        assert len(good) > 500
        assert good[:500] == lines[:500]
        assert records[-1].text.startswith("gzip: ")
    assert list(read_records(packed + b"more"))[-1].text == "gzip: 4 bytes of something else follow"


def reading(content: bytes) -> float:
    """Seconds of CPU that reading `content` takes, at best of three."""
    spent = []
    for _ in range(3):
        before = time.process_time()
        for _ in read_records(content):
            pass
        spent.append(time.process_time() - before)
    return min(spent)


@pytest.mark.parametrize(
    "unit",
    [b'{"\\"', b"{'x'\\\"", b'{"a":"{",', b'{ "', b"{" + b" " * 50, b"\n" * 9 + b'{"a', gzip.compress(b"", mtime=0)],
    ids=["escaped-quote", "both-quotes", "braces-in-strings", "starts", "blanks", "lines", "empty-gzip-members"],
)
def test_reading_takes_time_in_proportion_to_the_size(unit):
    small, large = reading(unit * 2_000), reading(unit * 16_000)

    assert large < 20 * max(small, 0.002)


def test_text_in_many_blocks_gives_the_same_records(monkeypatch):
    for joint in ("\n", "", ", ", "<junk>\n"):
        content = joint.join(record(100 + number) for number in range(300)).encode()
        whole = list(read_records(content))
        with monkeypatch.context() as patch:
            patch.setattr(recorded, "_BLOCK", 1000)
            patch.setattr(recorded, "_TAIL", 500)
            patch.setattr(recorded, "_READ_AT_ONCE", 333)
            assert list(read_records(content)) == whole
        assert sum(read.fields is not None for read in whole) == 300


def test_csv_in_many_blocks_keeps_its_header(monkeypatch):
    monkeypatch.setattr(recorded, "_BLOCK", 1000)
    monkeypatch.setattr(recorded, "_TAIL", 500)
    monkeypatch.setattr(recorded, "_READ_AT_ONCE", 333)
    rows = ["ts,high,low,name", *(f"2020-12-02 09:30:00-05:00,{number},1,A" for number in range(2, 302))]
    records = list(read_records("\r\n".join(rows).encode("utf-16")))

    assert [read.fields[4] for read in records if read.fields] == [str(number) for number in range(2, 302)]


def test_a_gzip_bomb_is_rejected_with_the_limit_and_the_import_goes_on(monkeypatch, tmp_path):
    monkeypatch.setattr(recorded, "_SMALL", 1 << 20)
    bomb = gzip.compress(f"{record()}\n".encode() + b" " * (1 << 24), mtime=0)
    report = imported(tmp_path, RecordedObject("bomb.gz", NOON, bomb), written(record(102.0, name="AMZN")))

    assert report.line() == "read 3 records from 2 files: 2 stored, 0 duplicate, 1 rejected (1 unreadable)"
    (line,) = rejected(tmp_path)
    assert line["origin"] == "bomb.gz"
    assert line["record"] == (
        f"gzip: unpacks to more than {100 * len(bomb):,} bytes, the limit for {len(bomb):,} bytes; the rest is not read"
    )


def test_damage_does_not_stop_an_import_and_everything_is_counted(tmp_path):
    chance = random.Random(20201202)
    objects = []
    for number in range(150):
        content = bytearray(chance.choice(FORMS).read_bytes())
        for _ in range(chance.randrange(1, 6)):
            start = chance.randrange(len(content))
            content[start : start + chance.randrange(9)] = chance.randbytes(chance.randrange(9))
        objects.append(RecordedObject(f"damaged-{number:03}", NOON, bytes(content)))

    report = imported(tmp_path, *objects)

    assert report.duplicate > 200
    assert report.rejected["unreadable"] > 50


# Rules


def test_a_record_that_breaks_a_rule_is_rejected_with_its_file_and_position(tmp_path):
    path = DATA / "broken" / "rules.json"
    report = imported(tmp_path, *local_objects([path]))

    with (DATA / "broken" / "rules.csv").open(encoding="utf-8") as file:
        rules = [row[0] if row else "" for row in list(csv.reader(file))[1:]]
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = [
        (rule, line, position) for position, (rule, line) in enumerate(zip(rules, lines, strict=True), start=1) if rule
    ]
    assert [(line["rule"], line["record"], line["position"]) for line in rejected(tmp_path)] == expected
    assert {line["origin"] for line in rejected(tmp_path)} == {path.as_posix()}
    assert report.rejected == Counter(rule for rule in rules if rule)
    assert stored(tmp_path)["ticker"].tolist() == ["BYND", "FB"]


def test_a_rejected_record_keeps_its_readable_fields(tmp_path):
    imported(tmp_path, written(record(ts="2020-12-02 16:00:00-05:00", name="fb")))

    (line,) = rejected(tmp_path)
    assert (line["ticker"], line["ts"]) == ("FB", "2020-12-02T21:00:00+00:00")
    assert (line["collected_at"], line["source"]) == ("2020-12-14T12:00:00+00:00", "recorded")


@pytest.mark.parametrize(
    "ts", ["2020-12-05 10:00:00-05:00", "nonsense", "1970-01-02T15:00:00Z", "2150-01-05T15:00:00Z"]
)
def test_an_import_without_valid_records_stores_nothing(ts, tmp_path):
    report = imported(tmp_path, written(record(ts=ts)))

    assert (report.read, report.stored, report.rejected.total()) == (1, 0, 1)
    assert report.stored_by_session == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bar_minutes", 0),
        ("bar_minutes", 2.5),
        ("open", "?"),
        ("volume", 1.5),
        ("volume", 1e300),
        ("collected_at", "?"),
    ],
)
def test_an_unreadable_value_is_not_a_missing_one(key, value, tmp_path):
    assert imported(tmp_path, written(record(**{key: value}))).rejected == {"unreadable": 1}


def test_a_record_keeps_its_source_and_without_a_name_it_is_recorded(tmp_path):
    sources = ["yahoo", "\ud800", 7, None, " "]
    imported(tmp_path, written(*(record(name=f"T{i}", source=source) for i, source in enumerate(sources))))

    assert stored(tmp_path)["source"].tolist() == ["yahoo", *["recorded"] * 4]


def test_a_record_keeps_its_currency_also_from_one_lake_to_another_and_without_one_it_is_the_exchanges(tmp_path):
    currencies = ["USD", "GBP", None, " ", 7]
    imported(tmp_path / "a", written(*(record(name=f"T{i}.L", currency=each) for i, each in enumerate(currencies))))
    imported(tmp_path / "b", *local_objects([tmp_path / "a"]))

    for lake in ("a", "b"):
        assert stored(tmp_path / lake)["currency"].tolist() == ["USD", "GBP", "GBp", "GBp", "GBp"]


@pytest.mark.parametrize("name", ["\ud800", "A\x00B", "F\nB", 7, None, True, ["FB"]])
def test_a_value_that_is_not_a_name_is_a_missing_ticker(name, tmp_path):
    assert imported(tmp_path, written(record(name=name))).rejected == {"missing-ticker": 1}


@pytest.mark.parametrize("name", ["=cmd()", "../META", "META; DROP TABLE bars", "TOOLONGNAME", "Ünï"])
def test_a_ticker_that_is_not_a_symbol_is_rejected(name, tmp_path):
    assert imported(tmp_path, written(record(name=name))).rejected == {"not-a-symbol": 1}


# Repeats


def test_a_record_delivered_again_is_kept_at_its_first_and_last_time_only(tmp_path):
    later = NOON + dt.timedelta(minutes=1)
    report = imported(
        tmp_path, written(record(), record(), name="one"), written(record(), name="two", at=later), written(record())
    )

    assert (report.stored, report.duplicate) == (2, 2)
    assert stored(tmp_path)["collected_at"].tolist() == [NOON.replace(tzinfo=None), later.replace(tzinfo=None)]


def test_other_numbers_collected_later_are_a_restatement_and_both_are_kept(tmp_path):
    later = NOON + dt.timedelta(minutes=1)
    report = imported(tmp_path, written(record(101.0)), written(record(102.0), at=later))

    assert (report.stored, report.duplicate, report.rejected) == (2, 0, {})
    assert stored(tmp_path)["high"].tolist() == [101.0, 102.0]


def test_the_last_of_contradicting_records_of_the_same_moment_is_stored(tmp_path):
    report = imported(
        tmp_path,
        written(record(101.0), record(102.0), name="a"),
        written(record(103.0), record(101.0), name="b"),
    )

    assert report.line() == "read 4 records from 2 files: 1 stored, 1 duplicate, 2 rejected (2 superseded)"
    assert stored(tmp_path)["high"].tolist() == [101.0]
    found = [(line["rule"], line["record"], line["origin"], line["position"]) for line in rejected(tmp_path)]
    assert found == [("superseded", record(102.0), "a", 2), ("superseded", record(103.0), "b", 1)]


def test_a_missing_number_contradicts_a_number(tmp_path):
    report = imported(tmp_path, written(record(), record(volume=0), record()))

    assert (report.stored, report.duplicate, report.rejected) == (1, 1, {"superseded": 1})
    assert stored(tmp_path)["volume"].isna().all()


def everything() -> list[RecordedObject]:
    """Three sessions, a restatement, a duplicate, a contradiction and something unreadable."""
    days = ["2020-12-01", "2020-12-02", "2020-12-03"]
    later = NOON + dt.timedelta(minutes=1)
    return [
        *(written(*(record(ts=f"{day} 09:3{m}:00-05:00") for m in (0, 5)), name=f"of-{day}") for day in days),
        written(record(99.0), record(105.0), record(106.0), "cut {", name="mixed", at=later),
    ]


def test_importing_again_changes_nothing(tmp_path):
    first = imported(tmp_path, *everything())
    before = contents(tmp_path)

    again = imported(tmp_path, *everything())

    assert (first.stored, first.rejected) == (7, {"high-below-low": 1, "superseded": 1, "unreadable": 1})
    assert contents(tmp_path) == before
    assert (again.stored, again.duplicate, again.rejected) == (0, first.stored, first.rejected)
    assert again.stored_by_session == {"2020-12-01": 0, "2020-12-02": 0, "2020-12-03": 0}


def test_the_result_does_not_depend_on_the_number_of_rows_per_frame(monkeypatch, tmp_path):
    imported(tmp_path / "one", *everything())
    monkeypatch.setattr(importing, "_ROWS_PER_FRAME", 2)
    imported(tmp_path / "two", *everything())

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_rejected_records_are_kept_some_thousands_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr(importing, "_REJECTED_PER_FILE", 2)
    records = [record(high) for high in (1.0, 2.0, 3.0, 4.0, 101.0, 102.0)]
    report = imported(tmp_path, written(*records))
    before = contents(tmp_path)
    imported(tmp_path, written(*records))

    assert report.rejected == {"high-below-low": 4, "superseded": 1}
    assert [len(file.read_text().splitlines()) for file in (tmp_path / "rejected").iterdir()].count(2) == 2
    assert sorted(line["position"] for line in rejected(tmp_path)) == [1, 2, 3, 4, 5]
    assert contents(tmp_path) == before


def test_no_room_for_temporary_files_stores_nothing_and_says_what_to_do(monkeypatch, tmp_path):
    class Full(io.BytesIO):
        def write(self, _data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(importing.tempfile, "TemporaryFile", Full)
    with pytest.raises(SinkError, match=r"temporary files, .*: .*No space left.* TMPDIR"):
        imported(tmp_path, *everything())

    assert not contents(tmp_path)


class Killed(ParquetSink):
    """A sink that dies before its second session."""

    written = 0

    def merge(self, frame: pd.DataFrame) -> int:
        if self.written:
            raise KeyboardInterrupt
        self.written += 1
        return super().merge(frame)


def test_a_killed_import_can_be_repeated(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        import_objects(everything(), Killed(tmp_path / "killed"))
    assert len(contents(tmp_path / "killed")) == 1

    report = imported(tmp_path / "killed", *everything())
    imported(tmp_path / "whole", *everything())

    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert (report.stored, report.duplicate) == (5, 2)


# Times


def test_a_time_without_offset_follows_daylight_saving_time(tmp_path):
    imported(tmp_path, written(*(record(ts=f"{day} 09:30:00") for day in ("2021-03-12", "2021-03-15", "2021-11-08"))))

    starts = ["2021-03-12 14:30:00", "2021-03-15 13:30:00", "2021-11-08 14:30:00"]
    assert stored(tmp_path)["ts"].astype(str).tolist() == starts


def test_a_time_without_offset_is_in_the_timezone_given(tmp_path):
    texts = [record(ts="2020-12-02 15:35:00"), record(ts="2020-12-02T09:30:00-05:00")]
    imported(tmp_path, written(*texts), timezone=ZoneInfo("Europe/Paris"))

    assert stored(tmp_path)["ts"].astype(str).tolist() == ["2020-12-02 14:30:00", "2020-12-02 14:35:00"]


@pytest.mark.parametrize("ts", ["2021-03-14 02:30:00", "2021-11-07 01:30:00"])
def test_a_local_time_that_is_skipped_or_repeated_is_unreadable(ts):
    assert read_times([ts], exchange.XNYS.zone).isna().all()
    assert read_times([f"{ts}-05:00"], exchange.XNYS.zone).notna().all()


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "?",
            "2020-12-02",
            "2020-02-30 09:30:00",
            "2020-12-02 25:00:00",
            "13/13/2020 09:30:00",
            "02.12.2020 09:30",
        ),
        *("2020-12-02 09:30:00-05:00 x", "0001-01-01 00:00:00+14:00", "9999-12-31 23:59:59-14:00"),
        *(None, True, float("nan"), float("inf"), 10**40, -(10**18), "99999999999999999999"),
    ],
)
def test_a_value_that_is_not_a_time_is_nat(value):
    assert read_times([value, "2020-12-02 09:30:00"], dt.UTC).isna().tolist() == [True, False]


def test_fractions_of_a_second_and_short_forms_are_read():
    values = ["2020-12-02 14:30", "2020-12-02T14:30:00.123456789Z", "2020-12-02 14:30:00 UTC", "2020-12-02 09:30:00-05"]
    times = read_times(values, dt.UTC).strftime("%H:%M:%S.%f").tolist()

    assert times == ["14:30:00.000000", "14:30:00.123456", "14:30:00.000000", "14:30:00.000000"]


# Bar lengths


def starts(name: str, *clock: str, day: str = "2020-12-02") -> list[str]:
    return [record(ts=f"{day} {time}:00-05:00", name=name) for time in clock]


def sizes(lake: Path) -> dict[tuple[str, str], set[int]]:
    return {key: set(of["bar_minutes"]) for key, of in stored(lake).groupby(["ticker", "dt"])}


def test_the_length_of_a_bar_is_the_most_common_step_of_its_ticker_and_session(tmp_path):
    texts = [
        *starts("A", "09:30", "09:31", "09:32", "09:40", "09:45", "09:46"),
        *starts("A", "09:30", "09:35", "09:45", "09:45", "09:45", "09:50", day="2020-12-03"),
        *starts("B", "10:30", "09:30", "11:30", "14:00"),
    ]
    imported(tmp_path, written(*texts))

    assert sizes(tmp_path) == {("A", "2020-12-02"): {1}, ("A", "2020-12-03"): {5}, ("B", "2020-12-02"): {60}}


def test_a_single_bar_has_the_most_common_length_of_its_ticker_or_of_all(tmp_path):
    texts = [
        *starts("A", "09:30", "09:45"),
        *starts("A", "10:00", day="2020-12-03"),
        *starts("B", "09:30", "09:31", "09:32"),
        *starts("C", "09:30"),
    ]
    imported(tmp_path, written(*texts))

    assert sizes(tmp_path) == {
        ("A", "2020-12-02"): {15},
        ("A", "2020-12-03"): {15},
        ("B", "2020-12-02"): {1},
        ("C", "2020-12-02"): {1},
    }


def test_rejected_records_do_not_count_for_the_length(tmp_path):
    imported(tmp_path, written(*starts("A", "09:30", "09:45", "16:00", "16:01", "16:02", "16:03")))

    assert sizes(tmp_path) == {("A", "2020-12-02"): {15}}


def test_a_records_own_length_wins(tmp_path):
    imported(tmp_path, written(record(bar_minutes=30), *starts("FB", "10:00", "10:01", "10:02")))

    assert stored(tmp_path)["bar_minutes"].tolist() == [1, 1, 1, 30]


# When it was collected


def test_the_time_in_a_firehose_name_is_the_time_of_collection(tmp_path):
    path = tmp_path / "my-stream-2020-1-2020-12-14-02-03-45-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9.gz"
    path.write_bytes(gzip.compress(record().encode()))
    imported(tmp_path / "lake", *local_objects([tmp_path]))

    assert stored(tmp_path / "lake")["collected_at"].tolist() == [pd.Timestamp("2020-12-14 02:03:45")]


@pytest.mark.parametrize(
    "name", ["bars.json", "s-1-2020-13-14-02-03-45-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "2020-12-14"]
)
def test_other_names_hold_no_time_of_collection(name):
    assert collected_at_in(name) is None


def test_otherwise_the_files_time_is_the_time_of_collection(tmp_path):
    path = tmp_path / "bars.json"
    path.write_text(record())
    os.utime(path, ns=(0, 1_607_911_425_123_987_654))

    (item,) = local_objects([path])
    assert item.collected_at == dt.datetime(2020, 12, 14, 2, 3, 45, 123000, tzinfo=dt.UTC)


def test_a_records_own_time_of_collection_wins(tmp_path):
    imported(tmp_path, written(record(collected_at="2020-12-03T00:00:00.250Z"), record(name="A", collected_at=None)))

    given, of_object = pd.Timestamp("2020-12-03 00:00:00.250"), pd.Timestamp("2020-12-14 12:00:00")
    assert stored(tmp_path).set_index("ticker")["collected_at"].to_dict() == {"A": of_object, "FB": given}


# Our own records


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """A lake of simulated bars on both sides of a clock change, with a few rejected records and a watchlist."""
    lake = tmp_path_factory.mktemp("simulated")
    days = exchange.XNYS.sessions_between(dt.date(2021, 3, 12), dt.date(2021, 3, 15))
    collected = dt.datetime(2021, 3, 16, 1, 2, 3, 456000, tzinfo=dt.UTC)
    sink = ParquetSink(lake)
    collect(SimulatedSource(), sink, days, ["FB", "AMZN"], 15, lambda: collected)
    sink.reject([Rejected("off-grid", record(), collected.isoformat(), "simulated")])
    watchlist.add(lake / "tickerlake.toml", ["AAPL"])
    (lake / ".incoming" / "half.parquet").write_text(record())
    return lake


def exported(lake: Path, target: Path) -> Path:
    """The lake as a file of JSON lines or CSV, as DuckDB writes its tables: times in UTC without an offset."""
    with duckdb.connect() as engine:
        engine.execute(
            f"COPY (SELECT * FROM read_parquet('{lake}/bars/*/*.parquet', hive_partitioning = true)) TO '{target}'"
        )
    return target


def copied_folder(lake: Path, _folder: Path) -> Path:
    return lake


def partitions_only(lake: Path, _folder: Path) -> Path:
    return lake / "bars"


def zoned_parquet(lake: Path, folder: Path) -> Path:
    frame = stored(lake)
    frame.assign(ts=frame["ts"].dt.tz_localize("UTC").dt.as_unit("ns")).to_parquet(folder / "bars.parquet")
    return folder


@pytest.mark.parametrize(
    "export",
    [
        copied_folder,
        partitions_only,
        zoned_parquet,
        lambda lake, folder: exported(lake, folder / "export.json"),
        lambda lake, folder: exported(lake, folder / "export.csv"),
        lambda lake, folder: exported(lake, folder / "export.parquet"),
    ],
    ids=["lake", "partitions", "pandas", "json", "csv", "parquet"],
)
def test_a_lake_comes_back_unchanged_from_every_export(export, simulated, tmp_path):
    report = imported(tmp_path / "lake", *local_objects([export(simulated, tmp_path)]), timezone=ZoneInfo("Asia/Tokyo"))

    assert (report.stored, report.rejected, report.without_bars) == (104, {}, [])
    assert report.stored_by_session == {"2021-03-12": 52, "2021-03-15": 52}
    pd.testing.assert_frame_equal(stored(tmp_path / "lake"), stored(simulated))


def test_importing_a_lake_into_itself_changes_nothing(simulated):
    before = contents(simulated)
    report = imported(simulated, *local_objects([simulated]))

    assert (report.stored, report.duplicate) == (0, 104)
    assert contents(simulated) == before


def test_other_files_in_and_beside_a_lake_are_read(simulated, tmp_path):
    shutil.copytree(simulated, tmp_path / "copy")
    (tmp_path / "copy" / "old.json").write_text(record())

    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected" / "of-no-lake.json").write_text(record())

    names = [Path(item.name).name for item in local_objects([tmp_path])]
    assert len(names) == 4
    assert {"old.json", "of-no-lake.json"} < {*names}


def test_an_import_that_mixes_simulated_and_real_bars_is_refused_before_anything_is_stored(simulated, tmp_path):
    with pytest.raises(ConfigError, match="the new bars are recorded, simulated"):
        import_objects([*local_objects([simulated]), written(record())], ParquetSink(tmp_path / "lake"))
    assert contents(tmp_path / "lake") == {}


# Tables of others


def parquet(**columns: object) -> RecordedObject:
    table = pa.table({"ticker": ["FB"], "high": [101.0], "low": [100.0], **columns})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return RecordedObject("other.parquet", NOON, sink.getvalue().to_pybytes())


NAIVE = dt.datetime(2020, 12, 2, 9, 30)  # noqa: DTZ001
AWARE = dt.datetime(2020, 12, 2, 14, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "ts",
    [
        pa.array([NAIVE], pa.timestamp("ns")),
        pa.array([NAIVE], pa.timestamp("s")),
        pa.array([pd.Timestamp("2020-12-02 09:30:00.000000001")]),
        pa.array([AWARE], pa.timestamp("ms", "UTC")),
        pa.array([AWARE], pa.timestamp("us", "Asia/Tokyo")),
        pa.array([1_606_919_400]),
        pa.array(["2020-12-02 09:30:00"]),
        pa.array(["2020-12-02 14:30:00+00:00"]).dictionary_encode(),
    ],
    ids=["naive ns", "naive s", "one nanosecond", "UTC", "zone", "epoch", "text", "dictionary"],
)
def test_a_time_in_parquet_without_a_zone_is_in_the_timezone_given(ts, tmp_path):
    imported(tmp_path, parquet(ts=ts))

    assert stored(tmp_path)["ts"].tolist() == [pd.Timestamp("2020-12-02 14:30:00")]


def test_parquet_may_have_other_number_types_names_and_columns(tmp_path):
    columns = {"Datetime": [AWARE], "Volume": pa.array([7], pa.int32()), "close": [Decimal("100.50")], "note": ["x"]}
    imported(tmp_path, parquet(**columns, source=["vendor"], bar_minutes=[15]))

    (row,) = stored(tmp_path)[["volume", "close", "source", "bar_minutes"]].to_numpy().tolist()
    assert row == [7, 100.5, "vendor", 15]
    assert stored(tmp_path)["collected_at"].tolist() == [pd.Timestamp("2020-12-14 12:00:00")]


def test_csv_with_the_records_columns_keeps_source_and_time_of_collection(tmp_path):
    text = """ticker,ts,bar_minutes,open,high,low,close,volume,source,collected_at
FB,2020-12-02 14:30:00,15,100.5,101,100,100.25,7,vendor,2020-12-03 00:00:00
"""
    imported(tmp_path, written(text))

    (row,) = stored(tmp_path).to_dict("records")
    assert (row["source"], row["open"], row["close"], row["volume"]) == ("vendor", 100.5, 100.25, 7)
    assert (row["ts"], row["collected_at"]) == (pd.Timestamp("2020-12-02 14:30"), pd.Timestamp("2020-12-03"))


def test_a_rejected_row_of_a_table_is_kept_as_json(tmp_path):
    imported(tmp_path, parquet(ts=[AWARE.replace(hour=23)]))

    (line,) = rejected(tmp_path)
    assert (line["rule"], line["origin"], line["position"]) == ("outside-session", "other.parquet", 1)
    expected = {"ticker": "FB", "ts": "2020-12-02 23:30:00+00:00", "high": 101.0, "low": 100.0}
    assert json.loads(line["record"]) == expected


def test_a_parquet_file_without_bars_names_the_missing_columns(tmp_path):
    report = imported(tmp_path, parquet(), parquet(ts=[AWARE]))

    assert report.without_bars == ["other.parquet: a Parquet file without the columns ts"]
    assert (report.stored, report.rejected) == (1, {"unreadable": 1})


def test_a_small_parquet_file_with_millions_of_rows_is_rejected(tmp_path):
    count = 1_000_000
    bomb = parquet(
        ticker=["FB"] * count, ts=["2020-12-02 09:30:00-05:00"] * count, high=[1.0] * count, low=[1.0] * count
    )
    report = imported(tmp_path, bomb)

    assert report.rejected == {"unreadable": 1}
    assert "1,000,000 rows, more than the limit" in rejected(tmp_path)[0]["record"]


def test_a_truncated_parquet_file_is_rejected(tmp_path):
    whole = parquet(ts=[AWARE])
    report = imported(tmp_path, RecordedObject("cut", NOON, whole.content[:-20]))

    assert report.rejected == {"unreadable": 1}
    assert report.without_bars[0].startswith("cut: a damaged Parquet file: ")


# Files


def test_files_are_read_once_in_the_order_they_were_written(tmp_path):
    stamp = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    names = [
        f"z-1-2020-12-14-02-03-45-{stamp}",
        f"deep/a-1-2020-12-14-02-03-46-{stamp}",
        f"a-1-2020-12-14-02-03-47-{stamp}",
    ]
    for name in [*names, ".DS_Store", ".cache/x"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(record())
    (tmp_path / "again").symlink_to(tmp_path / names[0])

    paths = [tmp_path, tmp_path / "deep", tmp_path / names[0]]
    assert sorted(
        {Path(item.name).resolve().relative_to(tmp_path).as_posix() for item in local_objects(paths)}
    ) == sorted(names)
    assert [item.collected_at.second for item in local_objects(paths)] == [45, 46, 47]


def test_a_file_name_that_is_not_text_is_escaped(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.json")).write_text(record(99.0))
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only names that are text")
    imported(tmp_path / "lake", *local_objects([tmp_path]))

    (line,) = rejected(tmp_path / "lake")
    assert line["origin"] == f"{tmp_path.as_posix()}/caf\\xe9.json"


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*nowhere: No such file or directory; name files or folders"):
        list(local_objects([tmp_path / "nowhere"]))


def test_progress_names_each_object_once(tmp_path):
    names: list[str] = []
    import_objects(everything(), ParquetSink(tmp_path), on_object=names.append)

    assert names == ["of-2020-12-01", "of-2020-12-02", "of-2020-12-03", "mixed"]
