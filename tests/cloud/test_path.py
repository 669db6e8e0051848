"""The whole path of a bar: from a schedule that fires to the same rows in queries and dashboard as on one machine."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import re
import subprocess
import sys

import pandas as pd
import pyarrow.parquet
import pytest
import streamlit as st
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from dashboard import clock
from infra.settings import environment
from tests.cloud.emulator import until
from tests.cloud.stack import NAME, cells, metric
from tests.fakes.yahoo import Bars
from tests.infra.recorder import ROOT, deployed
from tickerlake import bars, exchange, record
from tickerlake.cli import cli
from tickerlake.query import Settings, names, open_engine, run
from tickerlake.watchlist import DEFAULT as WATCHLIST

FORMS = ROOT / "tests" / "data" / "recorded" / "forms"

pytestmark = pytest.mark.usefixtures("_points_at_the_stack")


@pytest.fixture(scope="module")
def stack(guarded):
    """The one of the tests of access, since creating another takes long."""
    return guarded


@pytest.fixture(scope="module")
def swept(stack):
    """Session, report and metrics of a sweep that its schedule started, once its bars are in the bucket."""
    since = dt.datetime.now(dt.UTC)
    stack.fire("new-york-sweep-1", repair=False)  # other tests leave gaps on purpose
    (report,) = (line["report"] for line in stack.log(since) if line.get("message") == "collected")
    session = exchange.XNYS.session_on(dt.date.fromisoformat(report["requested"]["sessions"][0]))
    stack.settle(session, report["delivered"])
    return session, report, stack.runs(since)


@pytest.fixture(scope="module")
def backfilled(stack, swept):
    """The three sessions before that one, and the report of the function that collected them."""
    day = swept[0].date
    three = exchange.XNYS.sessions_between(day - dt.timedelta(days=14), day - dt.timedelta(days=1))[-3:]
    report = stack.invoke({"first": three[0].dt, "last": three[-1].dt})
    for session in three:
        stack.settle(session, len(WATCHLIST) * len(session.bar_starts(5)))
    return three, report


def test_every_resource_that_the_program_registers_was_created(stack):
    registered = [item.type for item in deployed(NAME).registrations if item.type.startswith("aws:")]
    assert sorted(stack.created) == sorted(registered)
    assert len(registered) > 50


class TestASession:
    def test_the_schedule_starts_the_function_and_it_reports_its_bars(self, stack, swept):
        session, report, runs = swept
        expected = len(WATCHLIST) * len(session.bar_starts(5))
        assert report["requested"]["tickers"] == list(WATCHLIST)
        assert (report["delivered"], report["failed"], report["rejected"]) == (expected, 0, {})
        assert metric(runs, "BarsDelivered") == [expected]
        assert metric(runs, "Runs") == [1]

    def test_its_bars_are_in_the_bucket_as_parquet_under_their_day(self, stack, swept):
        session, report, _ = swept
        keys = stack.objects(f"bars/dt={session.dt}/")
        assert len(keys) <= 2
        assert all(key.count("/") == 2 for key in keys), keys
        assert stack.records(session) == report["delivered"]
        columns = [pyarrow.parquet.ParquetFile(io.BytesIO(stack.read(key))).schema_arrow.names for key in keys]
        assert all(names == [column.name for column in record.COLUMNS] for names in columns)

    def test_every_query_gives_the_rows_of_the_local_engine(self, swept, engine, local):
        session, *_ = swept
        here = local(session)
        when = {"first": session.date, "last": session.date}
        for name in names():
            there, expected = (run(each, name, **when).frame for each in (engine, here))
            collected = expected.columns.intersection(["collected_at", "known_from"])
            pd.testing.assert_frame_equal(there.drop(columns=collected), expected.drop(columns=collected))

    def test_every_saved_query_runs_unchanged(self, stack, swept):
        athena = stack.client("athena")
        workgroup = stack.outputs["workgroup"]
        saved = athena.list_named_queries(WorkGroup=workgroup)["NamedQueryIds"]
        found = [athena.get_named_query(NamedQueryId=number)["NamedQuery"] for number in saved]
        assert sorted(query["Name"] for query in found) == names()
        for query in found:
            started = athena.start_query_execution(
                QueryString=query["QueryString"],
                QueryExecutionContext={"Database": query["Database"]},
                WorkGroup=workgroup,
                ResultConfiguration={"OutputLocation": "s3://elsewhere/"},
            )

            def execution(started=started):
                found = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
                return found if found["Status"]["State"] in ("SUCCEEDED", "FAILED") else None

            found = until(execution, query["Name"])
            assert found["Status"]["State"] == "SUCCEEDED", found["Status"]
            # The workgroup is enforced, so the caller's output location is ignored.
            assert found["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{stack.outputs['results']}/")


class TestABackfill:
    def test_it_reports_each_session(self, backfilled):
        three, report = backfilled
        assert [each["session"] for each in report["sessions"]] == [session.dt for session in three]
        assert all(each["delivered"] == each["bars"] > 0 for each in report["sessions"])

    def test_each_bar_is_stored_under_its_own_day(self, stack, backfilled):
        for session in backfilled[0]:
            for key in stack.objects(f"bars/dt={session.dt}/"):
                held = pyarrow.parquet.read_table(io.BytesIO(stack.read(key))).to_pandas()["ts"]
                assert set(bars.placed(held.dt.tz_localize("UTC").to_frame("ts").assign(ticker="META"))["dt"]) == {
                    session.dt
                }

    def test_every_hourly_high_is_the_local_one(self, backfilled, engine, local):
        three, _ = backfilled
        when = {"first": three[0].date, "last": three[-1].date}
        there, here = (cells(run(each, "hourly_high", **when).frame) for each in (engine, local(three[0], three[-1])))
        assert len(here) == len(WATCHLIST) * sum(4 if each.early_close else 7 for each in three)
        pd.testing.assert_series_equal(there, here)


class TestTheCatalog:
    def test_queries_find_a_session_before_any_crawl(self, stack, swept, engine):
        glue = stack.client("glue")
        table = {"DatabaseName": stack.outputs["database"], "TableName": stack.outputs["table"]}
        assert glue.get_table(DatabaseName=table["DatabaseName"], Name=table["TableName"])["Table"]["Parameters"][
            "projection.enabled"
        ]
        assert swept[0].dt in run(engine, "sessions").frame["session"].tolist()

    def test_the_crawler_registers_sessions_for_readers_without_projection(self, stack, swept, backfilled, engine):
        assert stack.crawl()["Status"] == "SUCCEEDED"
        glue, database, name = stack.client("glue"), stack.outputs["database"], stack.outputs["table"]
        partitions = glue.get_partitions(DatabaseName=database, TableName=name)["Partitions"]
        assert {swept[0].dt, *(session.dt for session in backfilled[0])} <= {item["Values"][0] for item in partitions}

        expected = run(engine, "bars").frame
        table = glue.get_table(DatabaseName=database, Name=name)["Table"]
        kept = {key: table[key] for key in ("Name", "TableType", "PartitionKeys", "StorageDescriptor")}
        plain = {"classification": "parquet", "EXTERNAL": "TRUE"}
        glue.update_table(DatabaseName=database, TableInput={**kept, "Parameters": plain})
        try:
            found = run(engine, "bars").frame
        finally:
            glue.update_table(DatabaseName=database, TableInput={**kept, "Parameters": table["Parameters"]})
        pd.testing.assert_frame_equal(found, expected)

    def test_files_outside_the_sessions_are_not_read(self, stack, swept, engine):
        expected = run(engine, "bars").frame
        key = stack.objects(f"bars/dt={swept[0].dt}/")[0]
        beside = ["bars/stray.parquet", "bars/dt=1999-12-31/old.parquet", "bars/dt=unknown/stray.parquet"]
        for name in beside:
            stack.client("s3").put_object(Bucket=stack.outputs["bucket"], Key=name, Body=stack.read(key))
        try:
            pd.testing.assert_frame_equal(run(engine, "bars").frame, expected)
        finally:
            for name in beside:
                stack.client("s3").delete_object(Bucket=stack.outputs["bucket"], Key=name)


class TestSplits:
    """With a ticker that no other test collects, because queries bring prices to the basis after its split."""

    ALL = "SELECT * FROM actions ORDER BY ticker"

    def test_before_the_first_split_the_table_is_empty_and_has_its_columns(self, engine):
        answer = engine.run(self.ALL, {})
        assert [field.name for field in answer.columns] == [column.name for column in record.ACTIONS]
        assert answer.rows == []
        assert not engine._tables.missing  # without the table, the engine would make up an empty one

    def test_a_split_that_yahoo_reports_is_a_row_of_the_table(self, stack, session, engine, monkeypatch):
        stack.yahoo.answers("NVDA", Bars(splits=[(session.open, 10, 1)]))
        now = session.open + dt.timedelta(minutes=16)
        with stack.clock(now):
            for _ in range(2):
                stack.invoke({"tickers": ["NVDA"]})
        assert len(stack.objects("actions/")) == 1
        (row,) = engine.run(self.ALL, {}).rows
        assert row == ("NVDA", "XNYS", session.dt, 10.0, None, "yahoo", now)

        stack.invoke({"session": session.dt, "tickers": ["NVDA"]})
        stack.settle(session, len(session.bar_starts(5)))
        for name, value in environment({"tickerlake": stack.outputs}).items():
            monkeypatch.setenv(name, value)
        shown = CliRunner().invoke(cli, ["actions"])
        assert shown.output == f"NVDA    {session.dt}    10:1  (yahoo)\n"


class TestTheDashboard:
    @pytest.fixture
    def app(self, stack, swept, monkeypatch):
        for name, value in environment({"tickerlake": stack.outputs}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv(clock.VARIABLE, raising=False)

        def opened(page="hourly_highs", **parameters):
            at = AppTest.from_file(ROOT / "dashboard" / "app.py", default_timeout=60)
            at.query_params.update({"session": swept[0].dt, **parameters})
            if page != "hourly_highs":
                at.switch_page(f"app_pages/{page}.py")
            at.run()
            assert not at.exception, at.exception[0].message
            assert not at.error, at.error[0].value
            return at

        yield opened
        st.cache_resource.clear()
        st.cache_data.clear()

    def test_its_table_shows_the_hourly_highs(self, app, swept, local):
        session, *_ = swept
        shown = app(view="Table").dataframe[0].value
        expected = run(local(session), "hourly_high", first=session.date, last=session.date).frame
        assert shown["high"].tolist() == expected["high"].tolist()
        assert shown["ticker"].tolist() == expected["ticker"].tolist()

    def test_its_chart_holds_the_cells(self, app, swept):
        chart = app().get("vega_lite_chart")
        assert any(WATCHLIST[0] in json.dumps(json.loads(each.proto.spec)) for each in chart)

    @pytest.mark.parametrize("page", ["session", "data_quality"])
    def test_each_page_is_shown(self, app, page):
        assert app(page).markdown

    def test_its_pipeline_page_shows_the_function_the_alarms_and_the_crawler(self, app, stack):
        at = app("pipeline")
        assert not at.warning, at.warning[0].value
        figures = {metric.label: metric.value for metric in at.metric}
        assert re.fullmatch(r"[\d,.]+ s", figures["Longest run"])
        (alarms,) = (box.value for box in at.success)
        assert re.fullmatch(r"No alarms firing; \d+ of 11 without enough data yet\.", alarms)
        assert any("tickerlake-dev-crawler" in str(frame.value.to_dict()) for frame in at.dataframe)


class TestTheAlarms:
    """Before the commands: the emulator does not tell the metrics of a machine outside from those of the function."""

    def test_a_subscriber_is_told_that_the_vendor_refuses_and_what_to_do_and_when_it_is_over(self, stack):
        queues, watch = stack.client("sqs"), stack.client("cloudwatch")
        url = stack.subscribe(stack.outputs["alarmTopic"], "subscriber")

        def told():
            found = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            messages = [json.loads(json.loads(each["Body"])["Message"]) for each in found]
            return next((each for each in messages if each["AlarmName"] == "tickerlake-dev-vendor-refuses"), None)

        for answers, state in ((0, "ALARM"), (1, "OK")):
            dimensions = [{"Name": "service", "Value": stack.outputs["function"]}]
            data = {"MetricName": "VendorAnswers", "Dimensions": dimensions, "Value": answers}
            watch.put_metric_data(Namespace="Tickerlake", MetricData=[data])
            message = until(told, f"the alarm to be {state}")
            assert (message["NewStateValue"], "docs/outside.md" in message["AlarmDescription"]) == (state, True)


class TestTheCommands:
    """As typed in a terminal, pointed at the stack by environment variables alone."""

    @pytest.fixture
    def typed(self, stack, tmp_path):
        """Runs `python -m …` in an empty folder."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAKE_"))}
        environ |= stack.environment | stack.yahoo.environment() | environment({"tickerlake": stack.outputs})
        environ["PYTHONPATH"] = str(ROOT)

        def command(*words, **more):
            return subprocess.run(
                [sys.executable, "-m", *words],
                cwd=tmp_path,
                env=environ | more,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        return command

    def test_collecting_into_the_stream_fills_the_lake_in_s3(self, typed, stack, session, engine, local):
        done = typed(
            "tickerlake",
            "collect",
            "--session",
            session.dt,
            "--sink",
            "firehose",
            "--stream",
            stack.outputs["stream"],
            "--bucket",
            stack.outputs["bucket"],
        )
        count = len(WATCHLIST) * len(session.bar_starts(5))
        assert (done.returncode, done.stdout) == (
            0,
            f"{session.dt}: {count} bars of {len(WATCHLIST)} tickers, {count} new, 0 rejected, 0 failed\n",
        ), done.stderr
        stack.settle(session, count)
        when = {"first": session.date, "last": session.date}
        there, here = (
            run(each, "bars", **when).frame.drop(columns="collected_at") for each in (engine, local(session))
        )
        pd.testing.assert_frame_equal(there, here)

        asked = typed(
            "tickerlake", "query", "hourly_high", "--first", session.dt, "--last", session.dt, "--format", "csv"
        )
        assert asked.returncode == 0, asked.stderr
        assert asked.stdout.count("\n") == len(run(engine, "hourly_high", **when).frame) + 1

    def test_importing_from_s3_stores_what_importing_from_a_folder_stores(self, typed, stack, tmp_path):
        bucket = stack.outputs["bucket"]
        for path in sorted(FORMS.iterdir()):
            stack.client("s3").put_object(Bucket=bucket, Key=f"earlier/{path.name}", Body=path.read_bytes())
        there = typed("tickerlake", "import", f"s3://{bucket}/earlier", "--lake", "there")
        here = CliRunner().invoke(cli, ["import", str(FORMS), "--lake", str(tmp_path / "here")])

        assert there.returncode == here.exit_code == 0, there.stderr
        # How many records end a run of equal ones depends on when each object was written; what was read does not.
        assert there.stdout.split(":")[0] == here.stdout.split(":")[0]
        found = [run(open_engine(Settings(lake=tmp_path / lake)), "bars").frame for lake in ("there", "here")]
        pd.testing.assert_frame_equal(*(frame.drop(columns="collected_at") for frame in found))

    def test_a_missing_bucket_is_reported_in_one_line(self, typed):
        done = typed("tickerlake", "import", "s3://no-such-bucket-of-ours/bars")
        assert done.returncode != 0
        assert "NoSuchBucket" in done.stderr
        assert done.stderr.count("\n") == 1
