"""What the rules of `[[alerts]]` say about today's session, and the watcher that a visitor may start and stop."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import clock
from dashboard.data.lake import Lake
from tickerlake import alerting, exchange, watchlist
from tickerlake.alerts import Day, Message, Rule, Sent, judge, rules
from tickerlake.lake.layout import Layout
from tickerlake.lake.presence import Watcher, running
from tickerlake.query.engines.duckdb import DuckDBEngine


def messages(lake: Lake, sent: list[Sent] | None) -> tuple[list[Message], list[Sent]]:
    """What is news since `sent`, and what has been sent then. ConfigError, QueryFailed."""
    asked = wanted(lake)
    if not asked:
        return [], []
    days = []
    for place in exchange.all_of(lake.watchlist()):
        today = place.date_at(clock.now())
        days += _days(lake.settings.lake, asked, place.code, today, lake.fingerprint(today, today))
    return judge(asked, days, sent or [])


def wanted(lake: Lake) -> tuple[Rule, ...]:
    """The rules of the lake. ConfigError."""
    return rules(watchlist.alerts(lake.layout.config), f"{lake.layout.config}: ")


def add(lake: Lake, entry: dict[str, Any]) -> None:
    """Add a rule to the lake's `tickerlake.toml`. ConfigError for one that cannot be used, TickerlakeError."""
    rules([entry])
    watchlist.add_alert(lake.layout.config, entry)


def remove(lake: Lake, place: int) -> None:
    """Remove the rule at `place`. TickerlakeError."""
    watchlist.remove_alert(lake.layout.config, place)


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
def _days(
    folder: Path,
    asked: tuple[Rule, ...],
    code: str,
    today: dt.date,  # noqa: ARG001
    fingerprint: str | None,  # noqa: ARG001
) -> list[Day]:
    return alerting.days(DuckDBEngine(folder), asked, clock.now(), exchange.EXCHANGES[code])
