"""Every query on a real Trino server, its text unchanged, against the same query on DuckDB.

Only `make test-trino` runs these: the server is fetched first, and the large lake takes minutes to copy.
"""

import datetime as dt
import itertools
import os
import random
import sys

import pandas as pd
import pytest

from functions.collector.lake import _IN_FORCE
from tests.query.lakes import CASES, read_records, write_case, write_lake
from tests.query.test_answers import random_records
from tickerlake.errors import ConfigError, LakeEmpty, QueryFailed
from tickerlake.lake.hours import ORDER
from tickerlake.lake.hours import summed as summed_up
from tickerlake.lake.sql import in_force, kept
from tickerlake.query import load, names, run, types
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.runner import bind
from tickerlake.query.statement import defining, preference
from tickerlake.record import COLUMNS, HOURS

if not (os.environ.get("TRINO_URL") or os.environ.get("TRINO_TESTS")):
    pytest.skip("the comparison with a Trino server runs with `make test-trino`", allow_module_level=True)

pytestmark = pytest.mark.trino

NOW = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
SEEDS = range(6)
MILLISECONDS, MICROSECONDS = 3, 6
"""Timestamps of Athena, and of a Hive catalog by default; and those of the Parquet files."""


@pytest.fixture(scope="module", params=[*CASES, *SEEDS], ids=str)
def engines(request, cluster, tmp_path_factory):
    case = request.param
    folder = tmp_path_factory.mktemp("lake")
    lake = (
        write_lake(folder, random_records(random.Random(case))) if isinstance(case, int) else write_case(folder, case)
    )
    with cluster.holding(lake, precision=MICROSECONDS if isinstance(case, int) else MILLISECONDS) as engine:
        yield engine, DuckDBEngine(lake)


@pytest.mark.parametrize("name", names())
def test_each_query_gives_the_rows_it_gives_on_duckdb(engines, name):
    bases = types.BASES if "basis" in {field.name for field in load(name).parameters} else (None,)
    for as_of, basis in itertools.product((None, NOW - dt.timedelta(days=10)), bases):
        given = {"basis": basis} if basis else {}
        try:
            theirs = run(engines[1], name, now=NOW, as_of=as_of, **given)
        except ConfigError:  # the lake held nothing then
            continue
        ours = run(engines[0], name, now=NOW, as_of=as_of, **given)

        pd.testing.assert_frame_equal(ours.frame, theirs.frame, check_exact=True)
        assert ours.query_id


def test_compaction_keeps_the_records_it_keeps_on_duckdb(engines):
    names = ", ".join(column.name for column in COLUMNS)
    ours, theirs = (
        engine.run(f"SELECT {names} FROM ({kept('bars')}) kept ORDER BY {names}", {}).frame for engine in engines
    )

    assert len(theirs)
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)


def test_settled_hours_are_the_same_and_answer_as_the_bars_do(engines):
    (trino, duckdb), query = engines, load("hourly_high")
    names = ", ".join(column.name for column in HOURS)
    text = query.sql.replace("settled_hours", "summed_hours")
    for (session,) in duckdb.run("SELECT DISTINCT dt FROM bars", {}).rows:
        current = f"(SELECT * FROM bars WHERE dt = '{session}') current"
        summed = f"SELECT {names} FROM ({summed_up(f'({in_force(current)})')}) summed"
        ours, theirs = (engine.run(f"{summed} ORDER BY {ORDER}", {}).frame for engine in engines)
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)

        values = bind(trino, query, {"first": session, "last": session}) | {"sources": preference(trino.sources)}
        given = defining(f"summed_hours AS (SELECT *, '{session}' AS dt FROM ({summed}) given)", text)
        from_hours = trino.run(given, values | {"settled": session}).declared(query.columns).frame
        try:
            pd.testing.assert_frame_equal(from_hours, run(duckdb, "hourly_high", first=session, last=session).frame)
        except ConfigError:  # all its bars are withdrawn
            assert from_hours.empty


def test_the_sweep_finds_the_bars_in_force_that_it_finds_on_duckdb(engines):
    asked = {"first": "2000-01-01", "last": "2099-12-31", "source": "yahoo"}
    asked["tickers"] = [row[0] for row in engines[1].run("SELECT DISTINCT ticker FROM bars", {}).rows]
    ours, theirs = (
        sorted((*row[:3], sorted(row[3].split(","))) for row in engine.run(_IN_FORCE, asked).rows) for engine in engines
    )

    assert ours == theirs


def test_a_ticker_is_a_value_whatever_is_written_in_it(cluster, tmp_path):
    with cluster.holding(write_lake(tmp_path, read_records("ties")), precision=MICROSECONDS) as engine:
        for text in ("META') OR ('1' = '1", "'", "?", "%(last)s", "\\", "*'--", "Ω"):
            with pytest.raises(ConfigError, match="holds no bars of"):
                run(engine, "bars", tickers=[text])


def test_no_rows_have_the_types_of_rows(cluster, tmp_path):
    parameters = {"first": "2001-01-02", "last": "2001-01-02", "tickers": ["*"]}
    parameters |= {"as_of": "2026-12-01 00:00:00.000", "basis": "latest", "sources": ",yahoo,"}
    lake = write_lake(tmp_path, read_records("ties"))
    with cluster.holding(lake, precision=MICROSECONDS) as engine:
        frame = engine.run(load("bars").sql, parameters).frame

    assert frame.empty
    assert frame.dtypes.astype(str).to_dict() == {
        **dict.fromkeys(("ticker", "session", "source"), "str"),
        **dict.fromkeys(("open", "high", "low", "close"), "float64"),
        "bar_minutes": "int64",
        "volume": "Int64",
        **dict.fromkeys(("ts", "collected_at"), "datetime64[us, America/New_York]"),
    }


def test_free_sql_gives_the_rows_it_gives_on_duckdb(engines):
    text = (
        "WITH mine AS (SELECT * FROM bars) SELECT ticker, count(*) AS bars, max(ts) AS latest, "
        "(SELECT count(*) FROM records) AS records FROM mine WHERE ticker LIKE '%' GROUP BY ticker ORDER BY ticker"
    )
    ours, theirs = (engine.ask(text) for engine in engines)

    assert ours.rows == theirs.rows


def test_the_session_is_in_utc_wherever_this_machine_is(cluster, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")

    assert cluster.engine("any").run("SELECT current_timezone() AS zone", {}).frame["zone"].tolist() == ["UTC"]


def test_a_lake_without_a_table_of_splits_has_none(cluster, tmp_path):
    lake = write_lake(tmp_path, read_records("ties"))
    with cluster.holding(lake, precision=MICROSECONDS) as engine:
        cluster.execute(f"DROP TABLE {engine.lake.split('.')[1].split()[0]}.actions")

        for ask in (lambda each: run(each, "hourly_high"), lambda each: each.ask("SELECT max(high) FROM bars")):
            assert ask(engine).rows == ask(DuckDBEngine(lake)).rows


def test_what_is_not_there_is_named(cluster, tmp_path):
    with cluster.holding(write_lake(tmp_path, read_records("ties")), precision=MICROSECONDS) as engine:
        schema = engine.lake.split(".")[1].split()[0]
        cluster.execute(f"DROP TABLE {schema}.bars")
        with pytest.raises(LakeEmpty, match="has no table bars"):
            run(engine, "tickers")
    with pytest.raises(ConfigError, match="has no schema 'elsewhere'"):
        run(cluster.engine("elsewhere"), "tickers")
    with pytest.raises(ConfigError, match="has no catalog 'elsewhere'"):
        run(cluster.engine("any", catalog="elsewhere"), "tickers")


def test_a_query_that_takes_too_long_is_cancelled_on_the_server(cluster):
    numbers = "UNNEST(sequence(1, 9999))"
    long = f"SELECT count(*) AS n FROM {numbers} a, {numbers} b, {numbers} c"
    with pytest.raises(QueryFailed, match="longer than 2 seconds and was cancelled") as failed:
        cluster.engine("any", timeout_seconds=2).run(long, {})

    state = f"SELECT error_code FROM system.runtime.queries WHERE query_id = '{failed.value.query_id}'"
    assert cluster.execute(state) == [["USER_CANCELED"]]


def test_large_lakes_give_the_same_rows_and_the_ratio_of_times(cluster, large_lakes, capsys):
    for count, lake in large_lakes.items():
        with cluster.holding(lake, precision=MICROSECONDS) as engine:
            duckdb = DuckDBEngine(lake)
            for name in names():
                # Every bar of the whole lake would be millions of rows through HTTP; a session's will do.
                held = run(duckdb, "sessions").frame["session"]
                span = {"first": dt.date.fromisoformat(held.iloc[-1])} if name == "bars" else {}
                trino, local = (run(each, name, now=NOW, **span).frame for each in (engine, duckdb))
                # high_hour sums in another order; that may change the sixth decimal, to which it rounds.
                pd.testing.assert_frame_equal(trino, local, rtol=0, atol=1.5e-6)
            trino, local = (min(run(each, "hourly_high").seconds for _ in range(3)) for each in (engine, duckdb))
        with capsys.disabled():
            sys.stdout.write(
                f"\nhourly_high, {count} session(s) of 500 tickers: "
                f"Trino {trino:.2f} s, DuckDB {local:.3f} s, ratio {trino / local:.1f}\n"
            )
