"""The real Pulumi CLI, built from source, on a copy of the project."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.infra.recorder import ROOT

MODULE = ROOT / "tests" / "engine" / "pulumi"
VERSION = re.findall(r"pulumi/pkg/v3 v([\d.]+)", (MODULE / "go.mod").read_text(encoding="utf-8"))[0]
OBJECT = "bars/dt=2026-11-20/20261120-one.parquet"
"""The key of an object in the lake."""
_SDK = "github.com/pulumi/pulumi/sdk/v3"
_PROGRAM = ("Pulumi.yaml", "__main__.py", "infra", "functions", "tickerlake", "queries", "pyproject.toml")
_PLUGINS = {"pulumi-language-python": "tests.engine.language_host", "pulumi-resource-aws": "tests.engine.provider"}
_COUNT = re.compile(r"^ +[+~=<>-]* ?(\d+) (?:to )?(\w+)", re.MULTILINE)
_STEP = re.compile(r"^ +[+~<>-]+ +aws:\w+:(\w+) (\S+) (created|updated|replaced|deleted)\b", re.MULTILINE)


def built() -> Path:
    """The folder that holds the CLI, which takes about seven minutes of CPU to build the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickerlake" / f"pulumi-{VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest runs two of these at a time
        _build(cache)
    return cache


def _build(cache: Path) -> None:
    if not (cache / "pulumi").exists():
        # go.sum holds the checksum of every module, and -mod=readonly refuses any other.
        # `go install` cannot do it: for the longer module path the proxy answers 403, where Go expects 404.
        stamp = f"-X {_SDK}/go/common/version.Version=v{VERSION}"
        package = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
        _go("build", "-mod=readonly", "-ldflags", stamp, "-o", str(cache / "unfinished"), package)
        (cache / "unfinished").rename(cache / "pulumi")
    if not (cache / "pulumi-language-python-exec").exists():
        sdk = Path(_go("list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _SDK).strip())
        shutil.copy(sdk / "python" / "cmd" / "pulumi-language-python-exec", cache)


def _go(*arguments: str) -> str:
    done = subprocess.run(
        ["nice", "go", *arguments],
        cwd=MODULE,
        env={**os.environ, "GOFLAGS": ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


@dataclass(frozen=True)
class Result:
    """What a command printed."""

    code: int
    output: str
    """Standard output and standard error."""

    @property
    def words(self) -> str:
        """The output without its line breaks."""
        return " ".join(self.output.split())

    @property
    def counts(self) -> dict[str, int]:
        """The last summary: `{"create": 66}` of a preview, `{"created": 66}` of an update."""
        summary = self.output.rpartition("Resources:")[2]
        return {word: int(number) for number, word in _COUNT.findall(summary)}

    @property
    def steps(self) -> dict[str, set[str]]:
        """What was done to each AWS resource that changed: `{"lake-bucket": {"created"}}`."""
        found: dict[str, set[str]] = {}
        for _, name, done in _STEP.findall(self.output):
            found.setdefault(name.split("-", 2)[2], set()).add(done)
        return found


STEPS: list[tuple[str, Result, float]] = []
"""Every command that printed a summary, with its result and the seconds it took."""


class Project:
    """A copy of the project in `folder`, with a state and a CLI configuration of its own.

    `variables` are added to the environment of every command.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder / "tickerlake"
        self.folder.mkdir()
        for name in _PROGRAM:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, self.folder)
        for path in ROOT.glob("Pulumi.*.example.yaml"):
            shutil.copy(path, self.folder)
        (self.folder / ".venv").symlink_to(sys.prefix)
        plugins, state = folder / "plugins", folder / "state"
        plugins.mkdir()
        state.mkdir()
        for name, module in _PLUGINS.items():
            script = plugins / name
            script.write_text(
                f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m {module} "$@"\n', encoding="utf-8"
            )
            script.chmod(0o755)
        cli = built()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))},
            "PATH": os.pathsep.join([str(plugins), str(cli), os.environ["PATH"]]),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "only for tests",
            "PULUMI_SKIP_CONFIRMATIONS": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "NO_COLOR": "1",
            "TEST_PROGRAM_RUNNER": str(cli / "pulumi-language-python-exec"),
            **variables,
        }

    def run(self, command: str, **variables: str) -> Result:
        """Runs command lines as a user types them, in the project's folder. Pulumi asks for no confirmation."""
        started = time.monotonic()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self._environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        result = Result(done.returncode, done.stdout)
        if result.counts:
            STEPS.append((command.strip(), result, time.monotonic() - started))
        return result

    def ok(self, command: str, **variables: str) -> Result:
        """`run`, and the command must succeed."""
        result = self.run(command, **variables)
        assert result.code == 0, f"{command} exited {result.code}:\n{result.output}"
        return result

    def state(self) -> list[dict[str, Any]]:
        """Every resource in the state of the current stack."""
        exported = json.loads(self.ok("pulumi stack export").output)
        return exported["deployment"].get("resources", [])

    def write(self, name: str, old: str, new: str) -> None:
        """Replaces text in a file of the project, as an edit of its source."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        return json.loads(self.ok("pulumi stack output --json").output)
