"""What every test has: no way to the internet, and a Yahoo server of our own where it asks for one."""

from __future__ import annotations

import socket

import pytest

from tests.fakes.yahoo import running_yahoo


@pytest.fixture(autouse=True)
def _no_way_to_the_internet(monkeypatch):
    # curl is C and does not pass by pytest-socket: what is not turned to loopback meets a port where nobody listens.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{nobody.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1,localhost")
        yield


@pytest.fixture
def yahoo():
    with running_yahoo() as server:
        yield server
