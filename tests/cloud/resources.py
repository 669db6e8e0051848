"""Creates, reads, changes and deletes resources in the emulator, with the requests that their properties map to.

The mapping is the strict one of `tests/infra/service_models.py`: a property that is in no request is a fault. The other
requests follow from the one that creates a resource, as they do in AWS's own models: CreateTable, GetTable,
UpdateTable, DeleteTable. So a new kind of resource needs an entry in `REQUESTS` there and nothing here. `_OPERATIONS`
lists those that AWS named otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape

from tests.cloud.refusals import refusals
from tests.infra import service_models
from tests.infra.recorder import Registration, computed
from tests.infra.service_models import REQUESTS, TARGET_ID, model

Client = Callable[[str], Any]
"""Returns the boto3 client of a service."""
Properties = Mapping[str, Any]


class Refused(Exception):
    """The request was refused, as AWS would refuse it."""


@dataclass(frozen=True)
class Changes:
    """Differences from what is registered, for the emulator and the fake Yahoo."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables to add to the function's own."""
    code: bytes | None = None
    """Replaces the function's zip."""
    schedules_enabled: bool = False
    """The emulator ignores a schedule's time zone, so an enabled one would fire at the wrong hour."""


def create_all(registrations: list[Registration], client: Client, changes: Changes) -> list[str]:
    """Creates every AWS resource of `registrations` in order, with the names and ARNs that the recording generated.
    Returns their types.

    The emulator must answer with the same ARNs, or the resources would refer to others than those created.
    """
    cloud = Cloud(client, changes)
    created = []
    for item in registrations:
        if item.type.startswith("aws:"):
            _, state = computed(item.type, item.name, item.inputs)
            cloud.create(item.type, {**item.inputs, **name_of(item.type, state)})
            created.append(item.type)
    return created


def naming_key(resource_type: str) -> str | None:
    """The property that names a resource of this type, if the provider generates one where the program gives none."""
    members = REQUESTS[resource_type].renamed
    if resource_type == "aws:s3/bucket:Bucket":
        return "bucket"
    shape = _input_shape(REQUESTS[resource_type].service, REQUESTS[resource_type].operation)
    if "name" in members or (isinstance(shape, StructureShape) and {"name", "Name"} & shape.members.keys()):
        return "name"
    return None


def identifying(resource_type: str, inputs: Properties) -> set[str]:
    """The properties that say which resource it is, so that a change of one makes another resource."""
    request, requests = REQUESTS[resource_type], operations(resource_type)
    named = {target.rpartition(".")[2]: key for key, target in request.renamed.items() if "." not in key}
    shape = _input_shape(request.service, requests.delete or requests.read)
    found = set()
    for member in shape.members if isinstance(shape, StructureShape) else ():
        for form in (member, member.removesuffix("s")):
            key = named.get(form) or next((each for each in inputs if each.lower() == form.lower()), None)
            if key:
                found.add(key)
    return found | {key for key in ("name",) if key in inputs}


class Cloud:
    """The emulator, as the provider uses it. `client` gives the client of a service."""

    def __init__(self, client: Client, changes: Changes, free_executions: int | None = None) -> None:
        self._client = client
        self._changes = changes
        self._free_executions = free_executions
        """How many Lambda executions the account may still reserve."""

    def create(self, kind: str, inputs: Properties) -> dict[str, Any]:
        """Creates a resource. Returns the state that AWS adds: `id`, `arn`, `url`. Refused as AWS refuses."""
        self._check(kind, inputs)
        if kind == "aws:cloudwatch/logGroup:LogGroup":
            self._client("logs").create_log_group(logGroupName=inputs["name"])
        answer = self._send(kind, REQUESTS[kind].operation, self._members(kind, inputs))
        if kind == "aws:lambda/function:Function":
            self._reserve(inputs)
        ident, state = computed(kind, str(inputs.get(naming_key(kind) or "", "")), inputs)
        _expect_arn(kind, state, answer)
        found = {"id": answer.get("NamedQueryId") or answer.get("SubscriptionArn") or ident}
        return found | {key: state[key] for key in ("arn", "url") if key in state and key not in inputs}

    def read(self, kind: str, inputs: Properties, state: Properties) -> dict[str, Any] | None:
        """`inputs` as the resource has them now. None if it does not exist."""
        members = _parameters(kind, inputs)
        read = operations(kind).read
        try:
            answer = self._send(kind, read, {**self._key(kind, read, members, state)})
        except ClientError as error:
            if _is_missing(error):
                return None
            raise
        answer.pop("ResponseMetadata", None)
        lists = [value for value in answer.values() if isinstance(value, list)]
        if lists and read.startswith("Describe") and not any(lists):
            return None
        return _observed(kind, inputs, answer)

    def update(self, kind: str, old: Properties, new: Properties, state: Properties) -> None:
        """Gives the resource the properties `new`. Refused as AWS refuses."""
        self._check(kind, new)
        by_hand = _UPDATES.get(kind)
        if by_hand:
            by_hand(self, old, new, state)
            return
        operation = operations(kind).update
        members = self._members(kind, new)
        known = _input_shape(REQUESTS[kind].service, operation).members
        sent = {name: value for name, value in members.items() if name in known}
        self._send(kind, operation, {**sent, **self._key(kind, operation, members, state)})

    def delete(self, kind: str, inputs: Properties, state: Properties) -> None:
        """Deletes the resource; fine if it is gone. Refused as AWS refuses."""
        operation = operations(kind).delete
        if not operation:
            return
        if kind == "aws:s3/bucket:Bucket":
            self._empty(state["id"], force=bool(inputs.get("forceDestroy")))
        try:
            self._send(kind, operation, self._key(kind, operation, _parameters(kind, inputs), state))
        except ClientError as error:
            if not _is_missing(error):
                raise

    # Requests

    def _check(self, kind: str, inputs: Properties) -> None:
        faults = list(refusals(kind, inputs, self._client, self._free_executions))
        if faults:
            raise Refused("; ".join(faults))

    def _members(self, kind: str, inputs: Properties) -> dict[str, Any]:
        """The members of the request that creates the resource, with what the emulator needs changed."""
        members = _parameters(kind, inputs)
        if kind == "aws:lambda/function:Function":
            members.setdefault("Environment", {}).setdefault("Variables", {}).update(self._changes.environment)
        elif kind == "aws:scheduler/schedule:Schedule":
            members["State"] = "ENABLED" if self._changes.schedules_enabled else "DISABLED"
        elif kind == "aws:s3/bucketObjectv2:BucketObjectv2":
            members["Body"] = self._changes.code or Path(inputs["source"].path).read_bytes()
        return members

    def _send(self, kind: str, operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
        return getattr(self._client(REQUESTS[kind].service), botocore.xform_name(operation))(**members)

    def _key(self, kind: str, operation: str, members: Mapping[str, Any], state: Properties) -> dict[str, Any]:
        """The members of `operation` that say which resource: those of the request that created it, or its state."""
        shape = _input_shape(REQUESTS[kind].service, operation)
        values = dict(_flat(members))
        found: dict[str, Any] = dict(operations(kind).added.get(operation, {}))
        for name, member in shape.members.items() if isinstance(shape, StructureShape) else ():
            value = values.get(name)
            if value is None and name in shape.required_members:
                value = next(
                    (state[key] for key in ("arn", "url") if name.lower().endswith(key) and key in state), None
                )
                value = value or state.get("id")
            if isinstance(member, ListShape):
                value = [values[name[:-1]]] if name[:-1] in values else None
            elif name.endswith("NamePrefix") and f"{name.removesuffix('Prefix')}s" not in shape.members:
                value = values.get(name.removesuffix("Prefix"))
            if value is not None and not isinstance(value, dict):
                found.setdefault(name, value)
        return found

    # Resources that need several requests.

    def _reserve(self, inputs: Properties) -> None:
        functions, reserved = self._client("lambda"), inputs.get("reservedConcurrentExecutions")
        if reserved is None:
            functions.delete_function_concurrency(FunctionName=inputs["name"])
        else:
            functions.put_function_concurrency(FunctionName=inputs["name"], ReservedConcurrentExecutions=int(reserved))

    def _empty(self, bucket: str, *, force: bool) -> None:
        """Deletes the objects of `bucket` with their versions if `force`; without it, S3 refuses a bucket with any."""
        storage = self._client("s3")
        try:
            pages = list(storage.get_paginator("list_object_versions").paginate(Bucket=bucket))
        except ClientError as error:
            if _is_missing(error):
                return
            raise
        held = [item for page in pages for kind in ("Versions", "DeleteMarkers") for item in page.get(kind, [])]
        if held and not force:
            raise Refused(f"BucketNotEmpty: the bucket {bucket} you tried to delete is not empty")
        for item in held:
            storage.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])

    def _update_function(self, old: Properties, new: Properties, state: Properties) -> None:
        functions, members = self._client("lambda"), self._members("aws:lambda/function:Function", new)
        code = members.pop("Code")
        known = _input_shape("lambda", "UpdateFunctionConfiguration").members
        functions.update_function_configuration(**{name: value for name, value in members.items() if name in known})
        if (old.get("s3Key"), old.get("architectures")) != (new.get("s3Key"), new.get("architectures")):
            functions.update_function_code(FunctionName=new["name"], **code)
        if old.get("reservedConcurrentExecutions") != new.get("reservedConcurrentExecutions"):
            self._reserve(new)

    def _update_workgroup(self, old: Properties, new: Properties, state: Properties) -> None:
        members = self._members("aws:athena/workgroup:Workgroup", new)
        configuration = members["Configuration"]
        configuration["ResultConfigurationUpdates"] = configuration.pop("ResultConfiguration")
        self._client("athena").update_work_group(
            WorkGroup=state["id"], Description=members["Description"], ConfigurationUpdates=configuration
        )

    def _update_stream(self, old: Properties, new: Properties, state: Properties) -> None:
        delivery, name = self._client("firehose"), state["id"]
        members = self._members("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream", new)
        described = delivery.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        delivery.update_destination(
            DeliveryStreamName=name,
            CurrentDeliveryStreamVersionId=described["VersionId"],
            DestinationId=described["Destinations"][0]["DestinationId"],
            ExtendedS3DestinationUpdate=members["ExtendedS3DestinationConfiguration"],
        )

    def _update_policy(self, old: Properties, new: Properties, state: Properties) -> None:
        access, arn = self._client("iam"), state["arn"]
        # A policy keeps at most five versions: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html
        for version in access.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                access.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        access.create_policy_version(PolicyArn=arn, PolicyDocument=new["policy"], SetAsDefault=True)

    def _update_role(self, old: Properties, new: Properties, state: Properties) -> None:
        self._client("iam").update_assume_role_policy(RoleName=state["id"], PolicyDocument=new["assumeRolePolicy"])

    def _update_queue(self, old: Properties, new: Properties, state: Properties) -> None:
        attributes = self._members("aws:sqs/queue:Queue", new)["Attributes"]
        self._client("sqs").set_queue_attributes(QueueUrl=state["url"], Attributes=attributes)


_UPDATES: Mapping[str, Callable[[Cloud, Properties, Properties, Properties], None]] = {
    "aws:athena/workgroup:Workgroup": Cloud._update_workgroup,
    "aws:iam/policy:Policy": Cloud._update_policy,
    "aws:iam/role:Role": Cloud._update_role,
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": Cloud._update_stream,
    "aws:lambda/function:Function": Cloud._update_function,
    "aws:sqs/queue:Queue": Cloud._update_queue,
    # A bucket's own request has nothing to change.
    "aws:s3/bucket:Bucket": lambda *_: None,
}


@dataclass(frozen=True)
class Operations:
    """The requests after the first. An empty `delete` leaves nothing to delete."""

    read: str
    update: str
    delete: str
    added: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Members to add to an operation."""


_OPERATIONS: Mapping[str, Operations] = {
    "aws:athena/workgroup:Workgroup": Operations(
        "GetWorkGroup", "UpdateWorkGroup", "DeleteWorkGroup", {"DeleteWorkGroup": {"RecursiveDeleteOption": True}}
    ),
    "aws:cloudwatch/dashboard:Dashboard": Operations("GetDashboard", "PutDashboard", "DeleteDashboards"),
    "aws:cloudwatch/eventTarget:EventTarget": Operations(
        "ListTargetsByRule", "PutTargets", "RemoveTargets", {"RemoveTargets": {"Ids": [TARGET_ID]}}
    ),
    "aws:cloudwatch/logGroup:LogGroup": Operations("DescribeLogGroups", "PutRetentionPolicy", "DeleteLogGroup"),
    "aws:cloudwatch/logStream:LogStream": Operations("DescribeLogStreams", "", "DeleteLogStream"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Operations("DescribeAlarms", "PutMetricAlarm", "DeleteAlarms"),
    "aws:lambda/function:Function": Operations("GetFunctionConfiguration", "", "DeleteFunction"),
    "aws:s3/bucket:Bucket": Operations("HeadBucket", "", "DeleteBucket"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Operations(
        "GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Operations("HeadObject", "PutObject", "DeleteObject"),
    "aws:s3/bucketVersioning:BucketVersioning": Operations("GetBucketVersioning", "PutBucketVersioning", ""),
    "aws:sns/topic:Topic": Operations("GetTopicAttributes", "", "DeleteTopic"),
    "aws:sns/topicPolicy:TopicPolicy": Operations("GetTopicAttributes", "SetTopicAttributes", ""),
    "aws:sns/topicSubscription:TopicSubscription": Operations("GetSubscriptionAttributes", "", "Unsubscribe"),
    "aws:ssm/parameter:Parameter": Operations(
        "GetParameter",
        "PutParameter",
        "DeleteParameter",
        {"GetParameter": {"WithDecryption": True}, "PutParameter": {"Overwrite": True}},
    ),
    "aws:sqs/queue:Queue": Operations(
        "GetQueueAttributes", "", "DeleteQueue", {"GetQueueAttributes": {"AttributeNames": ["All"]}}
    ),
}


def operations(kind: str) -> Operations:
    """The requests that read, change and delete a resource of type `kind`."""
    if kind in _OPERATIONS:
        return _OPERATIONS[kind]
    request = REQUESTS[kind]
    known = set(model(request.service).operation_names)
    noun = request.operation.removeprefix("Create").removeprefix("Put")
    read = next((f"{verb}{noun}" for verb in ("Get", "Describe") if f"{verb}{noun}" in known), None)
    update = f"Update{noun}" if f"Update{noun}" in known else request.operation
    assert read, f"add {kind} to _OPERATIONS: no request reads {noun}"
    assert f"Delete{noun}" in known, f"add {kind} to _OPERATIONS: no request deletes {noun}"
    return Operations(read, update, f"Delete{noun}")


def _input_shape(service: str, operation: str) -> Any:
    return model(service).operation_model(operation).input_shape


def name_of(kind: str, state: Properties) -> dict[str, Any]:
    """The name that a recording generated, as an input of the resource."""
    key = naming_key(kind)
    return {key: state[key]} if key and key in state else {}


def _parameters(kind: str, inputs: Properties) -> dict[str, Any]:
    """The members of the request that creates a resource of type `kind` with `inputs`."""
    request = REQUESTS[kind]
    shape = _input_shape(request.service, request.operation)
    lost: list[str] = []
    members = service_models._structure(inputs, shape, request, "", lost)
    for path, value in request.added.items():
        service_models._put(members, path, value, keep=True)
    assert not lost, f"{kind}: {'; '.join(lost)}"
    return _fitted(members, shape)


def _fitted(value: Any, shape: Shape) -> Any:
    """`value` with integers where AWS expects them; over gRPC every number is a float."""
    if isinstance(shape, StructureShape):
        return {name: _fitted(item, shape.members[name]) for name, item in value.items()}
    if isinstance(shape, ListShape):
        return [_fitted(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {key: _fitted(item, shape.value) for key, item in value.items()}
    return int(value) if shape.type_name in ("integer", "long") else value


def _flat(members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The members at every depth, the shallow ones last so that they win."""
    for value in members.values():
        if isinstance(value, Mapping):
            yield from _flat(value)
    yield from members.items()


def _expect_arn(kind: str, state: Properties, answer: Mapping[str, Any]) -> None:
    if "arn" in state:
        parts = [answer, *(part for part in answer.values() if isinstance(part, dict))]
        texts = {value for part in parts for value in part.values() if isinstance(value, str)}
        arns = {text for text in texts if text.startswith("arn:")}
        assert not arns or state["arn"] in arns, f"{kind}: {arns} is not {state['arn']}"


def _is_missing(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    return error.response["ResponseMetadata"]["HTTPStatusCode"] == 404 or any(
        word in code for word in ("NotFound", "NoSuch", "NonExistent")
    )


# From the answer back to the properties.


def _observed(kind: str, inputs: Properties, answer: Mapping[str, Any]) -> dict[str, Any]:
    """`inputs` with the values in `answer`, where it has the same members as the request."""
    request = REQUESTS[kind]
    return {
        key: _seen(value, _find(answer, request.renamed.get(key, key)), request, key) for key, value in inputs.items()
    }


def _seen(value: Any, actual: Any, request: service_models.Request, path: str) -> Any:
    """The property `value` as the member `actual` has it; `value` itself where the answer does not say."""
    if actual is None or path in request.left_out:
        return value
    if path in request.convert:
        sent = request.convert[path](value)
        if sent == [value] and isinstance(actual, list) and len(actual) == 1:
            return _seen(value, actual[0], service_models.Request("", ""), path)
        # AWS answers with the pairs of a mapping in any order.
        same = sent == actual or (
            isinstance(actual, list) and len(sent) == len(actual) and all(each in actual for each in sent)
        )
        return value if same else actual
    if isinstance(value, Mapping) and isinstance(actual, Mapping):
        targets = {key: request.renamed.get(f"{path}.{key}", key).split(".") for key in value}
        return {key: _seen(item, _at(actual, targets[key]), request, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list) and isinstance(actual, list) and len(value) == len(actual):
        return [_seen(item, other, request, path) for item, other in zip(value, actual, strict=True)]
    return _text_seen(value, actual) if isinstance(value, str) else actual


def _text_seen(value: str, actual: Any) -> Any:
    """The same for text, which may be a document that boto parses, or a schedule in a structure of its own."""
    if isinstance(actual, Mapping) and "ScheduleExpression" in actual:
        return actual["ScheduleExpression"]
    document = _json(value)
    found = _json(actual) if isinstance(actual, str) else actual
    if document is not None and document == found:
        return value
    return actual if isinstance(actual, str) else json.dumps(actual)


def _find(answer: Mapping[str, Any], path: str) -> Any:
    """The member at `path`, which the answer may nest less or more deeply than the request."""
    names = path.split(".")
    for start in range(len(names)):
        for root in _roots(answer):
            found = _at(root, names[start:])
            if found is not None:
                return found
    return None


def _roots(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    level = [answer]
    while level:
        yield from level
        inner = [value[0] if isinstance(value, list) and value else value for each in level for value in each.values()]
        level = [value for value in inner if isinstance(value, Mapping)]


def _at(value: Any, names: list[str]) -> Any:
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = next((item for key, item in value.items() if key.lower() == name.lower()), None)
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
