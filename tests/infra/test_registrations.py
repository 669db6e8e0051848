"""Every registration is checked with the provider's types, AWS's own models and the project's rules."""

import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from infra.policy import rules
from tests.infra import service_models, wheel_types
from tests.infra.recorder import Recording, Registration, deployed

STACKS = ("dev", "prod")
# Resources whose creation has no request in the models, or none with anything to check.
NO_REQUEST = {
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:sns/topic:Topic",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sqs/queue:Queue",
}


def by_types(item: Registration) -> list[str]:
    return list(wheel_types.problems(item.type, item.inputs)) if item.type.startswith("aws:") else []


def by_models(item: Registration) -> list[str]:
    return list(service_models.problems(item.type, item.inputs))


def by_rules(item: Registration) -> list[str]:
    return list(rules.violations(item.type, item.inputs))


def faults(registrations: list[Registration]) -> Iterator[str]:
    for item in registrations:
        for check in (by_types, by_models, by_rules):
            yield from (f"{item.name} {check.__name__}: {fault}" for fault in check(item))
    together = rules.stack_violations([(item.type, item.inputs) for item in registrations])
    yield from (f"together: {fault}" for fault in together)


@pytest.mark.parametrize("stack", STACKS)
def test_no_registration_has_a_fault(stack):
    assert list(faults(deployed(stack).registrations)) == []


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_with_a_request_is_checked_with_it(stack):
    used = {item.type for item in deployed(stack).registrations if item.type.startswith("aws:")}

    assert used - set(service_models.REQUESTS) <= NO_REQUEST


def test_a_property_without_a_member_in_the_request_is_a_fault():
    assert list(service_models.problems("aws:scheduler/scheduleGroup:ScheduleGroup", {"name": "a", "nmae": "b"})) == [
        "nmae: CreateScheduleGroup has no member for it"
    ]


def test_nested_properties_are_checked_with_the_types():
    table = {"databaseName": "d", "storageDescriptor": {"columns": [{"name": "ts", "typ": "timestamp"}]}}

    assert list(wheel_types.problems("aws:glue/catalogTable:CatalogTable", table)) == [
        "storageDescriptor.columns[0].typ: CatalogTableStorageDescriptorColumnArgs has no such property"
    ]


REMOVED = object()
S3 = "extendedS3Configuration"
CONVERSION = f"{S3}.dataFormatConversionConfiguration"


class Mistake(NamedTuple):
    name: str
    resource: str
    path: str
    value: Any


def statement(**changes: Any) -> str:
    """A policy with one statement, with `changes` applied to a correct one."""
    right = {"Sid": "Deliver", "Effect": "Allow", "Action": ["firehose:PutRecordBatch"]}
    right["Resource"] = ["arn:aws:firehose:us-east-1:123456789012:deliverystream/tickerlake-prod-bars"]
    return json.dumps({"Version": "2012-10-17", "Statement": [{**right, **changes}]})


MISTAKES = [
    # Policies
    Mistake(
        "metrics of every namespace",
        *("delivery-sender", "policy", statement(Action=["cloudwatch:PutMetricData"], Resource="*")),
    ),
    Mistake(
        "a name instead of an ARN", "collector-role-policy", "policy", statement(Resource=["tickerlake-prod-bars"])
    ),
    Mistake("a policy written as a Python dict", "collector-role-policy", "policy", str({"Statement": []})),
    Mistake(
        "s3:GetObject on the bucket's ARN",
        *("delivery-role-policy", "policy", statement(Action=["s3:GetObject"], Resource=["arn:aws:s3:::lake"])),
    ),
    # The lake
    Mistake(
        "an encryption that does not exist",
        "lake-encryption",
        "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm",
        "AES-256",
    ),
    Mistake("versioning set to true", "lake-versioning", "versioningConfiguration.status", True),
    Mistake("a lifecycle that deletes the bars", "lake-lifecycle", "rules.3.filter.prefix", "bars/"),
    Mistake("a lifecycle that deletes the splits", "lake-lifecycle", "rules.3.filter.prefix", "actions/"),
    Mistake("days as text", "lake-lifecycle", "rules.3.expiration.days", "ninety"),
    Mistake("an ownership that does not exist", "lake-ownership", "rule.objectOwnership", "BucketOwner"),
    # The function
    Mistake("a zip without handler", "collector-function", "handler", REMOVED),
    Mistake("a handler as a path", "collector-function", "handler", "functions/collector/handler.handler"),
    Mistake("a runtime that does not exist", "collector-function", "runtime", "python3.31"),
    Mistake("aarch64 instead of arm64", "collector-function", "architectures", ["aarch64"]),
    Mistake("architectures as text", "collector-function", "architectures", "arm64"),
    Mistake("a timeout over fifteen minutes", "collector-function", "timeout", 1200),
    Mistake("too little memory to start", "collector-function", "memorySize", 64),
    Mistake("no concurrency at all", "collector-function", "reservedConcurrentExecutions", 0),
    Mistake("no code", "collector-function", "s3Key", REMOVED),
    Mistake("a role by name", "collector-function", "role", "tickerlake-prod-collector-role"),
    Mistake(
        "an environment without its key variables", "collector-function", "environment", {"COLLECTOR_STREAM": "bars"}
    ),
    Mistake("a number in the environment", "collector-function", "environment.variables.COLLECTOR_BAR_MINUTES", 5),
    Mistake("the default log group", "collector-function", "loggingConfig", REMOVED),
    Mistake("a misspelt property", "collector-function", "memory", 1024),
    Mistake(
        "failures sent to a queue's URL",
        "collector-failure-destination",
        "destinationConfig.onFailure.destination",
        "https://sqs.us-east-1.amazonaws.com/1/q",
    ),
    Mistake("three retries", "collector-failure-destination", "maximumRetryAttempts", 3),
    Mistake("logs kept for 45 days", "collector-logs", "retentionInDays", 45),
    Mistake("a queue that keeps messages for an hour", "collector-failures", "messageRetentionSeconds", 3600),
    # Schedules
    Mistake("a schedule in words", "collector-new-york-collect-1", "scheduleExpression", "every 5 minutes"),
    Mistake(
        "a cron of five fields", "collector-new-york-collect-1", "scheduleExpression", "cron(1/5 9-16 * * MON-FRI)"
    ),
    Mistake(
        "both kinds of days in a cron",
        "collector-new-york-collect-1",
        "scheduleExpression",
        "cron(1/5 9-16 * * MON-FRI *)",
    ),
    Mistake("hour 24", "collector-new-york-collect-1", "scheduleExpression", "cron(1/5 9-24 * * ? *)"),
    Mistake("rate(5 minute)", "collector-new-york-collect-1", "scheduleExpression", "rate(5 minute)"),
    Mistake("a misspelt time zone", "collector-new-york-collect-1", "scheduleExpressionTimezone", "America/NewYork"),
    Mistake("a time zone abbreviation", "collector-new-york-collect-1", "scheduleExpressionTimezone", "EDT"),
    Mistake(
        "a flexible window without its minutes",
        "collector-new-york-collect-1",
        "flexibleTimeWindow",
        {"mode": "FLEXIBLE"},
    ),
    Mistake("no flexible window at all", "collector-new-york-collect-1", "flexibleTimeWindow", REMOVED),
    Mistake("a target by name", "collector-new-york-collect-1", "target.arn", "tickerlake-prod-collector"),
    Mistake("a target's role by name", "collector-new-york-collect-1", "target.roleArn", "scheduler-role"),
    Mistake("an input that is not JSON", "collector-new-york-collect-1", "target.input", "{'tickers': ['META']}"),
    Mistake(
        "an event age under a minute",
        "collector-new-york-collect-1",
        "target.retryPolicy.maximumEventAgeInSeconds",
        30,
    ),
    Mistake("no dead-letter queue", "collector-new-york-sweep-1", "target.deadLetterConfig", REMOVED),
    # Delivery
    Mistake("GZIP around Parquet", "delivery-stream", f"{S3}.compressionFormat", "GZIP"),
    Mistake("a small buffer", "delivery-stream", f"{S3}.bufferingSize", 5),
    Mistake("a short buffer", "delivery-stream", f"{S3}.bufferingInterval", 30),
    Mistake("a buffer of half an hour", "delivery-stream", f"{S3}.bufferingInterval", 1800),
    Mistake("a prefix without its slash", "delivery-stream", f"{S3}.prefix", "bars/dt=!{partitionKeyFromQuery:dt}"),
    Mistake(
        "folders of hours below the session", "delivery-stream", f"{S3}.prefix", "bars/dt=!{partitionKeyFromQuery:dt}/"
    ),
    Mistake("a prefix by time of arrival", "delivery-stream", f"{S3}.prefix", "bars/dt=!{timestamp:yyyy-MM-dd}/"),
    Mistake(
        "a prefix with a key that is not extracted",
        "delivery-stream",
        f"{S3}.prefix",
        "bars/dt=!{partitionKeyFromQuery:session}/",
    ),
    Mistake("no error prefix", "delivery-stream", f"{S3}.errorOutputPrefix", REMOVED),
    Mistake(
        "errors inside the table",
        "delivery-stream",
        f"{S3}.errorOutputPrefix",
        "bars/errors/!{firehose:error-output-type}/",
    ),
    Mistake(
        "partition keys without dynamic partitioning",
        "delivery-stream",
        f"{S3}.dynamicPartitioningConfiguration",
        REMOVED,
    ),
    Mistake("no processor", "delivery-stream", f"{S3}.processingConfiguration", REMOVED),
    Mistake(
        "a processor that does not exist", "delivery-stream", f"{S3}.processingConfiguration.processors.0.type", "JQ"
    ),
    Mistake(
        "a newer JQ",
        "delivery-stream",
        f"{S3}.processingConfiguration.processors.0.parameters.0.parameterValue",
        "JQ-1.7",
    ),
    Mistake(
        "the Hive SerDe",
        "delivery-stream",
        f"{CONVERSION}.inputFormatConfiguration.deserializer",
        {"hiveJsonSerDe": {}},
    ),
    Mistake("ORC", "delivery-stream", f"{CONVERSION}.outputFormatConfiguration.serializer", {"orcSerDe": {}}),
    Mistake(
        "zstd, which Firehose does not support",
        "delivery-stream",
        f"{CONVERSION}.outputFormatConfiguration.serializer.parquetSerDe.compression",
        "ZSTD",
    ),
    Mistake("another table's schema", "delivery-stream", f"{CONVERSION}.schemaConfiguration.tableName", "quotes"),
    Mistake(
        "another bucket", "delivery-stream", f"{S3}.bucketArn", "arn:aws:s3:::tickerlake-prod-lake-results-0a1b2c3"
    ),
    Mistake("a bucket's name instead of its ARN", "delivery-stream", f"{S3}.bucketArn", "tickerlake-prod-lake-bucket"),
    Mistake("a destination that does not exist", "delivery-stream", "destination", "s3_extended"),
    # The catalog
    Mistake(
        "a location without s3://",
        "catalog-table",
        "storageDescriptor.location",
        "tickerlake-prod-lake-bucket-0a1b2c3/bars/",
    ),
    Mistake(
        "a location without its slash",
        "catalog-table",
        "storageDescriptor.location",
        "s3://tickerlake-prod-lake-bucket-0a1b2c3/bars",
    ),
    Mistake(
        "formats swapped",
        "catalog-table",
        "storageDescriptor.inputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    ),
    Mistake(
        "a JSON SerDe over Parquet",
        "catalog-table",
        "storageDescriptor.serDeInfo.serializationLibrary",
        "org.openx.data.jsonserde.JsonSerDe",
    ),
    Mistake(
        "Parquet over lines of JSON",
        "catalog-actions",
        "storageDescriptor.serDeInfo.serializationLibrary",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    Mistake(
        "a table of JSON where the stream writes Parquet",
        "catalog-table",
        "storageDescriptor",
        {
            "location": "s3://tickerlake-prod-lake-bucket-0a1b2c3/bars/",
            "inputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "outputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "serDeInfo": {"serializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
            "columns": [{"name": "ticker", "type": "string"}],
        },
    ),
    Mistake("a pandas type", "catalog-table", "storageDescriptor.columns.3.type", "float64"),
    Mistake("the partition key among the columns", "catalog-table", "storageDescriptor.columns.0.name", "dt"),
    Mistake("a projection of another key", "catalog-table", "parameters.projection.dt.type", REMOVED),
    Mistake("a projection that ends", "catalog-table", "parameters.projection.dt.range", "2020-01-01,2026-12-31"),
    Mistake("a projection with YYYY-MM-DD", "catalog-table", "parameters.projection.dt.format", "YYYY-MM-DD"),
    Mistake(
        "a location template without the key",
        "catalog-table",
        "parameters.storage.location.template",
        "s3://tickerlake-prod-lake-bucket-0a1b2c3/bars/",
    ),
    Mistake("rate() for Glue", "catalog-crawler", "schedule", "rate(12 hours)"),
    Mistake(
        "a crawler that changes columns", "catalog-crawler", "schemaChangePolicy.updateBehavior", "UPDATE_IN_DATABASE"
    ),
    Mistake("a crawler that deletes", "catalog-crawler", "schemaChangePolicy.deleteBehavior", "DEPRECATE_IN_DATABASE"),
    Mistake(
        "new folders only for a table", "catalog-crawler", "recrawlPolicy.recrawlBehavior", "CRAWL_NEW_FOLDERS_ONLY"
    ),
    Mistake("no table to crawl", "catalog-crawler", "catalogTargets.0.tables", []),
    # Analytics and monitoring
    Mistake(
        "results without s3://",
        "analytics-workgroup",
        "configuration.resultConfiguration.outputLocation",
        "tickerlake-results/",
    ),
    Mistake("a scan limit in megabytes", "analytics-workgroup", "configuration.bytesScannedCutoffPerQuery", 10_000),
    Mistake("no scan limit", "analytics-workgroup", "configuration.bytesScannedCutoffPerQuery", REMOVED),
    Mistake(
        "an engine version as a number", "analytics-workgroup", "configuration.engineVersion.selectedEngineVersion", "3"
    ),
    Mistake("a saved query with parameters left in", "analytics-tickers", "query", "SELECT 1 WHERE dt >= %(first)s"),
    Mistake("an alarm that does not notify when it is over", "monitoring-delivery-late", "okActions", REMOVED),
    Mistake("an alarm that fires every night", "monitoring-delivery-late", "treatMissingData", "breaching"),
    Mistake("not_breaching instead of notBreaching", "monitoring-delivery-late", "treatMissingData", "not_breaching"),
    Mistake("a comparison as a sign", "monitoring-delivery-late", "comparisonOperator", ">"),
    Mistake("a period in minutes", "monitoring-delivery-late", "period", 5),
    Mistake("a statistic in lower case", "monitoring-delivery-late", "statistic", "max"),
    Mistake("an alarm over two days of minutes", "monitoring-delivery-late", "evaluationPeriods", 2880),
    Mistake("a dashboard without widgets", "monitoring-dashboard", "dashboardBody", "{}"),
    Mistake("an event pattern without lists", "monitoring-crawler-failed", "eventPattern", '{"source": "aws.glue"}'),
    Mistake("a budget that notifies no one", "monitoring-budget", "notifications.0.subscriberEmailAddresses", []),
    Mistake("a budget in words", "monitoring-budget", "limitAmount", "25 USD"),
]


def with_mistake(recording: Recording, mistake: Mistake) -> list[Registration]:
    """The registrations of `recording`, with `mistake` made in one of them."""
    wrong = recording.one(mistake.resource)
    inputs = copy.deepcopy(wrong.inputs)
    *parents, last = _steps(mistake.path)
    holder: Any = inputs
    for parent in parents:
        holder = holder[parent]
    if mistake.value is REMOVED:
        del holder[last]
    else:
        holder[last] = mistake.value
    changed = Registration(wrong.type, wrong.name, inputs)
    return [changed if item is wrong else item for item in recording.registrations]


def _steps(path: str) -> list[Any]:
    """`rules.0.status` as keys and indexes. What follows a table's `parameters.` is one key that contains dots."""
    if path.startswith("parameters."):
        return ["parameters", path.removeprefix("parameters.")]
    return [int(step) if step.isdigit() else step for step in path.split(".")]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_realistic_mistake_is_caught(mistake):
    assert any(faults(with_mistake(deployed("prod"), mistake)))


def test_there_are_at_least_forty_different_mistakes():
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 40
