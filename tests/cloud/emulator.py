"""Starts the emulator and the fault proxy in front of it, each as a process on a free port of loopback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from tests.infra.recorder import ACCOUNT, REGION, ROOT

CREDENTIALS = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "test"}
"""The emulator takes a key that looks like an account number as that account."""
START_SECONDS = 60
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def environment(endpoint: str) -> dict[str, str]:
    """The variables that point an unchanged program at the emulator and away from any AWS account."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Waits until `condition` is true and returns it. AssertionError, naming `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} seconds for {what}"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def running_emulator(folder: Path, settings: Mapping[str, str] | None = None) -> Generator[str]:
    """The patched emulator, with its files and log in `folder`. Yields its URL."""
    temporary = folder / "tmp"
    temporary.mkdir()
    port = _free_port()
    variables = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",  # it would listen on another, fixed port
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "TMPDIR": str(temporary),
        "AWS_SECRET_ACCESS_KEY": "test",
        **(settings or {}),
    }
    scheme = "https" if variables.get("USE_SSL") else "http"
    try:
        with _process([sys.executable, "-m", "tests.cloud.patches"], variables, folder / "emulator.log", port):
            yield f"{scheme}://127.0.0.1:{port}"
    finally:
        shutil.rmtree(temporary)  # holds the function's code, once per process that ran it


class Proxy:
    """microburst in front of the emulator: https://github.com/pingedbrain/microburst."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextlib.contextmanager
    def fault(self, **rule: Any) -> Generator[None]:
        """Injects the fault that `rule` describes while the block runs. Fails if no request meets it."""
        self._ask("DELETE", "fired")
        self._ask("POST", "rules", [rule])
        try:
            yield
        finally:
            self._ask("POST", "rules", [])
        assert self._ask("GET", "fired"), f"nothing met the fault {rule}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/_microburst/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with _DIRECT.open(request, timeout=10) as answer:
            return json.load(answer)


@contextlib.contextmanager
def running_proxy(folder: Path, upstream: str) -> Generator[Proxy]:
    """The proxy in front of `upstream`, with its log in `folder`."""
    port = _free_port()
    command = [sys.executable, "-m", "microburst", "--upstream", upstream, "--port", str(port), "--no-resign"]
    with _process(command, {}, folder / "proxy.log", port):
        url = f"http://127.0.0.1:{port}"
        # Before its first answer it reads the models of all AWS services. On a busy machine that takes longer than a
        # client waits, and a collector would send its first batch twice.
        with contextlib.suppress(urllib.error.HTTPError), _DIRECT.open(url, timeout=START_SECONDS):
            pass
        yield Proxy(url)


@contextlib.contextmanager
def _process(command: list[str], variables: Mapping[str, str], log: Path, port: int) -> Generator[None]:
    with log.open("wb") as output:
        started = subprocess.Popen(
            command,
            cwd=ROOT,
            # The function inherits this environment, so it must not hold the caller's AWS settings.
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be killed with its children
        )
    try:
        until(lambda: _listens(port) or started.poll() is not None, f"{command} to listen; see {log}", START_SECONDS)
        assert started.poll() is None, f"{command} ended: {log.read_text(errors='replace')[-2000:]}"
        yield
    finally:
        # A clean shutdown takes seconds and saves nothing.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0
