"""The collector: the function, its schedules, and where its failures go."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, kinesis, lambda_, s3, scheduler, sqs

from infra.access import Place, allow, service_role
from infra.config import COLLECT_EVERY_MINUTES, COLLECTOR_TIMEOUT_SECONDS
from infra.lake import CODE_PREFIX
from infra.packaging import HANDLER_MODULE, Package
from tickerlake.exchange import EXCHANGE_TIME

HANDLER = f"{HANDLER_MODULE}.handler"
RUNTIME = "python3.13"
METRICS_NAMESPACE = "Tickerlake"
# A minute after each bar's end, when the vendor has it. Every day and from nine: the handler knows the exchange's
# holidays and hours, which a cron does not, and a run with nothing to ask for returns at once. That it is started on
# every day and swept on every day is what the heartbeat alarms listen for.
COLLECT_SCHEDULE = f"cron(1/{COLLECT_EVERY_MINUTES} 9-16 * * ? *)"
# On days without a session this takes up what the vendor has restated of the last one since.
SWEEP_SCHEDULE = "cron(45 16 * * ? *)"
SWEEP_SESSION = "last"
"""What the sweep asks the handler for: the last session that has finished."""
_MEMORY_MIB = 1024
_QUEUE_DAYS = 14


@dataclass(frozen=True)
class CollectorArgs:
    """What the collector is told."""

    place: Place
    bucket: s3.Bucket
    """Where the function's code is put."""
    stream: kinesis.FirehoseDeliveryStream
    package: Package
    function_name: str
    shards: tuple[tuple[str, ...], ...]
    """The tickers of each run."""
    reserve_concurrency: bool
    bar_minutes: int
    look_back_minutes: int
    log_retention_days: int


class Collector(pulumi.ComponentResource):
    """The function that collects, started by the exchange's clock."""

    function: lambda_.Function
    queue: sqs.Queue
    """The events that could not be handled."""
    logs: cloudwatch.LogGroup

    def __init__(self, name: str, args: CollectorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:collector:Collector", name, None, opts)
        self.queue = sqs.Queue(
            f"{name}-failures",
            message_retention_seconds=_QUEUE_DAYS * 24 * 3600,
            sqs_managed_sse_enabled=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.logs = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/lambda/{args.function_name}",
            retention_in_days=args.log_retention_days,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.function = self._function(name, args)
        lambda_.FunctionEventInvokeConfig(
            f"{name}-failure-destination",
            function_name=self.function.name,
            # Not twice more, which is the default: a run that met a rate limit would prolong it, and the next run
            # looks back over what this one missed.
            maximum_retry_attempts=0,
            maximum_event_age_in_seconds=3600,
            destination_config=lambda_.FunctionEventInvokeConfigDestinationConfigArgs(
                on_failure=lambda_.FunctionEventInvokeConfigDestinationConfigOnFailureArgs(destination=self.queue.arn)
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._schedules(name, args)
        self.register_outputs({"function": self.function.name, "failures": self.queue.url})

    def _function(self, name: str, args: CollectorArgs) -> lambda_.Function:
        code = s3.BucketObjectv2(
            f"{name}-code",
            bucket=args.bucket.bucket,
            # Named by what it holds: an unchanged zip is neither uploaded nor deployed again.
            key=f"{CODE_PREFIX}{args.package.sha256}.zip",
            source=pulumi.FileAsset(str(args.package.path)),
            content_type="application/zip",
            opts=pulumi.ResourceOptions(parent=self),
        )
        role, policy = service_role(
            f"{name}-role",
            self,
            "lambda",
            [
                allow("Deliver", ["firehose:PutRecordBatch"], [args.stream.arn]),
                allow(
                    "WriteLogs",
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [pulumi.Output.concat(self.logs.arn, ":log-stream:*")],
                ),
                allow("ReportFailures", ["sqs:SendMessage"], [self.queue.arn]),
            ],
        )
        return lambda_.Function(
            f"{name}-function",
            name=args.function_name,
            description="Collects bars of the watchlist from Yahoo and sends them to Firehose",
            role=role.arn,
            s3_bucket=code.bucket,
            s3_key=code.key,
            handler=HANDLER,
            runtime=RUNTIME,
            architectures=["arm64"],
            memory_size=_MEMORY_MIB,
            timeout=COLLECTOR_TIMEOUT_SECONDS,
            # One for each shard: a run that hangs cannot pile up others behind it, nor spend the account's share.
            reserved_concurrent_executions=len(args.shards) if args.reserve_concurrency else None,
            environment=lambda_.FunctionEnvironmentArgs(
                variables={
                    "COLLECTOR_STREAM": args.stream.name,
                    # For who starts it by hand; the schedules name the tickers of their shard.
                    "COLLECTOR_TICKERS": ",".join(ticker for shard in args.shards for ticker in shard),
                    "COLLECTOR_BAR_MINUTES": str(args.bar_minutes),
                    "COLLECTOR_LOOK_BACK_MINUTES": str(args.look_back_minutes),
                    "POWERTOOLS_LOG_LEVEL": "INFO",
                    "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                    # The metrics' dimension: two stacks in one account must not add up.
                    "POWERTOOLS_SERVICE_NAME": args.function_name,
                }
            ),
            # Text, because powertools writes each line as JSON by itself.
            logging_config=lambda_.FunctionLoggingConfigArgs(log_format="Text", log_group=self.logs.name),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

    def _schedules(self, name: str, args: CollectorArgs) -> None:
        group = scheduler.ScheduleGroup(
            f"{name}-schedules", name=args.function_name, opts=pulumi.ResourceOptions(parent=self)
        )
        role, policy = service_role(
            f"{name}-scheduler-role",
            self,
            "scheduler",
            [
                allow("Collect", ["lambda:InvokeFunction"], [self.function.arn]),
                allow("ReportFailures", ["sqs:SendMessage"], [self.queue.arn]),
            ],
            trust={"StringEquals": {"aws:SourceAccount": args.place.account, "aws:SourceArn": group.arn}},
        )
        for number, tickers in enumerate(args.shards, start=1):
            # A late look-back run is overtaken by the next; a late sweep is as good as one in time.
            for kind, cron, what, age_seconds in (
                ("collect", COLLECT_SCHEDULE, {}, COLLECT_EVERY_MINUTES * 60),
                ("sweep", SWEEP_SCHEDULE, {"session": SWEEP_SESSION}, 3600),
            ):
                scheduler.Schedule(
                    f"{name}-{kind}-{number}",
                    name=f"{args.function_name}-{kind}-{number}",
                    group_name=group.name,
                    schedule_expression=cron,
                    schedule_expression_timezone=EXCHANGE_TIME.key,
                    flexible_time_window=scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
                    target=scheduler.ScheduleTargetArgs(
                        arn=self.function.arn,
                        role_arn=role.arn,
                        input=json.dumps({**what, "tickers": list(tickers)}),
                        retry_policy=scheduler.ScheduleTargetRetryPolicyArgs(
                            maximum_event_age_in_seconds=age_seconds, maximum_retry_attempts=3
                        ),
                        dead_letter_config=scheduler.ScheduleTargetDeadLetterConfigArgs(arn=self.queue.arn),
                    ),
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
                )
