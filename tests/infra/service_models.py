"""Checks registrations with the service models in botocore: the requests that the provider would send to AWS.

A property maps to the member of the request with the same name. `renamed` lists the properties that the provider names
or nests differently, and `left_out` those that it does not send. Any other property is a fault, so nothing goes
unchecked. The models check types, required members, lengths and ranges, enums and patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape


@dataclass(frozen=True)
class Request:
    """The request that creates a resource."""

    service: str
    operation: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Paths of properties to paths of members: `extendedS3Configuration.bufferingSize`."""
    left_out: frozenset[str] = frozenset()
    convert: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    """Conversions of the values at some paths."""
    added: Mapping[str, Any] = field(default_factory=dict)
    """Members that the provider fills in."""


def _pairs(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"Name": key, "Value": item} for key, item in value.items()]


TARGET_ID = "topic"
_S3 = "extendedS3Configuration"
_FIREHOSE = {
    "name": "DeliveryStreamName",
    "serverSideEncryption": "DeliveryStreamEncryptionConfigurationInput",
    _S3: "ExtendedS3DestinationConfiguration",
    f"{_S3}.bufferingSize": "BufferingHints.SizeInMBs",
    f"{_S3}.bufferingInterval": "BufferingHints.IntervalInSeconds",
    f"{_S3}.dynamicPartitioningConfiguration.retryDuration": "RetryOptions.DurationInSeconds",
}

REQUESTS: Mapping[str, Request] = {
    "aws:athena/namedQuery:NamedQuery": Request("athena", "CreateNamedQuery", {"query": "QueryString"}),
    "aws:athena/workgroup:Workgroup": Request("athena", "CreateWorkGroup", left_out=frozenset({"forceDestroy"})),
    "aws:budgets/budget:Budget": Request(
        "budgets",
        "CreateBudget",
        {
            "name": "Budget.BudgetName",
            "budgetType": "Budget.BudgetType",
            "timeUnit": "Budget.TimeUnit",
            "limitAmount": "Budget.BudgetLimit.Amount",
            "limitUnit": "Budget.BudgetLimit.Unit",
            "notifications": "NotificationsWithSubscribers",
            "notifications.comparisonOperator": "Notification.ComparisonOperator",
            "notifications.notificationType": "Notification.NotificationType",
            "notifications.threshold": "Notification.Threshold",
            "notifications.thresholdType": "Notification.ThresholdType",
            "notifications.subscriberEmailAddresses": "Subscribers",
        },
        convert={
            "notifications.subscriberEmailAddresses": lambda addresses: [
                {"SubscriptionType": "EMAIL", "Address": address} for address in addresses
            ]
        },
        added={"AccountId": "123456789012", "Budget.BudgetName": "made-up"},
    ),
    "aws:cloudwatch/dashboard:Dashboard": Request("cloudwatch", "PutDashboard"),
    "aws:cloudwatch/eventRule:EventRule": Request("events", "PutRule", added={"Name": "made-up"}),
    "aws:cloudwatch/eventTarget:EventTarget": Request(
        "events",
        "PutTargets",
        {"arn": "Targets"},
        convert={"arn": lambda arn: [{"Id": TARGET_ID, "Arn": arn}]},
    ),
    "aws:cloudwatch/logGroup:LogGroup": Request("logs", "PutRetentionPolicy", {"name": "logGroupName"}),
    "aws:cloudwatch/logStream:LogStream": Request("logs", "CreateLogStream", {"name": "logStreamName"}),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Request(
        "cloudwatch",
        "PutMetricAlarm",
        {
            "name": "AlarmName",
            "metricQueries": "Metrics",
            "metricQueries.metric": "MetricStat",
            "metricQueries.metric.metricName": "Metric.MetricName",
            "metricQueries.metric.namespace": "Metric.Namespace",
            "metricQueries.metric.dimensions": "Metric.Dimensions",
        },
        convert={"dimensions": _pairs, "metricQueries.metric.dimensions": _pairs},
    ),
    "aws:glue/catalogDatabase:CatalogDatabase": Request(
        "glue", "CreateDatabase", {"name": "DatabaseInput.Name", "description": "DatabaseInput.Description"}
    ),
    "aws:glue/catalogTable:CatalogTable": Request(
        "glue",
        "CreateTable",
        {
            key: f"TableInput.{key[0].upper()}{key[1:]}"
            for key in ("name", "description", "tableType", "parameters", "partitionKeys", "storageDescriptor")
        },
    ),
    "aws:glue/crawler:Crawler": Request("glue", "CreateCrawler", {"catalogTargets": "Targets.CatalogTargets"}),
    "aws:iam/policy:Policy": Request(
        "iam",
        "CreatePolicy",
        {"name": "PolicyName", "policy": "PolicyDocument"},
        added={"PolicyName": "made-up"},
    ),
    "aws:iam/role:Role": Request(
        "iam",
        "CreateRole",
        {"name": "RoleName", "assumeRolePolicy": "AssumeRolePolicyDocument"},
        added={"RoleName": "made-up"},
    ),
    "aws:iam/rolePolicy:RolePolicy": Request(
        "iam",
        "PutRolePolicy",
        {"name": "PolicyName", "role": "RoleName", "policy": "PolicyDocument"},
        added={"PolicyName": "made-up"},
    ),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": Request(
        "firehose",
        "CreateDeliveryStream",
        _FIREHOSE,
        left_out=frozenset({"destination", "serverSideEncryption.enabled"}),
    ),
    "aws:lambda/function:Function": Request(
        "lambda",
        "CreateFunction",
        {"name": "FunctionName", "s3Bucket": "Code.S3Bucket", "s3Key": "Code.S3Key"},
        left_out=frozenset({"reservedConcurrentExecutions"}),
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Request("lambda", "PutFunctionEventInvokeConfig"),
    "aws:s3/bucket:Bucket": Request(
        "s3", "CreateBucket", left_out=frozenset({"forceDestroy"}), added={"Bucket": "made-up"}
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Request("s3", "PutObject", left_out=frozenset({"source"})),
    "aws:s3/bucketPolicy:BucketPolicy": Request("s3", "PutBucketPolicy"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Request(
        "s3",
        "PutBucketLifecycleConfiguration",
        {"rules": "LifecycleConfiguration.Rules", "rules.id": "ID"},
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Request(
        "s3",
        "PutBucketOwnershipControls",
        {"rule": "OwnershipControls.Rules"},
        convert={"rule": lambda rule: [rule]},
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Request(
        "s3",
        "PutPublicAccessBlock",
        {
            key: f"PublicAccessBlockConfiguration.{key[0].upper()}{key[1:]}"
            for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        },
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Request(
        "s3", "PutBucketEncryption", {"rules": "ServerSideEncryptionConfiguration.Rules"}
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Request("s3", "PutBucketVersioning"),
    "aws:scheduler/schedule:Schedule": Request("scheduler", "CreateSchedule"),
    "aws:scheduler/scheduleGroup:ScheduleGroup": Request("scheduler", "CreateScheduleGroup"),
    "aws:sns/topic:Topic": Request(
        "sns", "CreateTopic", {"kmsMasterKeyId": "Attributes.KmsMasterKeyId"}, added={"Name": "made-up"}
    ),
    "aws:sns/topicPolicy:TopicPolicy": Request(
        "sns",
        "SetTopicAttributes",
        {"arn": "TopicArn", "policy": "AttributeValue"},
        added={"AttributeName": "Policy"},
    ),
    "aws:sns/topicSubscription:TopicSubscription": Request("sns", "Subscribe", {"topic": "TopicArn"}),
    "aws:ssm/parameter:Parameter": Request("ssm", "PutParameter"),
    "aws:sqs/queue:Queue": Request(
        "sqs",
        "CreateQueue",
        {
            "name": "QueueName",
            "messageRetentionSeconds": "Attributes.MessageRetentionPeriod",
            "sqsManagedSseEnabled": "Attributes.SqsManagedSseEnabled",
        },
        convert={
            "messageRetentionSeconds": lambda seconds: str(int(seconds)),
            "sqsManagedSseEnabled": lambda enabled: str(enabled).lower(),
        },
        added={"QueueName": "made-up"},
    ),
}

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_RETENTION = {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}


def problems(resource_type: str, inputs: Mapping[str, Any]) -> Iterator[str]:
    """What AWS's model of the request refuses; nothing for a type without a request here."""
    request = REQUESTS.get(resource_type)
    if request is None:
        return
    shape = model(request.service).operation_model(request.operation).input_shape
    found: list[str] = []
    parameters = _structure(inputs, shape, request, "", found)
    for path, value in request.added.items():
        _put(parameters, path, value, keep=True)
    yield from found
    yield from _shape(parameters, shape, request.operation)
    days = inputs.get("retentionInDays")
    if resource_type == "aws:cloudwatch/logGroup:LogGroup" and days is not None and days not in _RETENTION:
        yield f"retentionInDays: CloudWatch cannot keep logs for {days} days"


@cache
def model(service: str) -> Any:
    """botocore's model of `service`."""
    return botocore.session.get_session().get_service_model(service)


def _put(parameters: dict[str, Any], path: str, value: Any, *, keep: bool = False) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        parameters = parameters.setdefault(parent, {})
    if keep:
        parameters.setdefault(last, value)
    else:
        parameters[last] = value


def _structure(value: Mapping[str, Any], shape: Shape, request: Request, path: str, found: list[str]) -> dict[str, Any]:
    """`value` as the members of `shape`. Properties without a member are added to `found`."""
    parameters: dict[str, Any] = {}
    for key, item in value.items():
        at = f"{path}{key}"
        if at in request.left_out or item is None or key == "__defaults":
            continue
        target = request.renamed.get(at) or _member(shape, key)
        member = target and _resolve(shape, target)
        if not member:
            found.append(f"{at}: {request.operation} has no member for it")
            continue
        _put(parameters, str(target), _convert(item, member, request, at, found))
    return parameters


def _member(shape: Shape, key: str) -> str | None:
    if not isinstance(shape, StructureShape):
        return None
    return {name.lower(): name for name in shape.members}.get(key.lower())


def _resolve(shape: Shape | None, target: str) -> Shape | None:
    for name in target.split("."):
        if isinstance(shape, MapShape):
            shape = shape.value
        else:
            shape = shape.members.get(name) if isinstance(shape, StructureShape) else None
    return shape


def _convert(value: Any, shape: Shape, request: Request, path: str, found: list[str]) -> Any:
    if path in request.convert:
        value = request.convert[path](value)
        if not (isinstance(value, list) and value and path == "rule"):
            return value
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [
            _convert(item, shape.member, request, path, found)
            if not isinstance(item, dict)
            else _structure(item, shape.member, request, f"{path}.", found)
            for item in value
        ]
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return _structure(value, shape, request, f"{path}.", found)
    return value


def _shape(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        if not isinstance(value, Mapping):
            yield f"{path}: {value!r} is not a structure"
            return
        yield from (f"{path}.{name}: is required" for name in shape.required_members if name not in value)
        for name, item in value.items():
            yield from _shape(item, shape.members[name], f"{path}.{name}")
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{path}: {value!r} is not a list"
            return
        yield from _size(len(value), shape, path)
        for number, item in enumerate(value):
            yield from _shape(item, shape.member, f"{path}[{number}]")
    elif isinstance(shape, MapShape):
        if not isinstance(value, Mapping):
            yield f"{path}: {value!r} is not a map"
            return
        for key, item in value.items():
            yield from _shape(key, shape.key, f"{path}.{key}")
            yield from _shape(item, shape.value, f"{path}.{key}")
    else:
        yield from _scalar(value, shape, path)


def _scalar(value: Any, shape: Shape, path: str) -> Iterator[str]:
    wanted = {
        "string": str,
        "boolean": bool,
        "integer": (int, float),
        "long": (int, float),
        "double": (int, float),
        "float": (int, float),
    }[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"{path}: {value!r} is not a {shape.type_name}"
        return
    if isinstance(value, str):
        yield from _size(len(value), shape, path)
        allowed, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        if allowed and value not in allowed:
            yield f"{path}: {value!r} is not one of {', '.join(allowed)}"
        if pattern and not re.fullmatch(_python_pattern(pattern), value, re.DOTALL):
            yield f"{path}: {value!r} does not match {pattern}"
    elif not isinstance(value, bool):
        yield from _size(value, shape, path)


def _size(size: float, shape: Shape, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and size < low) or (high is not None and size > high):
        yield f"{path}: {size} is not between {low} and {high}"


def _python_pattern(pattern: str) -> str:
    """Loosens what Python lacks in Java's patterns: `\\p{L}`, surrogate ranges, flags inside the pattern."""
    pattern = re.sub(r"\(\?[a-z]\)", "", pattern)
    pattern = re.sub(r"\\p\{\w+\}", r"\\w", pattern)
    return re.sub(r"\\uD800\\uDC00-\\uDBFF\\uDFFF", r"\\U00010000-\\U0010FFFF", pattern)
