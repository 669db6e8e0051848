"""Where a watcher stores bars, and what it does there besides collecting."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from tickerlake import alerting, exchange
from tickerlake.collect import SessionReport, collect
from tickerlake.errors import LakeEmpty, RateLimited, SinkError, TickerlakeError
from tickerlake.exchange import Exchange, Session
from tickerlake.forecast.making import just_begun, make_live
from tickerlake.lake import Run, Sink
from tickerlake.lake.compaction import compact, finished
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.lake.retention import tidy
from tickerlake.lake.runs import read_runs
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.repair import forgetting, repair, total
from tickerlake.settings import Settings
from tickerlake.sources import Source


class Upkeep(Protocol):
    """Where a watcher stores bars, and what it does there besides."""

    @property
    def sink(self) -> Sink:
        """Takes the bars."""

    def runs(self, since: dt.datetime) -> Iterable[Run]:
        """What was asked from `since` on, as far as that is known."""

    def collect(
        self,
        source: Source,
        sessions: Sequence[Session],
        tickers: Sequence[str],
        bar_minutes: int,
        clock: Callable[[], dt.datetime],
        *,
        sweep: bool,
    ) -> list[SessionReport]:
        """`collect` into the sink. `sweep` says that a session is collected for the last time."""

    def after_run(self) -> None:
        """Called after each collection."""

    def after_sweep(self, source: Source, tickers: Sequence[str]) -> tuple[str, bool]:
        """Called after a sweep. Returns why it has to be repeated, or "", and whether that is a rate limit."""

    def beat(self, now: dt.datetime) -> None:
        """Called at least once a minute while nothing is due."""


class FolderUpkeep:
    """A lake in a folder: forecasts at full hours; repair, compaction and tidying after sweeps.

    `say` is called with one line for each thing worth knowing.
    """

    def __init__(self, lake: Path, clock: Callable[[], dt.datetime], say: Callable[[str], object]) -> None:
        self._layout = Layout(lake)
        self._clock = clock
        self._say = say
        self.sink = ParquetSink(lake)
        self._tickers: Sequence[str] = ()
        """Those of the last run."""
        self.sends_alerts = True
        """False while another watcher sends them."""

    def runs(self, since: dt.datetime) -> list[Run]:
        """As the lake has them."""
        return read_runs(self._layout.runs(since=since))

    def collect(
        self,
        source: Source,
        sessions: Sequence[Session],
        tickers: Sequence[str],
        bar_minutes: int,
        clock: Callable[[], dt.datetime],
        *,
        sweep: bool,  # noqa: ARG002
    ) -> list[SessionReport]:
        """`collect` into the lake."""
        self._tickers = tickers
        return collect(source, self.sink, sessions, tickers, bar_minutes, clock)

    def after_run(self) -> None:
        """Sends alerts, and stores the forecasts of the hour that has just begun, if the lake has enough history."""
        if self.sends_alerts:
            self._alert()
        for place in exchange.all_of(self._tickers):
            self._forecast(place)

    def _forecast(self, place: Exchange) -> None:
        now = self._clock()
        if just_begun(now, place) is None:
            return
        try:
            new = make_live(DuckDBEngine(self._layout.folder), now, place)
            self.sink.store_forecasts(new)
        except LakeEmpty:
            return
        except TickerlakeError as error:
            # The bars are stored; the next hour brings another forecast.
            self._tell(f"no forecast: {error}")
            return
        if len(new):
            hour, tickers = new["hour"].iloc[0], new["ticker"].nunique()
            self._tell(f"forecast of {hour}:00: {tickers} tickers")

    def _alert(self) -> None:
        try:
            messages = alerting.news(
                DuckDBEngine(self._layout.folder), self._layout, self.sink.store_told, self._clock()
            )
            for message in messages:
                self._tell(f"alert: {message.text}")
            if messages and (urls := Settings.from_environment().alert_urls):
                for fault in alerting.send(messages, urls.split()):
                    self._tell(fault)
        except TickerlakeError as error:
            # The bars are stored; the next run judges them again.
            self._tell(f"no alerts: {error}")

    def after_sweep(self, source: Source, tickers: Sequence[str]) -> tuple[str, bool]:
        """Repairs, compacts and tidies."""
        failure = self._repair(source, tickers)
        self._compact()
        return failure

    def beat(self, now: dt.datetime) -> None:
        """Nothing: the lake is on this machine."""

    def _repair(self, source: Source, tickers: Sequence[str]) -> tuple[str, bool]:
        now = self._clock()
        whole = total(repair(self._layout.folder, source, tickers, self._clock))
        if not whole.missing:
            return "", False
        self._tell(f"repair: {whole.line()}")
        limited = RateLimited.reason in whole.unanswered
        if not limited and whole.unanswered.total() < whole.missing:
            return "", False
        reach = partial(source.oldest, now=now)
        return forgetting(self._layout.folder, source.name, tickers, reach, now), limited

    def _compact(self) -> None:
        """Compacts the sessions that have finished. Those that are compact already cost a listing each."""
        lake, now = self._layout.folder, self._clock()
        for done in compact(lake, finished(lake, now), now):
            if done.error:
                self._tell(done.error)
        try:
            lines = tidy(lake, now)
        except SinkError as error:
            lines = [str(error)]
        for line in lines:
            self._tell(line)

    def _tell(self, line: str) -> None:
        zone = exchange.shared_zone(exchange.all_of(self._tickers))
        self._say(f"{self._clock().astimezone(zone):%H:%M:%S} {line}")
