"""The deployed stack in the emulator: start its function, fake the world around it, read what it did."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import zipfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet
import trustme
from botocore.config import Config

from infra import packaging
from tests.cloud.emulator import CREDENTIALS, Proxy, environment, running_emulator, running_proxy, until
from tests.cloud.resources import Changes, create_all
from tests.fakes.vendor import FakeVendor
from tests.fakes.yahoo import FakeYahoo
from tests.infra.monitor import run
from tests.infra.recorder import REGION, ROOT, Recording, deploy, deployed, stack_config
from tickerlake.exchange import Session
from tickerlake.query import Settings

NAME = "dev"
"""The stack to create: that of Pulumi.dev.example.yaml."""
FUNCTIONS = ("function", "compactor", "forecaster")
"""The outputs that name the functions."""
LAYER = Path(__file__).parent / "layer"
EMPTY = ("restatements", "disagreements", "suspected_splits", "forecasts", "forecast_scores")
"""The queries without a row: nothing was corrected, and no test but its own makes forecasts."""
LONG_AGO = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_PATIENCE = Config(read_timeout=280, retries={"total_max_attempts": 1}, proxies={})


class RunFailed(Exception):
    """A run of the function failed; `payload` is Lambda's answer."""

    def __init__(self, payload: dict[str, Any]) -> None:
        super().__init__(payload.get("errorMessage", ""))
        self.payload = payload


@dataclass
class Stack:
    """A created stack, with the stand-ins for Yahoo and the clock."""

    endpoint: str
    """URL of the emulator."""
    front: str
    """URL that the function and the readers use: the proxy, where there is one."""
    proxy: Proxy | None
    """Injects faults."""
    outputs: dict[str, Any]
    """What `pulumi stack output` would print."""
    folder: Path
    yahoo: FakeYahoo
    authority: Path | None = None
    """The emulator's certificate, if it uses TLS."""
    created: list[str] = field(default_factory=list)
    """The type of each resource."""
    _clients: dict[str, Any] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client that bypasses the proxy."""
        if service not in self._clients:
            self._clients[service] = self.client_of(service, CREDENTIALS)
        return self._clients[service]

    def client_of(self, service: str, credentials: Mapping[str, str]) -> Any:
        """A boto3 client with `credentials`."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            verify=str(self.authority) if self.authority else None,
            config=_PATIENCE,
            **credentials,
        )

    @property
    def settings(self) -> Settings:
        """The settings that point queries and the dashboard at this stack."""
        return Settings(
            engine="athena",
            region=self.outputs["region"],
            database=self.outputs["database"],
            workgroup=self.outputs["workgroup"],
            reuse_minutes=0,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point a program at this stack."""
        return environment(self.front) | ({"AWS_CA_BUNDLE": str(self.authority)} if self.authority else {})

    # Start the function.

    def invoke(self, event: Mapping[str, Any], function: str = "function") -> dict[str, Any]:
        """Runs the function that the output `function` names and returns its report. Raises RunFailed."""
        answer = self.client("lambda").invoke(FunctionName=self.outputs[function], Payload=json.dumps(event))
        payload = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise RunFailed(payload)
        return payload

    def send(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Sends an event as the scheduler does. Returns the metrics of the run; none if it was killed."""
        with self._until_a_run_has_ended("the run to end") as since:
            self.client("lambda").invoke(
                FunctionName=self.outputs["function"], Payload=json.dumps(event), InvocationType="Event"
            )
        return {name: value for line in self.runs(since) for name, value in line.items()}

    def fire(self, kind: str, function: str = "function", **changes: Any) -> None:
        """Fires the schedule `kind`, such as new-york-collect-1, and waits for the run.

        The emulator has no clock to set and reads a cron in UTC. So this replaces the schedule with one that has the
        same name, target, role and input but for `changes`, and `at(…)` instead of the cron.
        """
        scheduler = self.client("scheduler")
        name = f"{self.outputs[function]}-{kind}"
        (key,) = (
            {"Name": name, "GroupName": found["GroupName"]}
            for page in scheduler.get_paginator("list_schedules").paginate()
            for found in page["Schedules"]
            if found["Name"] == name
        )
        schedule = scheduler.get_schedule(**key)
        kept = {name: schedule[name] for name in ("FlexibleTimeWindow", "ScheduleExpressionTimezone")}
        target = schedule["Target"]
        changed = {**target, "Input": json.dumps(json.loads(target["Input"]) | changes)}
        with self._until_a_run_has_ended(f"the schedule {kind} to fire", function):
            scheduler.delete_schedule(**key)
            now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
            scheduler.create_schedule(
                **key,
                **kept,
                Target=changed,
                ScheduleExpression=f"at({now})",
                State="ENABLED",
                ActionAfterCompletion="DELETE",
            )
        scheduler.create_schedule(
            **key, **kept, Target=target, ScheduleExpression=schedule["ScheduleExpression"], State=schedule["State"]
        )

    @contextlib.contextmanager
    def _until_a_run_has_ended(self, what: str, function: str = "function") -> Generator[dt.datetime]:
        since = dt.datetime.now(dt.UTC)
        yield since
        until(lambda: any(line.startswith("REPORT ") for line in self._lines(since, function)), what, 60)

    def crawl(self) -> dict[str, Any]:
        """Runs the crawler and returns the result of the crawl."""
        glue, name = self.client("glue"), self.outputs["crawler"]
        glue.start_crawler(Name=name)
        until(lambda: glue.get_crawler(Name=name)["Crawler"]["State"] == "READY", "the crawl to end")
        return glue.get_crawler(Name=name)["Crawler"]["LastCrawl"]

    def subscribe(self, topic: str, name: str) -> str:
        """Makes a queue that receives what is published to `topic`, and returns its address."""
        sqs = self.client("sqs")
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
        self.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return queue

    # The world around it.

    @contextlib.contextmanager
    def clock(self, now: dt.datetime) -> Generator[None]:
        """Sets the clock of the collector and of Yahoo to `now` while the block runs."""
        _replace(self.folder / "clock", now.isoformat())
        real, self.yahoo.now = self.yahoo.now, lambda: now
        try:
            yield
        finally:
            _replace(self.folder / "clock", "")
            self.yahoo.now = real

    @contextlib.contextmanager
    def firehose_fault(self, **fault: Any) -> Generator[None]:
        """Makes Firehose `refuse` that many records, or `hold` back what it has buffered, while the block runs."""
        _replace(self.folder / "faults.json", json.dumps(fault))
        try:
            yield
        finally:
            _replace(self.folder / "faults.json", "{}")

    # What the stack did.

    def runs(self, since: dt.datetime = LONG_AGO, function: str = "function") -> list[dict[str, Any]]:
        """The metrics of the runs, from their log lines in Embedded Metric Format."""
        begun = since.timestamp() * 1000
        return [line for line in self.log(since, function) if "_aws" in line and line["_aws"]["Timestamp"] >= begun]

    def log(self, since: dt.datetime = LONG_AGO, function: str = "function") -> list[dict[str, Any]]:
        """The JSON lines of the function's log."""
        return [json.loads(line) for line in self._lines(since, function) if line.startswith("{")]

    def _lines(self, since: dt.datetime, function: str) -> list[str]:
        pages = self.client("logs").get_paginator("filter_log_events")
        group, start = f"/aws/lambda/{self.outputs[function]}", int(since.timestamp() * 1000)
        found = pages.paginate(logGroupName=group, startTime=start)
        return [line for page in found for event in page["events"] for line in event["message"].splitlines()]

    def failures(self) -> list[dict[str, Any]]:
        """Removes the messages from the failure queue and returns them."""
        sqs = self.client("sqs")
        queue = sqs.get_queue_url(QueueName=self.outputs["failures"].rsplit("/", 1)[1])["QueueUrl"]
        found = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    def objects(self, prefix: str = "bars/") -> list[str]:
        """The keys in the data bucket that start with `prefix`."""
        pages = self.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.outputs["bucket"], Prefix=prefix)
        return [item["Key"] for page in found for item in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """An object of the data bucket."""
        return self.client("s3").get_object(Bucket=self.outputs["bucket"], Key=key)["Body"].read()

    def records(self, session: Session) -> int:
        """Number of records of `session` in the bucket, repeats included."""
        keys = self.objects(f"bars/dt={session.dt}/")
        for key in set(keys) - self._counted.keys():
            self._counted[key] = pyarrow.parquet.ParquetFile(io.BytesIO(self.read(key))).metadata.num_rows
        return sum(self._counted[key] for key in keys)

    def settle(self, session: Session, records: int) -> None:
        """Waits until Firehose has written `records` of `session`."""
        until(lambda: self.records(session) >= records, f"{records} records of {session.dt}")

    @contextlib.contextmanager
    def code(self, package: bytes) -> Generator[None]:
        """Replaces the code of every function while the block runs."""
        functions, names = self.client("lambda"), [self.outputs[output] for output in FUNCTIONS]
        (key,) = self.objects("code/")
        for name in names:
            functions.update_function_code(FunctionName=name, ZipFile=package)
        yield
        for name in names:
            functions.update_function_code(FunctionName=name, S3Bucket=self.outputs["bucket"], S3Key=key)


def own_code() -> bytes:
    """The project's own modules as a zip. The emulator's Python has the packages and imports them faster."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(each for pattern in packaging.OWN for each in ROOT.glob(pattern)):
            archive.write(path, path.relative_to(ROOT))
    return buffer.getvalue()


def _replace(file: Path, text: str) -> None:
    """Writes `text` atomically, because another process may read `file` at any moment."""
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)


@cache
def recorded() -> Recording:
    """What the unmodified `__main__.py` registers."""
    done = run("up", {**stack_config(NAME), "tickerlake:collectorZip": str(packaging.build("host"))}, NAME)
    assert done.returncode == 0, done.stderr
    return done.recording


@contextlib.contextmanager
def running_stack(folder: Path, yahoo: FakeYahoo) -> Generator[Stack]:
    """The stack in an emulator behind a proxy that injects faults; its function collects from `yahoo`.

    The function's code is the zip for this machine's Python, with the same contents as the one for Lambda.
    """
    with running_emulator(folder, _settings(folder)) as endpoint, running_proxy(folder, endpoint) as proxy:
        stack = Stack(endpoint, proxy.url, proxy, recorded().exports["tickerlake"], folder, yahoo)
        yield create_in(stack, recorded())


@contextlib.contextmanager
def running_guarded_stack(folder: Path, yahoo: FakeYahoo) -> Generator[Stack]:
    """The stack in an emulator that checks every caller's permissions and uses TLS, as the bucket policies require.

    It has no proxy, the code is `own_code`, and the resources are those that Pulumi's mocks record.
    """
    guarded, authority = guarding(folder)
    with running_emulator(folder, _settings(folder) | guarded) as endpoint:
        program = deployed(NAME)
        outputs = program.exports["tickerlake"]
        stack = Stack(endpoint, endpoint, None, outputs, folder, yahoo, authority=authority)
        yield create_in(stack, program, own_code())


def guarding(folder: Path) -> tuple[dict[str, str], Path]:
    """The settings of an emulator that checks permissions and uses TLS, and the authority behind its certificate."""
    authority, certificate, key = (folder / f"{name}.pem" for name in ("authority", "certificate", "key"))
    vouching = trustme.CA()
    vouched = vouching.issue_cert("127.0.0.1")
    vouching.cert_pem.write_to_path(authority)
    vouched.cert_chain_pems[0].write_to_path(certificate)
    vouched.private_key_pem.write_to_path(key)
    settings = {"AUTH": "true", "USE_SSL": "1", "MINISTACK_SSL_CERT": str(certificate), "MINISTACK_SSL_KEY": str(key)}
    return settings, authority


def _settings(folder: Path) -> dict[str, str]:
    (folder / "clock").touch()
    (folder / "faults.json").write_text("{}", encoding="utf-8")
    return {"EMULATOR_FAULTS": str(folder / "faults.json")}


def create_in(stack: Stack, recording: Recording, code: bytes | None = None, vendor: FakeVendor | None = None) -> Stack:
    """Creates in the emulator of `stack` what the program registered, for functions that reach `vendor`, else Yahoo.

    `code` replaces that of the functions.
    """
    added = {
        **(vendor or stack.yahoo).environment(),
        "AWS_ENDPOINT_URL": stack.front,
        "PYTHONPATH": str(LAYER),
        "TEST_CLOCK": str(stack.folder / "clock"),
        **({"AWS_CA_BUNDLE": str(stack.authority)} if stack.authority else {}),
    }
    stack.created += create_all(recording.registrations, stack.client, Changes(environment=added, code=code))
    return stack


def create_beside(stack: Stack, name: str, config: Mapping[str, str], vendor: FakeVendor | None = None) -> Stack:
    """Creates another stack, the one of `stack_config` but for `config`, in the emulator of `stack`."""
    recording = deploy({**stack_config(NAME), **config}, name)
    other = replace(stack, outputs=recording.exports["tickerlake"], created=[], _counted={})
    return create_in(other, recording, own_code(), vendor)


def cells(frame: Any) -> Any:
    """The cells of `hourly_high`: one high for each ticker and hour."""
    return frame[frame["touch"] == 1].set_index(["session", "ticker", "hour"])["high"].sort_index()


def metric(runs: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """The values of the metric `name` in `runs`."""
    return [value for line in runs if name in line for value in line[name]]
