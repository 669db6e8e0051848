"""The collector's zip: the same bytes from the same sources, whoever builds it, and only when they changed.

    python -m infra.packaging [--platform lambda|host] [--output build/collector.zip]

`host` builds for the Python that runs this, out of the packages that are installed for it: what an emulator of Lambda
executes. It downloads nothing.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tickerlake.errors import TickerlakeError

Platform = Literal["lambda", "host"]

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
REQUIREMENTS = Path("functions/collector/requirements.txt")
PYTHON_VERSION = "3.13"
MIB = 1024 * 1024
ZIP_LIMIT = 45 * MIB
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
UNZIPPED_LIMIT = 250_000_000

HANDLER_MODULE = "functions.collector.handler"

# With manylinux2014 alone pip finds no pandas 3 and takes pandas 2 without a word: the newer tags have to be named too.
_PLATFORM_TAGS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64")
_NO_FOLDERS = frozenset({"__pycache__", "bin", "test", "tests"})
_NO_SUFFIXES = (".pyc", ".pyi", ".pyx", ".pxd", ".h", ".c")
_NO_PREFIXES = ("numpy/f2py/", "lxml/includes/")
# It carries 30 MB of debug symbols. Not others: they are small, and numpy's openblas does not survive a `strip`.
_WITH_SYMBOLS = "curl_cffi/_wrapper.abi3.so"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can tell


class PackageError(TickerlakeError):
    """The collector's zip could not be built."""


@dataclass(frozen=True)
class Package:
    """A zip for Lambda, and the hash that names it."""

    path: Path
    sha256: str


def package(prebuilt: str = "") -> Package:
    """The zip at `prebuilt`, or else the one for Lambda, built now if its sources changed."""
    path = Path(prebuilt) if prebuilt else build()
    return Package(path, hashlib.sha256(path.read_bytes()).hexdigest())


def build(platform: Platform = "lambda", output: Path | None = None, folder: Path = BUILD) -> Path:
    """The zip for `platform`, built if it is not there or not of today's sources. Raises PackageError."""
    output = output or folder / ("collector.zip" if platform == "lambda" else f"collector-{platform}.zip")
    stamp = output.with_suffix(".json")
    wanted = {"inputs": _digest(platform, sources=True)}
    if _stamped(output) == wanted["inputs"]:
        return output
    packages = _downloaded(folder) if platform == "lambda" else _installed()
    output.parent.mkdir(parents=True, exist_ok=True)
    # Two builds at once, as of two test workers, must not write into each other's.
    unfinished = output.with_suffix(f".{os.getpid()}.unfinished")
    unzipped = _write(unfinished, {**packages, **_sources()})
    _check_size(unfinished.stat().st_size, unzipped)
    unfinished.replace(output)
    wanted["sha256"] = hashlib.sha256(output.read_bytes()).hexdigest()
    stamp.write_text(json.dumps(wanted) + "\n", encoding="utf-8")
    return output


def _stamped(output: Path) -> str | None:
    """The inputs of the zip at `output`; None if it is not there, or is not what was built."""
    try:
        stamp = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
        intact = hashlib.sha256(output.read_bytes()).hexdigest() == stamp["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return stamp["inputs"] if intact else None


def _digest(platform: Platform, *, sources: bool) -> str:
    """A hash of all that decides what is in the zip, or, without `sources`, what is installed into it."""
    digest = hashlib.sha256(f"{platform} {PYTHON_VERSION if platform == 'lambda' else sys.version}\n".encode())
    files = {REQUIREMENTS.as_posix(): ROOT / REQUIREMENTS, "infra/packaging.py": Path(__file__)}
    for name, path in sorted({**files, **(_sources() if sources else {})}.items()):
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _sources() -> dict[str, Path]:
    """The project's own modules that the handler imports, and those that they import, by their names in the zip.

    The rest of the collector is for a terminal and needs packages that the zip has not, such as click and pyarrow.
    """
    found: dict[str, Path] = {}
    waiting = [HANDLER_MODULE]
    while waiting:
        module = waiting.pop()
        parts = module.split(".")
        # Importing a module runs the packages around it first.
        waiting += [".".join(parts[:-1])] if len(parts) > 1 else []
        for name in ("/".join(parts) + ".py", "/".join([*parts, "__init__.py"])):
            if (ROOT / name).is_file() and name not in found:
                found[name] = ROOT / name
                waiting += _imported(ROOT / name)
    return found


def _imported(path: Path) -> Iterator[str]:
    """What the module at `path` imports of this project; of `from package import name`, the package and the name."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{name}" for name in names)]
        yield from (name for name in names if name.split(".")[0] in ("functions", "tickerlake"))


def _needed(name: str) -> bool:
    *folders, file = name.split("/")
    if folders and folders[0].endswith(".dist-info"):
        # Packages look themselves up in it. RECORD lists files that are left out, in an order of pip's own.
        return file not in {"RECORD", "REQUESTED", "INSTALLER", "direct_url.json"}
    return not (_NO_FOLDERS.intersection(folders) or name.endswith(_NO_SUFFIXES) or name.startswith(_NO_PREFIXES))


def _downloaded(folder: Path) -> dict[str, Path]:
    """The function's packages for Lambda, by their names in the zip, installed below `folder` if they are not there."""
    site = folder / "site" / _digest("lambda", sources=False)[:16]
    if not site.is_dir():
        unfinished = site.with_suffix(f".{os.getpid()}.unfinished")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        command += ["--target", str(unfinished), "--requirement", str(ROOT / REQUIREMENTS), "--no-deps"]
        command += ["--only-binary=:all:", "--python-version", PYTHON_VERSION, "--implementation", "cp"]
        command += [argument for tag in _PLATFORM_TAGS for argument in ("--platform", tag)]
        # pip holds Requires-Python against the Python it runs on, not against the one it is told of:
        # https://github.com/pypa/pip/issues/12216
        command += ["--ignore-requires-python"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
        if done.returncode:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise PackageError(f"pip could not install {REQUIREMENTS} for Lambda:\n{done.stderr.strip()}")
        unfinished.replace(site)
    found = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    return {name: path for name, path in found.items() if _needed(name)}


def _installed() -> dict[str, Path]:
    """The function's packages as they are installed for the Python that runs this, by their names in the zip."""
    lines = (ROOT / REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    packages = [match[1] for line in lines if (match := re.match(r"([A-Za-z0-9._-]+)==", line))]
    found = {
        file.as_posix(): Path(str(file.locate()))
        for package in packages
        for file in importlib.metadata.files(package) or ()
    }
    return {name: path for name, path in found.items() if not name.startswith("..") and _needed(name)}


def _write(output: Path, files: dict[str, Path]) -> int:
    """Writes `files` to the zip `output`: sorted, of one date and one mode. Returns their size unzipped."""
    size = 0
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            if name == _WITH_SYMBOLS:
                content = without_symbols(content)
            size += len(content)
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.create_system = 3  # Unix: on Windows it would be another byte, and no modes
            entry.external_attr = (0o100755 if ".so" in Path(name).suffixes else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return size


def without_symbols(content: bytes) -> bytes:
    """The shared object `content` without what no loader reads: the sections behind its last segment.

    Done here rather than by `strip`, which is not everywhere, knows not every machine, and differs between versions,
    so that two builds would not be the same. Layout: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
    """
    if content[:6] != b"\x7fELF\x02\x01":
        raise PackageError(f"{_WITH_SYMBOLS} is not a 64-bit little-endian ELF file; the wheel has changed")
    offset, size, count = struct.unpack_from("<Q", content, 32)[0], *struct.unpack_from("<HH", content, 54)
    segments: Iterator[tuple[int, int]] = (
        (start, length)
        for number in range(count)
        for start, length in [
            (
                struct.unpack_from("<Q", content, offset + number * size + 8)[0],
                struct.unpack_from("<Q", content, offset + number * size + 32)[0],
            )
        ]
    )
    header = bytearray(content[:64])
    struct.pack_into("<Q", header, 40, 0)  # no table of sections,
    struct.pack_into("<HHH", header, 58, 0, 0, 0)  # of no entries, without names
    return bytes(header) + content[64 : max(start + length for start, length in segments)]


def _check_size(zipped: int, unzipped: int) -> None:
    if zipped > ZIP_LIMIT or unzipped > UNZIPPED_LIMIT:
        raise PackageError(
            f"the zip has {zipped / MIB:.1f} MiB and {unzipped / MIB:.1f} unzipped; Lambda takes "
            f"{UNZIPPED_LIMIT / MIB:.0f} unzipped, and {ZIP_LIMIT // MIB} is what this project allows itself; "
            f"see what grew in {REQUIREMENTS}"
        )


def main() -> None:
    """`python -m infra.packaging`."""
    parser = argparse.ArgumentParser(prog="python -m infra.packaging", description="Build the collector's zip.")
    parser.add_argument("--platform", choices=["lambda", "host"], default="lambda", help="what it is to run on")
    parser.add_argument("--output", type=Path, help="where it is put; build/collector.zip unless told otherwise")
    arguments = parser.parse_args()
    try:
        path = build(arguments.platform, arguments.output)
    except PackageError as error:
        sys.exit(f"infra.packaging: {error}")
    with zipfile.ZipFile(path) as archive:
        unzipped = sum(entry.file_size for entry in archive.infolist())
    sys.stdout.write(
        f"{path}: {path.stat().st_size / MIB:.1f} MiB, {unzipped / MIB:.1f} unzipped, "
        f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
    )


if __name__ == "__main__":
    main()
