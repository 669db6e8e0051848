"""Permissions, in an emulator that enforces policies and TLS."""

from __future__ import annotations

import datetime as dt
import json

import boto3
import pytest
from botocore.exceptions import ClientError

from dashboard import clock
from dashboard.data import cloud
from tests.cloud.stack import EMPTY, RunFailed
from tests.fakes.yahoo import Bars
from tickerlake import exchange
from tickerlake.query import names, open_engine, run
from tickerlake.watchlist import DEFAULT as WATCHLIST


@pytest.fixture(scope="module")
def collected(guarded):
    """The session and the report of a run of the function with its own role."""
    session = exchange.XNYS.last_finished(dt.datetime.now(dt.UTC))
    held = guarded.records(session)
    report = guarded.invoke({"session": session.dt, "tickers": list(WATCHLIST[:2])})
    guarded.settle(session, held + report["delivered"])
    return session, report


@pytest.fixture(scope="module")
def reader(guarded):
    """Credentials of a user who has the reader policy only."""
    iam = guarded.client("iam")
    iam.create_user(UserName="reader")
    iam.attach_user_policy(UserName="reader", PolicyArn=guarded.outputs["readerPolicy"])
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


@pytest.fixture
def _as_reader(guarded, reader, monkeypatch):
    for name, value in (guarded.environment | {name.upper(): value for name, value in reader.items()}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def refused(request):
    """Whether `request` is denied for lack of permission."""
    try:
        request()
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
    return False


def clients_of(guarded, function):
    """Makes clients with the role of the function that the output `function` names."""
    role = guarded.client("lambda").get_function_configuration(FunctionName=guarded.outputs[function])["Role"]
    given = guarded.client("sts").assume_role(RoleArn=role, RoleSessionName="as-the-function")["Credentials"]
    credentials = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    return lambda service: guarded.client_of(service, credentials)


class TestTheCollector:
    def test_it_delivers_with_its_role(self, collected):
        session, report = collected
        assert (report["delivered"], report["failed"]) == (2 * len(session.bar_starts(5)), 0)

    def test_it_stores_splits_and_runs_with_its_role(self, guarded, collected):
        session, _ = collected
        before = {kind: set(guarded.objects(kind)) for kind in ("actions/", f"runs/session={session.dt}/")}
        guarded.yahoo.answers("AMD", Bars(splits=[(session.open, 10, 1)]))
        guarded.invoke({"session": session.dt, "tickers": ["AMD"]})
        for kind, held in before.items():
            assert len(held ^ set(guarded.objects(kind))) == 1, kind

    def test_its_role_may_put_to_its_stream_splits_and_runs_and_query_and_nothing_else(self, guarded):
        client = clients_of(guarded, "function")
        out, bar = guarded.outputs, [{"Data": b"no JSON"}]
        queue = guarded.client("sqs").get_queue_url(QueueName=out["failures"].rsplit("/", 1)[1])["QueueUrl"]
        client("firehose").put_record_batch(DeliveryStreamName=out["stream"], Records=bar)
        client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
        for request in (
            lambda: client("firehose").put_record(DeliveryStreamName=out["stream"], Record=bar[0]),
            lambda: client("firehose").put_record_batch(DeliveryStreamName="another", Records=bar),
            lambda: client("firehose").describe_delivery_stream(DeliveryStreamName=out["stream"]),
            lambda: client("firehose").delete_delivery_stream(DeliveryStreamName=out["stream"]),
            lambda: client("s3").list_objects_v2(Bucket=out["bucket"]),
            lambda: client("s3").put_object(Bucket=out["bucket"], Key="bars/dt=2026-11-20/x", Body=b""),
            lambda: client("s3").delete_object(Bucket=out["bucket"], Key="bars/dt=2026-11-20/x"),
            lambda: client("s3").get_object(Bucket=out["bucket"], Key=guarded.objects("code/")[0]),
            lambda: client("glue").delete_table(DatabaseName=out["database"], Name=out["table"]),
            lambda: client("athena").start_query_execution(QueryString="SELECT 1", WorkGroup="primary"),
            lambda: client("sqs").receive_message(QueueUrl=queue),
            lambda: client("lambda").invoke(FunctionName=out["function"], Payload=b"{}"),
            lambda: client("logs").filter_log_events(logGroupName=f"/aws/lambda/{out['function']}"),
            lambda: client("iam").list_users(),
        ):
            assert refused(request), request.__code__.co_names

    def test_without_its_policy_it_fails_and_names_the_missing_permission(self, guarded, collected):
        iam = guarded.client("iam")
        role = guarded.client("lambda").get_function_configuration(FunctionName=guarded.outputs["function"])["Role"]
        name = {"RoleName": role.rpartition("/")[2]}
        (policy,) = iam.list_role_policies(**name)["PolicyNames"]
        document = iam.get_role_policy(**name, PolicyName=policy)["PolicyDocument"]
        iam.delete_role_policy(**name, PolicyName=policy)
        try:
            with pytest.raises(RunFailed, match="AccessDeniedException.*allow firehose:PutRecordBatch on this stream"):
                guarded.invoke({"session": "last", "tickers": ["META"]})
        finally:
            iam.put_role_policy(**name, PolicyName=policy, PolicyDocument=json.dumps(document))
        assert guarded.invoke({"session": "last", "tickers": ["META"]})["failed"] == 0


class TestTheCompactor:
    def test_it_compacts_with_its_role(self, guarded, collected):
        session, _ = collected
        held = guarded.records(session)
        guarded.invoke({"session": session.dt, "tickers": list(WATCHLIST[:2])})
        guarded.settle(session, held + 2 * len(session.bar_starts(5)))

        (done,) = guarded.invoke({"session": session.dt}, "compactor")["compacted"]

        assert done["records_after"] == guarded.records(session)

    def test_its_role_may_replace_bars_and_nothing_else(self, guarded, collected):
        client, out = clients_of(guarded, "compactor"), guarded.outputs
        place = {"Bucket": out["bucket"], "Key": "bars/dt=2020-01-02/x"}
        version = client("s3").put_object(**place, Body=b"")["VersionId"]
        client("s3").delete_object(**place)
        for request in (
            lambda: client("s3").delete_object(**place, VersionId=version),
            lambda: client("s3").put_object(Bucket=out["bucket"], Key="runs/x", Body=b""),
            lambda: client("s3").delete_object(Bucket=out["bucket"], Key=guarded.objects("runs/")[0]),
            lambda: client("s3").delete_object(Bucket=out["results"], Key="x"),
            lambda: client("firehose").put_record_batch(DeliveryStreamName=out["stream"], Records=[{"Data": b"{}"}]),
            lambda: client("athena").start_query_execution(QueryString="SELECT 1", WorkGroup="primary"),
            lambda: client("glue").delete_table(DatabaseName=out["database"], Name=out["table"]),
            lambda: client("lambda").invoke(FunctionName=out["function"], Payload=b"{}"),
        ):
            assert refused(request), request.__code__.co_names


class TestTheBuckets:
    def test_they_refuse_requests_without_tls(self, guarded, reader):
        s3 = guarded.client_of("s3", reader)
        requests = [
            lambda: s3.list_objects_v2(Bucket=guarded.outputs["results"]),
            lambda: s3.list_objects_v2(Bucket=guarded.outputs["bucket"], Prefix="bars/"),
        ]
        assert [refused(request) for request in requests] == [False, False]
        # The emulator takes the protocol from this header, as behind a proxy that terminates TLS.
        s3.meta.events.register(
            "before-sign.s3", lambda request, **_: request.headers.add_header("x-forwarded-proto", "http")
        )
        assert [refused(request) for request in requests] == [True, True]


@pytest.mark.usefixtures("_as_reader", "collected")
class TestTheReader:
    def test_it_may_run_every_query(self, guarded):
        engine = open_engine(guarded.settings)
        for name in names():
            assert run(engine, name).frame.empty == (name in EMPTY)

    def test_it_may_read_splits(self, guarded, reader):
        s3 = guarded.client_of("s3", reader)
        listed = s3.list_objects_v2(Bucket=guarded.outputs["bucket"], Prefix="actions/")["Contents"]
        files = [s3.get_object(Bucket=guarded.outputs["bucket"], Key=each["Key"])["Body"] for each in listed]
        tickers = {json.loads(file.read())["ticker"] for file in files}
        assert "AMD" in tickers
        rows = open_engine(guarded.settings).run("SELECT ticker FROM actions", {}).rows
        assert {ticker for (ticker,) in rows} == tickers

    def test_it_sees_what_the_dashboard_shows_of_the_stack(self, guarded):
        session = boto3.Session(region_name=guarded.outputs["region"])
        report = cloud.read(guarded.outputs["workgroup"], session.client, clock.now(), exchange.XNYS)
        assert report.faults == []
        assert report.crawler["State"] == "READY"
        assert len(report.alarms) == 11

    def test_it_may_change_nothing(self, guarded, reader):
        def client(service):
            return guarded.client_of(service, reader)

        out = guarded.outputs
        for request in (
            lambda: client("s3").put_object(Bucket=out["bucket"], Key="bars/dt=2026-11-20/x", Body=b""),
            lambda: client("s3").delete_object(Bucket=out["bucket"], Key=guarded.objects()[0]),
            lambda: client("s3").get_object(Bucket=out["bucket"], Key=guarded.objects("code/")[0]),
            lambda: client("s3").list_objects_v2(Bucket=out["bucket"], Prefix="code/"),
            lambda: client("athena").start_query_execution(QueryString="SELECT 1", WorkGroup="primary"),
            lambda: client("athena").update_work_group(WorkGroup=out["workgroup"], Description="mine"),
            lambda: client("glue").delete_table(DatabaseName=out["database"], Name=out["table"]),
            lambda: client("glue").start_crawler(Name=out["crawler"]),
            lambda: client("firehose").put_record_batch(DeliveryStreamName=out["stream"], Records=[{"Data": b"{}"}]),
            lambda: client("lambda").invoke(FunctionName=out["function"], Payload=b"{}"),
            lambda: client("iam").list_users(),
        ):
            assert refused(request), request.__code__.co_names
