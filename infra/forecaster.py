"""The forecaster: the Lambda function that forecasts each hour of the session before it has happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import lambda_

from infra.access import allow
from infra.functions import QueryingArgs, ScheduleArgs, querying_function
from infra.lake import FORECASTS_PREFIX
from tickerlake.exchange import Exchange

HANDLER = "functions.forecaster.handler.handler"
_LATEST_SECONDS = 60
_MEMORY_MIB = 1024
_TIMEOUT_SECONDS = 240


@dataclass(frozen=True, kw_only=True)
class ForecasterArgs(QueryingArgs):
    """Arguments of `Forecaster`."""

    exchanges: Sequence[Exchange]
    """Those whose hours are forecast."""


class Forecaster(pulumi.ComponentResource):
    """The function that forecasts, on a schedule in the time of each exchange."""

    function: lambda_.Function

    def __init__(self, name: str, args: ForecasterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:forecaster:Forecaster", name, None, opts)
        self.function = querying_function(
            name,
            self,
            args,
            {
                place: [
                    ScheduleArgs("forecast", schedule(place), {"exchange": place.code}, age_seconds=_LATEST_SECONDS)
                ]
                for place in args.exchanges
            },
            description="Forecasts the next hour's high, the day's high and the direction of each ticker",
            handler=HANDLER,
            memory_mib=_MEMORY_MIB,
            timeout_seconds=_TIMEOUT_SECONDS,
            settings="FORECASTER",
            environment={},
            may=[
                allow(
                    "StoreForecasts",
                    ["s3:PutObject"],
                    [pulumi.Output.concat(args.bucket.arn, f"/{FORECASTS_PREFIX}*")],
                ),
            ],
        )
        self.register_outputs({"function": self.function.name})


def schedule(place: Exchange) -> str:
    """Three minutes past each full hour in which the exchange trades, but for its first.

    The bars up to the full hour are collected a minute after it, and Firehose holds them for another. Five minutes
    after the hour a forecast no longer counts as live. Outside the session the function ends at once.
    """
    days = "*" if place.never_closes else "MON-FRI"
    return f"cron(3 {place.hours[1]}-{place.hours[-1]} ? * {days} *)"
