"""Splits in a local lake."""

import datetime as dt
from dataclasses import replace

import pytest

from tests.sources.answers import Vendor
from tickerlake.actions import NEVER, Split, in_force, parse_ratio
from tickerlake.collect import collect
from tickerlake.errors import ConfigError, SinkError
from tickerlake.exchange import XNYS
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink

FRIDAY = XNYS.session_on(dt.date(2026, 11, 20))
EVENING = FRIDAY.close + dt.timedelta(hours=2)
SPLIT = Split("META", FRIDAY.date, 10.0, "yahoo", EVENING)


@pytest.mark.parametrize(("text", "ratio"), [("10:1", 10.0), ("3:2", 1.5), ("1:8", 0.125), (" 1.05:1 ", 1.05)])
def test_a_ratio_is_new_shares_to_old_ones(text, ratio):
    assert parse_ratio(text) == ratio


@pytest.mark.parametrize("text", ["10", "10/1", "0:1", "1:0", "-2:1", "ten:one", "2:1:1", ""])
def test_anything_else_is_not_a_ratio(text):
    with pytest.raises(ConfigError, match="is not a ratio; write new shares to old ones"):
        parse_ratio(text)


def test_a_split_is_stored_once(tmp_path):
    sink = ParquetSink(tmp_path)

    assert sink.report_splits([SPLIT], EVENING) == 1
    assert sink.report_splits([replace(SPLIT, collected_at=EVENING + dt.timedelta(hours=1))], EVENING) == 0
    assert sink.reports() == [SPLIT]


def test_the_latest_report_of_a_source_counts_and_sources_stay_apart(tmp_path):
    sink = ParquetSink(tmp_path)
    later = replace(SPLIT, ratio=20.0, collected_at=EVENING + dt.timedelta(hours=1), adjusted_from=NEVER)
    manual = replace(SPLIT, source="manual")
    sink.report_splits([SPLIT], EVENING)
    sink.report_splits([later, manual], EVENING)

    assert sorted(in_force(sink.reports()), key=lambda split: split.source) == [manual, later]


def test_collecting_stores_the_splits_that_the_source_reports(tmp_path):
    vendor = Vendor(FRIDAY)
    vendor.splits = [(FRIDAY.date, 10.0)]

    for _ in range(2):
        collect(vendor, ParquetSink(tmp_path), [FRIDAY], ["META"], 5, lambda: EVENING)

    assert {split.ticker for split in ParquetSink(tmp_path).reports()} == {"META", "FB"}
    assert len(Layout(tmp_path).actions()) == 1


def test_a_damaged_file_of_splits_is_named(tmp_path):
    Layout(tmp_path).splits.mkdir()
    (Layout(tmp_path).splits / "broken.parquet").write_text("this is not Parquet")

    with pytest.raises(SinkError, match="cannot read the splits in .*actions"):
        ParquetSink(tmp_path).reports()
