"""A minimal resource monitor: it takes registrations over gRPC and answers them.

The unmodified `__main__.py` runs against it in its own process, as under the Pulumi CLI. In a preview the values that
AWS generates stay unknown, which Pulumi's mocks cannot do: a program that uses such a value would register something
else, or nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from tests.infra.recorder import INVOKES, ROOT, Recording, computed, event_loop, registration

Operation = Literal["preview", "up"]
_PROGRAM = ROOT / "tests" / "infra" / "program.py"
_FEATURES = {"secrets", "resourceReferences", "aliasSpecs", "deletedWith"}


@dataclass
class Run:
    """The result of one run of the program."""

    returncode: int
    stderr: str
    recording: Recording


def run(operation: Operation, config: Mapping[str, str], stack: str = "dev") -> Run:
    """Runs `__main__.py` with `config`."""
    recording = Recording()
    server = grpc.server(ThreadPoolExecutor(8))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(_Monitor(stack, operation, recording), server)
    engine_pb2_grpc.add_EngineServicer_to_server(_Engine(), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        done = subprocess.run(
            [sys.executable, _PROGRAM, address, address, "tickerlake", stack, operation, ROOT / "__main__.py"],
            env={**os.environ, "PULUMI_CONFIG": json.dumps(dict(config)), "PULUMI_CONFIG_SECRET_KEYS": "[]"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.stop(None).wait()
    return Run(done.returncode, done.stderr, recording)


class _Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    def __init__(self, stack: str, operation: Operation, recording: Recording) -> None:
        self._stack = stack
        self._preview = operation == "preview"
        self._recording = recording

    def SupportsFeature(self, request: Any, context: Any) -> Any:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURES)

    def GetDeploymentInfo(self, request: Any, context: Any) -> None:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "as in older engines, so that the program calls SupportsFeature")

    def RegisterResource(self, request: Any, context: Any) -> Any:
        urn = f"urn:pulumi:{self._stack}::tickerlake::{request.type}::{request.name}"
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        with event_loop():
            asked = registration(request)
        self._recording.registrations.append(asked)
        response = resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        if not self._preview and request.custom:
            response.id, state = computed(asked.type, asked.name, asked.inputs)
            known = {key: value for key, value in state.items() if key not in request.object.fields}
            response.object.update(known)
        return response

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        if "::pulumi:pulumi:Stack::" in request.urn:
            self._recording.exports.update(json_format.MessageToDict(request.outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        answer = struct_pb2.Struct()
        answer.update(INVOKES[request.tok])
        return resource_pb2.ResourceInvokeResponse(**{"return": answer})

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


class _Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self._root = ""

    def Log(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: Any) -> Any:
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: Any) -> Any:
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()
