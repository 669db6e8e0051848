"""Alerts in the cloud: published by the function with its own role, and received by a queue that subscribes."""

from __future__ import annotations

import datetime as dt
import io
import json
import zipfile

import pytest

from functions.alerter.memory import LEASE
from tests.cloud.stack import RunFailed, create_beside, own_code
from tests.cloud.test_access import clients_of, refused
from tests.fakes.yahoo import Bars
from tickerlake.sources.simulated import SimulatedSource

KILLED = ("self._write(sent, None)", 'os = __import__("os"); os.kill(os.getpid(), 9)')
"""Ends the process when it should record what it has sent."""


@pytest.fixture(scope="module")
def alerting(guarded, tmp_path_factory):
    """A stack that alerts of new highs of META, beside the other one."""
    rules = tmp_path_factory.mktemp("watchlist") / "tickerlake.toml"
    rules.write_text('tickers = ["META"]\n[[alerts]]\nnew_high = 1\n', encoding="utf-8")
    config = {"tickerlake:alerts": "true", "tickerlake:watchlist": str(rules)}
    yield create_beside(guarded, "alerting", config)
    guarded.yahoo.answers("META", Bars())


@pytest.fixture(scope="module")
def received(alerting):
    """`received()` takes what has arrived in a queue that subscribes to the topic: subjects and texts."""
    sqs, queue = alerting.client("sqs"), alerting.subscribe(alerting.outputs["alertTopic"], "alerts")

    def taken():
        found = []
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            body = json.loads(message["Body"])
            found.append((body["Subject"], body["Message"]))
        return found

    return taken


@pytest.fixture
def delivered(alerting, session):
    """`delivered(now, highs)` collects the session's first bars, with these highs, and waits until Athena sees them."""
    stored = 0

    def collected(now, *highs):
        nonlocal stored
        frame = SimulatedSource().bars("META", [session], 5).head(len(highs))
        flat = frame.assign(open=9.0, high=highs, low=9.0, close=9.0)
        alerting.yahoo.answers("META", Bars(flat))
        with alerting.clock(now):
            stored += alerting.invoke({})["delivered"]
        alerting.settle(session, stored)

    return collected


def test_a_high_is_sent_once_corrected_once_and_twice_only_if_its_run_is_killed(alerting, session, delivered, received):
    def judged(minutes, function="alerter"):
        with alerting.clock(session.open + dt.timedelta(minutes=minutes)):
            return alerting.invoke({"exchange": "XNYS"}, function)["alerts"]

    day = f"{session.date:%a} {session.date.day} {session.date:%b}"
    delivered(session.open + dt.timedelta(minutes=11), 10.0, 11.0)
    with alerting.clock(session.open + dt.timedelta(minutes=13)):
        alerting.fire("new-york-alert", "alerter")
    assert received() == [("META new high 09:35", f"META: new high, 11.00 USD at 09:35, {day}.")]
    assert (judged(13.5), received()) == (0, [])

    delivered(session.open + dt.timedelta(minutes=16), 10.0, 10.8, 10.2)
    assert judged(18) == 1
    corrected = "META: the bar of the new high 11.00 USD at 09:35 was restated to 10.80 USD."
    assert received() == [("META corrected 09:35", corrected)]
    assert (judged(18.5), received()) == (0, [])

    delivered(session.open + dt.timedelta(minutes=21), 10.0, 10.8, 10.2, 12.0)
    functions = alerting.client("lambda")
    functions.update_function_code(FunctionName=alerting.outputs["alerter"], ZipFile=changed(*KILLED))
    with pytest.raises(RunFailed):
        judged(23)
    functions.update_function_code(FunctionName=alerting.outputs["alerter"], ZipFile=own_code())
    high = ("META new high 09:45", f"META: new high, 12.00 USD at 09:45, {day}.")
    assert received() == [high]
    assert (judged(24), received()) == (0, [])  # the claim of the one that was killed still holds
    assert (judged(23 + LEASE.total_seconds() / 60), received()) == (1, [high])
    assert (judged(28), received()) == (0, [])


def test_its_role_may_query_publish_and_remember_and_nothing_else(alerting):
    client, out = clients_of(alerting, "alerter"), alerting.outputs
    client("sns").publish(TopicArn=out["alertTopic"], Message="x")
    client("s3").put_object(Bucket=out["bucket"], Key="alerts/x.json", Body=b"")
    for request in (
        lambda: client("sns").publish(TopicArn=out["alarmTopic"], Message="x"),
        lambda: client("sns").subscribe(TopicArn=out["alertTopic"], Protocol="email", Endpoint="x@example.com"),
        lambda: client("s3").put_object(Bucket=out["bucket"], Key="bars/dt=2026-11-20/x", Body=b""),
        lambda: client("s3").delete_object(Bucket=out["bucket"], Key="alerts/x.json"),
        lambda: client("s3").list_objects_v2(Bucket=out["bucket"]),
        lambda: client("lambda").invoke(FunctionName=out["alerter"], Payload=b"{}"),
    ):
        assert refused(request), request.__code__.co_names


def changed(old, new):
    """The zip of the functions with one text of the alerter's memory replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(own_code())) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            text = source.read(name)
            if name == "functions/alerter/memory.py":
                assert old.encode() in text
                text = text.replace(old.encode(), new.encode())
            target.writestr(name, text)
    return buffer.getvalue()
