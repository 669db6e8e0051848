"""`python -m infra.verify`: follows one marked record through the deployed stack, and tries the rest of it.

It invokes the collector, sends a record of the first day that queries see, finds it in Parquet and in an answer of
Athena, runs the crawler, reads as a user who has the reader policy only, fires every alarm once, and removes the
record. Account numbers are masked, so that you can paste what it prints. Exits with 0 if everything works, else with 1.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.config import COLLECTOR_TIMEOUT_SECONDS
from infra.lake import BARS_PREFIX
from infra.preflight import Client, is_missing, principal, pulumi
from infra.settings import deployed
from tickerlake import aws
from tickerlake.cli.console import run_command
from tickerlake.cli.doctor import report
from tickerlake.doctor import Finding, check_versions, installed_versions
from tickerlake.errors import TickerlakeError
from tickerlake.lake.firehose import FirehoseSink
from tickerlake.record import PARTITION, PRICES

REQUESTS: Mapping[str, tuple[str, ...]] = {
    "athena": ("GetQueryExecution", "GetQueryResults", "StartQueryExecution"),
    "cloudwatch": ("DescribeAlarmHistory", "DescribeAlarms", "SetAlarmState"),
    "firehose": ("DescribeDeliveryStream", "PutRecordBatch"),
    "glue": (
        "DeletePartition",
        "GetCrawler",
        "GetDatabase",
        "GetPartition",
        "GetPartitions",
        "GetTable",
        "StartCrawler",
    ),
    "iam": ("AttachRolePolicy", "CreateRole", "DeleteRole", "DetachRolePolicy", "GetRole"),
    "lambda": ("Invoke",),
    "s3": ("DeleteObject", "GetBucketLocation", "GetObject", "ListObjectVersions", "ListObjectsV2", "PutObject"),
    "sns": ("ListSubscriptionsByTopic",),
    "sts": ("AssumeRole", "GetCallerIdentity"),
}
"""The requests that this sends, by service."""
TICKER, SOURCE = "VERIFY", "verify"
"""No query asks for this source."""
_ACCOUNT = re.compile(r"\b\d{12}\b")
_EVERY_SECONDS = 2
_CRAWL_SECONDS = 20 * 60
_IAM_SECONDS = 90
"""New roles and policies take some seconds to be known everywhere."""
_HISTORY_SECONDS = 30
_NAMED = 3


@click.command("verify")
def verify() -> int:
    """Check that the deployed stack works, from the collector to an answer of Athena and the alarms.

    Exits with 0 if everything works, else with 1; with 2 if no stack is deployed.
    """
    stack = deployed(json.loads(pulumi("stack", "output", "--json")))
    patient = Config(read_timeout=COLLECTOR_TIMEOUT_SECONDS + 60, retries={"total_max_attempts": 1})

    def client(service: str) -> Any:
        return aws.client(service, stack["region"], config=patient)

    def reader(credentials: Mapping[str, str]) -> Client:
        session = boto3.Session(
            credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], stack["region"]
        )
        return session.client

    return report(Verification(stack, client, reader, dt.datetime.now(dt.UTC)).examine())


class _Broken(Exception):
    """A check failed: what happened, and what to do."""


@dataclass
class Verification:
    """The checks of one stack. `pause` waits between two looks."""

    stack: Mapping[str, str]
    """The stack's outputs."""
    client: Client
    reader: Callable[[Mapping[str, str]], Client]
    """Gives the clients of temporary credentials."""
    now: dt.datetime
    pause: Callable[[float], None] = time.sleep
    mark: int = field(default_factory=lambda: 1 + secrets.randbelow(10**9))
    """The volume of the marked record."""

    def examine(self) -> Iterator[tuple[str, Finding]]:
        """Every check, each with its topic, with account numbers masked."""
        started = time.monotonic()
        for topic, finding in self._checks():
            seconds = round(time.monotonic() - started)
            what = f"{finding.what} ({seconds} s)" if seconds else finding.what
            yield topic, Finding(finding.level, _ACCOUNT.sub("*" * 12, what), _ACCOUNT.sub("*" * 12, finding.next_step))
            started = time.monotonic()

    def _checks(self) -> Iterator[tuple[str, Finding]]:
        yield (
            "Stack",
            Finding("ok", f"{self.stack['workgroup']} in {self.stack['region']}, {self.now:%Y-%m-%d %H:%M} UTC"),
        )
        for finding in check_versions(installed_versions()):
            yield "Stack", finding
        removed: list[Finding] = []
        try:
            for topic, check in {
                "Collector": self.check_collector,
                "Delivery": self.check_delivery,
                "Athena": self.check_athena,
                "Crawler": self.check_crawler,
                "Reader": self.check_reader,
                "Alarms": self.check_alarms,
            }.items():
                for finding in self._caught(check):
                    yield topic, finding
        finally:
            removed += self._caught(self.remove)
        for finding in removed:
            yield "Removal", finding

    def _caught(self, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        try:
            yield from check()
        except _Broken as error:
            what, next_step = error.args
            yield Finding("problem", what, next_step)
        except (BotoCoreError, ClientError, TickerlakeError) as error:
            yield Finding("problem", str(error), "fix what it names; `pulumi refresh` shows what was changed by hand")

    def check_collector(self) -> Iterator[Finding]:
        """Invokes the collector for the last finished session."""
        if "function" not in self.stack:
            yield Finding("note", "a machine outside AWS collects", "see docs/outside.md, and the alarm heartbeat")
            return
        answer = self.client("lambda").invoke(
            FunctionName=self.stack["function"], Payload=json.dumps({"session": "last"}).encode()
        )
        payload = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise _Broken(
                f"the collector failed: {payload.get('errorMessage', payload)}",
                "see docs/outside.md if Yahoo refuses AWS, else the function's log",
            )
        days = ", ".join(dict.fromkeys(session["session"] for session in payload["sessions"]))
        yield Finding("ok", f"the collector delivered {payload['delivered']} bars of {days}")

    def check_delivery(self) -> Iterator[Finding]:
        """Sends the marked record, and waits until Firehose has written it as Parquet."""
        delivery, name = self.client("firehose"), self.stack["stream"]
        FirehoseSink(delivery, name, self.pause).write(self._record())
        described = delivery.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        buffered = described["Destinations"][0]["ExtendedS3DestinationDescription"]["BufferingHints"][
            "IntervalInSeconds"
        ]
        key = self._until(self._key, buffered + 180)
        if key is None:
            raise _Broken(
                f"{name} has not written the record within {buffered + 180} seconds",
                "see the stream's log, and errors/bars/ in the bucket; docs/lake-formation.md if it lacks permissions",
            )
        yield Finding("ok", f"the marked record is in {key}")

    def check_athena(self) -> Iterator[Finding]:
        """Queries the marked record."""
        rows = self._query(self.client)
        if rows != [[TICKER, str(self.mark)]]:
            raise _Broken(
                f"Athena answers {rows} for the marked record of {self._day}",
                "compare the table's location and its projection of dt with the bucket: pulumi refresh",
            )
        yield Finding("ok", f"{self.stack['workgroup']} answers a query with the marked record")

    def check_crawler(self) -> Iterator[Finding]:
        """Runs the crawler, and looks for the partition of the marked record."""
        glue, name = self.client("glue"), self.stack["crawler"]

        def crawler() -> dict[str, Any]:
            return glue.get_crawler(Name=name)["Crawler"]

        def is_ready() -> bool:
            return crawler()["State"] == "READY"

        self._until(is_ready, _CRAWL_SECONDS)
        glue.start_crawler(Name=name)
        log = f"see its log in /aws-glue/crawlers, stream {name}; `crawl: false` turns it off"
        if not self._until(is_ready, _CRAWL_SECONDS):
            raise _Broken(f"{name} has run for {_CRAWL_SECONDS // 60} minutes", log)
        last = crawler()["LastCrawl"]
        if last["Status"] != "SUCCEEDED":
            raise _Broken(f"{name} ended with {last['Status']}: {last.get('ErrorMessage', 'no message')}", log)
        try:
            glue.get_partition(**self._table, PartitionValues=[self._day])
        except ClientError as error:
            if is_missing(error):
                raise _Broken(f"{name} has not registered the partition {self._day}", log) from error
            raise
        yield Finding("ok", f"{name} registered the partition {self._day}")

    def check_reader(self) -> Iterator[Finding]:
        """Reads, and tries to write, as a role that has the reader policy only. The role is deleted afterwards."""
        access, policy = self.client("iam"), self.stack["readerPolicy"]
        role = f"{self.stack['workgroup']}-verify-{self.mark}"
        caller = principal(self.client("sts").get_caller_identity()["Arn"], self.client)
        trust = {"Effect": "Allow", "Principal": {"AWS": caller}, "Action": "sts:AssumeRole"}
        arn = access.create_role(
            RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )["Role"]["Arn"]
        try:
            access.attach_role_policy(RoleName=role, PolicyArn=policy)
            yield from self._reading(arn)
        finally:
            for done in (
                lambda: access.detach_role_policy(RoleName=role, PolicyArn=policy),
                lambda: access.delete_role(RoleName=role),
            ):
                try:
                    done()
                except ClientError as error:
                    if not is_missing(error):
                        raise

    def _reading(self, arn: str) -> Iterator[Finding]:
        given = self._until(
            lambda: self.client("sts").assume_role(RoleArn=arn, RoleSessionName=SOURCE)["Credentials"], _IAM_SECONDS
        )
        if given is None:
            raise _Broken("the role with the reader policy cannot be assumed", "check the organization's policies")
        client = self.reader(given)
        answered = self._until(lambda: (self._query(client),), _IAM_SECONDS)
        repair = "restore the policy: pulumi refresh, then pulumi up"
        if answered is None:
            raise _Broken("the reader policy does not let its user query the lake", repair)
        key = f"{BARS_PREFIX}{PARTITION.name}={self._day}/{SOURCE}"
        try:
            client("s3").put_object(Bucket=self.stack["bucket"], Key=key, Body=b"")
        except ClientError as error:
            if not _is_denied(error):
                raise
        else:
            raise _Broken("the reader policy lets its user write to the lake", repair)
        yield Finding("ok", "the reader policy lets its user query, and not write")

    def check_alarms(self) -> Iterator[Finding]:
        """Fires every alarm once, and puts it back. Whoever is subscribed to the topic is notified."""
        watch, topic = self.client("cloudwatch"), self.stack["alarmTopic"]
        pages = watch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{self.stack['workgroup']}-")
        alarms = [alarm for page in pages for alarm in page["MetricAlarms"]]
        silent = [alarm["AlarmName"] for alarm in alarms if topic not in alarm["AlarmActions"]]
        if silent or not alarms:
            raise _Broken(
                f"not notifying the topic: {', '.join(silent)}" if silent else "there are no alarms",
                "restore them: pulumi refresh, then pulumi up",
            )
        since = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
        try:
            for alarm in alarms:
                if alarm["StateValue"] == "ALARM":  # it would not fire again
                    self._set(watch, alarm["AlarmName"], "OK")
                self._set(watch, alarm["AlarmName"], "ALARM")
            failed = [
                alarm["AlarmName"]
                for alarm in alarms
                if not self._until(partial(_has_fired, watch, alarm["AlarmName"], since), _HISTORY_SECONDS)
            ]
        finally:
            for alarm in alarms:
                self._set(watch, alarm["AlarmName"], alarm["StateValue"])
        if failed:
            raise _Broken(f"not firing: {', '.join(failed)}", "see the alarm's history in CloudWatch")
        yield Finding("ok", f"all {len(alarms)} alarms fired and notified the topic")
        subscribers = self.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if not [each for each in subscribers if each["SubscriptionArn"].startswith("arn:")]:
            yield Finding(
                "note",
                "nobody has confirmed a subscription to the alarms",
                "pulumi config set alarmEmail you@example.com, pulumi up, and confirm AWS's mail",
            )

    def _set(self, watch: Any, name: str, state: str) -> None:
        watch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="tickerlake verify: only a test")

    def remove(self) -> Iterator[Finding]:
        """Deletes the marked record, those that came too late for an earlier run, their versions and the partition."""
        storage, bucket = self.client("s3"), self.stack["bucket"]
        prefix = f"{BARS_PREFIX}{PARTITION.name}={self._day}/"
        keys = [key for key in self._keys() if self._marks(key)]
        for key in [*keys, f"{prefix}{SOURCE}"]:
            pages = storage.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
            for page in pages:
                for item in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                    storage.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
        if not self._keys():  # else it is a session of the lake
            try:
                self.client("glue").delete_partition(**self._table, PartitionValues=[self._day])
            except ClientError as error:
                if not is_missing(error):
                    raise
        if keys:
            yield Finding("ok", f"removed {', '.join(keys[:_NAMED])}")

    @property
    def _table(self) -> dict[str, str]:
        return {"DatabaseName": self.stack["database"], "TableName": self.stack["table"]}

    @property
    def _day(self) -> str:
        """The first day that the table shows: no vendor still has bars of it that could share the record's file."""
        return self.stack["firstSession"]

    def _record(self) -> Any:
        """The marked record as a frame of one bar."""
        import pandas as pd  # noqa: PLC0415  # a second to import

        from tickerlake.bars import as_bars  # noqa: PLC0415

        noon = dt.datetime.combine(dt.date.fromisoformat(self._day), dt.time(17), dt.UTC)
        bar = {
            "ticker": TICKER,
            "exchange": "XNYS",
            "ts": noon,
            "hour": 12,
            "bar_minutes": 60,
            **dict.fromkeys(PRICES, 1.0),
            "volume": self.mark,
            "currency": "USD",
            "source": SOURCE,
            "collected_at": self.now,
        }
        return as_bars(pd.DataFrame([{**bar, PARTITION.name: self._day}]))

    def _key(self) -> str | None:
        return next((key for key in self._keys() if self.mark in self._marks(key)), None)

    def _keys(self) -> list[str]:
        pages = (
            self.client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self.stack["bucket"], Prefix=f"{BARS_PREFIX}{PARTITION.name}={self._day}/")
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def _marks(self, key: str) -> list[int]:
        """The volumes in the object `key` if it holds marked records and nothing else, of this or an earlier run."""
        from pyarrow import parquet  # noqa: PLC0415

        if key.endswith(f"/{SOURCE}"):
            return []
        body = self.client("s3").get_object(Bucket=self.stack["bucket"], Key=key)["Body"].read()
        table = parquet.read_table(io.BytesIO(body), columns=["source", "volume"])
        return table["volume"].to_pylist() if set(table["source"].to_pylist()) == {SOURCE} else []

    def _query(self, client: Client) -> list[list[str]]:
        """The marked record as Athena answers it to `client`."""
        athena = client("athena")
        started = athena.start_query_execution(
            QueryString=(
                f"SELECT ticker, volume FROM {self.stack['table']} "  # noqa: S608  # our own values
                f"WHERE dt = '{self._day}' AND source = '{SOURCE}' AND volume = {self.mark}"
            ),
            QueryExecutionContext={"Database": self.stack["database"]},
            WorkGroup=self.stack["workgroup"],
        )["QueryExecutionId"]

        def status() -> dict[str, Any]:
            return athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]

        self._until(lambda: status()["State"] not in ("QUEUED", "RUNNING"), 120)
        ended = status()
        if ended["State"] != "SUCCEEDED":
            raise _Broken(
                f"the query {started} ended with {ended['State']}: {ended.get('StateChangeReason', 'no reason')}",
                "see docs/lake-formation.md if a permission is missing, else pulumi refresh",
            )
        _, *rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue", "") for cell in row["Data"]] for row in rows]

    def _until(self, look: Callable[[], Any], seconds: float) -> Any:
        """Looks until there is something to see, or AWS stops denying it; None after `seconds`."""
        for _ in range(max(1, round(seconds / _EVERY_SECONDS))):
            try:
                if found := look():
                    return found
            except ClientError as error:
                if not _is_denied(error):
                    raise
            self.pause(_EVERY_SECONDS)
        return None


def _has_fired(watch: Any, name: str, since: dt.datetime) -> bool:
    """Whether the alarm's history tells that it fired and that no action failed."""
    changes = watch.describe_alarm_history(AlarmName=name, StartDate=since)["AlarmHistoryItems"]
    fired = [item for item in changes if item["HistorySummary"].endswith("to ALARM")]
    return bool(fired) and not [item for item in changes if "Failed to execute action" in item["HistorySummary"]]


def _is_denied(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403")


if __name__ == "__main__":
    sys.exit(run_command(verify))
