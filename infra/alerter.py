"""The alerter: the Lambda function that judges the rules of `[[alerts]]`, and the topic that it publishes to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import lambda_, sns

from infra.access import allow
from infra.config import COLLECT_EVERY_MINUTES
from infra.functions import QueryingArgs, ScheduleArgs, querying_function
from infra.lake import ALERTS_PREFIX
from infra.topics import topic
from tickerlake.exchange import Exchange
from tickerlake.schedule import SWEEP_AFTER

HANDLER = "functions.alerter.handler.handler"
TIMEOUT_SECONDS = 120
"""A claim of the function holds longer."""
_MEMORY_MIB = 1024
# The next run makes up for one that could not be started.
_LATEST_SECONDS = COLLECT_EVERY_MINUTES * 60


@dataclass(frozen=True, kw_only=True)
class AlerterArgs(QueryingArgs):
    """Arguments of `Alerter`."""

    exchanges: Sequence[Exchange]
    """Those of the watchlist."""
    rules: str
    """The entries of `[[alerts]]`, as JSON."""
    email: str
    """Address that gets the alerts; empty for none."""
    buffer_seconds: int
    """How long Firehose holds bars back."""


class Alerter(pulumi.ComponentResource):
    """The function that alerts, on schedules in the time of each exchange, and its topic."""

    function: lambda_.Function
    topic: sns.Topic

    def __init__(self, name: str, args: AlerterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:alerter:Alerter", name, None, opts)
        # AWS's own key costs nothing, and whoever may publish in this account may use it.
        self.topic = topic(name, "alerts", self, args.email, kms_key="alias/aws/sns")
        self.function = querying_function(
            name,
            self,
            args,
            {place: _wanted(place, args.buffer_seconds) for place in args.exchanges},
            description="Publishes new highs and price levels, each once, and corrects those that are restated",
            handler=HANDLER,
            memory_mib=_MEMORY_MIB,
            timeout_seconds=TIMEOUT_SECONDS,
            settings="ALERTER",
            environment={
                "ALERTER_RULES": args.rules,
                "ALERTER_TOPIC": self.topic.arn,
            },
            may=[
                allow(
                    "ListAlerts",
                    ["s3:ListBucket"],
                    [args.bucket.arn],
                    {"StringLike": {"s3:prefix": [f"{ALERTS_PREFIX}*"]}},
                ),
                allow(
                    "StoreAlerts",
                    ["s3:GetObject", "s3:PutObject"],
                    [pulumi.Output.concat(args.bucket.arn, f"/{ALERTS_PREFIX}*")],
                ),
                allow("Publish", ["sns:Publish"], [self.topic.arn]),
            ],
        )
        self.register_outputs({"function": self.function.name, "topic": self.topic.arn})


def _wanted(place: Exchange, buffer_seconds: int) -> list[ScheduleArgs]:
    """A run after each run of the collector in the exchange's hours, and one after its sweep, which finds restatements.

    Outside the session the function ends at once, or finds nothing new.
    """
    event = {"exchange": place.code}
    # The collector starts a minute after each bar, and Firehose writes the bars when its buffer is full.
    minute = (2 + -(-buffer_seconds // 60)) % COLLECT_EVERY_MINUTES
    each = f"{minute}/{COLLECT_EVERY_MINUTES}"
    if place.never_closes:
        return [ScheduleArgs("alert", f"cron({each} * * * ? *)", event, _LATEST_SECONDS)]
    swept = dt.datetime.combine(dt.date.min, place.closes) + SWEEP_AFTER + dt.timedelta(seconds=buffer_seconds + 300)
    hours = f"{place.opens.hour}-{place.closes.hour}"
    return [
        ScheduleArgs("alert", f"cron({each} {hours} ? * MON-FRI *)", event, _LATEST_SECONDS),
        ScheduleArgs("alert-swept", f"cron({swept.minute} {swept.hour} ? * MON-FRI *)", event, _LATEST_SECONDS),
    ]
