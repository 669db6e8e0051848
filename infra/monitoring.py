"""Monitoring: the CloudWatch dashboard, the alarms, and the topic they notify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import budgets, cloudwatch, sns

from infra.access import Place
from infra.config import COLLECTOR_TIMEOUT_SECONDS, slug
from infra.topics import topic
from tickerlake.aws import METRICS_NAMESPACE
from tickerlake.exchange import Exchange

_LATE_SECONDS = 15 * 60
_MINUTES = 60
_HOURS = 60 * _MINUTES
_A_WEEK = 6 * _HOURS, 28
"""Longer than a pause without sessions: Tokyo's New Year may take six days. No alarm can look back further."""


@dataclass(frozen=True)
class MonitoringArgs:
    """Arguments of `Monitoring`."""

    place: Place
    stack_name: str
    source: str
    """The vendor."""
    exchanges: Sequence[Exchange]
    """Those of the watchlist."""
    function_name: pulumi.Input[str] | None
    """The function that collects; None if a machine outside AWS does."""
    compactor_name: pulumi.Input[str]
    forecaster_name: pulumi.Input[str] | None
    """None if the stack makes no forecasts."""
    alerter_name: pulumi.Input[str] | None
    """None if the stack sends no alerts."""
    alert_topic_name: pulumi.Input[str] | None
    queue_name: pulumi.Input[str]
    stream_name: pulumi.Input[str]
    crawler_name: pulumi.Input[str]
    workgroup_name: pulumi.Input[str]
    alarm_email: str
    """Address to notify; empty for none."""
    monthly_budget_usd: int
    """Monthly cost of the account that triggers a warning to `alarm_email`; 0 for no budget."""


@dataclass(frozen=True)
class Alarm:
    """One alarm on one metric."""

    name: str
    description: str
    """What happened, and what to do."""
    namespace: str
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str
    period: int
    """Seconds."""
    periods: int
    operator: str
    threshold: float
    missing: str = "notBreaching"
    """How to treat missing data: nothing is wrong, unless the alarm is a heartbeat. `ignore` keeps the last state."""


class Monitoring(pulumi.ComponentResource):
    """The dashboard, the alarms and their topic."""

    topic: sns.Topic
    dashboard: cloudwatch.Dashboard
    dashboard_url: pulumi.Output[str]

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:monitoring:Monitoring", name, None, opts)
        # Not encrypted with the AWS managed key for SNS: CloudWatch may not use that key, so alarms would be lost.
        # https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns
        self.topic = topic(name, "alarms", self, args.alarm_email)
        rule = self._crawler_failure(name, args)
        self._topic_policy(name, args, rule)
        for alarm in alarms(args):
            self._alarm(f"{name}-{alarm.name}", args, alarm)
        self.dashboard = cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=args.stack_name,
            dashboard_body=pulumi.Output.json_dumps({"widgets": widgets(args, rule.name)}),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.dashboard_url = pulumi.Output.concat(
            f"https://{args.place.region}.console.aws.amazon.com/cloudwatch/home?region={args.place.region}"
            "#dashboards:name=",
            self.dashboard.dashboard_name,
        )
        if args.monthly_budget_usd:
            self._budget(name, args)
        self.register_outputs({"topic": self.topic.arn, "dashboard_url": self.dashboard_url})

    def _crawler_failure(self, name: str, args: MonitoringArgs) -> cloudwatch.EventRule:
        """Notifies the topic of a failed crawl, for which Glue has no metric."""
        rule = cloudwatch.EventRule(
            f"{name}-crawler-failed",
            description="The crawler failed. See its log group /aws-glue/crawlers.",
            event_pattern=pulumi.Output.json_dumps(
                {
                    "source": ["aws.glue"],
                    "detail-type": ["Glue Crawler State Change"],
                    "detail": {"crawlerName": [args.crawler_name], "state": ["Failed"]},
                }
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        cloudwatch.EventTarget(
            f"{name}-crawler-failed-topic",
            rule=rule.name,
            arn=self.topic.arn,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return rule

    def _topic_policy(self, name: str, args: MonitoringArgs, rule: cloudwatch.EventRule) -> None:
        def may_publish(sid: str, service: str, condition: Mapping[str, Any]) -> dict[str, Any]:
            return {
                "Sid": sid,
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": self.topic.arn,
                "Condition": condition,
            }

        same_account = {"StringEquals": {"aws:SourceAccount": args.place.account}}
        sns.TopicPolicy(
            f"{name}-alarms-policy",
            arn=self.topic.arn,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        may_publish("Alarms", "cloudwatch", same_account),
                        may_publish("CrawlerFailures", "events", {"ArnEquals": {"aws:SourceArn": rule.arn}}),
                    ],
                }
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _alarm(self, name: str, args: MonitoringArgs, alarm: Alarm) -> None:
        cloudwatch.MetricAlarm(
            name,
            name=f"{args.stack_name}-{alarm.name}",
            alarm_description=alarm.description,
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=alarm.dimensions,
            statistic=alarm.statistic,
            period=alarm.period,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.periods,
            comparison_operator=alarm.operator,
            threshold=alarm.threshold,
            treat_missing_data=alarm.missing,
            alarm_actions=[self.topic.arn],
            ok_actions=[self.topic.arn],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _budget(self, name: str, args: MonitoringArgs) -> None:
        # For the whole account: a budget by tag does nothing until the tag is activated for billing by hand.
        budgets.Budget(
            f"{name}-budget",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.monthly_budget_usd),
            limit_unit="USD",
            notifications=[
                budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=[args.alarm_email],
                )
                for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )


def alarms(args: MonitoringArgs) -> list[Alarm]:
    """Every alarm.

    For heartbeats missing data is the fault. They need no calendar, because the schedules of every exchange run day and
    night, and the sweep and compaction on holidays too; a machine outside AWS sends its heartbeats as often. On a new
    stack `collector-silent-…` fires until the first bar arrives.
    """
    firehose = {"DeliveryStreamName": args.stream_name}
    service = {"service": _service(args)}
    above, below = "GreaterThanThreshold", "LessThanThreshold"
    if args.function_name:
        refused = (
            "It may refuse AWS's addresses, or the key. If this lasts, collect outside AWS: docs/outside.md shows how."
        )
    else:
        refused = "The output of `tickerlake watch`, on the machine that collects, has the answers."
    return [
        *(_function_alarms(args.function_name) if args.function_name else ()),
        *(alarm for place in args.exchanges for alarm in _exchange_alarms(args, place)),
        Alarm(
            "vendor-refuses",
            f"The vendor, {args.source}, does not answer. {refused}",
            *(METRICS_NAMESPACE, "VendorAnswers", service, "Maximum", 5 * _MINUTES, 1, below, 1, "ignore"),
        ),
        Alarm(
            "compaction-overdue",
            "For 26 hours no run of the compactor has succeeded. Its log names the sessions and the reasons.",
            *(METRICS_NAMESPACE, "Compactions", {"service": args.compactor_name}),
            *("Sum", _HOURS, 26, below, 1, "breaching"),
        ),
        *(_forecaster_alarms(args.forecaster_name) if args.forecaster_name else ()),
        *(_alerter_alarms(args.alerter_name) if args.alerter_name else ()),
        Alarm(
            "failures-waiting",
            "The failure queue holds events that failed. Read them, fix the cause, and send them again.",
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            {"QueueName": args.queue_name},
            *("Maximum", 5 * _MINUTES, 1, above, 0),
        ),
        Alarm(
            "delivery-late",
            f"Bars have waited for delivery for more than {_LATE_SECONDS // 60} minutes. See the stream's log.",
            *("AWS/Firehose", "DeliveryToS3.DataFreshness", firehose, "Maximum", 5 * _MINUTES, 1, above, _LATE_SECONDS),
        ),
        Alarm(
            "conversion-failing",
            "Firehose could not convert some records. They are under errors/bars/ in the bucket.",
            *("AWS/Firehose", "FailedConversion.Records", firehose, "Sum", 5 * _MINUTES, 1, above, 0),
        ),
    ]


def _exchange_alarms(args: MonitoringArgs, place: Exchange) -> list[Alarm]:
    dimensions = {"service": _service(args), "exchange": place.code}
    if args.function_name:
        stopped = "Check that the exchange's schedules are enabled."
        silent = "for 26 hours, although a sweep runs every day. See the function's log."
        silence = _HOURS, 26
    else:
        stopped = "See whether `tickerlake watch` still runs on the machine that collects."
        # A watcher delivers nothing on days without a session.
        silent = "for a week. See the output of `tickerlake watch` on the machine that collects."
        silence = _A_WEEK
    below = "LessThanThreshold"
    return [
        Alarm(
            f"heartbeat-{slug(place)}",
            f"Nothing has collected {place.name}'s bars for 30 minutes. {stopped}",
            *(METRICS_NAMESPACE, "Runs", dimensions, "Sum", 10 * _MINUTES, 3, below, 1, "breaching"),
        ),
        Alarm(
            f"collector-silent-{slug(place)}",
            f"No bar of {place.name} was delivered {silent}",
            *(METRICS_NAMESPACE, "BarsDelivered", dimensions, "Sum", *silence, below, 1, "breaching"),
        ),
    ]


def _function_alarms(name: pulumi.Input[str]) -> list[Alarm]:
    function, above = {"FunctionName": name}, "GreaterThanThreshold"
    return [
        Alarm(
            "collector-failing",
            "Three runs in a row failed. The function's log names the tickers and the reasons.",
            *("AWS/Lambda", "Errors", function, "Sum", 5 * _MINUTES, 3, above, 0),
        ),
        Alarm(
            "collector-throttled",
            "Lambda throttled the collector. Reserve more concurrency, or find out why runs take so long.",
            *("AWS/Lambda", "Throttles", function, "Sum", 5 * _MINUTES, 3, above, 0),
        ),
        Alarm(
            "collector-slow",
            f"A run took more than 80 % of its {COLLECTOR_TIMEOUT_SECONDS} seconds. Lower tickersPerShard.",
            *("AWS/Lambda", "Duration", function, "Maximum", 5 * _MINUTES, 1, above, COLLECTOR_TIMEOUT_SECONDS * 800),
        ),
    ]


def _forecaster_alarms(name: pulumi.Input[str]) -> list[Alarm]:
    # On a new stack it fires until a ticker has 20 sessions, unless they are filled in.
    return [
        Alarm(
            "forecasts-missing",
            "No forecast was stored for a week. The forecaster's log says why; a ticker needs 20 earlier sessions.",
            *(METRICS_NAMESPACE, "ForecastsStored", {"service": name}),
            *("Sum", *_A_WEEK, "LessThanThreshold", 1, "breaching"),
        )
    ]


def _alerter_alarms(name: pulumi.Input[str]) -> list[Alarm]:
    return [
        Alarm(
            "alerts-failing",
            "Three runs of the alerter in a row failed. Its log says why. A later run sends what they could not.",
            *("AWS/Lambda", "Errors", {"FunctionName": name}, "Sum", 5 * _MINUTES, 3, "GreaterThanThreshold", 0),
        )
    ]


def _service(args: MonitoringArgs) -> pulumi.Input[str]:
    """The dimension `service` of the metrics of what collects: the function, or the stream that a machine sends to."""
    return args.function_name or args.stream_name


def widgets(args: MonitoringArgs, crawler_rule: pulumi.Input[str]) -> list[dict[str, Any]]:
    """The charts of the dashboard, three in a row: collecting, delivery and queries."""
    firehose = ("DeliveryStreamName", args.stream_name)
    collector = ("service", _service(args))
    charts: list[tuple[str, str, list[list[Any]]]] = [
        ("Incoming records", "Sum", [["AWS/Firehose", "IncomingRecords", *firehose]]),
        ("Delivery success", "Average", [["AWS/Firehose", "DeliveryToS3.Success", *firehose]]),
        ("Delivery delay, seconds", "Maximum", [["AWS/Firehose", "DeliveryToS3.DataFreshness", *firehose]]),
        (
            "Bars delivered",
            "Sum",
            [
                [METRICS_NAMESPACE, "BarsDelivered", *collector, "exchange", place.code, {"label": place.name}]
                for place in args.exchanges
            ],
        ),
        (
            "Rejected records and failed tickers",
            "Sum",
            [
                [METRICS_NAMESPACE, "RecordsRejected", *collector],
                [METRICS_NAMESPACE, "TickersFailed", *collector],
                ["AWS/Firehose", "FailedConversion.Records", *firehose],
            ],
        ),
        *(_function_charts(args.function_name) if args.function_name else ()),
        (
            "Failed events and crawls",
            "Maximum",
            [
                ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", args.queue_name],
                ["AWS/Events", "MatchedEvents", "RuleName", crawler_rule, {"stat": "Sum"}],
            ],
        ),
        (
            "Objects replaced by compaction",
            "Sum",
            [[METRICS_NAMESPACE, "ObjectsReplaced", "service", args.compactor_name]],
        ),
        *(
            [("Forecasts stored", "Sum", [[METRICS_NAMESPACE, "ForecastsStored", "service", args.forecaster_name]])]
            if args.forecaster_name
            else []
        ),
        *(
            [("Alert messages", "Sum", [["AWS/SNS", "NumberOfMessagesPublished", "TopicName", args.alert_topic_name]])]
            if args.alert_topic_name
            else []
        ),
        ("Athena bytes scanned", "Sum", [[{"expression": _scanned(args.workgroup_name), "id": "scanned"}]]),
    ]
    return [
        {
            "type": "metric",
            "x": number % 3 * 8,
            "y": number // 3 * 6,
            "width": 8,
            "height": 6,
            "properties": {
                "title": title,
                "region": args.place.region,
                "stat": statistic,
                "period": 300,
                "metrics": metrics,
            },
        }
        for number, (title, statistic, metrics) in enumerate(charts)
    ]


def _function_charts(name: pulumi.Input[str]) -> list[tuple[str, str, list[list[Any]]]]:
    function = ("FunctionName", name)
    return [
        ("Collector duration, ms", "Maximum", [["AWS/Lambda", "Duration", *function]]),
        (
            "Collector runs",
            "Sum",
            [["AWS/Lambda", metric, *function] for metric in ("Invocations", "Errors", "Throttles")],
        ),
    ]


def _scanned(workgroup: pulumi.Input[str]) -> pulumi.Output[str]:
    # The metric has more dimensions, the query's type and state, so only a search finds it by workgroup.
    found = 'Namespace="AWS/Athena" MetricName="ProcessedBytes" WorkGroup='
    return pulumi.Output.concat(f"SEARCH('{found}\"", workgroup, "\"', 'Sum')")
