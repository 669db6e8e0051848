"""Creates the registered resources in the emulator, with the requests that their registrations map to.

The mapping is the strict one of `tests/infra/service_models.py`: a property that is in no request is a fault. Names and
ARNs are those that the recording generated. The emulator must answer with the same ARNs, or the resources would refer
to others than those created.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape

from tests.infra import service_models
from tests.infra.recorder import Registration, computed

Client = Callable[[str], Any]
"""Returns the boto3 client of a service."""


@dataclass(frozen=True)
class Changes:
    """Differences from what is registered, for the emulator and the fake Yahoo."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables to add to the function's own."""
    code: bytes | None = None
    """Replaces the function's zip."""
    schedules_enabled: bool = False
    """The emulator ignores a schedule's time zone, so an enabled one would fire at the wrong hour."""


def create(registrations: list[Registration], client: Client, changes: Changes) -> list[str]:
    """Creates every AWS resource of `registrations` in order. Returns their types."""
    created = []
    for registration in registrations:
        if registration.type.startswith("aws:"):
            _Creator(registration, client, changes).create()
            created.append(registration.type)
    return created


class _Creator:
    def __init__(self, registration: Registration, client: Client, changes: Changes) -> None:
        self._type, self._inputs = registration.type, dict(registration.inputs)
        self._client = client
        self._changes = changes
        self._id, self._state = computed(registration.type, registration.name, registration.inputs)
        self._name = self._state.get("bucket") or self._state.get("name") or ""

    def create(self) -> None:
        by_hand = _BY_HAND.get(self._type)
        if by_hand:
            by_hand(self)
        else:
            self.request(**{_NAMED[self._type]: self._name} if self._type in _NAMED else {})

    def request(self, **changed: Any) -> dict[str, Any]:
        """Sends the request that the resource maps to, with the members in `changed` replaced."""
        mapped = service_models.REQUESTS[self._type]
        members = {**parameters(self._type, self._inputs), **changed}
        client = self._client(mapped.service)
        method = botocore.xform_name(mapped.operation)
        answer = getattr(client, method)(**members)
        self.expect_arn(answer)
        return answer

    def only(self, *known: str) -> None:
        """Fails on a property that is not in `known` and that AWS needs."""
        unknown = {key for key in self._inputs if not key.startswith("__")} - {*known, "forceDestroy"}
        assert not unknown, f"{self._type} {self._name}: {unknown} would be lost"

    def expect_arn(self, answer: Mapping[str, Any]) -> None:
        if "arn" in self._state:
            parts = [answer, *(part for part in answer.values() if isinstance(part, dict))]
            texts = {value for part in parts for value in part.values() if isinstance(value, str)}
            arns = {text for text in texts if text.startswith("arn:")}
            assert not arns or self._state["arn"] in arns, f"{self._type}: {arns} is not {self._state['arn']}"

    # Resources that need several requests, or one that is not in `service_models`.

    def bucket(self) -> None:
        self.only("bucket")
        self._client("s3").create_bucket(Bucket=self._name)

    def bucket_object(self) -> None:
        self.only("bucket", "key", "source", "contentType")
        body = self._changes.code or Path(self._inputs["source"].path).read_bytes()
        place = {"Bucket": self._inputs["bucket"], "Key": self._inputs["key"]}
        self._client("s3").put_object(**place, Body=body, ContentType=self._inputs["contentType"])

    def bucket_policy(self) -> None:
        self.only("bucket", "policy")
        self._client("s3").put_bucket_policy(Bucket=self._inputs["bucket"], Policy=self._inputs["policy"])

    def queue(self) -> None:
        self.only("messageRetentionSeconds", "sqsManagedSseEnabled")
        attributes = {
            "MessageRetentionPeriod": str(int(self._inputs["messageRetentionSeconds"])),
            "SqsManagedSseEnabled": str(self._inputs["sqsManagedSseEnabled"]).lower(),
        }
        self._client("sqs").create_queue(QueueName=self._name, Attributes=attributes)

    def topic(self) -> None:
        self.only()
        self.expect_arn(self._client("sns").create_topic(Name=self._name))

    def topic_policy(self) -> None:
        self.only("arn", "policy")
        self._client("sns").set_topic_attributes(
            TopicArn=self._inputs["arn"], AttributeName="Policy", AttributeValue=self._inputs["policy"]
        )

    def event_target(self) -> None:
        self.only("rule", "arn")
        target = {"Id": "topic", "Arn": self._inputs["arn"]}
        self._client("events").put_targets(Rule=self._inputs["rule"], Targets=[target])

    def log_group(self) -> None:
        self._client("logs").create_log_group(logGroupName=self._name)
        self.request()

    def function(self) -> None:
        reserved = self._inputs.pop("reservedConcurrentExecutions", None)
        members = parameters(self._type, self._inputs)
        members["Environment"]["Variables"] |= self._changes.environment
        self.request(Environment=members["Environment"])
        if reserved is not None:
            self._client("lambda").put_function_concurrency(
                FunctionName=self._name, ReservedConcurrentExecutions=int(reserved)
            )

    def schedule(self) -> None:
        self.request(State="ENABLED" if self._changes.schedules_enabled else "DISABLED")


_BY_HAND: Mapping[str, Callable[[_Creator], Any]] = {
    "aws:s3/bucket:Bucket": _Creator.bucket,
    "aws:s3/bucketObjectv2:BucketObjectv2": _Creator.bucket_object,
    "aws:s3/bucketPolicy:BucketPolicy": _Creator.bucket_policy,
    "aws:sqs/queue:Queue": _Creator.queue,
    "aws:sns/topic:Topic": _Creator.topic,
    "aws:sns/topicPolicy:TopicPolicy": _Creator.topic_policy,
    "aws:cloudwatch/eventTarget:EventTarget": _Creator.event_target,
    "aws:cloudwatch/logGroup:LogGroup": _Creator.log_group,
    "aws:lambda/function:Function": _Creator.function,
    "aws:scheduler/schedule:Schedule": _Creator.schedule,
}
_NAMED = {
    "aws:cloudwatch/eventRule:EventRule": "Name",
    "aws:iam/policy:Policy": "PolicyName",
    "aws:iam/role:Role": "RoleName",
    "aws:iam/rolePolicy:RolePolicy": "PolicyName",
}
"""Member for the name, where the program lets the provider generate it."""


def parameters(resource_type: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The members of the request that creates a resource of `resource_type` with `inputs`."""
    request = service_models.REQUESTS[resource_type]
    shape = _input_shape(request.service, request.operation)
    refused: list[str] = []
    members = service_models._structure(inputs, shape, request, "", refused)
    for path, value in request.added.items():
        service_models._put(members, path, value, keep=True)
    assert not refused, f"{resource_type}: {'; '.join(refused)}"
    return _fitted(members, shape)


def _input_shape(service: str, operation: str) -> Shape:
    return botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape


def _fitted(value: Any, shape: Shape) -> Any:
    """`value` with integers where AWS expects them; over gRPC every number is a float."""
    if isinstance(shape, StructureShape):
        return {name: _fitted(item, shape.members[name]) for name, item in value.items()}
    if isinstance(shape, ListShape):
        return [_fitted(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {key: _fitted(item, shape.value) for key, item in value.items()}
    return int(value) if shape.type_name in ("integer", "long") else value
