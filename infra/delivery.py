"""Delivery: Firehose receives bars as JSON and writes them to the lake as Parquet, partitioned by session."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, glue, iam, kinesis, s3

from infra.access import Place, Statement, allow, document, service_role
from infra.lake import ACTIONS_PREFIX, BARS_PREFIX, ERRORS_PREFIX, RUNS_PREFIX
from tickerlake.aws import METRICS_NAMESPACE
from tickerlake.record import PARTITION

# Limits: https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html
BUFFER_MIB = 64
_PARTITION = f"{BARS_PREFIX}{PARTITION.name}=!{{partitionKeyFromQuery:{PARTITION.name}}}/"
_RETRY_SECONDS = 300
_LOG_STREAM = "delivery"


@dataclass(frozen=True)
class DeliveryArgs:
    """Arguments of `Delivery`."""

    place: Place
    bucket: s3.Bucket
    table: glue.CatalogTable
    table_arns: list[pulumi.Output[str]]
    """ARNs of the table, its database and its catalog, for policies."""
    stream_name: str
    buffer_seconds: int
    log_retention_days: int


class Delivery(pulumi.ComponentResource):
    """The stream that bars are sent to, and what it takes to send."""

    stream: kinesis.FirehoseDeliveryStream
    sending: list[Statement]
    """Permissions to send what a collection brings: bars, splits and runs."""
    sender: iam.Policy
    """Lets a machine outside AWS send that, with the metrics of its runs, and nothing else."""

    def __init__(self, name: str, args: DeliveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:delivery:Delivery", name, None, opts)
        logs = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/kinesisfirehose/{args.stream_name}",
            retention_in_days=args.log_retention_days,
            opts=pulumi.ResourceOptions(parent=self),
        )
        log_stream = cloudwatch.LogStream(
            f"{name}-log-stream",
            name=_LOG_STREAM,
            log_group_name=logs.name,
            opts=pulumi.ResourceOptions(parent=self),
        )
        role, policy = service_role(
            f"{name}-role",
            self,
            "firehose",
            [
                allow(
                    "FindLake",
                    ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                    [args.bucket.arn],
                ),
                allow(
                    "WriteObjects",
                    ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                    [
                        pulumi.Output.concat(args.bucket.arn, f"/{BARS_PREFIX}*"),
                        pulumi.Output.concat(args.bucket.arn, f"/{ERRORS_PREFIX}*"),
                    ],
                ),
                allow(
                    "ReadSchema",
                    ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
                    args.table_arns,
                ),
                allow("WriteLogs", ["logs:PutLogEvents"], [log_stream.arn]),
            ],
            # As AWS publishes it: https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#firehose-assume-role
            trust={"StringEquals": {"sts:ExternalId": args.place.account}},
        )
        self.stream = kinesis.FirehoseDeliveryStream(
            f"{name}-stream",
            name=args.stream_name,
            destination="extended_s3",
            server_side_encryption=kinesis.FirehoseDeliveryStreamServerSideEncryptionArgs(
                enabled=True, key_type="AWS_OWNED_CMK"
            ),
            extended_s3_configuration=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationArgs(
                role_arn=role.arn,
                bucket_arn=args.bucket.arn,
                # Without a timestamp, Firehose adds folders yyyy/MM/dd/HH/ below the partition. This one starts the
                # file's name: https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html
                prefix=f"{_PARTITION}!{{timestamp:yyyyMMdd}}-",
                error_output_prefix=f"{ERRORS_PREFIX}!{{firehose:error-output-type}}/!{{timestamp:yyyy-MM-dd}}/",
                buffering_size=BUFFER_MIB,
                buffering_interval=args.buffer_seconds,
                # Parquet is compressed already, and Firehose refuses to compress it again.
                compression_format="UNCOMPRESSED",
                s3_backup_mode="Disabled",
                dynamic_partitioning_configuration=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDynamicPartitioningConfigurationArgs(
                    enabled=True, retry_duration=_RETRY_SECONDS
                ),
                processing_configuration=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationArgs(
                    enabled=True, processors=[_partition_by(PARTITION.name)]
                ),
                data_format_conversion_configuration=_parquet(role.arn, args),
                cloudwatch_logging_options=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationCloudwatchLoggingOptionsArgs(
                    enabled=True, log_group_name=logs.name, log_stream_name=log_stream.name
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.sending = [
            allow("Deliver", ["firehose:PutRecordBatch"], [self.stream.arn]),
            allow(
                "StoreSplitsAndRuns",
                ["s3:PutObject"],
                [pulumi.Output.concat(args.bucket.arn, f"/{prefix}*") for prefix in (ACTIONS_PREFIX, RUNS_PREFIX)],
            ),
        ]
        self.sender = iam.Policy(
            f"{name}-sender",
            description="Collect into the Tickerlake lake from a machine outside AWS",
            policy=document(
                *self.sending,
                # This action cannot be restricted to a resource, but it can to a namespace:
                # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
                allow(
                    "SendMetrics",
                    ["cloudwatch:PutMetricData"],
                    ["*"],
                    {"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}},
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"stream": self.stream.name, "sender": self.sender.arn})


def _partition_by(
    field: str,
) -> kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationProcessorArgs:
    """Partitions records by their `field`: the bar's session, not its time of arrival."""
    parameters = {"JsonParsingEngine": "JQ-1.6", "MetadataExtractionQuery": f"{{{field}:.{field}}}"}
    return kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationProcessorArgs(
        type="MetadataExtraction",
        parameters=[
            kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationProcessingConfigurationProcessorParameterArgs(
                parameter_name=name, parameter_value=value
            )
            for name, value in parameters.items()
        ],
    )


def _parquet(
    role_arn: pulumi.Input[str], args: DeliveryArgs
) -> kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationArgs:
    """JSON in, Parquet out, with the columns of the table."""
    return kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationArgs(
        enabled=True,
        input_format_configuration=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationInputFormatConfigurationArgs(
            deserializer=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationInputFormatConfigurationDeserializerArgs(
                # The Hive deserializer reads ISO 8601 only in formats that are listed for it.
                open_x_json_ser_de=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationInputFormatConfigurationDeserializerOpenXJsonSerDeArgs()
            )
        ),
        output_format_configuration=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationOutputFormatConfigurationArgs(
            serializer=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationOutputFormatConfigurationSerializerArgs(
                parquet_ser_de=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationOutputFormatConfigurationSerializerParquetSerDeArgs(
                    compression="SNAPPY"
                )
            )
        ),
        schema_configuration=kinesis.FirehoseDeliveryStreamExtendedS3ConfigurationDataFormatConversionConfigurationSchemaConfigurationArgs(
            database_name=args.table.database_name,
            table_name=args.table.name,
            region=args.place.region,
            role_arn=role_arn,
            version_id="LATEST",
        ),
    )
