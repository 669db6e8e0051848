"""pulumi-language-python for the tests: starts the program with Pulumi's own runner, as the real host does.

The source of the real host is not on the Go module proxy. The runner is: it is part of the SDK's module.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from tests.engine.cli import VERSION

_SHOWN = 32
"""The runner exits with it after an error that it has shown."""


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """The part of the protocol that the engine uses for a Python program."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def Handshake(self, request: Any, context: Any) -> Any:
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        return language_pb2.GetRequiredPluginsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:
        root = request.info.root_directory or request.pwd
        given = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "pwd": request.pwd,
            "root_directory": root,
            "parallel": request.parallel,
            "dry_run": str(request.dryRun).lower(),
        }
        options = [text for name, value in given.items() for text in (f"--{name}", str(value))]
        runner = os.environ["TEST_PROGRAM_RUNNER"]
        done = subprocess.run(
            [sys.executable, runner, *options, request.info.program_directory or request.pwd],
            cwd=request.pwd,
            # The program imports the project's own modules from its folder, as from a clone.
            env={
                **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                "PYTHONPATH": root,
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            },
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode == _SHOWN:
            return language_pb2.RunResponse(bail=True)
        error = f"Program exited with non-zero exit code: {done.returncode}" if done.returncode else ""
        return language_pb2.RunResponse(error=error)


def main() -> None:
    """`pulumi-language-python … ENGINE`: prints its port and serves until it is killed."""
    server = grpc.server(ThreadPoolExecutor(8))
    engine = next(argument for argument in reversed(sys.argv) if not argument.startswith("-"))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(Host(engine), server)
    serve(server)


def serve(server: grpc.Server) -> None:
    """Tells the engine the port, as every plugin does, and serves until the engine ends it."""
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.wait_for_termination()


if __name__ == "__main__":
    main()
