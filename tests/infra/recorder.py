"""Runs the stack with Pulumi's mocks and records every registration: type, name, inputs and options."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import set_root_resource

from infra import config as settings
from infra.packaging import Package
from infra.stack import Stack

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
REGION = "us-east-1"
TODAY = dt.date(2026, 11, 20)
ZIP_SHA256 = "4d0e8ab3e8d8b6d9a4d5d2f9b0e0b2b8b0bd0f9c4f7c7a0c6d1c8b8f6a1e2d3c"
STACK_FILES = {"dev": "Pulumi.dev.example.yaml", "prod": "Pulumi.prod.example.yaml"}

INVOKES = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT},
    "aws:index/getPartition:getPartition": {"partition": "aws"},
}
_ARNS = {
    "aws:s3/bucket:Bucket": "arn:aws:s3:::{name}",
    "aws:iam/role:Role": "arn:aws:iam::{account}:role/{name}",
    "aws:iam/policy:Policy": "arn:aws:iam::{account}:policy/{name}",
    "aws:glue/crawler:Crawler": "arn:aws:glue:{region}:{account}:crawler/{name}",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        "arn:aws:firehose:{region}:{account}:deliverystream/{name}"
    ),
    "aws:cloudwatch/logGroup:LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}",
    "aws:cloudwatch/logStream:LogStream": "arn:aws:logs:{region}:{account}:log-group:{logGroupName}:log-stream:{name}",
    "aws:lambda/function:Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "aws:scheduler/scheduleGroup:ScheduleGroup": "arn:aws:scheduler:{region}:{account}:schedule-group/{name}",
    "aws:sqs/queue:Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "aws:sns/topic:Topic": "arn:aws:sns:{region}:{account}:{name}",
    "aws:ssm/parameter:Parameter": "arn:aws:ssm:{region}:{account}:parameter{name}",
    "aws:athena/workgroup:Workgroup": "arn:aws:athena:{region}:{account}:workgroup/{name}",
    "aws:cloudwatch/eventRule:EventRule": "arn:aws:events:{region}:{account}:rule/{name}",
}


@dataclass(frozen=True)
class Registration:
    """One resource as the program registered it."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str = ""
    """Name of the parent resource."""
    protect: bool = False
    retain: bool = False
    provider: str = ""
    secrets: frozenset[str] = frozenset()
    """The inputs that Pulumi encrypts in its state."""
    dependencies: frozenset[str] = frozenset()
    """Names of the resources it depends on."""

    @property
    def kind(self) -> str:
        """`Bucket` for `aws:s3/bucket:Bucket`."""
        return self.type.rsplit(":", 1)[1]


@dataclass
class Recording:
    """Everything that one run of the program registered and exported."""

    registrations: list[Registration] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)

    def all(self, kind: str) -> list[Registration]:
        """The resources of `kind`, such as `Bucket`, sorted by name."""
        return sorted((item for item in self.registrations if item.kind == kind), key=lambda item: item.name)

    def one(self, name: str) -> Registration:
        """The resource `name`, given without the name of the stack: `lake-bucket`."""
        found = [item for item in self.registrations if item.name.split("-", 2)[-1] == name and "-" in item.name]
        assert len(found) == 1, f"{name} is not one of {sorted(item.name for item in self.registrations)}"
        return found[0]


def computed(type_: str, name: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The id and state that AWS would return: generated name, ARN, URL."""
    known = {"bucket", "name", "dashboardName"}.intersection(inputs)
    physical = next((str(inputs[key]) for key in sorted(known)), f"{name}-0a1b2c3")
    state = dict(inputs)
    if type_ == "aws:s3/bucket:Bucket":
        state["bucket"] = physical
    elif not known:
        state["name"] = physical
    if type_ in _ARNS:
        state["arn"] = _ARNS[type_].format(**{**inputs, "name": physical, "region": REGION, "account": ACCOUNT})
    if type_ == "aws:sqs/queue:Queue":
        state["url"] = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{physical}"
        return state["url"], state
    return state["arn"] if type_ in {"aws:sns/topic:Topic", "aws:iam/policy:Policy"} else physical, state


class _Account(Mocks):
    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict]:
        return computed(args.typ, args.name, args.inputs)

    def call(self, args: MockCallArgs) -> tuple[dict, list[tuple[str, str]] | None]:
        return INVOKES[args.token], []


class _Recorder(MockMonitor):
    def __init__(self, recording: Recording) -> None:
        super().__init__(_Account())
        self._recording = recording

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:  # the name is Pulumi's
        if request.type != "pulumi:pulumi:Stack":
            self._recording.registrations.append(registration(request))
        with event_loop():
            return super().RegisterResource(request)

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> Any:
        with event_loop():
            return super().Invoke(request)


@contextlib.contextmanager
def event_loop() -> Iterator[None]:
    """An event loop that is closed afterwards. The mocks would leave one open in each thread."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def registration(request: resource_pb2.RegisterResourceRequest) -> Registration:
    """The registration in a request."""
    inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
    secrets = {key: rpc.unwrap_rpc_secret(value) for key, value in inputs.items() if rpc.is_rpc_secret(value)}
    return Registration(
        type=request.type,
        name=request.name,
        inputs=inputs | secrets,
        parent=request.parent.split("::")[-1],
        protect=request.protect,
        retain=request.retainOnDelete,
        provider=request.provider.split("::")[-2] if request.provider else "",
        secrets=frozenset(secrets),
        dependencies=frozenset(urn.split("::")[-1] for urn in request.dependencies),
    )


def stack_config(stack: str) -> dict[str, str]:
    """The configuration in the stack file of `stack`, as Pulumi passes it to the program."""
    values = yaml.safe_load((ROOT / STACK_FILES[stack]).read_text(encoding="utf-8"))["config"]
    values["tickerlake:watchlist"] = str(Path(__file__).with_name("alerts.toml"))
    values["tickerlake:alerts"] = stack == "prod"
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


@cache
def _load_types() -> None:
    """Imports the types of the resources. pulumi_aws does it lazily, which is not thread-safe and takes a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own resources
        for module in (
            "athena",
            "budgets",
            "cloudwatch",
            "glue",
            "iam",
            "kinesis",
            "lambda_",
            "s3",
            "scheduler",
            "sns",
            "sqs",
            "ssm",
        ):
            hasattr(importlib.import_module(f"pulumi_aws.{module}"), "__all__")


def deploy(config: Mapping[str, str], stack: str = "dev") -> Recording:
    """Runs the stack with `config`."""
    _load_types()
    recording = Recording()

    def program() -> pulumi.Output:
        with tempfile.NamedTemporaryFile(suffix=".zip") as archive:
            deployed = Stack(settings.parse(config, stack, TODAY), Package(Path(archive.name), ZIP_SHA256), TODAY)
            exports = {"tickerlake": deployed.outputs, "readme": deployed.readme()}
            return pulumi.Output.all(**exports).apply(recording.exports.update)

    with event_loop():
        set_root_resource(None)  # drops the root of an earlier deployment
        set_mocks(_Account(), project="tickerlake", stack=stack, preview=False, monitor=_Recorder(recording))
        pulumi.runtime.test(program)()
    return recording


@cache
def deployed(stack: str) -> Recording:
    """The recording for the stack file of `stack`; do not change it."""
    return deploy(stack_config(stack), stack)


def document(text: str) -> dict[str, Any]:
    """A policy document, parsed."""
    return json.loads(text)
