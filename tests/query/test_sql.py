"""The SQL files use what Trino and DuckDB read alike, and their headers are true."""

import re

import pytest
import sqlglot
import trino_sql_validator
from sqlglot.optimizer.qualify import qualify

from tickerlake import record
from tickerlake.errors import ConfigError
from tickerlake.query import load, names
from tickerlake.query.statement import TABLES
from tickerlake.query.types import TYPES

TRINO_TYPES = {
    "string": "varchar",
    "timestamp": "timestamp",
    "int": "integer",
    "bigint": "bigint",
    "double": "double",
    "boolean": "boolean",
}
PARAMETERS = {
    "first": "'2026-11-20'",
    "last": "'2026-11-20'",
    "tickers": "('META', 'AMZN')",
    "as_of": "'9999-12-31 00:00:00.000'",
    "basis": "'latest'",
    "calendar": "'x'",
    "renames": "'x'",
    "settled": "'2026-11-20'",
    "since": "'2026-11-06'",
    "sources": "',yahoo,recorded,'",
}

READS = {
    "bars": 4,
    "coverage": 5,
    "daily": 3,
    "disagreements": 4,
    "forecast_scores": 4,
    "forecasts": 4,
    "high_hour": 8,
    "hourly": 4,
    "hourly_high": 6,
    "hourly_versions": 9,
    "restatements": 2,
    "runs": 0,
    "sessions": 1,
    "splits": 0,
    "suspected_splits": 3,
    "tickers": 1,
}
"""How often each query reads the table on an engine that runs a CTE again wherever it is named, as Trino does."""

# What only one engine reads, or reads differently, with what to write instead.
NOT_PORTABLE = {
    r"::": "CAST(x AS type)",
    r"\bILIKE\b": "lower(x) LIKE",
    r"\bQUALIFY\b": "a subquery",
    r"\bGROUP BY ALL\b": "the columns",
    r"\bDISTINCT ON\b": "row_number()",
    r"`": "no quotes",
    r'"': "single quotes for text, none for names",
    r"\bLIMIT \d+ OFFSET\b": "OFFSET first",
    r"\bat_timezone\(": "AT TIME ZONE",
    r"\bfrom_unixtime\(": "timestamp arithmetic",
    r"\bdate_add\(": "+ INTERVAL",
    r"\bdate_parse\(": "CAST(x AS timestamp)",
    r"\bformat_datetime\(": "substr(CAST(x AS varchar), …)",
    r"\bapprox_\w+\(": "the exact aggregate",
    r"\bcurrent_timestamp\b|\bnow\(": "a parameter: the clock is passed in",
    r"[^/]/ (?!\(.*1e0\))": "/ (x * 1e0): whole numbers divide differently",
    r"%(?!\(\w+\)s)": "no per cent sign but a parameter's",
}


def rendered(name):
    sql = load(name).sql
    for parameter, literal in PARAMETERS.items():
        sql = sql.replace(f"%({parameter})s", literal)
    return sql


def code(name):
    return re.sub(r"--.*", "", load(name).sql)


@pytest.mark.parametrize("name", names())
def test_trino_accepts_the_syntax_the_words_and_the_functions(name):
    result = trino_sql_validator.validate(rendered(name))

    assert result.valid, result
    assert not result.unknown_functions, result.unknown_functions
    assert not result.unknown_types, result.unknown_types
    assert not result.function_argument_warnings, result.function_argument_warnings


@pytest.mark.parametrize("name", names())
def test_every_column_is_one_the_table_has(name):
    tables = {
        "bars": (*record.COLUMNS, record.PARTITION),
        "settled_hours": (*record.HOURS, record.PARTITION),
        **TABLES,
    }
    schema = {table: {column.name: TRINO_TYPES[column.type] for column in columns} for table, columns in tables.items()}

    qualify(
        sqlglot.parse_one(rendered(name), read="athena"),
        schema=schema,
        dialect="athena",
        validate_qualify_columns=True,
    )


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("pattern", NOT_PORTABLE)
def test_nothing_is_written_that_one_engine_alone_understands(name, pattern):
    found = re.search(pattern, code(name), re.IGNORECASE)

    assert not found, f"{found[0]!r} in {name}.sql; write {NOT_PORTABLE[pattern]}"


@pytest.mark.parametrize("name", names())
def test_the_header_declares_the_parameters_and_columns_that_the_text_has(name):
    query = load(name)

    assert {field.name for field in query.parameters} == set(re.findall(r"%\((\w+)\)s", query.sql))
    selected = sqlglot.parse_one(rendered(name), read="athena").expressions
    assert [field.name for field in query.columns] == [column.alias_or_name for column in selected]
    assert all(field.comment for field in (*query.parameters, *query.columns))
    assert query.purpose.endswith((".", "?"))


@pytest.mark.parametrize("name", names())
def test_every_read_of_the_table_is_bounded_by_the_partition(name):
    # A read without it would scan, and on Athena bill, the whole lake.
    tree = sqlglot.parse_one(rendered(name), read="athena")
    for select in tree.find_all(sqlglot.exp.Select):
        tables = {t.this.name for t in (select.args["from_"], *select.args.get("joins", []))}
        if tables & {"bars", "settled_hours"}:
            assert re.search(r"dt BETWEEN '", re.sub(r"\b[bh]\.dt", "dt", select.sql(dialect="athena"))), select.sql()
        if "bars" in tables:
            assert re.search(r"collected_at <= CAST\('9999", select.sql(dialect="athena")), select.sql()


def reads(sql):
    """How often `sql` reads the table if a CTE runs again wherever it is named."""
    tree = sqlglot.parse_one(sql, read="athena")
    times = {"bars": 1}
    ctes = tree.args.get("with_")
    for cte in ctes.expressions if ctes else []:
        times[cte.alias] = sum(times.get(table.name, 0) for table in cte.this.find_all(sqlglot.exp.Table))
    if ctes:
        ctes.pop()
    return sum(times.get(table.name, 0) for table in tree.find_all(sqlglot.exp.Table))


@pytest.mark.parametrize("name", names())
def test_the_table_is_read_no_more_often_than_it_was_thought_about(name):
    # Athena bills every read. Most are of the few columns by which hours that need care are found.
    assert reads(rendered(name)) == READS[name]


@pytest.mark.parametrize("name", names())
def test_rows_come_in_an_order_that_leaves_nothing_to_chance(name):
    assert re.search(r"\nORDER BY [^\n]+\n$", load(name).sql)


def test_the_validator_would_catch_what_it_is_there_for():
    broken = "SELECT elemnt_at(ticker, 1) FROM bars GROUP BY"

    assert not trino_sql_validator.validate(broken).valid
    with pytest.raises(sqlglot.errors.OptimizeError):
        qualify(
            sqlglot.parse_one("SELECT hihg FROM bars", read="athena"),
            schema={"bars": {"high": "double"}},
            dialect="athena",
        )


def test_an_unknown_query_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match="bars, coverage, daily, disagreements, forecast_scores, forecasts, high"):
        load("hourly_low")


@pytest.mark.parametrize("name", names())
def test_parameters_are_of_known_types_and_do_not_hide_an_option_or_argument(name):
    taken = {"lake", "limit", "format", "output", "help", "now", "engine", "name"}

    assert not taken & {field.name for field in load(name).parameters}
    assert {field.type for field in (*load(name).parameters, *load(name).columns)} <= TYPES.keys()
