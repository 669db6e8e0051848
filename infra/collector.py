"""The collector: the Lambda function, its schedules, and the queue of failed events."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, kinesis, lambda_, s3, scheduler, sqs

from infra.access import Place, allow, service_role
from infra.config import COLLECT_EVERY_MINUTES, COLLECTOR_TIMEOUT_SECONDS
from infra.lake import ACTIONS_PREFIX, CODE_PREFIX, RUNS_PREFIX
from infra.packaging import HANDLER_MODULE, Package
from tickerlake.exchange import EXCHANGE_TIME

HANDLER = f"{HANDLER_MODULE}.handler"
RUNTIME = "python3.13"
METRICS_NAMESPACE = "Tickerlake"
# A minute after each bar ends, when the vendor has it. It runs day and night: the handler knows the exchange's holidays
# and hours, and returns at once if there is nothing to collect. So a missing run always means that something is wrong.
COLLECT_SCHEDULE = f"cron(1/{COLLECT_EVERY_MINUTES} * * * ? *)"
# On days without a session the sweep picks up restatements of the last one.
SWEEP_SCHEDULE = "cron(45 16 * * ? *)"
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
    package: Package
    function_name: str
    shards: tuple[tuple[str, ...], ...]
    """The tickers of each run."""
    reserve_concurrency: bool
    bar_minutes: int
    look_back_minutes: int
    log_retention_days: int


class Collector(pulumi.ComponentResource):
    """The function that collects bars, on schedules in exchange time."""

    function: lambda_.Function
    queue: sqs.Queue
    """Events that failed."""
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
            # The default is two retries. They would prolong a rate limit, and the next run looks back anyway.
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
            # Named by its hash, so that an unchanged zip is not uploaded or deployed again.
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
                    "StoreSplitsAndRuns",
                    ["s3:PutObject"],
                    [pulumi.Output.concat(args.bucket.arn, f"/{prefix}*") for prefix in (ACTIONS_PREFIX, RUNS_PREFIX)],
                ),
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
            # One per shard: runs cannot pile up behind one that hangs, nor use up the account's executions.
            reserved_concurrent_executions=len(args.shards) if args.reserve_concurrency else None,
            environment=lambda_.FunctionEnvironmentArgs(
                variables={
                    "COLLECTOR_STREAM": args.stream.name,
                    "COLLECTOR_BUCKET": args.bucket.bucket,
                    # For events that name no tickers; the schedules name those of their shard.
                    "COLLECTOR_TICKERS": ",".join(ticker for shard in args.shards for ticker in shard),
                    "COLLECTOR_BAR_MINUTES": str(args.bar_minutes),
                    "COLLECTOR_LOOK_BACK_MINUTES": str(args.look_back_minutes),
                    "POWERTOOLS_LOG_LEVEL": "INFO",
                    "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                    # A dimension of the metrics, which keeps two stacks in one account apart.
                    "POWERTOOLS_SERVICE_NAME": args.function_name,
                }
            ),
            # Text, because Powertools already writes each line as JSON.
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
            # The next run replaces a late look-back run; a late sweep is still useful.
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
