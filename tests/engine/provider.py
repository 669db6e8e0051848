"""pulumi-resource-aws for the tests: the provider's side of Pulumi's protocol, on the emulator.

It names resources as the real provider does, replaces them on the properties whose documentation says "Forces new
resource", and refuses what AWS refuses. `tests/cloud/resources.py` makes the requests.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import threading
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import grpc
from botocore.config import Config
from botocore.exceptions import ClientError
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.cloud.resources import Changes, Cloud, Refused, identifying, naming_key
from tests.engine.language_host import serve
from tests.infra.recorder import computed, event_loop

NEW_ACCOUNT_EXECUTIONS = 10
"""How many concurrent executions of Lambda a new account has:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
_SUFFIX_DIGITS = 7
# Beyond the properties that identify a resource. Each is marked "Forces new resource" in
# https://registry.terraform.io/providers/hashicorp/aws/latest/docs, from which the provider is generated.
_FORCES_NEW: Mapping[str, set[str]] = {
    "aws:athena/namedQuery:NamedQuery": {"database", "description", "name", "query", "workgroup"},
    "aws:iam/policy:Policy": {"description"},
    "aws:sns/topicSubscription:TopicSubscription": {"endpoint", "protocol", "topic"},
}


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The provider of one stack. `cloud` creates; `identity` is the account that it deploys to."""

    def __init__(self, cloud: Cloud, identity: Mapping[str, Any]) -> None:
        self._cloud = cloud
        self._invokes = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": identity["Account"]},
            "aws:index/getPartition:getPartition": {"partition": "aws"},
        }
        self._account = identity["Account"]

    # The plugin

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_resources=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi-aws"))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=_changes(request.olds != request.news))

    def Configure(self, request: Any, context: Any) -> Any:
        allowed = json.loads(dict(request.args.items()).get("allowedAccountIds") or "[]")
        if allowed and self._account not in allowed:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"AWS account ID not allowed: {self._account}")
        return provider_pb2.ConfigureResponse(acceptResources=True, supportsPreview=True)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        answer = struct_pb2.Struct()
        answer.update(self._invokes[request.tok])
        return provider_pb2.InvokeResponse(**{"return": answer})

    # One resource

    def Check(self, request: Any, context: Any) -> Any:
        """Fills in the name that the provider generates, or keeps the one generated before."""
        inputs = struct_pb2.Struct()
        inputs.CopyFrom(request.news)
        kind, name = _type_and_name(request.urn)
        key = naming_key(kind)
        if key and key not in inputs.fields:
            kept = request.olds.fields[key].string_value if key in request.olds.fields else ""
            inputs.update({key: kept or f"{name}-{request.randomSeed.hex()[:_SUFFIX_DIGITS]}", "__defaults": [key]})
        return provider_pb2.CheckResponse(inputs=inputs)

    def Diff(self, request: Any, context: Any) -> Any:
        kind, _ = _type_and_name(request.urn)
        old, new = (json_format.MessageToDict(each) for each in (request.old_inputs, request.news))
        changed = sorted(key for key in old.keys() | new.keys() if key[:2] != "__" and old.get(key) != new.get(key))
        replaces = sorted(set(changed) & (identifying(kind, new) | _FORCES_NEW.get(kind, set())))
        key = naming_key(kind)
        # Two resources cannot have the name that the program gives.
        named = key is not None and key not in new.get("__defaults", []) and old.get(key) == new.get(key)
        return provider_pb2.DiffResponse(
            changes=_changes(bool(changed)),
            diffs=changed,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and named,
        )

    def Create(self, request: Any, context: Any) -> Any:
        if request.preview:
            return provider_pb2.CreateResponse(properties=request.properties)
        kind, _ = _type_and_name(request.urn)
        inputs = _plain(request.properties)
        with _answering(context):
            state = self._cloud.create(kind, inputs)
        properties = _with(request.properties, state)
        return provider_pb2.CreateResponse(id=state["id"], properties=properties)

    def Read(self, request: Any, context: Any) -> Any:
        kind, _ = _type_and_name(request.urn)
        inputs = _plain(request.inputs) or {str(naming_key(kind)): request.id}
        with _answering(context):
            seen = self._cloud.read(kind, inputs, _state(request.properties, request.id))
        if seen is None:
            return provider_pb2.ReadResponse()
        found = struct_pb2.Struct()
        found.CopyFrom(request.inputs)
        found.update({key: value for key, value in seen.items() if value != inputs[key] or key not in found.fields})
        # What AWS adds; an import starts without any state.
        added = {key: value for key, value in computed(kind, request.id, seen)[1].items() if key in ("arn", "url")}
        properties = _with(_with(request.properties, found), added)
        return provider_pb2.ReadResponse(id=request.id, inputs=found, properties=properties)

    def Update(self, request: Any, context: Any) -> Any:
        properties = _with(request.olds, request.news)
        if not request.preview:
            kind, _ = _type_and_name(request.urn)
            old, new = _plain(request.old_inputs), _plain(request.news)
            with _answering(context):
                self._cloud.update(kind, old, new, _state(request.olds, request.id))
        return provider_pb2.UpdateResponse(properties=properties)

    def Delete(self, request: Any, context: Any) -> Any:
        kind, _ = _type_and_name(request.urn)
        with _answering(context):
            self._cloud.delete(kind, _plain(request.old_inputs), _state(request.properties, request.id))
        return empty_pb2.Empty()


@contextlib.contextmanager
def _answering(context: Any) -> Generator[None]:
    """Turns an error of AWS into an answer of the provider."""
    try:
        yield
    except (Refused, ClientError) as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _type_and_name(urn: str) -> tuple[str, str]:
    *_, types, name = urn.split("::")
    return types.rpartition("$")[2], name


def _plain(properties: struct_pb2.Struct) -> dict[str, Any]:
    readable = struct_pb2.Struct()
    for key, value in properties.fields.items():
        if not key.startswith("__") and not _is_only_a_hash(value):
            readable.fields[key].CopyFrom(value)
    with event_loop():
        return dict(rpc.deserialize_properties(readable, keep_unknowns=True))


def _is_only_a_hash(value: struct_pb2.Value) -> bool:
    """Whether it is an asset from the state, which holds the hash of a file and not its path."""
    fields = value.struct_value.fields
    return "hash" in fields and not {"path", "text", "uri"} & fields.keys()


def _state(properties: struct_pb2.Struct, ident: str) -> dict[str, Any]:
    return {**{key: value for key, value in _plain(properties).items() if key in ("arn", "url")}, "id": ident}


def _with(properties: struct_pb2.Struct, added: Any) -> struct_pb2.Struct:
    merged = struct_pb2.Struct()
    merged.CopyFrom(properties)
    if isinstance(added, struct_pb2.Struct):
        for key, value in added.fields.items():
            merged.fields[key].CopyFrom(value)
    else:
        merged.update(added)
    return merged


def _changes(some: bool) -> Any:
    return provider_pb2.DiffResponse.DIFF_SOME if some else provider_pb2.DiffResponse.DIFF_NONE


def _clients() -> Any:
    made: dict[str, Any] = {}
    lock = threading.Lock()
    config = Config(read_timeout=120, retries={"total_max_attempts": 1}, proxies={})

    def client(service: str) -> Any:
        with lock:
            if service not in made:
                made[service] = boto3.client(service, config=config)
            return made[service]

    return client


def main() -> None:
    """`pulumi-resource-aws ENGINE`: prints its port and serves until it is killed."""
    client = _clients()
    executions = int(os.environ.get("TEST_EXECUTIONS", NEW_ACCOUNT_EXECUTIONS))
    environment = json.loads(os.environ.get("TEST_FUNCTION_ENVIRONMENT", "{}"))
    cloud = Cloud(client, Changes(environment=environment), executions)
    server = grpc.server(ThreadPoolExecutor(16))
    provider = Provider(cloud, client("sts").get_caller_identity())
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    serve(server)


if __name__ == "__main__":
    main()
