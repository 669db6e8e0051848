"""The deployed pipeline today, read from AWS with a read-only policy: metrics, alarms, the crawler.

Every resource is named after its stack, and so is the workgroup in the settings: `tickerlake-dev` has the stream
`tickerlake-dev-bars` and the function `tickerlake-dev-collector`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import streamlit as st

from dashboard import clock, labels
from dashboard.data.figures import Figure
from tickerlake import aws
from tickerlake.exchange import Exchange
from tickerlake.query import Settings

USD_PER_TERABYTE = 5.0
"""https://aws.amazon.com/athena/pricing/ (us-east-1; other regions differ slightly)"""
_PERIOD = 300
_KEPT = dt.timedelta(minutes=2)


class Metric(NamedTuple):
    """A CloudWatch metric: its label, where it comes from, how periods combine, how it is shown."""

    label: str
    namespace: str
    name: str
    statistic: str
    dimension: str
    resource: str
    """Name of the resource without the stack's name."""
    fold: Callable[[list[float]], float]
    show: Callable[[float], str]


def _average(values: list[float]) -> float:
    return sum(values) / len(values)


METRICS = (
    Metric("Records to Firehose", "AWS/Firehose", "IncomingRecords", "Sum", "DeliveryStreamName", "bars", sum,
           "{:,.0f}".format),
    Metric("Delivered to S3", "AWS/Firehose", "DeliveryToS3.Success", "Average", "DeliveryStreamName", "bars",
           _average, "{:.1%}".format),
    Metric("Oldest record", "AWS/Firehose", "DeliveryToS3.DataFreshness", "Maximum", "DeliveryStreamName",
           "bars", max, "{:,.0f} s".format),
    Metric("Collector runs", "AWS/Lambda", "Invocations", "Sum", "FunctionName", "collector", sum, "{:,.0f}".format),
    Metric("Collector errors", "AWS/Lambda", "Errors", "Sum", "FunctionName", "collector", sum, "{:,.0f}".format),
    Metric("Longest run", "AWS/Lambda", "Duration", "Maximum", "FunctionName", "collector", max,
           lambda milliseconds: f"{milliseconds / 1000:,.1f} s"),
)  # fmt: skip


@dataclass
class Report:
    """What AWS answered, when, in whose time, and what failed."""

    read_at: dt.datetime
    place: Exchange
    figures: list[Figure] = field(default_factory=list)
    alarms: list[dict[str, str]] = field(default_factory=list)
    crawler: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read(stack: str, client: Callable[[str], Any], now: dt.datetime, place: Exchange) -> Report:
    """The figures of `stack` since midnight at `place`; each failure becomes a fault.

    `client` makes boto3 clients by service.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # only the cloud needs it

    report = Report(now, place)
    for what, part in (("metrics", _metrics), ("alarms", _alarms), ("crawler", _crawler)):
        try:
            part(report, stack, client, now)
        except ClientError as error:
            report.faults.append(f"{what}: {error.response['Error']['Code']}, {error.response['Error']['Message']}")
        except BotoCoreError as error:
            report.faults.append(f"{what}: {error}")
    return report


@st.cache_data(ttl=_KEPT, refresh_mode="background", max_entries=4, show_spinner="Reading from AWS …")
def today(settings: Settings, place: Exchange) -> Report:
    """Today's figures of the stack in `settings`. Fails within 20 seconds: a visitor is waiting."""
    from botocore.config import Config  # noqa: PLC0415

    patience = Config(connect_timeout=4, read_timeout=10, retries={"max_attempts": 2})
    return read(
        settings.workgroup,
        lambda service: aws.client(service, settings.region, config=patience),
        clock.now(),
        place,
    )


def _metrics(report: Report, stack: str, client: Callable[[str], Any], now: dt.datetime) -> None:
    midnight = dt.datetime.combine(report.place.date_at(now), dt.time(), report.place.zone)
    # Athena's metrics also have the dimensions QueryType and QueryState, so sum over a search.
    search = f'Namespace="AWS/Athena" MetricName="ProcessedBytes" WorkGroup="{stack}"'
    answers: dict[str, list[float]] = {}
    pages = client("cloudwatch").get_paginator("get_metric_data").paginate(
        MetricDataQueries=[
            *(_query(number, metric, stack) for number, metric in enumerate(METRICS)),
            {"Id": "scanned", "Expression": f"SUM(SEARCH('{search}', 'Sum', {_PERIOD}))"},
        ],
        StartTime=midnight,
        EndTime=now,
        ScanBy="TimestampAscending",
    )  # fmt: skip
    for page in pages:
        for result in page["MetricDataResults"]:
            answers.setdefault(result["Id"], []).extend(result["Values"])
    for number, metric in enumerate(METRICS):
        values = answers.get(f"m{number}", [])
        text = metric.show(metric.fold(values)) if values else "no data"
        report.figures.append(Figure(metric.label, text, "today", values))
    scanned = sum(answers.get("scanned", []))
    cost = f"{scanned / 1e12 * USD_PER_TERABYTE:.4f} USD today"
    report.figures.append(Figure("Athena scanned", labels.size(scanned), cost, answers.get("scanned", [])))


def _query(number: int, metric: Metric, stack: str) -> dict[str, Any]:
    return {
        "Id": f"m{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": metric.dimension, "Value": f"{stack}-{metric.resource}"}],
            },
            "Period": _PERIOD,
            "Stat": metric.statistic,
        },
    }


def _alarms(report: Report, stack: str, client: Callable[[str], Any], _: dt.datetime) -> None:
    pages: Iterable[Mapping[str, Any]] = (
        client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack}-")
    )
    for page in pages:
        for alarm in page["MetricAlarms"]:
            report.alarms.append(
                {
                    "Alarm": alarm["AlarmName"].removeprefix(f"{stack}-"),
                    "State": alarm["StateValue"],
                    "Meaning": alarm.get("AlarmDescription", ""),
                    "Since": labels.instant(alarm["StateUpdatedTimestamp"], report.place),
                }
            )


def _crawler(report: Report, stack: str, client: Callable[[str], Any], _: dt.datetime) -> None:
    crawler = client("glue").get_crawler(Name=f"{stack}-crawler")["Crawler"]
    last = crawler.get("LastCrawl", {})
    report.crawler = {
        "Crawler": crawler["Name"],
        "State": crawler["State"],
        "Last crawl": last.get("Status", "never"),
        "Started": labels.instant(last["StartTime"], report.place) if "StartTime" in last else "",
        "Message": last.get("ErrorMessage", ""),
    }
