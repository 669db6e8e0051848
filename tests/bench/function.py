"""How long the collector's Lambda takes to start, and how large its zip is."""

from __future__ import annotations

import io
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from infra.packaging import HANDLER_MODULE, MIB, build
from tests.bench.timing import Row, pair, process
from tests.infra.test_packaging import RUNTIME

_PACKAGES = Path(sysconfig.get_paths()["purelib"])
_IMPORT = f"import {HANDLER_MODULE}"
_BOTO3 = "import boto3; boto3.client('firehose', region_name='us-east-1')"


def function_start() -> Iterator[Row]:
    """Importing the handler from its zip against boto3 with one client, both without this environment's packages."""
    with tempfile.TemporaryDirectory() as folder:
        task, runtime = Path(folder) / "task", Path(folder) / "runtime"
        with zipfile.ZipFile(build("host")) as archive:
            archive.extractall(task)
        runtime.mkdir()
        for name in RUNTIME:
            (runtime / name).symlink_to(_PACKAGES / name)
        # -S keeps packages out that the zip lacks, such as pyarrow. The zip holds no bytecode, and Lambda's folder is
        # read-only, so that every cold start compiles (-B); a copy with bytecode shows what that costs.
        for what, flags in (("as in Lambda", ("-I", "-S", "-B")), ("with cached bytecode", ("-I", "-S"))):
            taken = pair(
                process(*flags, "-c", f"import sys; sys.path += [{str(task)!r}, {str(runtime)!r}]; {_IMPORT}"),
                process(*flags, "-c", f"import sys; sys.path += [{str(runtime)!r}]; {_BOTO3}"),
                runs=3,
            )
            figure, baseline = f"{taken.figure:.2f} s", f"boto3 with a client {taken.baseline:.2f} s"
            yield Row(f"the Lambda's cold import, {what}", figure, baseline, taken.ratio, "3.0")


def function_size() -> Iterator[Row]:
    """The zip for this platform against a zip of boto3 and what it needs."""
    ours = build("host").stat().st_size
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in RUNTIME:
            files = [_PACKAGES / name] if name.endswith(".py") else (_PACKAGES / name).rglob("*")
            for path in files:
                if path.is_file() and path.suffix != ".pyc":
                    archive.write(path, path.relative_to(_PACKAGES))
    boto3 = len(buffer.getvalue())
    yield Row(
        "the Lambda's zip", f"{ours / MIB:.1f} MiB", f"boto3 zipped {boto3 / MIB:.1f} MiB", f"{ours / boto3:.2f}", "3.0"
    )
