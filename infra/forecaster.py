"""The forecaster: the Lambda function that forecasts each hour of the session before it has happened."""

from __future__ import annotations

import pulumi
from pulumi_aws import lambda_

from infra.access import allow
from infra.functions import FunctionArgs, QueryingArgs, ScheduleArgs, function, schedules
from infra.lake import FORECASTS_PREFIX

HANDLER = "functions.forecaster.handler.handler"
# The bars up to the full hour are collected a minute after it, and Firehose holds them for another. Five minutes after
# the hour a forecast no longer counts as live. Outside the session the function ends at once.
FORECAST_SCHEDULE = "cron(3 10-15 ? * MON-FRI *)"
_LATEST_SECONDS = 60
_MEMORY_MIB = 1024
_TIMEOUT_SECONDS = 240


class Forecaster(pulumi.ComponentResource):
    """The function that forecasts, on a schedule in exchange time."""

    function: lambda_.Function

    def __init__(self, name: str, args: QueryingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:forecaster:Forecaster", name, None, opts)
        self.function = function(
            name,
            self,
            FunctionArgs(
                name=args.function_name,
                description="Forecasts the next hour's high, the day's high and the direction of each ticker",
                code=args.code,
                handler=HANDLER,
                memory_mib=_MEMORY_MIB,
                timeout_seconds=_TIMEOUT_SECONDS,
                environment={
                    "FORECASTER_BUCKET": args.bucket.bucket,
                    "FORECASTER_DATABASE": args.database.name,
                    "FORECASTER_WORKGROUP": args.workgroup_name,
                },
                may=[
                    *args.querying,
                    allow(
                        "StoreForecasts",
                        ["s3:PutObject"],
                        [pulumi.Output.concat(args.bucket.arn, f"/{FORECASTS_PREFIX}*")],
                    ),
                ],
                failures=args.failures,
                log_retention_days=args.log_retention_days,
            ),
        )
        schedules(
            name,
            self,
            args.place,
            self.function,
            args.function_name,
            args.failures,
            [ScheduleArgs("forecast", FORECAST_SCHEDULE, {}, age_seconds=_LATEST_SECONDS)],
        )
        self.register_outputs({"function": self.function.name})
