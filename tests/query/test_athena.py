"""The Athena engine, through a real PyAthena, against a fake Athena on loopback."""

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pyathena.util import RetryConfig

from tests.fakes.aws import RESET, Reply, refusal
from tests.query.lakes import ANSWERS, read_records, write_lake
from tests.query.test_answers import ANSWERED, NOW
from tickerlake.cli import cli
from tickerlake.cli.console import run_command
from tickerlake.errors import ConfigError, LakeEmpty, QueryFailed
from tickerlake.query import Settings, load, names, open_engine, run
from tickerlake.query.engines.athena import ROWS_OF_FIRST_PAGE, AthenaEngine
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.formats import to_csv

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(engine="athena", region="us-east-1", database="lake", workgroup="analysts", timeout_seconds=60)
IMPATIENT = RetryConfig(attempt=2, multiplier=0, max_delay=0)


def opened(settings=SETTINGS, **options):
    return AthenaEngine(settings, poll_seconds=0.001, retry=IMPATIENT, **options)


@pytest.fixture(scope="module")
def engine(athena_server):
    # Shared, as in a dashboard: opening takes longer than a query.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in athena_server.environment().items():
            patch.setenv(name, value)
        return opened()


def over(athena, lake):
    """Makes `athena` answer from a lake on this machine."""
    local = DuckDBEngine(lake)

    def answer(sql):
        frame = local.run(sql, {}).frame
        times = frame.select_dtypes("datetimetz")
        return frame.assign(**{name: times[name].dt.tz_convert("UTC").dt.tz_localize(None) for name in times})

    athena.answer_to = answer


def many(count):
    """A result with a null and an empty text in it."""
    return pd.DataFrame(
        {
            "ticker": ["META", ""] * (count // 2),
            "high": [1.25, float("nan")] * (count // 2),
            "volume": pd.array([7, None] * (count // 2), dtype="Int64"),
            "ts": pd.to_datetime(["2026-11-20 14:30:00.123", None] * (count // 2)).astype("datetime64[us]"),
            "touch": pd.Series(range(count), dtype="Int64"),
        }
    )


# The same answers as on any engine


@pytest.mark.parametrize(("case", "name"), ANSWERED, ids=lambda value: value)
def test_each_query_gives_its_answer_file_letter_for_letter(case, name, lake_of, athena, engine):
    over(athena, lake_of(case))
    result = run(engine, name, now=NOW)
    assert to_csv(result.frame) == (ANSWERS / case / f"{name}.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", names())
def test_no_query_holds_a_percent_sign_that_the_driver_would_take_for_a_parameter(name):
    assert "%" not in re.sub(r"%\(\w+\)s", "", load(name).sql)


def test_parameters_are_written_into_the_text_and_cannot_end_it(athena, engine):
    sql = "-- which\nSELECT * FROM bars WHERE ticker IN %(tickers)s AND dt >= %(first)s"
    engine.run(sql, {"tickers": ["META", "O'K') OR (1=1"], "first": "2026-11-20", "last": "not asked for"})
    assert athena.started()["QueryString"] == (
        "-- which\nSELECT * FROM bars WHERE ticker IN ('META', 'O''K'') OR (1=1') AND dt >= '2026-11-20'"
    )


def test_the_query_runs_in_its_workgroup_and_database_and_leaves_the_rest_to_the_workgroup(athena, engine, monkeypatch):
    monkeypatch.setenv("AWS_ATHENA_S3_STAGING_DIR", "s3://elsewhere/")
    engine.run("SELECT 1", {})
    started = athena.started()
    assert started.pop("ClientRequestToken")
    assert started == {
        "QueryString": "SELECT 1",
        "QueryExecutionContext": {"Database": "lake", "Catalog": "awsdatacatalog"},
        "WorkGroup": "analysts",
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 1}},
    }


def test_results_are_not_reused_where_the_settings_say_so(athena):
    opened(replace(SETTINGS, reuse_minutes=0)).run("SELECT 1", {})
    assert "ResultReuseConfiguration" not in athena.started()


def test_the_result_says_what_it_took(athena, engine):
    result = engine.run("SELECT 1", {})
    assert result.bytes_scanned == 1234
    assert result.query_id in athena.results
    assert result.seconds > 0
    assert (engine.name, engine.lake) == ("athena", "lake (analysts)")


# Reading results


def test_a_short_result_takes_one_request_after_the_query(athena, engine):
    athena.answer_to = lambda _: many(10)
    answer = engine.run("SELECT 1", {})
    moment = dt.datetime.fromisoformat("2026-11-20T09:30:00.123-05:00")
    assert answer.rows == [("META", 1.25, 7, moment, n) if n % 2 == 0 else ("", None, None, None, n) for n in range(10)]
    assert [field.type for field in answer.columns] == ["varchar", "double", "bigint", "timestamp", "bigint"]
    assert athena.operations == ["StartQueryExecution", "GetQueryExecution", "GetQueryResults"]


def test_a_long_result_is_read_from_its_file(athena, engine):
    athena.answer_to = lambda _: many(5000)
    short = engine.run("SELECT 1", {}, limit=10)
    answer = engine.run("SELECT 1", {})
    assert answer.rows[:10] == short.rows
    assert answer.column("touch") == list(range(5000))
    assert answer.columns == short.columns
    assert athena.operations[-2:] == ["GetQueryResults", "GET"]
    assert athena.calls[-1].path.startswith("/tickerlake-results/athena/")


@pytest.mark.parametrize("trouble", ["managed", "gone"])
def test_a_long_result_without_a_file_is_read_in_pages(athena, engine, trouble):
    athena.answer_to = lambda _: many(2500)
    if trouble == "managed":
        athena.managed = True
    else:
        athena.refusals["GET"] = [Reply(b"<Error><Code>NoSuchKey</Code></Error>", 404)]
    assert engine.run("SELECT 1", {}).column("touch") == list(range(2500))
    assert athena.operations.count("GetQueryResults") == 3


@pytest.mark.parametrize("count", [ROWS_OF_FIRST_PAGE - 1, ROWS_OF_FIRST_PAGE, ROWS_OF_FIRST_PAGE + 1])
def test_no_row_is_lost_or_doubled_around_the_first_page(athena, engine, count):
    athena.answer_to = lambda _: pd.DataFrame({"touch": pd.Series(range(count), dtype="Int64")})
    assert engine.run("SELECT 1", {}).rows == [(number,) for number in range(count)]
    assert len(engine.run("SELECT 1", {}, limit=999).rows) == min(count, 999)


def test_an_empty_result_has_its_types(athena, engine):
    athena.answer_to = lambda _: many(2).head(0)
    answer = engine.run("SELECT 1", {})
    assert answer.rows == []
    assert [field.type for field in answer.columns] == ["varchar", "double", "bigint", "timestamp", "bigint"]


def test_text_with_quotes_commas_and_line_ends_survives_the_file(athena, engine):
    texts = ['say "hi", now\nand then', "", None] * 400
    athena.answer_to = lambda _: pd.DataFrame({"gaps": texts})
    assert engine.run("SELECT 1", {}).column("gaps") == texts


# What goes wrong


def test_a_query_that_takes_too_long_is_cancelled(athena):
    athena.state = "RUNNING"
    seconds = iter(range(0, 10_000, 25))
    with pytest.raises(QueryFailed) as error:
        opened(clock=lambda: next(seconds)).run("SELECT 1", {})
    assert str(error.value) == (
        "the query took longer than 60 seconds and was cancelled; query fewer sessions, or raise LAKE_TIMEOUT_SECONDS"
    )
    assert athena.stopped == {error.value.query_id}


def test_a_failure_to_cancel_is_reported(athena):
    athena.state = "RUNNING"
    athena.refusals["StopQueryExecution"] = [refusal(400, "InvalidRequestException", "Too late.")]
    seconds = iter(range(0, 10_000, 25))
    with pytest.raises(QueryFailed, match=r"could not be cancelled .*Too late"):
        opened(clock=lambda: next(seconds)).run("SELECT 1", {})


def test_an_interrupt_cancels_the_query_and_goes_on_its_way(athena):
    athena.state = "RUNNING"
    interrupts = iter([0, KeyboardInterrupt])

    def clock():
        if next(interrupts, 0) is KeyboardInterrupt:
            raise KeyboardInterrupt
        return 0

    with pytest.raises(KeyboardInterrupt):
        opened(clock=clock).run("SELECT 1", {})
    assert len(athena.stopped) == 1


@pytest.mark.parametrize(
    ("operation", "answer", "kind", "message"),
    [
        (
            "StartQueryExecution",
            refusal(400, "InvalidRequestException", "WorkGroup is not found."),
            ConfigError,
            (
                "workgroup not found: the region 'us-east-1' has no 'analysts'; "
                "set LAKE_WORKGROUP and LAKE_REGION to the stack's outputs"
            ),
        ),
        (
            "StartQueryExecution",
            refusal(
                400,
                "AccessDeniedException",
                "User: arn:aws:iam::123456789012:user/ana is not authorized to perform: athena:StartQueryExecution on "
                "resource: arn:aws:athena:us-east-1:123456789012:workgroup/analysts because no identity-based policy "
                "allows the athena:StartQueryExecution action",
            ),
            QueryFailed,
            (
                "access denied to athena:StartQueryExecution on "
                "arn:aws:athena:us-east-1:123456789012:workgroup/analysts; "
                "add it to the permissions of this AWS identity"
            ),
        ),
        (
            "StartQueryExecution",
            refusal(400, "AccessDeniedException", "You are not authorized to perform: athena:StartQueryExecution"),
            QueryFailed,
            "access denied to athena:StartQueryExecution; add it to the permissions of this AWS identity",
        ),
        (
            "GetQueryResults",
            refusal(400, "AccessDeniedException", "Denied."),
            QueryFailed,
            "access denied to athena:GetQueryResults (Denied); add it to the permissions of this AWS identity",
        ),
        (
            "StartQueryExecution",
            refusal(400, "ExpiredTokenException", "The security token included in the request is expired"),
            ConfigError,
            "AWS does not accept the credentials (ExpiredTokenException); log in again, or set AWS_PROFILE",
        ),
        (
            "StartQueryExecution",
            refusal(400, "TooManyRequestsException", "Rate exceeded"),
            QueryFailed,
            "Athena is throttled: too many queries at once in this account; try again later",
        ),
        (
            "StartQueryExecution",
            refusal(400, "InvalidRequestException", "Queries of this\nkind are not supported."),
            QueryFailed,
            "Athena refused the query: Queries of this kind are not supported",
        ),
    ],
    ids=["workgroup", "denied", "denied-shortly", "denied-results", "expired", "throttled", "refused"],
)
def test_what_aws_refuses_is_reported_in_one_line(athena, engine, operation, answer, kind, message):
    athena.refusals[operation] = [answer]
    with pytest.raises(kind) as error:
        engine.run("SELECT 1", {})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("state", "reason", "kind", "message"),
    [
        (
            "CANCELLED",
            "Bytes scanned limit was exceeded",
            QueryFailed,
            (
                "scan limit reached: the workgroup 'analysts' allows no query to read more; "
                "query fewer sessions, or raise the workgroup's limit"
            ),
        ),
        (
            "FAILED",
            "TABLE_NOT_FOUND: line 14:6: Table 'awsdatacatalog.lake.bars' does not exist",
            ConfigError,
            (
                "there is no table bars in the database 'lake' of the region 'us-east-1'; "
                "set LAKE_DATABASE and LAKE_REGION to the stack's outputs, or deploy the stack with pulumi up"
            ),
        ),
        (
            "FAILED",
            "SYNTAX_ERROR: line 6:7: Schema lake does not exist",
            ConfigError,
            (
                "there is no table bars in the database 'lake' of the region 'us-east-1'; "
                "set LAKE_DATABASE and LAKE_REGION to the stack's outputs, or deploy the stack with pulumi up"
            ),
        ),
        (
            "FAILED",
            (
                "Insufficient permissions to execute the query. User is not authorized to perform: glue:GetTable on "
                "resource: arn:aws:glue:us-east-1:123456789012:table/lake/bars because no policy allows it"
            ),
            QueryFailed,
            (
                "access denied to glue:GetTable on arn:aws:glue:us-east-1:123456789012:table/lake/bars; "
                "add it to the permissions of this AWS identity"
            ),
        ),
        (
            "FAILED",
            "Access Denied (Service: Amazon S3; Status Code: 403)",
            QueryFailed,
            (
                "access denied to the data of the query (Access Denied (Service: Amazon S3; Status Code: 403)); "
                "add it to the permissions of this AWS identity"
            ),
        ),
        (
            "FAILED",
            "SYNTAX_ERROR: line 1:8:\nColumn 'hihg' cannot be resolved",
            QueryFailed,
            "Athena could not run the query: SYNTAX_ERROR: line 1:8: Column 'hihg' cannot be resolved",
        ),
    ],
    ids=["scan-limit", "table", "schema", "denied-glue", "denied-s3", "syntax"],
)
def test_a_query_that_fails_is_reported_in_one_line(athena, engine, state, reason, kind, message, capfd):
    athena.state, athena.reason = state, reason
    with pytest.raises(kind) as error:
        engine.run("SELECT 1", {})
    assert str(error.value) == message
    if kind is QueryFailed:
        assert error.value.query_id in athena.results
    assert capfd.readouterr() == ("", "")


def test_a_result_file_that_must_not_be_read_is_named(athena, engine):
    body = b"<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/ana is not authorized to perform: "
    body += b's3:GetObject on resource: "arn:aws:s3:::results/1.csv" because no policy allows it</Message></Error>'
    athena.refusals["GET"] = [Reply(body, 403, {"Content-Type": "application/xml"})]
    athena.answer_to = lambda _: many(2000)
    with pytest.raises(QueryFailed, match=r"access denied to s3:GetObject on arn:aws:s3:::results/1.csv; add it"):
        engine.run("SELECT 1", {})


def test_a_throttled_request_is_made_again(athena, engine):
    athena.refusals["StartQueryExecution"] = [refusal(400, "ThrottlingException", "Rate exceeded"), Reply()]
    with pytest.raises(QueryFailed):  # the second answer names no query
        engine.run("SELECT 1", {})
    assert athena.operations.count("StartQueryExecution") == 2


def test_a_broken_connection_is_reported(athena, engine):
    athena.refusals["StartQueryExecution"] = [RESET]
    with pytest.raises(QueryFailed, match=r"Athena cannot be reached: .*; check the network, LAKE_REGION"):
        engine.run("SELECT 1", {})


def test_an_address_without_a_server_is_reported(athena, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(QueryFailed, match=r'cannot be reached: .*"http://127.0.0.1:9/"; check the network'):
        opened().run("SELECT 1", {})
    assert athena.calls == []


def test_without_credentials_it_says_how_to_get_some_and_a_login_is_taken_up(athena, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    engine = opened()
    with pytest.raises(ConfigError, match=r"no credentials: .*; log in to AWS, or set AWS_PROFILE"):
        engine.run("SELECT 1", {})
    for name, value in athena.environment().items():
        monkeypatch.setenv(name, value)
    assert engine.run("SELECT 1", {}).frame["one"].tolist() == [1]


@pytest.mark.usefixtures("athena")
def test_without_a_region_it_names_the_setting(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match=r"no region: .*; set LAKE_REGION"):
        opened(replace(SETTINGS, region=""))


@pytest.mark.usefixtures("athena")
def test_a_missing_profile_is_reported(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r"the AWS configuration cannot be used: .*nobody"):
        opened()


def test_an_empty_table_is_an_empty_lake(athena, engine, tmp_path):
    over(athena, write_lake(tmp_path / "lake", read_records("ties")))
    local = athena.answer_to
    athena.answer_to = lambda sql: local(sql).head(0)
    with pytest.raises(LakeEmpty, match=r"'lake .analysts.' holds no bars"):
        run(engine, "tickers")


@pytest.mark.usefixtures("athena")
def test_the_settings_choose_it():
    settings = Settings.from_environment(
        {"LAKE_ENGINE": "athena", "LAKE_REGION": "eu-west-1", "LAKE_DATABASE": "d", "LAKE_WORKGROUP": "w"}
    )
    engine = open_engine(settings)
    assert engine.lake == "d (w)"
    assert engine.run("SELECT 1", {}).frame["one"].tolist() == [1]


def test_the_command_prints_what_the_query_took(athena, tmp_path, monkeypatch, capsys):
    over(athena, write_lake(tmp_path / "lake", read_records("ties")))
    athena.scanned = 12_340_000
    monkeypatch.setenv("LAKE_ENGINE", "athena")
    assert run_command(cli, ["query", "hourly_high", "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert out == (ANSWERS / "ties" / "hourly_high.csv").read_text(encoding="utf-8")
    assert re.fullmatch(r"query [0-9a-f-]{36}: \d+\.\d s, 12\.3 MB scanned\n", err)


def test_the_command_prints_a_failure_in_one_line(athena, monkeypatch, capsys):
    athena.refusals["StartQueryExecution"] = [refusal(400, "InvalidRequestException", "WorkGroup is not found.")]
    monkeypatch.setenv("LAKE_ENGINE", "athena")
    assert run_command(cli, ["query", "hourly_high"]) == 2
    assert re.fullmatch(r"error: workgroup not found: the region .* has no 'tickerlake'; .*\n", capsys.readouterr().err)


def test_tables_that_an_earlier_stack_did_not_declare_are_empty(athena, monkeypatch):
    ours, asked = opened(), []

    def run(sql, *_):
        asked.append(sql)
        lacking = [table for table in ("actions", "forecasts") if f"{table} AS (" not in sql]
        if lacking:
            raise ours._failed(f"TABLE_NOT_FOUND: line 1:1: Table 'x.lake.{lacking[0]}' does not exist", None)
        return "rows"

    monkeypatch.setattr(ours, "_run", run)

    assert (ours.run("SELECT * FROM actions, forecasts", {}), len(asked)) == ("rows", 3)
    assert (ours.run("SELECT * FROM actions, forecasts", {}), len(asked)) == ("rows", 4)
