"""Every type that a header may declare, as an option, as an argument and as a column."""

import datetime as dt
import json

import pandas as pd
import pytest

from tests.query.lakes import read_records, write_lake
from tickerlake.cli import cli
from tickerlake.cli.console import run_command
from tickerlake.errors import ConfigError
from tickerlake.query import catalog, load, run, types
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.engines.trino import bind

ALL_TYPES = """\
-- Every type there is.
--
-- parameters
--   first    date           first session, YYYY-MM-DD
--   word     varchar        a word
--   words    varchar list   several words; default a,b
--   day      date           a day; default 2026-11-20
--   whole    integer        a whole number; default 3
--   big_one  bigint         a large one; default 12345678901
--   price    double         a price, USD; default 1e-7
--   flag     boolean        yes or no; default true
-- columns
--   word     varchar        the word
--   words    bigint         how many words there are
--   day      varchar        the day
--   whole    integer        the whole number
--   big_one  bigint         the large one
--   price    double         the price, USD
--   flag     boolean        the flag
--   ts       timestamp      the time, UTC
--   nothing  boolean        null
--
-- A note.
SELECT
    %(word)s AS word,
    count(*) FILTER (WHERE w IN %(words)s) AS words,
    %(day)s AS day,
    %(whole)s + 1 AS whole,
    %(big_one)s AS big_one,
    %(price)s AS price,
    %(flag)s AS flag,
    TIMESTAMP '2026-07-01 12:00:00' AS ts,
    CAST(NULL AS boolean) AS nothing
FROM (VALUES ('a'), ('b'), ('c')) t (w)
WHERE '2026' > %(first)s
"""
NOON = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """A lake, and a folder of queries with one that uses every type."""
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "all_types.sql").write_text(ALL_TYPES)
    monkeypatch.setattr(catalog, "QUERIES", tmp_path / "queries")
    return write_lake(tmp_path / "lake", read_records("ties"))


def test_defaults_and_values_of_every_type_reach_the_engine(lake):
    engine = DuckDBEngine(lake)

    plain = run(engine, "all_types", word="it's %(day)s \\")
    given = run(
        engine, "all_types", word="", words="c", day=dt.date(2026, 1, 2), whole="-7", big_one=-1, price=-2, flag=False
    )

    assert plain.rows == [("it's %(day)s \\", 2, "2026-11-20", 4, 12345678901, 1e-7, True, NOON, None)]
    assert given.rows == [("", 1, "2026-01-02", -6, -1, -2.0, False, NOON, None)]
    assert plain.frame.dtypes.astype(str).tolist() == [
        *("str", "Int64", "str", "int64", "Int64", "float64", "boolean", "datetime64[us, America/New_York]", "boolean")
    ]
    assert plain.frame.loc[0, "ts"] == NOON


def test_options_of_every_type_are_made_of_the_header(lake, capsys):
    arguments = "--word w --words a,c --day 2026-01-02 --whole -7 --big-one 5 --price 2.5 --flag false --format json"

    assert run_command(cli, ["query", "all_types", "--lake", str(lake), *arguments.split()]) == 0

    assert list(json.loads(capsys.readouterr().out)[0].values()) == [
        *("w", 2, "2026-01-02", -6, 5, 2.5, False, "2026-07-01T08:00:00-04:00", None)
    ]


def test_help_shows_purpose_options_defaults_columns_and_notes(lake, capsys):
    assert run_command(cli, ["query", "all_types", "-h"]) == 0

    words = " ".join(capsys.readouterr().out.split())
    for expected in (
        "Every type there is.",
        "--word TEXT A word. [required]",
        "--big-one INTEGER A large one; by default 12345678901.",
        "price double the price, USD",
        "A note.",
    ):
        assert expected in words


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "the query all_types needs word: a word"),
        ({"word": 1}, "word: 1 cannot be used; give text"),
        ({"word": "w", "whole": 1.5}, "whole: 1.5 cannot be used; give a whole number"),
        ({"word": "w", "whole": True}, "whole: True cannot be used"),
        ({"word": "w", "big_one": "x"}, "big_one: 'x' cannot be used; give a whole number"),
        ({"word": "w", "price": "nan"}, "price: 'nan' cannot be used; give a number"),
        ({"word": "w", "flag": "perhaps"}, "flag: 'perhaps' cannot be used; give true or false"),
        ({"word": "w", "day": "2026-13-01"}, "day: '2026-13-01' is not a date; write YYYY-MM-DD"),
        ({"word": "w", "day": NOON}, "has a time of day; pass a date"),
        ({"word": "w", "words": [1]}, "words: [1] cannot be used; give one text or several"),
        ({"wrod": "w"}, "the query all_types has no parameter 'wrod'; it has first, word, words, day, whole, big_one"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_says_what_can(lake, parameters, says):
    with pytest.raises(ConfigError) as error:
        run(DuckDBEngine(lake), "all_types", **parameters)

    assert says in str(error.value)


def test_trino_gets_numbers_and_truth_values_as_they_are(lake):
    values = {"first": "2026-01-01", "word": "w", "words": ["a"], "day": "2026-01-02", "whole": 1, "big_one": 2}

    _, bound = bind(load("all_types").sql, values | {"price": 0.5, "flag": True})

    assert bound == ["w", "a", "2026-01-02", 1, 2, 0.5, True, "2026-01-01"]


@pytest.mark.parametrize(
    ("engine_type", "name"),
    [
        ("VARCHAR", "varchar"),
        ("varchar(10)", "varchar"),
        *((type_, "integer") for type_ in ("INTEGER", "int", "tinyint", "smallint", "UTINYINT", "USMALLINT")),
        *((type_, "bigint") for type_ in ("bigint", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT")),
        *((type_, "double") for type_ in ("double", "DECIMAL(38,2)", "real", "float")),
        ("BOOLEAN", "boolean"),
        ("TIMESTAMP_NS", "timestamp"),
        ("timestamp(3) with time zone", "timestamp"),
        ("TIMESTAMP[]", "varchar"),
        ("INTEGER[]", "varchar"),
        ("array(integer)", "varchar"),
        ("date", "varchar"),
        ('row("a" integer)', "varchar"),
    ],
)
def test_what_engines_call_a_type_is_one_of_ours(engine_type, name):
    assert types.named(engine_type) == name


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-20 14:30:00.000000",
        "2026-11-20 14:30:00",
        "2026-11-20T14:30:00",
        "2026-11-20 14:30:00.000 UTC",
        "2026-11-20 09:30:00.000 America/New_York",
        "2026-11-20 15:30:00.000 +01:00",
        dt.datetime(2026, 11, 20, 14, 30),  # noqa: DTZ001  # as DuckDB returns it
        pd.Timestamp("2026-11-20 14:30", tz="UTC"),
    ],
)
def test_a_time_is_read_however_an_engine_writes_it(written):
    assert types.read_timestamp(written).isoformat() == "2026-11-20T09:30:00-05:00"


def test_text_of_athena_s_result_file_becomes_values():
    rows = types.read_rows(["boolean", "boolean", "integer", "double"], [("true", "false", "7", "NaN"), (None,) * 4])

    assert rows == [(True, False, 7, None), (None, None, None, None)]


@pytest.mark.parametrize(
    ("text", "truth"),
    [("true", True), ("1", True), ("YES", True), ("false", False), ("0", False), ("no", False), (True, True)],
)
def test_a_truth_value_is_written_in_any_usual_way(text, truth):
    assert types.parse("flag", "boolean", text) is truth


def test_whole_numbers_with_nulls_stay_whole_in_a_frame():
    assert str(types.as_series("integer", [1, None]).dtype) == "Int64"
    assert types.as_series("bigint", [2**100]).tolist() == [2**100]
