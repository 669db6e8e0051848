"""What the dashboard reads of the lake: named queries, each answer kept until the lake changes.

A local lake is known by its files, so an answer holds until a file of the sessions asked for comes or goes. A cloud
lake is asked again every few minutes, in the background: the old answer stays on the page until the new one is here.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from dashboard import clock
from tickerlake.errors import TickerlakeError
from tickerlake.exchange import sessions_between
from tickerlake.query import Engine, Settings, open_engine, run
from tickerlake.query.runner import EVERY_TICKER

ANSWERS_KEPT = 128
_CLOUD_REFRESH = dt.timedelta(minutes=5)
"""Bars come every five minutes; asking more often costs and tells nothing new."""
_ON_THEIR_WAY = dt.timedelta(minutes=10)


class Answer(NamedTuple):
    """What a query gave, and when it was asked."""

    frame: pd.DataFrame
    asked_at: dt.datetime
    seconds: float
    bytes_scanned: int | None
    query_id: str | None


@dataclass(frozen=True)
class Lake:
    """The lake that the settings name."""

    settings: Settings

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder of this machine."""
        return self.settings.engine == "duckdb"

    @property
    def name(self) -> str:
        """The lake as a person would name it."""
        return f"{self.settings.lake}/" if self.is_local else _engine(self.settings).lake

    def ask(
        self,
        query: str,
        first: dt.date | None = None,
        last: dt.date | None = None,
        tickers: tuple[str, ...] = (EVERY_TICKER,),
        now: dt.datetime | None = None,
    ) -> Answer:
        """The answer to `query`; see `queries.run` for its arguments and errors."""
        if self.is_local:
            return _from_folder(self.settings, query, first, last, tickers, now, self._fingerprint(first, last))
        return _from_cloud(self.settings, query, first, last, tickers, now)

    def sessions(self) -> pd.DataFrame:
        """The sessions held, newest first: the columns of the query `sessions`. LakeEmpty where there is none."""
        return self.ask("sessions").frame.iloc[::-1].reset_index(drop=True)

    @staticmethod
    def counted_until(last: dt.date, now: dt.datetime) -> dt.datetime:
        """The `now` for a question about coverage up to session `last`: it only moves while that session runs.

        The bars of the last minutes may be on their way and are not missed yet.
        """
        close = max((session.close for session in sessions_between(last, last)), default=now)
        due = now - _ON_THEIR_WAY
        return min(close, due.replace(minute=due.minute // 5 * 5, second=0, microsecond=0))

    def files(self, kind: str = "bars") -> list[Path]:
        """The files of a local lake: `bars` or `rejected`."""
        pattern = "dt=*/*.parquet" if kind == "bars" else "*.jsonl"
        return sorted((self.settings.lake / kind).glob(pattern))

    def _fingerprint(self, first: dt.date | None, last: dt.date | None) -> str:
        """What tells the files that an answer depends on from those of any other time."""
        bars = self.settings.lake / "bars"
        if first and last:
            folders = [bars / f"dt={first + dt.timedelta(days=n)}" for n in range((last - first).days + 1)]
        else:
            folders = sorted(bars.glob("dt=*"))
        found = hashlib.blake2b(digest_size=16)
        for folder in folders:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda each: each.name):
                    if entry.name.endswith(".parquet"):
                        facts = entry.stat()
                        found.update(f"{folder.name}/{entry.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
        return found.hexdigest()


def current() -> Lake:
    """The lake of this visit: of the environment, unless the visitor turned to another."""
    settings = Settings.from_environment()
    turned_to: Path | None = st.session_state.get("lake")
    return Lake(Settings(engine=settings.engine, lake=turned_to) if turned_to else settings)


def open_early() -> None:
    """Opens the engine before the first question. Faulty settings are told on the page, not here."""
    with contextlib.suppress(TickerlakeError):
        _engine(Settings.from_environment())


@st.cache_resource(show_spinner=False)
def _engine(settings: Settings) -> Engine:
    return open_engine(settings)


def _ask(
    settings: Settings,
    query: str,
    first: dt.date | None,
    last: dt.date | None,
    tickers: tuple[str, ...],
    now: dt.datetime | None,
) -> Answer:
    result = run(_engine(settings), query, first=first, last=last, tickers=tickers, now=now)
    return Answer(result.frame, clock.now(), result.seconds, result.bytes_scanned, result.query_id)


@st.cache_data(max_entries=ANSWERS_KEPT, show_spinner=False)
def _from_folder(
    settings: Settings,
    query: str,
    first: dt.date | None,
    last: dt.date | None,
    tickers: tuple[str, ...],
    now: dt.datetime | None,
    fingerprint: str,  # noqa: ARG001  # part of the key, so that a new file makes a new answer
) -> Answer:
    return _ask(settings, query, first, last, tickers, now)


@st.cache_data(
    ttl=_CLOUD_REFRESH, refresh_mode="background", max_entries=ANSWERS_KEPT, show_spinner="Asking the lake …"
)
def _from_cloud(
    settings: Settings,
    query: str,
    first: dt.date | None,
    last: dt.date | None,
    tickers: tuple[str, ...],
    now: dt.datetime | None,
) -> Answer:
    return _ask(settings, query, first, last, tickers, now)
