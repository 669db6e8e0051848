"""Analytics: the Athena workgroup, its saved queries, and the policy for readers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import athena, glue, iam, s3

import tickerlake.query.catalog
from infra.access import Place, Statement, allow, document
from infra.lake import ACTIONS_PREFIX, BARS_PREFIX, FORECASTS_PREFIX, HOURS_PREFIX, RUNS_PREFIX
from tickerlake import watchlist
from tickerlake.exchange import Exchange
from tickerlake.query import statement
from tickerlake.query.runner import LOOK_BACK, calendar_entry
from tickerlake.symbols import RENAMES

_MEGABYTE = 1_000_000
_READ = (BARS_PREFIX, HOURS_PREFIX, ACTIONS_PREFIX, RUNS_PREFIX, FORECASTS_PREFIX)
DAYS = 7
"""How many days back the saved queries look."""


@dataclass(frozen=True)
class AnalyticsArgs:
    """Arguments of `Analytics`."""

    place: Place
    bucket: s3.Bucket
    results: s3.Bucket
    database: glue.CatalogDatabase
    table_arns: list[pulumi.Output[str]]
    workgroup_name: str
    stream_arn: pulumi.Output[str]
    crawler_arn: pulumi.Output[str]
    scan_limit_mb: int
    exchanges: Sequence[Exchange]
    """Those whose sessions the saved queries expect."""
    today: dt.date


class Analytics(pulumi.ComponentResource):
    """The Athena workgroup and what belongs to it."""

    workgroup: athena.Workgroup
    reader: iam.Policy
    """Lets the dashboard and the command line run queries and read, nothing else."""
    querying: list[Statement]
    """What a function needs to run queries on the tables."""

    def __init__(self, name: str, args: AnalyticsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:analytics:Analytics", name, None, opts)
        self.workgroup = athena.Workgroup(
            f"{name}-workgroup",
            name=args.workgroup_name,
            description="Queries on the bars, each within the scan limit",
            configuration=athena.WorkgroupConfigurationArgs(
                enforce_workgroup_configuration=True,
                publish_cloudwatch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=args.scan_limit_mb * _MEGABYTE,
                engine_version=athena.WorkgroupConfigurationEngineVersionArgs(
                    # The default, AUTO, would let AWS change the SQL dialect.
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.WorkgroupConfigurationResultConfigurationArgs(
                    output_location=pulumi.Output.concat("s3://", args.results.bucket, "/"),
                    expected_bucket_owner=args.place.account,
                    encryption_configuration=athena.WorkgroupConfigurationResultConfigurationEncryptionConfigurationArgs(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
            # Without this, Athena refuses to delete a workgroup that has a query history.
            force_destroy=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        for query in tickerlake.query.catalog.names():
            athena.NamedQuery(
                f"{name}-{query.replace('_', '-')}",
                name=query,
                description=tickerlake.query.catalog.load(query).purpose,
                database=args.database.name,
                workgroup=self.workgroup.id,
                query=console_sql(query, args.today, args.exchanges),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.querying = self._querying(args)
        self.reader = iam.Policy(
            f"{name}-reader",
            description="Run queries on the Tickerlake lake and read its health",
            policy=document(*self._reading(args)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"workgroup": self.workgroup.name, "reader": self.reader.arn})

    def _reading(self, args: AnalyticsArgs) -> list[Statement]:
        return [
            *self.querying,
            allow(
                "BrowseQueries",
                [
                    "athena:BatchGetNamedQuery",
                    "athena:BatchGetQueryExecution",
                    "athena:GetNamedQuery",
                    "athena:GetWorkGroup",
                    "athena:ListNamedQueries",
                    "athena:ListQueryExecutions",
                ],
                [self.workgroup.arn],
            ),
            allow("ReadStream", ["firehose:DescribeDeliveryStream"], [args.stream_arn]),
            allow("ReadCrawler", ["glue:GetCrawler"], [args.crawler_arn]),
            # All alarms of the account: CloudWatch cannot restrict listing alarms by name.
            allow("ReadAlarms", ["cloudwatch:DescribeAlarms"], [args.place.arn("cloudwatch", "alarm:*")]),
            # These two actions cannot be restricted to a resource:
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
            allow("ReadMetrics", ["cloudwatch:GetMetricData", "cloudwatch:ListMetrics"], ["*"]),
        ]

    def _querying(self, args: AnalyticsArgs) -> list[Statement]:
        return [
            allow(
                "RunQueries",
                [
                    "athena:GetQueryExecution",
                    "athena:GetQueryResults",
                    "athena:StartQueryExecution",
                    "athena:StopQueryExecution",
                ],
                [self.workgroup.arn],
            ),
            allow(
                "ReadTables",
                [
                    "glue:BatchGetPartition",
                    "glue:GetDatabase",
                    "glue:GetPartition",
                    "glue:GetPartitions",
                    "glue:GetTable",
                    "glue:GetTables",
                ],
                args.table_arns,
            ),
            allow("FindBuckets", ["s3:GetBucketLocation"], [args.bucket.arn, args.results.arn]),
            allow(
                "ListTables",
                ["s3:ListBucket"],
                [args.bucket.arn],
                {"StringLike": {"s3:prefix": [form for each in _READ for form in (each.rstrip("/"), f"{each}*")]}},
            ),
            allow(
                "ReadObjects", ["s3:GetObject"], [pulumi.Output.concat(args.bucket.arn, f"/{each}*") for each in _READ]
            ),
            allow("ListResults", ["s3:ListBucket", "s3:ListBucketMultipartUploads"], [args.results.arn]),
            allow(
                "StoreResults",
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"],
                [pulumi.Output.concat(args.results.arn, "/*")],
            ),
        ]


def console_sql(name: str, today: dt.date, exchanges: Sequence[Exchange]) -> str:
    """The query `name` for Athena's console: the last seven days, every ticker.

    SQL computes the days when the query runs, so the text stays the same from one deployment to the next. Only the
    calendars of `exchanges` are written out: the quarter of `today`, the one before and the one after.
    """
    query = tickerlake.query.catalog.load(name)
    # The inner CAST is for DuckDB, where a date minus an interval is a timestamp.
    first = f"CAST(CAST(current_date - INTERVAL '{DAYS}' DAY AS date) AS varchar)"
    last = "CAST(current_date AS varchar)"
    values = {
        "first": first,
        "last": last,
        "tickers": "('*')",
        "as_of": f"'{statement.NOW}'",
        "basis": "'latest'",
        "calendar": _calendar(first, today, exchanges),
        "settled": "''",
        "renames": f"'{';'.join(f'{rename.on} {rename.old}' for rename in RENAMES)}'",
        "since": first.replace(f"'{DAYS}'", f"'{DAYS + LOOK_BACK.days}'"),
        "sources": f"'{statement.preference(watchlist.SOURCES)}'",
    }
    given = {parameter.name: values[parameter.name] for parameter in query.parameters}
    return (
        f"-- The last {DAYS} days, every ticker. Edit the values of {', '.join(given)}.\n"
        f"{statement.without([statement.SETTLED_HOURS], query.sql) % given}"
    )


def _calendar(first: str, today: dt.date, exchanges: Sequence[Exchange]) -> str:
    """SQL for the finished sessions from `first` on, in the form that `coverage` expects."""
    quarter = today.year * 4 + (today.month - 1) // 3
    starts = [dt.date(number // 4, number % 4 * 3 + 1, 1) for number in (quarter - 1, quarter + 2)]
    entries = ";".join(
        calendar_entry(session)
        for place in exchanges
        for session in place.sessions_between(starts[0], starts[1] - dt.timedelta(days=1))
    )
    # Without today's session: while it runs, `coverage` would report its future bars as missing.
    finished = f"substr(entry, 1, 10) >= {first} AND substr(entry, 1, 10) < CAST(current_date AS varchar)"
    return f"array_join(filter(split('{entries}', ';'), entry -> {finished}), ';')"
