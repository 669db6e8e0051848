"""The collector as a Lambda function: what an event asks for, collected from Yahoo and sent to Firehose.

    {}                                                  the bars that ended within the last COLLECTOR_LOOK_BACK_MINUTES
    {"session": "2026-11-20"}                           one session as far as it has come
    {"session": "last"}                                 the last finished session
    {"first": "2026-10-01", "last": "2026-11-20"}       whole sessions; without "last", to the last finished one

`"tickers": ["META", "AMZN"]` beside any of these narrows it. The look-back heals what a run missed: the next one
asks for the same bars again, and sends those that are new. It reaches beyond the close as well, so that the bar
that ends at the close is collected by a run after it; with no bar to ask for, nothing is asked.

What fails: an event or a setting that cannot be used (ConfigError) before anything is asked; bars that Firehose did
not take (SinkError); and, once everything that came has been delivered, tickers that gave no bars for another
reason than that there are none (CollectFailed). A failed event goes to the queue of failures at once, because the
function is deployed without retries: a run that met a rate limit would only prolong it.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import pandas as pd
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.collector.settings import Settings
from tickerlake import exchange, symbols
from tickerlake.collect import SessionReport, collect, refuse_too_old
from tickerlake.errors import ConfigError, NoData, TickerlakeError, Unavailable
from tickerlake.exchange import Session
from tickerlake.lake import Sink
from tickerlake.lake.firehose import FirehoseSink, open_firehose
from tickerlake.sources import Source
from tickerlake.sources.yahoo import YahooSource

LAST = "last"
"""Instead of a date: the last finished session."""
DELIVERY_SECONDS = 30
"""Kept back of the function's time for delivering what has come; a ticker that is being asked may take half of it."""

_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "tickerlake-collector")
_KEYS = ("session", "first", "last", "tickers")
_ALLOWED = (
    'an event is {} for the last finished bars, {"session": "YYYY-MM-DD"} or {"session": "last"} for one session, '
    '{"first": "YYYY-MM-DD", "last": "YYYY-MM-DD"} for several, each with "tickers": ["META", …] to narrow it'
)
_NAMED = 10
# The bar that is still running comes with every answer and is rejected each time: nothing to count as a fault.
_NO_FAULT = "unfinished"

logger = Logger(service=_SERVICE)
metrics = Metrics(namespace="Tickerlake", service=_SERVICE)
copy_config_to_registered_loggers(logger, include={"functions"})


class CollectFailed(TickerlakeError):
    """Tickers gave no bars; the bars of the others were delivered. `report` is what `respond` would have returned."""

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        super().__init__(message)
        self.report = report


@logger.inject_lambda_context(log_event=True)
@metrics.log_metrics
def handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry: `respond` with Yahoo, Firehose and the clock; its report, told in the log and in metrics."""
    # The heartbeat: a run that fails beats too, and raises the function's error count instead.
    metrics.add_metric("Runs", MetricUnit.Count, 1)
    sink: FirehoseSink | None = None
    before = 0
    try:
        settings = _settings()
        asked = Event.read(event)
        sink = _look_back_sink(settings.stream) if asked.looks_back else open_firehose(settings.stream)
        before = sink.delivered
        with _time_is_up(context.get_remaining_time_in_millis() / 1000) as stop:
            report = respond(asked, YahooSource(pause=_pause(stop)), sink, _now, settings, stop)
    except CollectFailed as error:
        _count(error.report)
        logger.error(str(error), report=error.report)  # noqa: TRY400  # Lambda prints the traceback
        raise
    except TickerlakeError as error:
        logger.error(str(error))  # noqa: TRY400
        raise
    finally:
        if sink is not None:
            metrics.add_metric("BarsDelivered", MetricUnit.Count, sink.delivered - before)
    _count(report)
    logger.info("collected", report=report)
    return report


@dataclass(frozen=True)
class Event:
    """What an event asks for: the sessions from `first` to `last`, or without them the last finished bars."""

    first: dt.date | None = None
    last: dt.date | None = None
    """None for the last finished session."""
    last_finished: bool = False
    """Only the last finished session, whichever it is."""
    tickers: tuple[str, ...] = ()
    """Empty for those of the settings."""

    @property
    def looks_back(self) -> bool:
        """Whether it asks for the last finished bars, not for whole sessions."""
        return self.first is None and not self.last_finished

    @classmethod
    def read(cls, event: object) -> Event:
        """The event as it came from Lambda. ConfigError, listing every fault and what is allowed."""
        if not isinstance(event, dict):
            raise ConfigError(f"the event is {event!r}; {_ALLOWED}")
        faults = [f"unknown key {key!r}" for key in event if key not in _KEYS]
        dates: dict[str, dt.date] = {}
        tickers: tuple[str, ...] = ()
        last_finished = event.get("session") == LAST
        for key in _KEYS:
            try:
                if key == "tickers" and key in event:
                    tickers = _tickers(event[key])
                elif key in event and not (key == "session" and last_finished):
                    dates[key] = _date(event[key])
            except ConfigError as error:
                faults.append(f"{key}: {error}")
        if "session" in event and ("first" in event or "last" in event):
            faults.append('"session" names one session, "first" and "last" several')
        elif "last" in event and "first" not in event:
            faults.append('"last" goes with "first"')
        if faults:
            raise ConfigError(f"{'; '.join(faults)}; {_ALLOWED}")
        session = dates.get("session")
        return cls(session or dates.get("first"), session or dates.get("last"), last_finished, tickers)


class Window(NamedTuple):
    """What is to be collected: whole sessions, or of one session the bars that start at `since` or later."""

    sessions: list[Session]
    since: dt.datetime | None = None


def respond(
    event: Event,
    source: Source,
    sink: Sink,
    clock: Callable[[], dt.datetime],
    settings: Settings,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Collects what `event` asks for and returns the report, ready for JSON.

    Once `stop` is set nothing more is asked for, and what had come is delivered. Raises ConfigError before anything
    is asked; SinkError; CollectFailed after everything that came has been delivered.
    """
    now = clock()
    window = window_of(event, settings, now)
    tickers = event.tickers or settings.tickers
    reports: list[SessionReport] = []
    if window.sessions:
        refuse_too_old(source, window.sessions, settings.bar_minutes, now)
        for note in symbols.rename_notes(tickers, window.sessions[0].date, window.sessions[-1].date):
            logger.info(note)
        reports = collect(
            source, sink, window.sessions, tickers, settings.bar_minutes, clock, since=window.since, stop=stop
        )
    report = _report(window, tickers, settings, reports)
    _raise_failures(reports, report)
    return report


def window_of(event: Event, settings: Settings, now: dt.datetime) -> Window:
    """The sessions that `event` asks for at `now`, none where there is nothing to ask; ConfigError for others."""
    if event.looks_back:
        return _last_bars(settings, now)
    finished = exchange.last_finished(now)
    if event.first is None:
        return Window([finished])
    last = event.last or max(finished.date, event.first)
    wanted = exchange.sessions_between(event.first, last) or [exchange.session_on(event.first)]
    if wanted[-1].open > now:
        raise ConfigError(f"{wanted[-1].date} has not opened yet; the last finished session is {finished.date}")
    return Window(wanted)


def _last_bars(settings: Settings, now: dt.datetime) -> Window:
    """The bars that ended within the look-back, of the session that is running or has just closed."""
    session = exchange.running(now) or exchange.last_finished(now)
    starts = session.bar_starts(settings.bar_minutes, until=now)
    ends = pd.Series(starts + pd.Timedelta(minutes=settings.bar_minutes)).clip(upper=pd.Timestamp(session.close))
    recent = starts[ends >= now - dt.timedelta(minutes=settings.look_back_minutes)]
    return Window([session], recent[0].to_pydatetime()) if len(recent) else Window([])


def _report(
    window: Window, tickers: Sequence[str], settings: Settings, reports: Sequence[SessionReport]
) -> dict[str, Any]:
    rejected = sum((report.rejected for report in reports), Counter[str]())
    failures = [failure for report in reports for failure in report.failures]
    return {
        "requested": {
            "sessions": [session.dt for session in window.sessions],
            "since": window.since.isoformat() if window.since else None,
            "tickers": list(tickers),
            "bar_minutes": settings.bar_minutes,
        },
        "delivered": sum(report.stored for report in reports),
        "rejected": dict(rejected),
        "failed": len({failure.ticker for failure in failures}),
        # One message a reason: with a long watchlist and many sessions, all of them would not fit into an answer.
        "messages": {failure.reason: failure.message for failure in reversed(failures)},
        "sessions": [
            {
                "session": report.session.dt,
                "bars": report.bars,
                "delivered": report.stored,
                "rejected": dict(report.rejected),
                "failed": {failure.ticker: failure.reason for failure in report.failures},
            }
            for report in reports
        ],
    }


def _raise_failures(reports: Sequence[SessionReport], report: dict[str, Any]) -> None:
    """CollectFailed for what a person or a later run must mend.

    A ticker without bars is none of it: trading in it may have been halted. All of them without any is.
    """
    failures = [failure for each in reports for failure in each.failures]
    nothing = not any(each.bars for each in reports)
    telling = failures if nothing else [failure for failure in failures if failure.reason != NoData.reason]
    if not telling:
        return
    tickers = list(dict.fromkeys(failure.ticker for failure in telling))
    named = ", ".join(tickers[:_NAMED]) + (f" and {len(tickers) - _NAMED} more" if len(tickers) > _NAMED else "")
    reasons = ", ".join(dict.fromkeys(failure.reason for failure in telling))
    raise CollectFailed(
        f"{len(tickers)} of {len(report['requested']['tickers'])} tickers failed ({reasons}): {named}; "
        f"{report['delivered']} bars were delivered; the first failure: {telling[0].message}",
        report,
    )


def _count(report: dict[str, Any]) -> None:
    faults = sum(count for rule, count in report["rejected"].items() if rule != _NO_FAULT)
    metrics.add_metric("RecordsRejected", MetricUnit.Count, faults)
    metrics.add_metric("TickersFailed", MetricUnit.Count, report["failed"])


def _date(value: object) -> dt.date:
    # fromisoformat takes 20261120 and 2026-W47-5 as well; one way to write a date is enough.
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        with suppress(ValueError):
            return dt.date.fromisoformat(value)
    raise ConfigError(f"{value!r} is no date, which is written YYYY-MM-DD")


def _tickers(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(ticker, str) for ticker in value):
        raise ConfigError(f"{value!r} is no list of symbols")
    return symbols.parse_tickers(",".join(value))


@cache
def _settings() -> Settings:
    return Settings.from_environment()


@cache
def _look_back_sink(stream: str) -> FirehoseSink:
    """One for as long as Lambda keeps this process: what a run has delivered, the next need not send again."""
    return open_firehose(stream, skip_repeats=True)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@contextmanager
def _time_is_up(seconds: float) -> Generator[threading.Event]:
    """An event that is set when, of the `seconds` left, what remains is needed for delivering."""
    stop = threading.Event()
    timer = threading.Timer(max(seconds - DELIVERY_SECONDS, seconds / 2), stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield stop
    finally:
        timer.cancel()


def _pause(stop: threading.Event) -> Callable[[float], None]:
    """Waits between attempts, and gives them up once `stop` is set."""

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise Unavailable("not asked again: the run had been stopped")

    return pause
