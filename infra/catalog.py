"""The catalog: the database, its tables, and the crawler that registers bars' partitions."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import glue, s3

from infra.access import Place, allow, service_role
from infra.lake import ACTIONS_PREFIX, BARS_PREFIX, FORECASTS_PREFIX, HOURS_PREFIX, RUNS_PREFIX
from tickerlake.exchange import Exchange
from tickerlake.record import ACTIONS, COLUMNS, FORECASTS, HOURS, PARTITION, RUNS, SESSION, Column
from tickerlake.schedule import SWEEP_AFTER

TABLE = "bars"
HOURS_TABLE = "settled_hours"
ACTIONS_TABLE = "actions"
RUNS_TABLE = "runs"
FORECASTS_TABLE = "forecasts"
_CRAWL_MINUTE = dt.timedelta(minutes=15)
_DAY = dt.timedelta(days=1)
# All crawlers of an account share one log group: https://docs.aws.amazon.com/glue/latest/dg/monitor-crawler.html
_CRAWLER_LOGS = "log-group:/aws-glue/crawlers"


@dataclass(frozen=True)
class _Form:
    """How a table's objects are written."""

    classification: str
    input_format: str
    output_format: str
    serde: str
    parameters: dict[str, str] | None = None

    def of(self, location: pulumi.Output[str], columns: Sequence[Column]) -> glue.CatalogTableStorageDescriptorArgs:
        """The storage descriptor of a table with `columns` in this form at `location`."""
        return glue.CatalogTableStorageDescriptorArgs(
            location=location,
            input_format=self.input_format,
            output_format=self.output_format,
            ser_de_info=glue.CatalogTableStorageDescriptorSerDeInfoArgs(
                name=self.classification, serialization_library=self.serde, parameters=self.parameters
            ),
            columns=[
                glue.CatalogTableStorageDescriptorColumnArgs(name=column.name, type=column.type, comment=column.comment)
                for column in columns
            ],
        )


_PARQUET = _Form(
    "parquet",
    "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    {"serialization.format": "1"},
)
# As `tickerlake.lake.objects` writes them. This SerDe reads the collector's times and takes a missing key for null:
# https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html
_JSON_LINES = _Form(
    "json",
    "org.apache.hadoop.mapred.TextInputFormat",
    "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "org.openx.data.jsonserde.JsonSerDe",
)


@dataclass(frozen=True)
class CatalogArgs:
    """Arguments of `Catalog`."""

    place: Place
    bucket: s3.Bucket
    database_name: str
    crawler_name: str
    first_session: dt.date
    exchanges: Sequence[Exchange]
    """Those of the watchlist, whose hours decide when the crawler runs."""
    crawl: bool
    """Whether the crawler runs on a schedule. You can start it by hand in either case."""


class Catalog(pulumi.ComponentResource):
    """The table of bars, whose schema Firehose writes and Athena reads; the other tables."""

    database: glue.CatalogDatabase
    table: glue.CatalogTable
    hours: glue.CatalogTable
    actions: glue.CatalogTable
    runs: glue.CatalogTable
    forecasts: glue.CatalogTable
    crawler: glue.Crawler
    bars_arns: list[pulumi.Output[str]]
    """What a policy must name to read the table of bars: Glue also checks the catalog and the database."""
    read_arns: list[pulumi.Output[str]]
    """The same for all tables."""

    def __init__(self, name: str, args: CatalogArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:catalog:Catalog", name, None, opts)
        self.database = glue.CatalogDatabase(
            f"{name}-database",
            name=args.database_name,
            description="Bars of a stock watchlist",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.table = self._by_day(
            f"{name}-table",
            args,
            TABLE,
            BARS_PREFIX,
            (PARTITION, COLUMNS),
            "One bar of one ticker; if a bar is repeated, the one collected last counts",
            _PARQUET,
        )
        self.hours = self._by_day(
            f"{name}-hours",
            args,
            HOURS_TABLE,
            HOURS_PREFIX,
            (PARTITION, HOURS),
            "The bars of each finished session, summed up hour by hour: a cache that the compactor writes",
            _PARQUET,
        )
        # No partitions and no crawler: splits are rare, so this is a few small objects.
        self.actions = glue.CatalogTable(
            f"{name}-actions",
            name=ACTIONS_TABLE,
            database_name=self.database.name,
            description="One report of one split; the latest report of a source counts",
            table_type="EXTERNAL_TABLE",
            parameters={"EXTERNAL": "TRUE", "classification": _JSON_LINES.classification},
            storage_descriptor=_JSON_LINES.of(
                pulumi.Output.concat("s3://", args.bucket.bucket, "/", ACTIONS_PREFIX), ACTIONS
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.runs = self._by_day(
            f"{name}-runs",
            args,
            RUNS_TABLE,
            RUNS_PREFIX,
            (SESSION, RUNS),
            "What one run asked of one source for one ticker and session, and what came of it",
        )
        # Without the forecaster, queries find it empty.
        self.forecasts = self._by_day(
            f"{name}-forecasts",
            args,
            FORECASTS_TABLE,
            FORECASTS_PREFIX,
            (SESSION, FORECASTS),
            "One forecast of one ticker's hour; the first one made counts",
        )
        self.bars_arns = [
            args.place.arn("glue", "catalog"),
            args.place.arn("glue", pulumi.Output.concat("database/", self.database.name)),
            args.place.arn("glue", pulumi.Output.concat("table/", self.database.name, "/", self.table.name)),
        ]
        self.read_arns = [
            *self.bars_arns,
            *(
                args.place.arn("glue", pulumi.Output.concat("table/", self.database.name, "/", table.name))
                for table in (self.hours, self.actions, self.runs, self.forecasts)
            ),
        ]

        role, policy = service_role(
            f"{name}-crawler-role",
            self,
            "glue",
            [
                allow("ListLake", ["s3:GetBucketLocation", "s3:ListBucket"], [args.bucket.arn]),
                allow("ReadBars", ["s3:GetObject"], [pulumi.Output.concat(args.bucket.arn, f"/{BARS_PREFIX}*")]),
                # What AWS's own samples grant, on this one table. UpdateTable lets the crawler store its statistics;
                # LOG in its policy below keeps it from changing the columns.
                allow(
                    "RegisterPartitions",
                    [
                        "glue:BatchCreatePartition",
                        "glue:BatchGetPartition",
                        "glue:BatchUpdatePartition",
                        "glue:CreatePartition",
                        "glue:GetDatabase",
                        "glue:GetPartition",
                        "glue:GetPartitions",
                        "glue:GetTable",
                        "glue:GetTables",
                        "glue:UpdatePartition",
                        "glue:UpdateTable",
                    ],
                    self.bars_arns,
                ),
                allow("CreateLogGroup", ["logs:CreateLogGroup"], [args.place.arn("logs", f"{_CRAWLER_LOGS}:*")]),
                allow(
                    "WriteLogs",
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    [args.place.arn("logs", f"{_CRAWLER_LOGS}:log-stream:{args.crawler_name}")],
                ),
            ],
        )
        self.crawler = glue.Crawler(
            f"{name}-crawler",
            name=args.crawler_name,
            description="Registers new sessions for readers that do not use partition projection",
            database_name=self.database.name,
            role=role.arn,
            catalog_targets=[glue.CrawlerCatalogTargetArgs(database_name=self.database.name, tables=[self.table.name])],
            schedule=crawl_schedule(args.exchanges) if args.crawl else None,
            # Catalog targets require LOG for deletions. LOG for updates keeps the declared columns.
            # https://docs.aws.amazon.com/glue/latest/dg/crawler-schema-changes-prevent.html
            schema_change_policy=glue.CrawlerSchemaChangePolicyArgs(delete_behavior="LOG", update_behavior="LOG"),
            recrawl_policy=glue.CrawlerRecrawlPolicyArgs(recrawl_behavior="CRAWL_EVERYTHING"),
            configuration=json.dumps(
                {"Version": 1.0, "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}}
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({"database": self.database.name, "table": self.table.name, "crawler": self.crawler.name})

    def _by_day(
        self,
        resource: str,
        args: CatalogArgs,
        table: str,
        prefix: str,
        record: tuple[Column, Sequence[Column]],
        description: str,
        form: _Form = _JSON_LINES,
    ) -> glue.CatalogTable:
        """A table with a folder for each day below `prefix`, of the key and the columns in `record`."""
        location = pulumi.Output.concat("s3://", args.bucket.bucket, "/", prefix)
        key, columns = record
        return glue.CatalogTable(
            resource,
            name=table,
            database_name=self.database.name,
            description=description,
            table_type="EXTERNAL_TABLE",
            parameters={
                "EXTERNAL": "TRUE",
                "classification": form.classification,
                **_projection(key, location, args.first_session),
            },
            partition_keys=[glue.CatalogTablePartitionKeyArgs(name=key.name, type=key.type, comment=key.comment)],
            storage_descriptor=form.of(location, [column for column in columns if column.name != key.name]),
            opts=pulumi.ResourceOptions(parent=self),
        )


def crawl_schedule(exchanges: Sequence[Exchange]) -> str:
    """When the first exchange has bars of a date, and after the sweep of the last one: all share the date's partition.

    Glue schedules are in UTC. The hours hold in summer and in winter.
    """
    begun = min(max(_utc(place, place.opens)) for place in exchanges) + dt.timedelta(minutes=30)
    swept = max(max(_utc(place, place.closes)) + place.never_closes * _DAY for place in exchanges) + SWEEP_AFTER
    hours = {-(-(time - _CRAWL_MINUTE) // dt.timedelta(hours=1)) % 24 for time in (begun, swept)}
    days = "*" if any(place.never_closes for place in exchanges) else "MON-FRI"
    return f"cron({_CRAWL_MINUTE.seconds // 60} {','.join(map(str, sorted(hours)))} ? * {days} *)"


def _utc(place: Exchange, time: dt.time) -> list[dt.timedelta]:
    """A time of the exchange's as time since midnight in UTC, in winter and in summer."""
    return [
        dt.datetime.combine(day, time, place.zone) - dt.datetime.combine(day, dt.time(), dt.UTC)
        for day in (dt.date(2026, 1, 15), dt.date(2026, 7, 15))
    ]


def _projection(key: Column, location: pulumi.Output[str], first: dt.date) -> dict[str, str | pulumi.Output[str]]:
    """A table's parameters for a partition of each day since `first`, named `key`.

    https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
    """
    return {
        "projection.enabled": "true",
        f"projection.{key.name}.type": "date",
        f"projection.{key.name}.format": "yyyy-MM-dd",
        f"projection.{key.name}.range": f"{first},NOW",
        f"projection.{key.name}.interval": "1",
        f"projection.{key.name}.interval.unit": "DAYS",
        "storage.location.template": pulumi.Output.concat(location, f"{key.name}=${{{key.name}}}/"),
    }
