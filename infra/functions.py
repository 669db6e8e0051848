"""Lambda functions: what each of them has, and their schedules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, glue, lambda_, s3, scheduler, sqs

from infra.access import Place, Statement, allow, service_role
from infra.config import slug
from tickerlake.aws import METRICS_NAMESPACE
from tickerlake.exchange import Exchange

_RUNTIME = "python3.13"


@dataclass(frozen=True)
class FunctionArgs:
    """Arguments of `function`."""

    name: str
    description: str
    code: s3.BucketObjectv2
    handler: str
    memory_mib: int
    timeout_seconds: int
    environment: Mapping[str, pulumi.Input[str]]
    may: Sequence[Statement]
    """What it may do besides writing its log and reporting failed events."""
    failures: sqs.Queue
    """Takes the events that failed."""
    log_retention_days: int
    reserved_executions: int | None = None


@dataclass(frozen=True, kw_only=True)
class QueryingArgs:
    """Arguments of a component whose function queries the lake, on a schedule."""

    place: Place
    bucket: s3.Bucket
    database: glue.CatalogDatabase
    workgroup_name: pulumi.Output[str]
    querying: Sequence[Statement]
    """What it needs to run queries."""
    code: s3.BucketObjectv2
    failures: sqs.Queue
    """Takes the events that failed."""
    function_name: str
    log_retention_days: int


def function(name: str, parent: pulumi.Resource, args: FunctionArgs) -> lambda_.Function:
    """A function with its log, its role, and a queue instead of retries."""
    own = pulumi.ResourceOptions(parent=parent)
    logs = cloudwatch.LogGroup(
        f"{name}-logs",
        name=f"/aws/lambda/{args.name}",
        retention_in_days=args.log_retention_days,
        opts=own,
    )
    role, policy = service_role(
        f"{name}-role",
        parent,
        "lambda",
        [
            *args.may,
            allow(
                "WriteLogs",
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                [pulumi.Output.concat(logs.arn, ":log-stream:*")],
            ),
            allow("ReportFailures", ["sqs:SendMessage"], [args.failures.arn]),
        ],
    )
    made = lambda_.Function(
        f"{name}-function",
        name=args.name,
        description=args.description,
        role=role.arn,
        s3_bucket=args.code.bucket,
        s3_key=args.code.key,
        handler=args.handler,
        runtime=_RUNTIME,
        architectures=["arm64"],
        memory_size=args.memory_mib,
        timeout=args.timeout_seconds,
        reserved_concurrent_executions=args.reserved_executions,
        environment=lambda_.FunctionEnvironmentArgs(
            variables={
                **args.environment,
                "POWERTOOLS_LOG_LEVEL": "INFO",
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                # A dimension of the metrics, which keeps two stacks in one account apart.
                "POWERTOOLS_SERVICE_NAME": args.name,
            }
        ),
        # Text, because Powertools already writes each line as JSON.
        logging_config=lambda_.FunctionLoggingConfigArgs(log_format="Text", log_group=logs.name),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
    lambda_.FunctionEventInvokeConfig(
        f"{name}-failure-destination",
        function_name=made.name,
        # The default is two retries. They would prolong a rate limit, and the next run makes up for this one anyway.
        maximum_retry_attempts=0,
        maximum_event_age_in_seconds=3600,
        destination_config=lambda_.FunctionEventInvokeConfigDestinationConfigArgs(
            on_failure=lambda_.FunctionEventInvokeConfigDestinationConfigOnFailureArgs(destination=args.failures.arn)
        ),
        opts=own,
    )
    return made


def querying_function(
    name: str,
    parent: pulumi.Resource,
    args: QueryingArgs,
    wanted: Mapping[Exchange | None, Sequence[ScheduleArgs]],
    *,
    description: str,
    handler: str,
    memory_mib: int,
    timeout_seconds: int,
    settings: str,
    environment: Mapping[str, pulumi.Input[str]],
    may: Sequence[Statement],
) -> lambda_.Function:
    """A function that queries the lake, and its schedules. `may` is what it may do besides querying.

    The names of its settings begin with `settings`; `environment` holds those besides the lake's.
    """
    made = function(
        name,
        parent,
        FunctionArgs(
            name=args.function_name,
            description=description,
            code=args.code,
            handler=handler,
            memory_mib=memory_mib,
            timeout_seconds=timeout_seconds,
            environment={
                f"{settings}_BUCKET": args.bucket.bucket,
                f"{settings}_DATABASE": args.database.name,
                f"{settings}_WORKGROUP": args.workgroup_name,
                **environment,
            },
            may=[*args.querying, *may],
            failures=args.failures,
            log_retention_days=args.log_retention_days,
        ),
    )
    schedules(name, parent, args.place, made, args.function_name, args.failures, wanted)
    return made


@dataclass(frozen=True)
class ScheduleArgs:
    """One schedule of a function."""

    name: str
    cron: str
    """In the time of its exchange, or in UTC."""
    event: Mapping[str, Any]
    age_seconds: int
    """How old an event may be that could not be delivered at once."""


def schedules(
    name: str,
    parent: pulumi.Resource,
    account: Place,
    function: lambda_.Function,
    function_name: str,
    failures: sqs.Queue,
    wanted: Mapping[Exchange | None, Sequence[ScheduleArgs]],
) -> None:
    """The schedules of `function`, in a group for each exchange; None is for those of the whole lake."""
    groups = {
        place: scheduler.ScheduleGroup(
            f"{name}{_mark(place)}-schedules",
            name=f"{function_name}{_mark(place)}",
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for place in wanted
    }
    role, policy = service_role(
        f"{name}-scheduler-role",
        parent,
        "scheduler",
        [
            allow("Invoke", ["lambda:InvokeFunction"], [function.arn]),
            allow("ReportFailures", ["sqs:SendMessage"], [failures.arn]),
        ],
        trust={
            "StringEquals": {
                "aws:SourceAccount": account.account,
                "aws:SourceArn": [group.arn for group in groups.values()],
            }
        },
    )
    for place, each in ((place, each) for place, mine in wanted.items() for each in mine):
        scheduler.Schedule(
            f"{name}{_mark(place)}-{each.name}",
            name=f"{function_name}{_mark(place)}-{each.name}",
            group_name=groups[place].name,
            schedule_expression=each.cron,
            schedule_expression_timezone=place.zone.key if place else "UTC",
            flexible_time_window=scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            target=scheduler.ScheduleTargetArgs(
                arn=function.arn,
                role_arn=role.arn,
                input=json.dumps(each.event),
                retry_policy=scheduler.ScheduleTargetRetryPolicyArgs(
                    maximum_event_age_in_seconds=each.age_seconds, maximum_retry_attempts=3
                ),
                dead_letter_config=scheduler.ScheduleTargetDeadLetterConfigArgs(arn=failures.arn),
            ),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
        )


def _mark(place: Exchange | None) -> str:
    return f"-{slug(place)}" if place else ""
