"""The saved queries: what stands in Athena's console runs as it stands, and does not change from day to day."""

import datetime as dt

import duckdb
import pytest
import trino_sql_validator

from infra.analytics import console_sql
from tests.infra.recorder import TODAY
from tickerlake import exchange
from tickerlake.query.catalog import names

COVERAGE = "coverage"


@pytest.mark.parametrize("name", names())
def test_it_is_a_statement_that_trino_reads_with_nothing_left_to_fill_in(name):
    sql = console_sql(name, TODAY)

    assert "%(" not in sql
    assert trino_sql_validator.validate(sql).valid


@pytest.mark.parametrize("name", names())
def test_it_says_first_what_it_was_filled_in_with(name):
    first, second = console_sql(name, TODAY).splitlines()[:2]

    assert first.startswith("-- As deployed: the last 7 days, every ticker.")
    assert second.startswith("-- ")


@pytest.mark.parametrize("name", names())
def test_a_deployment_a_month_later_in_the_quarter_finds_it_unchanged(name):
    assert console_sql(name, dt.date(2026, 10, 1)) == console_sql(name, dt.date(2026, 12, 31))


@pytest.mark.parametrize(
    "today", [dt.date(2026, 1, 1), dt.date(2026, 3, 31), dt.date(2026, 11, 20), dt.date(2026, 12, 31)]
)
def test_its_calendar_holds_every_session_of_the_last_week_and_of_the_next_quarter(today):
    sql = console_sql(COVERAGE, today)

    for session in exchange.sessions_between(today - dt.timedelta(days=8), today + dt.timedelta(days=85)):
        entry = f"{session.date} {session.open:%Y-%m-%d %H:%M:%S} {session.close:%Y-%m-%d %H:%M:%S}"
        assert entry in sql


def test_its_calendar_leaves_out_sessions_that_are_not_over():
    expression = console_sql(COVERAGE, TODAY).split("UNNEST(split(")[1].split(", ';')) AS t")[0]
    # DuckDB writes a lambda otherwise; the rest is the same.
    expression = expression.replace("entry ->", "lambda entry:").replace("current_date", "DATE '2026-11-27'")

    (text,) = duckdb.sql(f"SELECT array_to_string({expression.removeprefix('array_join(')[:-6]}, ';')").fetchone()

    assert [entry[:10] for entry in text.split(";")] == ["2026-11-20", "2026-11-23", "2026-11-24", "2026-11-25"]
