"""One collection at a time, in a thread of the server: started by a visitor, watched and stopped by any."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from dashboard.data.lake import Lake
from tickerlake import symbols
from tickerlake.collect import SessionReport, collect, refuse_too_old
from tickerlake.errors import ConfigError, TickerlakeError
from tickerlake.exchange import Session
from tickerlake.lake.parquet import ParquetSink, sources_held
from tickerlake.sources import Source

BAR_MINUTES = 5


REAL_LAKE = Path("lake")
"""Where real bars go when the lake on the page is a simulated one."""


@dataclass
class Job:
    """One collection: what was asked, how far it is, what came of it. Written by its thread, read by pages."""

    target: Path
    wanted: list[Session]
    tickers: tuple[str, ...]
    started: dt.datetime
    windows: int = 1
    answered: int = 0
    latest: str = ""
    reports: list[SessionReport] = field(default_factory=list)
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    stopped_by_person: bool = False
    thread: threading.Thread | None = None

    @property
    def asked(self) -> int:
        """How many answers there will be."""
        return len({symbols.current_symbol(ticker) for ticker in self.tickers}) * self.windows

    @property
    def is_running(self) -> bool:
        """Whether its thread still works."""
        return self.thread is not None and self.thread.is_alive()


@dataclass
class Desk:
    """Where the one job of this server lies, until the next takes its place."""

    job: Job | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """The server's one desk."""
    return Desk()


def open_source() -> Source:
    """The source to collect from. Imported when it is asked: yfinance takes a second to load."""
    from tickerlake.sources.yahoo import YahooSource  # noqa: PLC0415

    return YahooSource()


def destination(lake: Lake) -> Path:
    """The folder that real bars go into: the lake on the page, unless its bars are simulated."""
    return REAL_LAKE if "simulated" in sources_held(lake.settings.lake) else lake.settings.lake


def start(
    target: Path, wanted: list[Session], tickers: tuple[str, ...], source: Source, now: Callable[[], dt.datetime]
) -> Job:
    """Starts a collection in a thread of its own. ConfigError where one runs, or the bars cannot be had or stored."""
    refuse_too_old(source, wanted, BAR_MINUTES, now())
    sink = ParquetSink(target)
    sink.check_sources({source.name})
    current = desk()
    with current.lock:
        if current.job is not None and current.job.is_running:
            raise ConfigError("a collection is running already; wait for it or stop it")
        job = Job(target, wanted, tickers, now())
        length = source.sessions_per_request(BAR_MINUTES)
        job.windows = -(-len(wanted) // length)
        job.thread = threading.Thread(target=_work, args=(job, source, sink, now), name="collect", daemon=True)
        current.job = job
        job.thread.start()
    return job


def _work(job: Job, source: Source, sink: ParquetSink, now: Callable[[], dt.datetime]) -> None:
    def on_answer(symbol: str) -> None:
        job.latest = symbol
        job.answered += 1

    try:
        job.reports = collect(
            source,
            sink,
            job.wanted,
            job.tickers,
            BAR_MINUTES,
            now,
            on_answer=on_answer,
            stop=job.stop,
        )
    except TickerlakeError as error:
        job.error = str(error)
