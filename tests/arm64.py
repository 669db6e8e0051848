"""`make test-arm64`: runs the very zip that Lambda gets, on arm64 Python 3.13 under user-mode qemu.

Debian's packages of Python for arm64 are unpacked into a cache, without root; the function's handler then collects two
tickers of a session from the tests' own Yahoo server and delivers them to the emulator of AWS. The first request takes
minutes under qemu, so this is for a nightly run and not part of `make test`. Where something is missing it says so in
one line and exits with 0.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path

from infra.packaging import package
from tests.cloud.stack import Stack, running_stack
from tests.fakes.yahoo import running_yahoo
from tests.infra.test_packaging import RUNTIME
from tickerlake import exchange

MIRROR = "http://deb.debian.org/debian"
SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TICKERS = ("META", "AAPL")
_TIMEOUT_SECONDS = 3600
_HANDLER = """
import json, sys, time
started = time.monotonic()
from functions.collector.handler import handler
imported = time.monotonic()
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "arm64"
    get_remaining_time_in_millis = lambda self: 3_000_000
report = handler(json.loads(sys.argv[1]), Context())
print(json.dumps([imported - started, time.monotonic() - imported, report]))
"""


class Skipped(Exception):
    """What this machine lacks."""


def main() -> None:
    """Runs the handler, and exits with 1 if it does not deliver."""
    try:
        qemu, python = _qemu(), _python()
    except Skipped as reason:
        sys.stdout.write(f"arm64 skipped: {reason}\n")
        return
    with tempfile.TemporaryDirectory() as folder, running_yahoo() as yahoo:
        task = Path(folder) / "task"
        built = package()
        with zipfile.ZipFile(built.path) as archive:
            archive.extractall(task)
        runtime = Path(folder) / "runtime"
        runtime.mkdir()
        for name in RUNTIME:
            (runtime / name).symlink_to(Path(sysconfig.get_paths()["purelib"]) / name)
        (Path(folder) / "stack").mkdir()
        with running_stack(Path(folder) / "stack", yahoo) as stack:
            _collect(stack, [qemu, "-L", str(python), str(python / "usr" / "bin" / "python3.13")], [task, runtime])


def _collect(stack: Stack, command: list[str], path: list[Path]) -> None:
    given = stack.client("lambda").get_function_configuration(FunctionName=stack.outputs["function"])
    variables = {**given["Environment"]["Variables"], **stack.environment, "PATH": os.environ["PATH"]}
    variables |= {"PYTHONHOME": str(Path(command[-1]).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    variables["PYTHONPATH"] = os.pathsep.join(map(str, path))  # without the tests' clock
    started = time.monotonic()
    done = subprocess.run(
        [*command, "-c", _HANDLER, json.dumps({"session": "last", "tickers": TICKERS})],
        cwd=path[0],
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=True,
    )
    imported, handled, report = json.loads(done.stdout.splitlines()[-1])
    (collected,) = report["sessions"]
    session = exchange.XNYS.last_finished(stack.yahoo.now())
    assert (collected["session"], report["failed"]) == (session.dt, 0), report
    assert report["delivered"] == len(TICKERS) * len(session.bar_starts(5)), report
    stack.settle(session, report["delivered"])
    sys.stdout.write(
        f"arm64 passed in {time.monotonic() - started:.0f} s: imported in {imported:.0f} s, then collected "
        f"{report['delivered']} bars of {len(TICKERS)} tickers in {handled:.0f} s, from Yahoo's stand-in to Parquet\n"
    )


def _qemu() -> str:
    found = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if found is None:
        raise Skipped("there is no qemu-aarch64; on Debian and Ubuntu: apt install qemu-user-static")
    return found


def _python() -> Path:
    """A folder with Debian's Python 3.13 for arm64 and the libraries that it needs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickerlake" / f"arm64-{SUITE}"
    if cache.exists():
        return cache
    for tool in ("dpkg-deb", "gpgv"):
        if shutil.which(tool) is None:
            raise Skipped(f"there is no {tool} to unpack Debian's packages with")
    if not KEYRING.exists():
        raise Skipped(f"{KEYRING} is missing; apt install debian-archive-keyring")
    unfinished = Path(f"{cache}.{os.getpid()}.unfinished")
    unfinished.mkdir(parents=True)
    try:
        index = _index(unfinished)
        # Lambda's image has the C++ library too.
        for name in sorted(_needed(["python3.13", "libstdc++6"], index)):
            deb = unfinished / "one.deb"
            deb.write_bytes(_downloaded(index[name]["Filename"], index[name]["SHA256"]))
            subprocess.run(["dpkg-deb", "--extract", str(deb), str(unfinished)], check=True)
            deb.unlink()
    except urllib.error.URLError as error:
        shutil.rmtree(unfinished)
        raise Skipped(f"{MIRROR} cannot be reached: {error.reason}") from error
    if not (unfinished / "lib").exists():
        (unfinished / "lib").symlink_to("usr/lib")  # Debian's installer makes this link
    return unfinished.rename(cache)


def _index(folder: Path) -> Mapping[str, Mapping[str, str]]:
    """The packages of the suite by name, from a list that Debian signed."""
    release = _downloaded(f"dists/{SUITE}/InRelease")
    (folder / "InRelease").write_bytes(release)
    command = ["gpgv", "--quiet", "--keyring", str(KEYRING), str(folder / "InRelease")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    path = "main/binary-arm64/Packages.xz"
    (checksum,) = re.findall(rf"^ ([0-9a-f]{{64}}) +\d+ {path}$", release.decode(), re.MULTILINE)
    packages = lzma.decompress(_downloaded(f"dists/{SUITE}/{path}", checksum)).decode()
    fields = (dict(re.findall(r"^([\w-]+): (.*)$", entry, re.MULTILINE)) for entry in packages.split("\n\n"))
    return {each["Package"]: each for each in fields if each}


def _needed(names: list[str], index: Mapping[str, Mapping[str, str]]) -> set[str]:
    """The packages `names` and what they depend on."""
    needed: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in index:
            continue
        needed.add(name)
        depends = ",".join(index[name].get(key, "") for key in ("Depends", "Pre-Depends"))
        waiting += re.findall(r"(?:^|,)\s*([a-z0-9.+-]+)", depends)
    return needed


def _downloaded(path: str, checksum: str = "") -> bytes:
    with urllib.request.urlopen(f"{MIRROR}/{path}", timeout=60) as answer:
        content = answer.read()
    if checksum and hashlib.sha256(content).hexdigest() != checksum:
        raise SystemExit(f"error: {MIRROR}/{path} does not have the checksum that Debian signed")
    return content


if __name__ == "__main__":
    main()
