"""The catalog: the database, the table of bars, and the crawler that registers its partitions."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import glue, s3

from infra.access import Place, allow, service_role
from infra.lake import BARS_PREFIX
from tickerlake.record import COLUMNS, PARTITION

TABLE = "bars"
# Glue knows UTC only. 15:15 is after the open and 22:15 after the sweep in New York's summer and winter alike.
CRAWL_SCHEDULE = "cron(15 15,22 ? * MON-FRI *)"
# Crawlers share one log group in an account: https://docs.aws.amazon.com/glue/latest/dg/monitor-crawler.html
_CRAWLER_LOGS = "log-group:/aws-glue/crawlers"


@dataclass(frozen=True)
class CatalogArgs:
    """What the catalog is told."""

    place: Place
    bucket: s3.Bucket
    database_name: str
    crawler_name: str
    first_session: dt.date
    crawl: bool
    """Whether the crawler runs by itself; started by hand it runs all the same."""


class Catalog(pulumi.ComponentResource):
    """The table that Firehose writes by and Athena reads by."""

    database: glue.CatalogDatabase
    table: glue.CatalogTable
    crawler: glue.Crawler
    read_arns: list[pulumi.Output[str]]
    """What reading the table needs in a policy: Glue asks for the catalog and the database as well."""

    def __init__(self, name: str, args: CatalogArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:catalog:Catalog", name, None, opts)
        location = pulumi.Output.concat("s3://", args.bucket.bucket, "/", BARS_PREFIX)

        self.database = glue.CatalogDatabase(
            f"{name}-database",
            name=args.database_name,
            description="Bars of a stock watchlist",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.table = glue.CatalogTable(
            f"{name}-table",
            name=TABLE,
            database_name=self.database.name,
            description="One bar of one ticker; of repeated bars the one collected last counts",
            table_type="EXTERNAL_TABLE",
            parameters={
                "EXTERNAL": "TRUE",
                "classification": "parquet",
                # https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html
                "projection.enabled": "true",
                f"projection.{PARTITION.name}.type": "date",
                f"projection.{PARTITION.name}.format": "yyyy-MM-dd",
                f"projection.{PARTITION.name}.range": f"{args.first_session},NOW",
                f"projection.{PARTITION.name}.interval": "1",
                f"projection.{PARTITION.name}.interval.unit": "DAYS",
                "storage.location.template": pulumi.Output.concat(location, f"{PARTITION.name}=${{{PARTITION.name}}}/"),
            },
            partition_keys=[
                glue.CatalogTablePartitionKeyArgs(name=PARTITION.name, type=PARTITION.type, comment=PARTITION.comment)
            ],
            storage_descriptor=glue.CatalogTableStorageDescriptorArgs(
                location=location,
                input_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                output_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                ser_de_info=glue.CatalogTableStorageDescriptorSerDeInfoArgs(
                    name="parquet",
                    serialization_library="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                    parameters={"serialization.format": "1"},
                ),
                columns=[
                    glue.CatalogTableStorageDescriptorColumnArgs(
                        name=column.name, type=column.type, comment=column.comment
                    )
                    for column in COLUMNS
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.read_arns = [
            args.place.arn("glue", "catalog"),
            args.place.arn("glue", pulumi.Output.concat("database/", self.database.name)),
            args.place.arn("glue", pulumi.Output.concat("table/", self.database.name, "/", self.table.name)),
        ]

        role, policy = service_role(
            f"{name}-crawler-role",
            self,
            "glue",
            [
                allow("ListLake", ["s3:GetBucketLocation", "s3:ListBucket"], [args.bucket.arn]),
                allow("ReadBars", ["s3:GetObject"], [pulumi.Output.concat(args.bucket.arn, f"/{BARS_PREFIX}*")]),
                # It may add partitions. It may not change the table: the columns are declared above, and only there.
                allow(
                    "RegisterPartitions",
                    [
                        "glue:BatchCreatePartition",
                        "glue:BatchGetPartition",
                        "glue:CreatePartition",
                        "glue:GetDatabase",
                        "glue:GetPartition",
                        "glue:GetPartitions",
                        "glue:GetTable",
                        "glue:GetTables",
                    ],
                    self.read_arns,
                ),
                allow("MakeLogGroup", ["logs:CreateLogGroup"], [args.place.arn("logs", f"{_CRAWLER_LOGS}:*")]),
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
            description="Registers new sessions for readers without partition projection, and logs drift",
            database_name=self.database.name,
            role=role.arn,
            catalog_targets=[glue.CrawlerCatalogTargetArgs(database_name=self.database.name, tables=[self.table.name])],
            schedule=CRAWL_SCHEDULE if args.crawl else None,
            # A catalog target wants LOG for what was deleted; LOG for what changed keeps the declared columns.
            # https://docs.aws.amazon.com/glue/latest/dg/crawler-schema-changes-prevent.html
            schema_change_policy=glue.CrawlerSchemaChangePolicyArgs(delete_behavior="LOG", update_behavior="LOG"),
            recrawl_policy=glue.CrawlerRecrawlPolicyArgs(recrawl_behavior="CRAWL_EVERYTHING"),
            configuration=json.dumps(
                {"Version": 1.0, "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}}
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({"database": self.database.name, "table": self.table.name, "crawler": self.crawler.name})
