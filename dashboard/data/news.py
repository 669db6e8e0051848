"""What the rules of `[[alerts]]` say about today's session, and the watcher that a visitor may start and stop."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import streamlit as st

from dashboard import clock
from dashboard.data.lake import Lake
from tickerlake import alerting, exchange, watchlist
from tickerlake.alerts import Day, Message, Rule, Told, judge, rules
from tickerlake.lake.layout import Layout
from tickerlake.lake.presence import Watcher, running
from tickerlake.query.engines.duckdb import DuckDBEngine


def messages(lake: Lake, told: list[Told] | None) -> tuple[list[Message], list[Told]]:
    """What is news since `told`, and what has been told then. ConfigError, QueryFailed."""
    wanted = rules(watchlist.alerts(lake.layout.config), f"{lake.layout.config}: ")
    if not wanted:
        return [], []
    today = exchange.exchange_date(clock.now())
    days = _days(lake.settings.lake, wanted, today, lake.fingerprint(today, today))
    return judge(wanted, days, told or [])


def watcher(folder: Path) -> Watcher | None:
    """The watcher that runs on the lake in `folder`."""
    return running(Layout(folder).watching)


def start_watcher(folder: Path) -> None:
    """Start `tickerlake watch` on the lake in `folder`, with a log there. It outlives the dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    with Layout(folder).watch_log.open("w", encoding="utf-8") as log:
        subprocess.Popen(  # noqa: S603  # our own command
            [sys.executable, "-m", "tickerlake", "watch", "--lake", str(folder.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )


def stop_watcher(folder: Path) -> None:
    """End the watcher of the lake in `folder`. What it stored stays."""
    found = running(Layout(folder).watching)
    if found and found.process:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(found.process, signal.SIGTERM)


def last_words(folder: Path) -> str:
    """The last line of the log of the watcher that the dashboard started; empty without one."""
    try:
        return Layout(folder).watch_log.read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
    except OSError:
        return ""


@st.cache_data(max_entries=4, show_spinner=False)
def _days(folder: Path, wanted: tuple[Rule, ...], today: dt.date, fingerprint: str | None) -> list[Day]:  # noqa: ARG001
    return alerting.days(DuckDBEngine(folder), wanted, clock.now())
