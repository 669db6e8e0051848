"""Free SQL: what is refused, what the tables are, and what a user's own text keeps."""

import datetime as dt

import pandas as pd
import pytest
import trino_sql_validator

from tests.fakes.athena import running_athena
from tests.query.lakes import read_records, write_lake
from tickerlake.errors import ConfigError, QueryFailed
from tickerlake.lake.layout import Layout
from tickerlake.query import Settings
from tickerlake.query.engines.athena import AthenaEngine
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.statement import with_tables
from tickerlake.watchlist import SOURCES

WRITES = (
    "INSERT INTO records VALUES (1)",
    "CREATE TABLE x AS SELECT * FROM bars",
    "COPY (SELECT 1) TO 'stolen.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO 'stolen.csv'",
    "ATTACH 'other.db'",
    "INSTALL httpfs",
    "SET enable_external_access = true",
    "DELETE FROM bars",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE bars",
    "/* SELECT */ DROP TABLE bars",
    "",
    "-- nothing",
)


@pytest.fixture
def lake(tmp_path):
    return write_lake(tmp_path / "lake", read_records("restatements"))


@pytest.fixture
def engine(lake):
    return DuckDBEngine(lake)


@pytest.mark.parametrize("text", WRITES)
def test_duckdb_refuses_what_does_not_only_read(engine, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="is refused; write one statement that only reads, such as SELECT"):
        engine.ask(text)

    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


@pytest.mark.parametrize("text", WRITES)
def test_trino_and_athena_are_not_sent_what_does_not_only_read(text):
    with pytest.raises(ConfigError, match="is refused; write one statement that only reads"):
        with_tables(text, "t", SOURCES)


def test_bars_has_each_bar_once_as_collected_last_and_records_has_all(engine):
    (records,) = engine.ask("SELECT count(*) FROM records").rows
    (bars,) = engine.ask("SELECT count(*) FROM bars").rows
    stale = engine.ask("""
        SELECT count(*) FROM bars b JOIN records r USING (ticker, bar_minutes, ts)
        WHERE r.collected_at > b.collected_at
    """)

    assert (records, bars, stale.rows) == ((20,), (12,), [(0,)])


def test_of_records_collected_at_one_moment_the_same_one_wins_whatever_the_order_of_files(tmp_path):
    first, *_ = read_records("restatements")
    twins = [{**first, "high": 60.0, "low": 50.0, "close": close, "volume": 7} for close in (51.0, 52.0)]
    answers = []
    for name, records in (("a", twins), ("b", twins[::-1])):
        answers.append(DuckDBEngine(write_lake(tmp_path / name, records)).ask("SELECT close FROM bars").rows)

    assert answers == [[(52.0,)], [(52.0,)]]


def test_a_condition_on_dt_reads_the_files_of_those_sessions_only(tmp_path):
    lake = write_lake(tmp_path / "lake", read_records("early_close"))
    (damaged,) = Layout(lake).files(dt.date(2026, 11, 27))
    damaged.write_bytes(b"PAR1")

    assert DuckDBEngine(lake).ask("SELECT count(*) FROM bars WHERE dt = '2026-11-25'").rows == [(13,)]
    (note,) = DuckDBEngine(lake).ask("SELECT count(*) FROM bars").notes
    assert note.startswith(f"skipped {damaged}: ")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('/*')",
        "FROM parquet_schema('{secret}')",
    ],
)
def test_no_other_file_can_be_read(engine, tmp_path, text):
    secret = tmp_path / "secret.csv"
    secret.write_text("password")

    with pytest.raises(QueryFailed, match=r"Cannot access file|does not exist"):
        engine.ask(text.format(secret=secret))


def test_a_variable_of_the_program_is_not_a_table(engine):
    secret = pd.DataFrame({"password": ["hunter2"]})

    with pytest.raises(QueryFailed, match="secret does not exist"):
        engine.ask("SELECT * FROM secret")
    assert len(secret) == 1


def test_values_have_plain_types_and_times_are_in_exchange_time(engine):
    answer = engine.ask("""
        SELECT 1 AS n, 1.5 AS d, true AS yes, NULL AS nothing, DATE '2026-11-20' AS day, [1, 2] AS list,
            TIMESTAMP '2026-11-20 14:30:00' AS utc, TIMESTAMPTZ '2026-07-01 14:30:00+02' AS zoned,
            sum(2) AS big, '50%' || '%(first)s' AS text, 1 AS n
    """)

    (row,) = answer.rows
    assert [field.name for field in answer.columns][-1] == "n_1"
    assert row[:6] == (1, 1.5, True, None, "2026-11-20", "[1, 2]")
    assert [moment.isoformat() for moment in row[6:8]] == ["2026-11-20T09:30:00-05:00", "2026-07-01T08:30:00-04:00"]
    assert row[8:] == (2, "50%%(first)s", 1)
    assert answer.frame.dtypes.astype(str).to_dict() == {
        "n": "int64",
        "d": "float64",
        "yes": "boolean",
        "nothing": "Int64",
        "day": "str",
        "list": "str",
        "utc": "datetime64[us, America/New_York]",
        "zoned": "datetime64[us, America/New_York]",
        "big": "Int64",
        "text": "str",
        "n_1": "int64",
    }


def test_an_unknown_column_is_one_line_with_what_is_meant(engine):
    with pytest.raises(QueryFailed, match=r'"hihg" not found in FROM clause! Candidate bindings: "high"'):
        engine.ask("SELECT hihg FROM bars")


def test_no_more_rows_come_than_the_limit(engine):
    assert len(engine.ask("SELECT * FROM records ORDER BY ts", limit=3).rows) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1 ORDER BY 1;", "WITH … SELECT 1 ORDER BY 1"),
        ("WITH mine AS (SELECT 1) SELECT * FROM mine", "WITH …,  mine AS (SELECT 1) SELECT * FROM mine"),
        ("with recursive t(n) AS (SELECT 1) TABLE t", "with recursive …,  t(n) AS (SELECT 1) TABLE t"),
        ("-- WITH\nSELECT ';' AS a -- ; DROP", "WITH … -- WITH\nSELECT ';' AS a -- ; DROP"),
        ("(SELECT 1)", "WITH … (SELECT 1)"),
        ("DESCRIBE bars", "DESCRIBE bars"),
    ],
)
def test_the_tables_join_the_with_clause_that_the_user_wrote(text, expected):
    result = with_tables(text, '"lake"."bars"', SOURCES)

    head, bars, tail = result.partition("records AS (")
    if not bars:
        assert result == expected
        return
    assert 'FROM "lake"."bars"' in tail
    end = "dt FROM in_force)"
    rest = tail[tail.index(end) + len(end) :]
    assert f"{head}…{rest}" == expected


def test_athena_is_sent_the_tables_and_a_percent_sign_as_it_is(lake, monkeypatch):
    with running_athena() as athena:
        for name, value in athena.environment().items():
            monkeypatch.setenv(name, value)
        engine = AthenaEngine(Settings(engine="athena", region="us-east-1", database="lake"), poll_seconds=0.001)
        engine.ask("SELECT ticker FROM bars WHERE ticker LIKE 'A%' AND '%(first)s' <> ''")
        sent = athena.started()["QueryString"]

    assert sent.endswith(" SELECT ticker FROM bars WHERE ticker LIKE 'A%' AND '%(first)s' <> ''")


def test_what_athena_and_trino_are_sent_is_their_sql_and_gives_the_rows_of_duckdb(engine):
    text = "WITH a AS (SELECT * FROM bars) SELECT ticker, ts, high, (SELECT count(*) FROM records) FROM a ORDER BY 1, 2"
    sent = with_tables(text, '"lake"."bars"', SOURCES)

    assert trino_sql_validator.validate(sent).valid
    # The engine defines `bars` itself.
    ours = sent.replace('"lake"."bars"', "stored").replace("bars", "theirs").replace("stored", "bars")
    assert engine.run(ours, {}).rows == engine.ask(text).rows
