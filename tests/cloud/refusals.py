"""What AWS refuses and the emulator accepts: a role that does not exist or does not trust the service, an ARN that is
none, more reserved executions than the account has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}|aws)?:.+", re.DOTALL)
_ASSUMED_BY = {
    "aws:glue/crawler:Crawler": "glue",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "firehose",
    "aws:lambda/function:Function": "lambda",
    "aws:scheduler/schedule:Schedule": "scheduler",
}
_UNRESERVED = 10
"""Executions that an account must leave unreserved: https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""


def refusals(
    kind: str, inputs: Mapping[str, Any], client: Callable[[str], Any], free_executions: int | None
) -> Iterator[str]:
    """The reasons for which AWS refuses a resource of type `kind` with `inputs`.

    `free_executions` is how many the account has in all; None for enough.
    """
    for key, value in _texts(inputs):
        if key.lower().endswith("arn") and not _ARN.fullmatch(value):
            yield f"ValidationException: {key} is {value!r}, which is not an ARN"
    service = _ASSUMED_BY.get(kind)
    if service:
        roles = {value for key, value in _texts(inputs) if key.lower() in ("role", "rolearn")}
        for role in sorted(roles):
            yield from _role(role, f"{service}.amazonaws.com", client("iam"))
    reserved = int(inputs.get("reservedConcurrentExecutions") or 0)
    if free_executions is not None and reserved > 0 and free_executions - reserved < _UNRESERVED:
        yield (
            "InvalidParameterValueException: Specified ReservedConcurrentExecutions for function decreases account's "
            f"UnreservedConcurrentExecution below its minimum value of [{_UNRESERVED}]."
        )


def _role(arn: str, service: str, access: Any) -> Iterator[str]:
    try:
        role = access.get_role(RoleName=arn.rpartition("/")[2])["Role"]
    except ClientError:
        yield f"InvalidParameterValueException: the role {arn} does not exist"
        return
    trust = role["AssumeRolePolicyDocument"]
    trust = json.loads(trust) if isinstance(trust, str) else trust
    if not any(statement.get("Principal", {}).get("Service") == service for statement in trust["Statement"]):
        yield f"InvalidParameterValueException: the role {arn} cannot be assumed by {service}"


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in `value` with the property that holds it."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)
