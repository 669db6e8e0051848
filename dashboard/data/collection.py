"""Collecting from the dashboard: one collection at a time, in a thread of the server.

Any visitor may start it, watch it and stop it.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from dashboard.data.lake import Lake
from tickerlake import sources
from tickerlake.collect import SessionReport, collect, refuse_too_old, request_count
from tickerlake.errors import ConfigError, TickerlakeError
from tickerlake.exchange import Session
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import SIMULATED, ParquetSink, sources_held
from tickerlake.sources import Source

BAR_MINUTES = 5
REAL_LAKE = Path("lake")
"""Where real bars go if the lake on the page is simulated."""


@dataclass
class Job:
    """One collection: its request, its progress, its result. Its thread writes it; pages read it."""

    target: Path
    sessions: list[Session]
    tickers: tuple[str, ...]
    started: dt.datetime
    is_simulated: bool = False
    requests: int = 0
    """How many it takes in all."""
    answered: int = 0
    latest: str = ""
    """The last symbol that the source answered."""
    reports: list[SessionReport] = field(default_factory=list)
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    stopped_by_visitor: bool = False
    thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether its thread is still working."""
        return self.thread is not None and self.thread.is_alive()


@dataclass
class Desk:
    """Holds the server's latest job."""

    job: Job | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """The one desk that all visitors share."""
    return Desk()


def open_source(folder: Path) -> Source:
    """Yahoo, with the options that the lake in `folder` has for it. ConfigError."""
    return sources.open_source("yahoo", Layout(folder).config)


def simulation() -> Source:
    """The source of simulated bars."""
    return sources.open_source("simulated")


def destination(lake: Lake) -> Path:
    """The folder for real bars: the lake on the page, or `REAL_LAKE` if that one is simulated."""
    return REAL_LAKE if SIMULATED in sources_held(lake.settings.lake) else lake.settings.lake


def start(
    target: Path, sessions: list[Session], tickers: tuple[str, ...], source: Source, now: Callable[[], dt.datetime]
) -> Job:
    """Start collecting. ConfigError if a collection runs, a session is too old, or the lake must not hold real bars."""
    refuse_too_old(source, sessions, BAR_MINUTES, now())
    sink = ParquetSink(target)
    sink.check_sources({source.name})
    shared = desk()
    with shared.lock:
        if shared.job is not None and shared.job.is_running:
            raise ConfigError("a collection is running; wait for it or stop it")
        job = Job(target, sessions, tickers, now(), is_simulated=source.name == SIMULATED)
        job.requests = request_count(source, sessions, tickers, BAR_MINUTES)
        job.thread = threading.Thread(target=_work, args=(job, source, sink, now), name="collect", daemon=True)
        shared.job = job
        job.thread.start()
    return job


def _work(job: Job, source: Source, sink: ParquetSink, now: Callable[[], dt.datetime]) -> None:
    def on_answer(symbol: str) -> None:
        job.latest = symbol
        job.answered += 1

    try:
        job.reports = collect(
            source, sink, job.sessions, job.tickers, BAR_MINUTES, now, on_answer=on_answer, stop=job.stop
        )
    except TickerlakeError as error:
        job.error = str(error)
