"""A Trino server for the tests: one node on a free loopback port, put together from its jars in Maven Central.

Trino's own coordinator, planner and workers run here, with its `memory` connector in place of Hive's: tables are
filled through SQL. The jars are about 110 MB; the ready-made `io.trino:trino-server` archive, with every connector
there is, would be nearly ten times that.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

VERSION = "435"
DIGEST = "d561d83ffff77ee3bef755bf6f7d12648a86a95b1ba2a2f670652c52792c75cb"
"""SHA-256 over the names and the SHA-256 of every jar, so that all machines test the same server."""

JAVA = 17
HEAP = "9g"
"""Taken up by the large lake alone; without it the server stays under 2 GB. The memory connector counts the whole
table again for every place where a query reads it, six in `hourly_high`, all of which must fit into the heap."""
QUERY = "8GB"
TABLES = "2GB"
START_SECONDS = 180
FETCH_SECONDS = 1200

_HERE = Path(__file__).parent
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
_FOLDERS = {"lib": "lib", "memory": "plugin/memory"}
_PLUGIN = "io.trino.plugin.memory.MemoryPlugin"


class NoServer(Exception):
    """No Trino server can be had on this machine, and why: one line."""


def jars() -> Path:
    """The folder of the server's jars, fetched on the first call. NoServer where that cannot be done."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickerlake" / "trino"
    folder = cache / VERSION
    if not folder.is_dir():
        _check_tools()
        cache.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(dir=cache, prefix=".incoming-"))
        try:
            for profile, inside in _FOLDERS.items():
                _fetch(profile, incoming / inside)
            _check_digest(incoming)
            # The release has this in a jar of its own, which tells the server what the plugin's class is.
            with zipfile.ZipFile(incoming / _FOLDERS["memory"] / "services.jar", "w") as jar:
                jar.writestr("META-INF/services/io.trino.spi.Plugin", _PLUGIN + "\n")
            incoming.rename(folder)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    return folder


def digest(folder: Path) -> str:
    """What `DIGEST` is compared with: of all jars in `folder`, but for the one made here."""
    lines = sorted(
        f"{jar.relative_to(folder).as_posix()} {hashlib.sha256(jar.read_bytes()).hexdigest()}\n"
        for jar in folder.rglob("*.jar")
        if jar.name != "services.jar"
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextlib.contextmanager
def serving(folder: Path, work: Path) -> Iterator[str]:
    """Runs a node of the jars in `folder`, with its files in `work`; gives its URL, and stops it at the end."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    log = work / "server.log"
    command = [
        "java",
        f"-Xmx{HEAP}",
        "-XX:+UseG1GC",
        "-Djdk.attach.allowAttachSelf=true",
        f"-Dconfig={_write_configuration(work, folder, port)}",
        f"-Dnode.data-dir={work / 'data'}",
        "-cp",
        f"{folder / 'lib'}/*",
        str(_HERE / "Node.java"),
        VERSION,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=work, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(process, url, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _check_tools() -> None:
    missing = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
    if missing:
        raise NoServer(f"no Trino server: {', '.join(missing)} not found; install a JDK from {JAVA} on and Maven")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA:
        raise NoServer(f"no Trino server: Trino {VERSION} wants Java {JAVA} or later, here is {said.splitlines()[0]}")


def _fetch(profile: str, target: Path) -> None:
    """Has Maven put the jars of `profile` into `target`; it holds each against the checksum published beside it."""
    command = ["mvn", "--batch-mode", "--no-transfer-progress", "--strict-checksums", "--quiet", "-f", "pom.xml"]
    command += [f"-P{profile}", _COPY, "-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    try:
        done = subprocess.run(command, cwd=_HERE, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoServer(f"no Trino server: Maven did not finish in {FETCH_SECONDS} s") from error
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if "[ERROR]" in line]
        if any("hecksum validation failed" in line for line in errors):
            raise RuntimeError("\n".join(errors))
        reason = errors[0].partition("[ERROR] ")[2][:300] if errors else f"Maven ended with {done.returncode}"
        raise NoServer(f"no Trino server: {reason}")


def _check_digest(folder: Path) -> None:
    found = digest(folder)
    if found != DIGEST:
        raise RuntimeError(f"the jars of Trino {VERSION} have the digest {found}, not {DIGEST}; they are not used")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _write_configuration(work: Path, folder: Path, port: int) -> Path:
    catalogs = work / "catalogs"
    catalogs.mkdir()
    (catalogs / "memory.properties").write_text(
        f"connector.name=memory\nmemory.max-data-per-node={TABLES}\n", encoding="utf-8"
    )
    configuration = work / "config.properties"
    configuration.write_text(
        "node.environment=tests\n"
        "node.bind-ip=127.0.0.1\n"
        "node.internal-address=127.0.0.1\n"
        "coordinator=true\n"
        "node-scheduler.include-coordinator=true\n"
        f"http-server.http.port={port}\n"
        f"discovery.uri=http://127.0.0.1:{port}\n"
        f"plugin.dir={folder / 'plugin'}\n"
        f"catalog.config-dir={catalogs}\n"
        f"query.max-memory={QUERY}\n"
        f"query.max-memory-per-node={QUERY}\n"
        "memory.heap-headroom-per-node=512MB\n"
        # The tables are filled with long statements; kept to be looked at, as they are by default, they fill the heap.
        "query.max-length=100000000\n"
        "query.max-history=5\n"
        "query.min-expire-age=10s\n"
        "task.info.max-age=5s\n",
        encoding="utf-8",
    )
    return configuration


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(START_SECONDS * 2):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
            raise RuntimeError(f"the Trino server ended with {process.returncode}:\n{tail}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/v1/info", timeout=5) as answer:
            if not json.load(answer)["starting"]:
                return
    raise RuntimeError(f"the Trino server was not ready after {START_SECONDS} s; its log is {log}")
