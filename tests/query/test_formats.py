"""Rows as CSV, JSON and tables."""

import csv
import datetime as dt
import io
import json
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from tests.query.lakes import ANSWERS, write_case
from tests.query.test_answers import ANSWERED, NOW
from tickerlake.query import Answer, Field, run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.formats import as_csv, as_json, as_table, to_csv

NEW_YORK = ZoneInfo("America/New_York")


def _size(case, name):
    return (ANSWERS / case / f"{name}.csv").stat().st_size


def answer(columns, *rows):
    return Answer(tuple(Field(name, type_, "") for name, type_ in columns.items()), list(rows), 0.0)


BARS = {
    "ticker": "varchar",
    "session": "varchar",
    "ts": "timestamp",
    "bar_minutes": "integer",
    "open": "double",
    "high": "double",
    "low": "double",
    "close": "double",
    "volume": "bigint",
    "source": "varchar",
    "collected_at": "timestamp",
}
LONGEST = {
    name: case
    for case, name in sorted(ANSWERED, key=lambda each: (ANSWERS / each[0] / f"{each[1]}.csv").stat().st_size)
}
"""For each query, the case with the longest answer."""
MOMENT = dt.datetime(2026, 11, 20, 9, 30, tzinfo=NEW_YORK)
BAR = ("META", "2026-11-20", MOMENT, 5, 612.3456, 613.0, 611.5, None, 12345678, "yahoo", MOMENT)


@pytest.mark.parametrize(("name", "case"), LONGEST.items(), ids=lambda value: value)
def test_rows_and_frames_make_the_same_csv(name, case, tmp_path):
    engine = DuckDBEngine(write_case(tmp_path / "lake", case))
    found = run(engine, name, now=NOW)
    as_columns = run(engine, name, now=NOW, columns=True)

    expected = (ANSWERS / case / f"{name}.csv").read_text(encoding="utf-8")
    assert as_csv(found) == expected
    assert to_csv(as_columns.frame) == expected
    assert as_columns.rows == found.rows
    # DuckDB's columns and the rows of any other engine make the same frame.
    pd.testing.assert_frame_equal(as_columns.frame, found.frame)
    assert not isinstance(as_columns.result, list), "its types are read value by value, which is slow"


def test_an_hour_that_comes_twice_keeps_both_offsets():
    utc = dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.UTC)
    found = answer({"ts": "timestamp"}, (utc,), (utc + dt.timedelta(hours=1),))

    assert as_csv(found) == "ts\n2026-11-01T01:30:00-04:00\n2026-11-01T01:30:00-05:00\n"
    assert "01:30 EDT\n2026-11-01 01:30 EST" in as_table(found)


def test_json_has_no_infinity_and_no_nan():
    found = answer({"price": "double", "flag": "boolean"}, (float("inf"), True), (float("nan"), None), (1.5, False))

    assert json.loads(as_json(found)) == [
        {"price": None, "flag": True},
        {"price": None, "flag": None},
        {"price": 1.5, "flag": False},
    ]


def test_no_rows_are_an_empty_array_and_a_header_line():
    assert json.loads(as_json(answer(BARS))) == []
    assert as_csv(answer(BARS)) == ",".join(BARS) + "\n"


def test_a_table_rounds_prices_aligns_numbers_and_leaves_null_blank():
    found = answer({"ticker": "varchar", "price": "double", "n": "bigint"}, ("A", 1234.5, 7), ("BB", 0.12345, None))

    assert as_table(found) == (
        "ticker       price  n\n──────  ──────────  ─\nA       1,234.5000  7\nBB          0.1235\n"
    )


@pytest.mark.parametrize(
    ("prices", "texts"),
    [
        ((1.0, 2.5, None), ["1.00", "2.50"]),
        ((1.0, 2.125), ["1.000", "2.125"]),
        ((1.0, 2.1234), ["1.0000", "2.1234"]),
        ((None,), []),
    ],
)
def test_the_prices_of_a_column_have_the_same_decimals_two_at_least(prices, texts):
    found = answer({"price": "double"}, *((price,) for price in prices))

    assert [line.strip() for line in as_table(found).splitlines()[2:] if line.strip()] == texts


def test_at_80_columns_prices_stay_and_provenance_goes_and_is_named():
    table = as_table(answer(BARS, BAR), width=80)

    header, _, row, note = table.splitlines()
    assert header.split() == ["ticker", "ts", "open", "high", "low", "close", "volume"]
    assert row == "META    2026-11-20 09:30 EST  612.3456  613.00  611.50         12345678"
    assert note == "not shown for lack of width: session, bar_minutes, source, collected_at"


@pytest.mark.parametrize("width", range(1, 140))
def test_no_line_is_wider_than_the_terminal_and_no_column_goes_without_need(width):
    lines = as_table(answer(BARS, BAR), width=width).splitlines()[:3]

    assert max(map(len, lines)) <= width
    if width >= 138:
        assert lines[0].split() == list(BARS)


def test_long_text_is_cut_before_a_column_goes():
    columns = {"ticker": "varchar", "missing": "bigint", "gaps": "varchar"}
    table = as_table(answer(columns, ("META", 40, "09:35-09:40, " * 20)), width=40)

    assert table.splitlines()[2] == "META         40  09:35-09:40, 09:35-09:…"
    assert as_table(answer({"gaps": "varchar", "n": "bigint"}, ("09:35-09:40, 10:35", 1)), width=20).splitlines()[
        2
    ] == ("09:35-09:40, 10:…  1")


def test_the_session_stays_where_no_time_shows_it():
    columns = {"session": "varchar", "high": "double", "volume": "bigint"}

    assert as_table(answer(columns, ("2026-11-20", 613.0, 12345)), width=18).startswith("session       high\n")


def test_a_long_table_shows_both_ends_and_says_how_many_rows_there_are():
    found = answer({"n": "bigint"}, *((n,) for n in range(1000)))

    lines = as_table(found, rows_shown=4).splitlines()

    assert [line.strip() for line in lines[2:]] == ["0", "1", "…", "998", "999", "4 of 1,000 rows shown"]
    assert len(as_table(found).splitlines()) == 1002
    assert "…" not in as_table(answer({"n": "bigint"}, (1,), (2,), (3,), (4,)), rows_shown=4)


@pytest.mark.parametrize(
    ("ticker", "shown"),
    [
        ("[/red]", "[/red]  1"),
        ("\x1b[31mA\n", "\\x1b[31mA\\n  1"),
        ("é\n", "é\\n     1"),
        ("日本", "日本    1"),
        ("e\N{COMBINING ACUTE ACCENT}", "e\N{COMBINING ACUTE ACCENT}       1"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}A", "\\u202eA  1"),
    ],
)
def test_a_terminal_acts_on_nothing_in_a_name_and_columns_stay_straight(ticker, shown):
    table = as_table(answer({"ticker": "varchar", "n": "bigint"}, (ticker, 1)))

    assert table.splitlines()[2] == shown


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "-1\r=1"])
def test_text_in_csv_never_runs_as_a_formula_in_a_spreadsheet(text):
    found = answer({text: "varchar", "change": "double"}, (text, -1.5))

    safe = f"'{text}".replace("\r", "\n")
    for written in (as_csv(found), to_csv(found.frame)):
        assert list(csv.reader(io.StringIO(written, newline=""))) == [[safe, "change"], [safe, "-1.5"]]


def test_text_with_commas_quotes_and_line_ends_survives_csv():
    text = 'say "hi", now\nand then'

    assert list(csv.reader(io.StringIO(as_csv(answer({"a": "varchar"}, (text,)))))) == [["a"], [text]]
