"""`tickerlake actions` as a user types it."""

import datetime as dt
from pathlib import Path

import pytest

from tickerlake.actions import NEVER
from tickerlake.lake.parquet import ParquetSink


def test_a_split_is_added_shown_and_taken_back(tickerlake):
    assert tickerlake("actions") == (0, "no splits in lake\n", "")
    assert tickerlake("actions", "add", "nvda", "2026-06-10", "10:1") == (
        0,
        "NVDA    2026-06-10    10:1  (manual)\n",
        "",
    )
    _, out, _ = tickerlake("actions", "add", "NVDA", "2026-06-10", "10:1")
    assert out.startswith("nothing new: the lake knows this split\n")
    assert tickerlake("actions", "add", "NVDA", "2026-06-10", "1:1") == (0, "no splits in lake\n", "")


def test_a_split_holds_under_every_symbol_of_the_company(tickerlake):
    _, out, _ = tickerlake("actions", "add", "META", "2026-06-10", "1:8")

    assert out.splitlines() == ["FB      2026-06-10     1:8  (manual)", "META    2026-06-10     1:8  (manual)"]


@pytest.mark.parametrize(
    ("ticker", "given", "stored"),
    [
        ("NVDA", "never", NEVER),
        ("NVDA", "2026-06-11T20:00-04:00", dt.datetime(2026, 6, 12, tzinfo=dt.UTC)),
        ("7203.T", "2026-06-12T09:00", dt.datetime(2026, 6, 12, tzinfo=dt.UTC)),
        ("NVDA", None, None),
    ],
)
def test_a_person_may_say_from_when_on_prices_are_adjusted(tickerlake, ticker, given, stored):
    options = ["--adjusted-from", given] if given else []
    assert tickerlake("actions", "add", ticker, "2026-06-10", "10:1", *options)[0] == 0

    assert [report.adjusted_from for report in ParquetSink(Path("lake")).reports()] == [stored]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["NVDA", "10 June", "10:1"], "'10 June' is not a date; write YYYY-MM-DD"),
        (["NVDA", "2026-06-10", "10"], "'10' is not a ratio; write new shares to old ones"),
        (["N V", "2026-06-10", "10:1"], "is not a symbol"),
        (["NVDA", "2026-06-10", "10:1", "--adjusted-from", "soon"], "--adjusted-from: 'soon' is not a"),
        (["NVDA", "2026-06-10"], "Missing argument 'RATIO'"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_2(tickerlake, arguments, message):
    code, out, err = tickerlake("actions", "add", *arguments)

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_adding_to_a_lake_in_s3_is_refused_and_says_where_to_add(tickerlake, monkeypatch):
    monkeypatch.setenv("LAKE_ENGINE", "athena")
    code, out, err = tickerlake("actions", "add", "NVDA", "2026-06-10", "10:1")

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "put a line of JSON under actions/ in its bucket, as docs/deploy.md shows" in err


def test_a_lake_option_overrides_the_engine_of_the_settings(tickerlake, monkeypatch):
    monkeypatch.setenv("LAKE_ENGINE", "athena")
    assert tickerlake("actions", "add", "NVDA", "2026-06-10", "10:1", "--lake", "other")[0] == 0
    assert tickerlake("actions", "--lake", "other") == (0, "NVDA    2026-06-10    10:1  (manual)\n", "")
