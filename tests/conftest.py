"""Fixtures for all tests: no internet, and a fake Yahoo server on request."""

from __future__ import annotations

import gc
import os
import signal
import socket
from functools import partial
from pathlib import Path

import duckdb
import pytest
from xdist.scheduler import LoadFileScheduling

from tests.fakes.yahoo import running_yahoo

# On one thread the small lakes of tests take DuckDB two thirds of the CPU time; every core has a worker of its own.
duckdb.connect = partial(duckdb.connect, config={"threads": 1})


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores, since many tests wait for a server or a browser."""
    return (os.cpu_count() or 1) + 1


# Files that share what takes long to make: an emulator of AWS, what the program registers.
_TOGETHER = ("tests/cloud/test_path.py", "tests/cloud/test_access.py"), ("tests/infra/",)


class _ByFile(LoadFileScheduling):
    """One worker runs all tests of a file, and of the files that share something."""

    def _split_scope(self, nodeid: str) -> str:
        return next((each[0] for each in _TOGETHER if nodeid.startswith(each)), super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByFile:
    return _ByFile(config, log)


# The files that take longest, so that no worker is left alone with one at the end.
_FIRST = (
    "cloud/test_path.py",
    "dashboard/test_browser.py",
    "cloud/test_access.py",
    "infra/test_registrations.py",
    "dashboard/test_pages.py",
    "oracle/test_histories.py",
    "forecast/test_making.py",
    "test_watch.py",
    "cli/test_collect.py",
    "test_soak.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    ranks = {here / name: rank for rank, name in enumerate(_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    # What has been imported by now stays, so the collector need not look through it for garbage, nor look often.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def _no_internet(monkeypatch):
    # pytest-socket cannot stop curl, which is C. A proxy on a port that does not listen can.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture
def every_thread(monkeypatch):
    """DuckDB uses all cores, as in the user's process; then the order of rows that no ORDER BY decides is open."""
    monkeypatch.setattr(duckdb, "connect", duckdb.connect.func)


@pytest.fixture
def yahoo():
    with running_yahoo() as server:
        yield server


@pytest.fixture(scope="module")
def athena_server():
    from tests.fakes.athena import running_athena  # few tests need it, and it is slow to import

    with running_athena() as server:
        yield server


@pytest.fixture
def athena(athena_server, monkeypatch):
    """An Athena of our own, which has heard nothing yet, and to which boto3 is pointed."""
    athena_server.forget()
    for name, value in athena_server.environment().items():
        monkeypatch.setenv(name, value)
    return athena_server


@pytest.fixture
def interruptible():
    """What a shell starts in the background ignores interrupts, and so would the commands that tests start there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
