"""The collector: the Lambda function and its schedules; the queue of failed events, and the code of all functions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import glue, kinesis, lambda_, s3, sqs, ssm

from infra.access import Place, Statement, allow
from infra.config import COLLECT_EVERY_MINUTES, COLLECTOR_TIMEOUT_SECONDS
from infra.functions import FunctionArgs, ScheduleArgs, function, schedules
from infra.lake import CODE_PREFIX
from infra.packaging import HANDLER_MODULE, Package
from tickerlake.exchange import Exchange
from tickerlake.schedule import SWEEP_AFTER

HANDLER = f"{HANDLER_MODULE}.handler"
# A minute after each bar ends, when the vendor has it. It runs day and night: the handler knows the exchange's holidays
# and hours, and returns at once if there is nothing to collect. So a missing run always means that something is wrong.
COLLECT_SCHEDULE = f"cron(1/{COLLECT_EVERY_MINUTES} * * * ? *)"
SWEEP_SESSION = "last"
"""The event's `session` for the sweep: the last finished session."""
_MEMORY_MIB = 1024
_QUEUE_DAYS = 14


@dataclass(frozen=True)
class CollectorArgs:
    """Arguments of `Collector`."""

    place: Place
    bucket: s3.Bucket
    """Takes splits and runs, and holds the function's code."""
    stream: kinesis.FirehoseDeliveryStream
    sending: list[Statement]
    """Permissions to send to both."""
    outside: bool
    """Whether a machine outside AWS collects, and there is no function."""
    database: glue.CatalogDatabase
    workgroup_name: pulumi.Output[str]
    querying: Sequence[Statement]
    source: str
    """The vendor to ask."""
    source_key: str
    """The vendor's key; empty for none."""
    package: Package
    function_name: str
    shards: Mapping[Exchange, Sequence[Sequence[str]]]
    """The tickers of each run, by their exchange."""
    reserve_concurrency: bool
    bar_minutes: int
    look_back_minutes: int
    log_retention_days: int


class Collector(pulumi.ComponentResource):
    """The function that collects bars, on schedules in the time of each exchange."""

    function: lambda_.Function | None
    """None if a machine outside AWS collects."""
    queue: sqs.Queue
    """Events of all functions that failed."""
    code: s3.BucketObjectv2
    """The zip of all functions."""

    def __init__(self, name: str, args: CollectorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:collector:Collector", name, None, opts)
        self.queue = sqs.Queue(
            f"{name}-failures",
            message_retention_seconds=_QUEUE_DAYS * 24 * 3600,
            sqs_managed_sse_enabled=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.code = s3.BucketObjectv2(
            f"{name}-code",
            bucket=args.bucket.bucket,
            # Named by its hash, so that an unchanged zip is not uploaded or deployed again.
            key=f"{CODE_PREFIX}{args.package.sha256}.zip",
            source=pulumi.FileAsset(str(args.package.path)),
            content_type="application/zip",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.function = None if args.outside else self._function(name, args)
        self.register_outputs({"function": self.function and self.function.name, "failures": self.queue.url})

    def _function(self, name: str, args: CollectorArgs) -> lambda_.Function:
        shards = [tickers for mine in args.shards.values() for tickers in mine]
        environment: dict[str, pulumi.Input[str]] = {
            "COLLECTOR_SOURCE": args.source,
            "COLLECTOR_STREAM": args.stream.name,
            "COLLECTOR_BUCKET": args.bucket.bucket,
            # For events that name no tickers; the schedules name those of their shard.
            "COLLECTOR_TICKERS": ",".join(ticker for tickers in shards for ticker in tickers),
            "COLLECTOR_BAR_MINUTES": str(args.bar_minutes),
            "COLLECTOR_LOOK_BACK_MINUTES": str(args.look_back_minutes),
            "COLLECTOR_DATABASE": args.database.name,
            "COLLECTOR_WORKGROUP": args.workgroup_name,
        }
        # The sweep also looks for bars that the vendor no longer gives, and for gaps.
        may = [*args.sending, *args.querying]
        if args.source_key:
            # The function reads it when it runs, so that a new key counts without a deployment. SSM keeps it for
            # nothing, encrypted with the account's own key; Secrets Manager would cost 0.40 USD a month.
            key = ssm.Parameter(
                f"{name}-key",
                name=f"/{args.function_name}/key",
                description=f"Key of {args.source}, as a JSON object of environment variables",
                type="SecureString",
                value=pulumi.Output.secret(args.source_key),
                opts=pulumi.ResourceOptions(parent=self),
            )
            environment["COLLECTOR_KEY_PARAMETER"] = key.name
            may.append(allow("ReadKey", ["ssm:GetParameter"], [key.arn]))
        made = function(
            name,
            self,
            FunctionArgs(
                name=args.function_name,
                description=f"Collects bars of the watchlist from {args.source} and sends them to Firehose",
                code=self.code,
                handler=HANDLER,
                memory_mib=_MEMORY_MIB,
                timeout_seconds=COLLECTOR_TIMEOUT_SECONDS,
                # One per shard: runs cannot pile up behind one that hangs, nor use up the account's executions.
                reserved_executions=len(shards) if args.reserve_concurrency else None,
                environment=environment,
                may=may,
                failures=self.queue,
                log_retention_days=args.log_retention_days,
            ),
        )
        schedules(
            name,
            self,
            args.place,
            made,
            args.function_name,
            self.queue,
            {place: list(_wanted(place, mine)) for place, mine in args.shards.items()},
        )
        return made


def _wanted(place: Exchange, shards: Sequence[Sequence[str]]) -> Iterator[ScheduleArgs]:
    """The runs of each shard of an exchange."""
    for number, tickers in enumerate(shards, start=1):
        event = {"tickers": list(tickers)}
        # The next run replaces a late look-back run; a late sweep is still useful.
        yield ScheduleArgs(f"collect-{number}", COLLECT_SCHEDULE, event, age_seconds=COLLECT_EVERY_MINUTES * 60)
        sweep = {"session": SWEEP_SESSION, "repair": True, **event}
        yield ScheduleArgs(f"sweep-{number}", sweep_schedule(place), sweep, age_seconds=3600)


def sweep_schedule(place: Exchange) -> str:
    """Every day, once a bar counts as withdrawn. On days without a session it picks up restatements of the last one."""
    at = dt.datetime.combine(dt.date.min, place.closes) + SWEEP_AFTER
    return f"cron({at.minute} {at.hour} * * ? *)"
