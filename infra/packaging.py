"""Builds the zip of all functions. The same sources give the same bytes on any machine.

    python -m infra.packaging [--platform lambda|host] [--output build/collector.zip]

`host` builds for the Python that runs this, from the packages installed there, and downloads nothing: for an emulator
of Lambda.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tickerlake.errors import TickerlakeError

Platform = Literal["lambda", "host"]

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
REQUIREMENTS = ROOT / "functions" / "collector" / "requirements.txt"
HANDLER_MODULE = "functions.collector.handler"
PYTHON_VERSION = "3.13"
MIB = 1024 * 1024
ZIP_LIMIT = 45 * MIB
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
UNZIPPED_LIMIT = 250_000_000

OWN = ("tickerlake/**/*.py", "functions/**/*.py", "queries/**/*.sql")
"""The project's own files in the zip."""
# What only a terminal uses; it needs packages that the zip does not have.
_LEFT_OUT = (
    "tickerlake/_bundle/",
    "tickerlake/cli/",
    "tickerlake/importers/",
    *(f"tickerlake/query/engines/{engine}.py" for engine in ("athena", "duckdb", "trino")),
)
_SKIPPED_FOLDERS = frozenset({"__pycache__", "bin", "sboms", "test", "tests"})
_SKIPPED_SUFFIXES = (".pyc", ".pyi", ".pyx", ".pxd", ".h", ".c", ".lock")
_SKIPPED_PREFIXES = ("numpy/f2py/", "lxml/includes/", "aws_lambda_powertools/event_handler/openapi/swagger_ui/")
# It carries 30 MB of debug symbols. The others are small, and numpy's openblas breaks when it is stripped.
_WITH_SYMBOLS = "curl_cffi/_wrapper.abi3.so"
_OLDEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class PackageError(TickerlakeError):
    """The collector's zip could not be built."""


@dataclass(frozen=True)
class Package:
    """A zip for Lambda, and its hash."""

    path: Path
    sha256: str


def package(prebuilt: str = "") -> Package:
    """The zip at `prebuilt`, or else the one for Lambda, built if its sources have changed. Raises PackageError."""
    path = Path(prebuilt) if prebuilt else build()
    return Package(path, hashlib.sha256(path.read_bytes()).hexdigest())


def build(platform: Platform = "lambda", output: Path | None = None, folder: Path = BUILD) -> Path:
    """The path of the zip for `platform`, built unless it is there and up to date. Raises PackageError."""
    output = output or folder / ("collector.zip" if platform == "lambda" else f"collector-{platform}.zip")
    sources = _sources()
    inputs = _digest(platform, sources)
    if is_current(output, inputs):
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    # Another process may be building the same zip.
    unfinished = output.with_suffix(f".{os.getpid()}.unfinished")
    with tempfile.TemporaryDirectory() as site:
        packages = _downloaded(Path(site)) if platform == "lambda" else _installed()
        # What runs on this machine only need not be small, and is built in a third of the time.
        level = None if platform == "lambda" else 1
        unzipped = _write(unfinished, {**packages, **sources}, comment=inputs, level=level)
    if platform == "lambda":
        _check_size(unfinished.stat().st_size, unzipped)
    return unfinished.replace(output)


def is_current(output: Path, inputs: str | None = None) -> bool:
    """Whether the zip at `output` was built from `inputs`, by default today's sources for Lambda."""
    try:
        with zipfile.ZipFile(output) as archive:
            return archive.comment.decode() == (inputs or _digest("lambda", _sources()))
    except (OSError, zipfile.BadZipFile):
        return False


def _sources() -> dict[str, Path]:
    """The project's own modules by their names in the zip."""
    found = {path.relative_to(ROOT).as_posix(): path for pattern in OWN for path in ROOT.glob(pattern)}
    return {name: path for name, path in found.items() if not name.startswith(_LEFT_OUT)}


def _digest(platform: Platform, sources: Mapping[str, Path]) -> str:
    """A hash of everything that decides what the zip holds."""
    digest = hashlib.sha256(f"{platform} {PYTHON_VERSION if platform == 'lambda' else sys.version}\n".encode())
    for name, path in sorted({**sources, "requirements": REQUIREMENTS, "packaging": Path(__file__)}.items()):
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _downloaded(site: Path) -> dict[str, Path]:
    """The Lambda's packages by their names in the zip, installed into `site`."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(site), "--no-deps"]
    command += ["--python-platform", "aarch64-manylinux_2_28", "--python-version", PYTHON_VERSION]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirements", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    if done.returncode:
        raise PackageError(f"uv could not install {REQUIREMENTS.relative_to(ROOT)} for Lambda:\n{done.stderr.strip()}")
    return {
        name: path
        for path in site.rglob("*")
        if path.is_file() and _is_needed(name := path.relative_to(site).as_posix())
    }


def _installed() -> dict[str, Path]:
    """The Lambda's packages, as installed for the Python that runs this, by their names in the zip."""
    packages = re.findall(r"^([A-Za-z0-9._-]+)==", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        name: Path(str(file.locate()))
        for package in packages
        for file in importlib.metadata.files(package) or ()
        if not (name := file.as_posix()).startswith("..") and _is_needed(name)
    }


def _is_needed(name: str) -> bool:
    *folders, file = name.split("/")
    if folders and folders[0].endswith(".dist-info"):
        # Packages read their own metadata. These files name the installer or what is left out here.
        return file not in {"RECORD", "REQUESTED", "INSTALLER", "direct_url.json"} and "sboms" not in folders
    return not (
        _SKIPPED_FOLDERS.intersection(folders) or name.endswith(_SKIPPED_SUFFIXES) or name.startswith(_SKIPPED_PREFIXES)
    )


def _write(output: Path, files: Mapping[str, Path], comment: str, level: int | None) -> int:
    """Writes `files` to the zip `output`, sorted, with fixed dates and modes. Returns their size unzipped."""
    size = 0
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment.encode()
        for name, path in sorted(files.items()):
            content = path.read_bytes()
            if name == _WITH_SYMBOLS:
                content = without_symbols(content)
            size += len(content)
            entry = zipfile.ZipInfo(name, _OLDEST_ZIP_DATE)
            entry.create_system = 3  # Unix; Windows would write another byte, and no modes
            entry.external_attr = (0o100755 if ".so" in Path(name).suffixes else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=level)
    return size


def without_symbols(content: bytes) -> bytes:
    """The shared object `content` without the sections behind its last segment, which no loader reads.

    Not done with `strip`: it is not installed everywhere, does not know every machine, and its output differs between
    versions. Layout: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
    """
    if content[:6] != b"\x7fELF\x02\x01":
        raise PackageError(f"{_WITH_SYMBOLS} is not a 64-bit little-endian ELF file; the wheel has changed")
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    end = 64
    for segment in range(table, table + count * size, size):
        (start,), (length,) = (
            struct.unpack_from("<Q", content, segment + 8),
            struct.unpack_from("<Q", content, segment + 32),
        )
        end = max(end, start + length)
    header = bytearray(content[:64])
    struct.pack_into("<Q", header, 40, 0)  # no section table,
    struct.pack_into("<HHH", header, 58, 0, 0, 0)  # with no entries and no names
    return bytes(header) + content[64:end]


def _check_size(zipped: int, unzipped: int) -> None:
    if zipped > ZIP_LIMIT or unzipped > UNZIPPED_LIMIT:
        raise PackageError(
            f"the zip is {zipped / MIB:.1f} MiB, {unzipped / MIB:.1f} MiB unzipped; this project allows "
            f"{ZIP_LIMIT // MIB} MiB and Lambda {UNZIPPED_LIMIT / MIB:.0f} MiB unzipped; "
            f"see what grew in {REQUIREMENTS.relative_to(ROOT)}"
        )


def main() -> None:
    """`python -m infra.packaging`."""
    parser = argparse.ArgumentParser(prog="python -m infra.packaging", description="Build the collector's zip.")
    parser.add_argument("--platform", choices=["lambda", "host"], default="lambda", help="where the zip will run")
    parser.add_argument("--output", type=Path, help="where to write the zip (default: build/collector.zip)")
    arguments = parser.parse_args()
    try:
        built = package(str(build(arguments.platform, arguments.output)))
    except PackageError as error:
        sys.exit(f"error: {error}")
    with zipfile.ZipFile(built.path) as archive:
        unzipped = sum(entry.file_size for entry in archive.infolist())
    sys.stdout.write(
        f"{built.path}: {built.path.stat().st_size / MIB:.1f} MiB, {unzipped / MIB:.1f} MiB unzipped, "
        f"sha256 {built.sha256}\n"
    )


if __name__ == "__main__":
    main()
