"""The saved queries: they run in Athena's console unchanged, and do not change from day to day."""

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
def test_it_is_valid_trino_sql_with_no_parameters_left(name):
    sql = console_sql(name, TODAY, [exchange.XNYS])

    assert "%(" not in sql
    assert trino_sql_validator.validate(sql).valid


@pytest.mark.parametrize("name", names())
def test_it_starts_with_a_comment_about_its_values(name):
    first, second = console_sql(name, TODAY, [exchange.XNYS]).splitlines()[:2]

    assert first.startswith("-- The last 7 days, every ticker.")
    assert second.startswith("-- ")


@pytest.mark.parametrize("name", names())
def test_it_does_not_change_within_a_quarter(name):
    assert console_sql(name, dt.date(2026, 10, 1), [exchange.XNYS]) == console_sql(
        name, dt.date(2026, 12, 31), [exchange.XNYS]
    )


@pytest.mark.parametrize(
    "today", [dt.date(2026, 1, 1), dt.date(2026, 3, 31), dt.date(2026, 11, 20), dt.date(2026, 12, 31)]
)
def test_its_calendar_holds_every_session_of_the_last_week_and_the_next_quarter(today):
    sql = console_sql(COVERAGE, today, [exchange.XNYS])

    for session in exchange.XNYS.sessions_between(today - dt.timedelta(days=8), today + dt.timedelta(days=85)):
        entry = f"{session.date} {session.open:%Y-%m-%d %H:%M:%S} {session.close:%Y-%m-%d %H:%M:%S}"
        assert entry in sql


def test_its_calendar_leaves_out_unfinished_sessions():
    expression = console_sql(COVERAGE, TODAY, [exchange.XNYS]).split("UNNEST(split(")[1].split(", ';')) AS t")[0]
    # DuckDB has another syntax for lambdas.
    expression = expression.replace("entry ->", "lambda entry:").replace("current_date", "DATE '2026-11-27'")

    (text,) = duckdb.sql(f"SELECT array_to_string({expression.removeprefix('array_join(')[:-6]}, ';')").fetchone()

    assert [entry[:10] for entry in text.split(";")] == ["2026-11-20", "2026-11-23", "2026-11-24", "2026-11-25"]
