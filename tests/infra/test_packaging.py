"""The collector's zip: the same bytes each time, rebuilt only when its sources change, complete, and small enough."""

import hashlib
import http.server
import struct
import subprocess
import sys
import sysconfig
import threading
import zipfile
from pathlib import Path

import pytest

from infra import packaging
from infra.packaging import MIB, PackageError, build, package

LAMBDA_ZIP = packaging.BUILD / "collector.zip"
AARCH64 = 183
# Comes with the Lambda runtime, so the zip does not hold it.
RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "jmespath", "urllib3", "six.py")


@pytest.fixture(scope="module")
def host_zip():
    """The one that the emulator runs."""
    return build("host")


@pytest.fixture
def two_files(tmp_path, monkeypatch):
    """A project of one module and one package, so that a build takes no time."""
    module = tmp_path / "handler.py"
    module.write_text("handler = None\n", encoding="utf-8")
    wheel = tmp_path / "wheel.py"
    wheel.write_text("wheel = None\n", encoding="utf-8")
    monkeypatch.setattr(packaging, "_sources", lambda: {"functions/handler.py": module})
    monkeypatch.setattr(packaging, "_installed", lambda: {"wheel.py": wheel})
    return module


def names(path):
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_two_builds_are_the_same_byte_for_byte(tmp_path, monkeypatch):
    some = dict(sorted(packaging._installed().items())[::20])
    monkeypatch.setattr(packaging, "_installed", lambda: some)
    one, two = (build("host", folder=tmp_path / name) for name in ("one", "two"))

    assert len(names(one)) > len(some) > 100
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(two.read_bytes()).digest()


@pytest.mark.usefixtures("two_files")
def test_an_unchanged_zip_is_not_built_again(tmp_path):
    first = build("host", folder=tmp_path)
    written = first.stat().st_mtime_ns

    assert build("host", folder=tmp_path) == first
    assert first.stat().st_mtime_ns == written


def test_a_changed_source_gives_a_zip_with_another_hash(two_files, tmp_path):
    before = package(str(build("host", folder=tmp_path))).sha256
    two_files.write_text("handler = print\n", encoding="utf-8")

    assert package(str(build("host", folder=tmp_path))).sha256 != before


@pytest.mark.usefixtures("two_files")
def test_a_truncated_zip_is_built_again(tmp_path):
    path = build("host", folder=tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])

    assert build("host", folder=tmp_path).read_bytes() == whole


def test_entries_have_one_date_one_order_and_one_mode(host_zip):
    with zipfile.ZipFile(host_zip) as archive:
        entries = archive.infolist()

    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644, 0o100755}


def test_it_holds_the_handler_and_the_package_without_what_only_a_terminal_needs(host_zip):
    own = {name for name in names(host_zip) if name.startswith(("functions/", "tickerlake/"))}
    engines = [name for name in own if name.startswith("tickerlake/query/engines/")]

    assert {"functions/collector/handler.py", "functions/compactor/handler.py", "tickerlake/lake/firehose.py"} <= own
    assert not [name for name in own if name.split("/")[1] in {"_bundle", "cli", "importers"}]
    assert engines == ["tickerlake/query/engines/__init__.py"]
    assert {name.rpartition(".")[2] for name in own} == {"py"}


def test_it_holds_every_package_with_its_metadata_but_no_tests_bytecode_or_stubs(host_zip):
    inside = names(host_zip)

    assert not [name for name in inside if "/tests/" in name or name.endswith((".pyc", ".pyi", ".pyx", ".h"))]
    required = packaging.REQUIREMENTS.read_text(encoding="utf-8").count("==")
    assert len({name.split("/")[0] for name in inside if ".dist-info/METADATA" in name}) == required


def test_it_imports_from_its_own_folder_and_sends_requests_with_curl_cffi(host_zip, tmp_path):
    folder = tmp_path / "var" / "task"
    with zipfile.ZipFile(host_zip) as archive:
        archive.extractall(folder)
    runtime = tmp_path / "var" / "runtime"
    runtime.mkdir()
    for name in RUNTIME:
        (runtime / name).symlink_to(Path(sysconfig.get_paths()["purelib"]) / name)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    script = f"""
import sys; sys.path[:0] = [{str(folder)!r}]; sys.path.append({str(runtime)!r})
import functions.collector.handler as module, curl_cffi, pandas, yfinance
import functions.alerter.handler, functions.compactor.handler, functions.forecaster.handler
from yfinance import _http
answer = curl_cffi.get("http://127.0.0.1:{server.server_port}/nowhere", impersonate="chrome")
files = [item.__file__ for item in (module, curl_cffi, pandas, yfinance)]
print(callable(module.handler), _http.HAS_CURL_CFFI, answer.status_code)
print(all(name.startswith({str(folder)!r}) for name in files))
"""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", script], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert done.stdout == "True True 404\nTrue\n", done.stderr


def test_the_zip_for_lambda_is_small_enough_and_for_arm64():
    if not packaging.is_current(LAMBDA_ZIP):
        pytest.skip("build/collector.zip is missing or out of date; `make package` builds it")
    with zipfile.ZipFile(LAMBDA_ZIP) as archive:
        shared = [entry for entry in archive.infolist() if entry.filename.endswith(".so")]
        machines = {struct.unpack_from("<H", archive.read(entry), 18)[0] for entry in shared}
        unzipped = sum(entry.file_size for entry in archive.infolist())

    assert LAMBDA_ZIP.stat().st_size < 45 * MIB
    assert unzipped < 250_000_000
    assert machines == {AARCH64}


def test_a_zip_that_grew_too_large_is_refused():
    with pytest.raises(
        PackageError, match=r"the zip is 46\.0 MiB, 100\.0 MiB unzipped; .* allows 45 MiB and Lambda 238"
    ):
        packaging._check_size(46 * MIB, 100 * MIB)


def test_a_failed_install_is_reported_with_the_words_of_uv(tmp_path, monkeypatch):
    requirements = packaging.ROOT / "build" / "none.txt"
    monkeypatch.setattr(packaging, "_digest", lambda *_: "")
    monkeypatch.setattr(packaging, "REQUIREMENTS", requirements)

    with pytest.raises(PackageError, match=r"uv could not install build/none\.txt for Lambda:\n.*[Ff]ile not found.*"):
        build("lambda", folder=tmp_path)


def test_only_a_shared_object_loses_its_symbols():
    with pytest.raises(PackageError, match="is not a 64-bit little-endian ELF file"):
        packaging.without_symbols(b"#!/bin/sh" + bytes(64))


def test_a_shared_object_keeps_its_segments_and_loses_what_follows_them():
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<QQ", header, 32, 64, 500)  # where the segments and the sections are listed
    struct.pack_into("<HHHHH", header, 54, 56, 1, 64, 30, 29)
    segment = bytearray(56)
    struct.pack_into("<Q", segment, 8, 0)
    struct.pack_into("<Q", segment, 32, 200)
    content = bytes(header) + bytes(segment) + b"c" * 80 + b"debug" * 100

    stripped = packaging.without_symbols(content)

    assert stripped[64:] == content[64:200]
    assert struct.unpack_from("<QQ", stripped, 32) == (64, 0)
    assert struct.unpack_from("<HHHHH", stripped, 54) == (56, 1, 0, 0, 0)


@pytest.mark.usefixtures("two_files")
def test_the_command_prints_what_it_built(tmp_path, capsys, monkeypatch):
    output = tmp_path / "out" / "collector.zip"
    monkeypatch.setattr(sys, "argv", ["packaging", "--platform", "host", "--output", str(output)])

    packaging.main()

    sha256 = hashlib.sha256(output.read_bytes()).hexdigest()
    assert capsys.readouterr().out == f"{output}: 0.0 MiB, 0.0 MiB unzipped, sha256 {sha256}\n"
    assert names(output) == ["functions/handler.py", "wheel.py"]
