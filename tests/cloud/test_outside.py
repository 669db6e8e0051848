"""Collecting on a machine outside AWS: the commands of docs/outside.md, with the permissions that they give."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from infra.verify import Verification
from tests.cloud.emulator import CREDENTIALS, until
from tests.cloud.resources import Changes, create_all
from tests.cloud.stack import own_code
from tests.cloud.test_access import refused
from tests.infra.recorder import ROOT, deploy, stack_config
from tickerlake import exchange
from tickerlake.query import open_engine, run
from tickerlake.watchlist import DEFAULT as WATCHLIST

PAGE = (ROOT / "docs" / "outside.md").read_text(encoding="utf-8")


def commands(heading):
    """The commands under a heading of the page, without those of Pulumi."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.removeprefix("    ") for line in section.splitlines() if line.startswith("    ")]
    return "\n".join(line for line in lines if not line.startswith("pulumi "))


@pytest.fixture(scope="module")
def outside(guarded):
    """A stack without the function that collects, beside the other one."""
    recording = deploy({**stack_config("dev"), "tickerlake:collect": "outside"}, "away")
    create_all(recording.registrations, guarded.client, Changes(code=own_code()))
    return replace(guarded, outputs=recording.exports["tickerlake"], _counted={})


@pytest.fixture(scope="module")
def typed(outside, tmp_path_factory):
    """`typed(commands)` runs them in a shell, on the machine of an administrator or on the one that collects."""
    folder = tmp_path_factory.mktemp("machine")
    programs = folder / "bin"
    programs.mkdir()
    outputs = shlex.quote(json.dumps({"tickerlake": outside.outputs}))
    for name, line in {
        "aws": f'{sys.executable} -m tests.cloud.aws_cli "$@"',
        "tickerlake": f'{sys.executable} -m tickerlake "$@"',
        "pulumi": f"echo {outputs}",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\nexec {line}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    machine = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAKE_"))}
    machine |= {
        **outside.yahoo.environment(),
        "AWS_ENDPOINT_URL": outside.front,
        "AWS_CA_BUNDLE": str(outside.authority),
        "HOME": str(folder),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
    administrator = {name.upper(): value for name, value in CREDENTIALS.items()} | {"AWS_REGION": "us-east-1"}

    def started(text, *, as_administrator=False):
        text = text.replace("tickerlake-dev-lake-bucket-0a1b2c3", outside.outputs["bucket"])
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text.replace("tickerlake-dev", "tickerlake-away")],
            cwd=folder,
            env=machine | (administrator if as_administrator else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def typed(text, **options):
        process = started(text, **options)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        return out

    typed.started = started
    typed.folder = folder
    return typed


@pytest.fixture(scope="module")
def sent(outside, typed):
    """What `collect` printed, on a machine set up as the page says; the session that it sent."""
    typed(commands("2. Allow the machine to send"), as_administrator=True)
    typed(commands("3. Set up the machine"))
    printed = typed(commands("4. Send a session"))
    return printed, exchange.XNYS.session_on(pd.Timestamp(printed[:10]).date())


def test_a_session_that_the_machine_sends_is_in_the_lake(outside, sent, monkeypatch):
    printed, session = sent
    count = len(WATCHLIST) * len(session.bar_starts(5))
    assert printed == f"{session.dt}: {count} bars of {len(WATCHLIST)} tickers, {count} new, 0 rejected, 0 failed\n"
    outside.settle(session, count)
    for name, value in outside.environment.items():
        monkeypatch.setenv(name, value)
    engine = open_engine(outside.settings)
    assert len(run(engine, "bars").frame) == count
    assert set(run(engine, "runs").frame["ticker"]) == set(WATCHLIST)


def test_watching_sends_the_heartbeat_and_says_whether_the_vendor_answers(outside, typed, sent):
    stream = f"export COLLECTOR_STREAM={outside.outputs['stream']} COLLECTOR_BUCKET={outside.outputs['bucket']}\n"
    typed(stream + commands("5. Keep collecting"))
    (unit,) = typed.folder.glob(".config/systemd/user/*.service")
    (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
    watching = typed.started(f"exec {line}")
    try:
        assert watching.stdout.readline().startswith("watching META")
        assert ", 0 failed" in watching.stdout.readline()
        shown = until(
            lambda: is_ok(json.loads(typed(commands("6. See that it works"), as_administrator=True))),
            "the alarms to be over",
        )
    finally:
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=60)
    assert shown


def is_ok(states):
    found = {name.removeprefix("tickerlake-away-"): state for name, state in states}
    names = ("heartbeat-new-york", "vendor-refuses", "collector-silent-new-york")
    return all(found[name] == "OK" for name in names)


def test_the_machine_may_send_and_nothing_else(outside, typed, sent):
    stored = (typed.folder / ".aws" / "credentials").read_text()
    key = dict(re.findall(r"^(aws_\w+) = (.+)$", stored, re.MULTILINE))
    out, metric = outside.outputs, [{"MetricName": "Runs", "Value": 1}]

    def client(service):
        return outside.client_of(service, key)

    client("cloudwatch").put_metric_data(Namespace="Tickerlake", MetricData=metric)
    for request in (
        lambda: client("cloudwatch").put_metric_data(Namespace="Another", MetricData=metric),
        lambda: client("cloudwatch").describe_alarms(),
        lambda: client("firehose").put_record_batch(DeliveryStreamName="another", Records=[{"Data": b"{}"}]),
        lambda: client("firehose").delete_delivery_stream(DeliveryStreamName=out["stream"]),
        lambda: client("s3").put_object(Bucket=out["bucket"], Key="bars/dt=2026-11-20/x", Body=b""),
        lambda: client("s3").get_object(Bucket=out["bucket"], Key=outside.objects("runs/")[0]),
        lambda: client("s3").list_objects_v2(Bucket=out["bucket"]),
        lambda: client("s3").delete_object(Bucket=out["bucket"], Key=outside.objects("runs/")[0]),
        lambda: client("athena").start_query_execution(QueryString="SELECT 1", WorkGroup=out["workgroup"]),
        lambda: client("lambda").invoke(FunctionName=out["compactor"], Payload=b"{}"),
        lambda: client("iam").list_users(),
    ):
        assert refused(request), request.__code__.co_names


def test_a_new_key_replaces_the_old_one(outside, typed, sent):
    old = outside.client("iam").list_access_keys(UserName="tickerlake-sender")["AccessKeyMetadata"][0]["AccessKeyId"]

    typed(commands("A new key").replace("OLD", old), as_administrator=True)

    (left,) = outside.client("iam").list_access_keys(UserName="tickerlake-sender")["AccessKeyMetadata"]
    assert left["AccessKeyId"] != old


def test_verify_invokes_no_function_where_there_is_none(outside):
    verification = Verification(outside.outputs, outside.client, outside.client, dt.datetime.now(dt.UTC))

    (finding,) = verification.check_collector()

    assert (finding.level, "docs/outside.md" in finding.next_step) == ("note", True)
