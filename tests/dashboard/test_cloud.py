"""The AWS data of the page Pipeline, from answers as AWS gives them."""

from __future__ import annotations

import datetime as dt

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from dashboard.data import cloud
from tickerlake.exchange import XNYS

NOW = dt.datetime(2026, 11, 20, 18, 23, tzinfo=dt.UTC)


class Aws:
    """A client of every service: `answers` by operation; exceptions are raised."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = {}

    def __call__(self, service):
        return self

    def get_paginator(self, operation):
        class Pages:
            def __init__(self, answer):
                self.paginate = lambda **parameters: [answer(operation, parameters)]

        return Pages(self.answer)

    def get_crawler(self, **parameters):
        return self.answer("get_crawler", parameters)

    def answer(self, operation, parameters):
        self.asked[operation] = parameters
        answer = self.answers[operation]
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(operation):
    return ClientError({"Error": {"Code": "AccessDenied", "Message": f"not allowed to {operation}"}}, operation)


@pytest.fixture
def aws():
    return Aws(
        get_metric_data={
            "MetricDataResults": [
                {"Id": "m0", "Values": [858.0, 858.0]},
                {"Id": "m1", "Values": [1.0, 0.5]},
                {"Id": "m2", "Values": [61.0, 300.0]},
                {"Id": "m5", "Values": [8_400.0, 9_500.0]},
                {"Id": "scanned", "Values": [2e9, 5e8]},
            ]
        },
        describe_alarms={
            "MetricAlarms": [
                {
                    "AlarmName": "tickerlake-dev-monitoring-delivery-late-1",
                    "StateValue": "ALARM",
                    "StateUpdatedTimestamp": NOW,
                    "AlarmDescription": "Bars have waited.",
                }
            ]
        },
        get_crawler={"Crawler": {"Name": "tickerlake-dev-crawler", "State": "READY", "LastCrawl": {"StartTime": NOW}}},
    )


def test_figures_are_of_today_in_new_york_and_named_after_the_stack(aws):
    report = cloud.read("tickerlake-dev", aws, NOW, XNYS)
    asked = aws.asked["get_metric_data"]
    assert asked["StartTime"].isoformat() == "2026-11-20T00:00:00-05:00"
    dimensions = [query["MetricStat"]["Metric"]["Dimensions"] for query in asked["MetricDataQueries"][:-1]]
    assert {part["Value"] for (part,) in dimensions} == {"tickerlake-dev-bars", "tickerlake-dev-collector"}
    assert {figure.label: figure.text for figure in report.figures} == {
        "Records to Firehose": "1,716",
        "Delivered to S3": "75.0%",
        "Oldest record": "300 s",
        "Collector runs": "no data",
        "Collector errors": "no data",
        "Longest run": "9.5 s",
        "Athena scanned": "2.5 GB",
    }
    assert report.figures[-1].below == "0.0125 USD today"
    assert report.read_at == NOW


def test_alarms_and_the_crawler_are_reported(aws):
    report = cloud.read("tickerlake-dev", aws, NOW, XNYS)
    assert report.alarms[0]["State"] == "ALARM"
    assert report.alarms[0]["Since"] == "Fri 20 Nov 2026 13:23 (EST, UTC\N{MINUS SIGN}05:00)"
    assert report.crawler["State"] == "READY"
    assert report.faults == []


def test_what_the_policy_does_not_allow_is_reported_and_the_rest_is_shown(aws):
    aws.answers["describe_alarms"] = refused("cloudwatch:DescribeAlarms")
    report = cloud.read("tickerlake-dev", aws, NOW, XNYS)
    assert report.faults == ["alarms: AccessDenied, not allowed to cloudwatch:DescribeAlarms"]
    assert report.crawler
    assert report.figures


def test_missing_credentials_are_reported_for_each_part(aws):
    aws.answers = dict.fromkeys(aws.answers, NoCredentialsError())
    report = cloud.read("tickerlake-dev", aws, NOW, XNYS)
    assert report.faults == [f"{part}: Unable to locate credentials" for part in ("metrics", "alarms", "crawler")]
