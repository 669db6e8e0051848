"""A real browser on a real server: what the browser tests and the screenshots share."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from dashboard.clock import VARIABLE

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb")
PATIENCE = 30
# urlopen keeps the proxies of the environment in which it was first called.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def executable() -> str | None:
    """The browser: the system's, else the one that Playwright installed, else None."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """A browser without a window. RuntimeError where there is none."""
    path = executable()
    if path is None:
        raise RuntimeError(f"found no Chromium; install one ({', '.join(NAMES)}), or: playwright install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def serving(
    lake: Path,
    now: dt.datetime,
    log: Path,
    environment: Mapping[str, str] | None = None,
    script: str = "dashboard/app.py",
    port: int | None = None,
) -> Iterator[str]:
    """The dashboard on `lake`, its clock stopped at `now`, or another script; gives its address on loopback."""
    port = port or free_port()
    settings = {"LAKE_DIR": str(lake), VARIABLE: now.isoformat(), **(environment or {})}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LAKE_", "STREAMLIT_"))}
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", script,
             "--server.port", str(port), "--server.fileWatcherType", "none"],
            cwd=ROOT, env=inherited | settings, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(10)


def free_port() -> int:
    """A port of loopback where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def settled(page: Page) -> Page:
    """`page`, once its script has run and its charts are drawn."""
    return waited(
        page,
        """() => document.querySelector('h1')
            && document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]')
            && [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')]
                .every(chart => chart.querySelector('.marks'))
            && !document.querySelector('[data-testid="stSkeleton"]')
            && !document.querySelector('[data-stale="true"]')""",
    )


def waited(page: Page, condition: str, argument: object = None) -> Page:
    """`page`, in the first frame where `condition` holds.

    Playwright asks for a selector or a locator less and less often, in the end every 500 ms.
    """
    page.wait_for_function(condition, arg=argument, timeout=PATIENCE * 1000)
    return page


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError), _DIRECT.open(address, timeout=2) as answer:
            if answer.status == 200:
                return
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the dashboard did not start: {log.read_text()[-2000:]}")
