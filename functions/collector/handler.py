"""The collector as a Lambda function: it collects what an event asks for from a vendor and sends it to Firehose.

    {}                                                  bars that ended in the last COLLECTOR_LOOK_BACK_MINUTES
    {"session": "2026-11-20"}                           one session, as far as it has come
    {"session": "last"}                                 the last finished session; "today" for today's
    {"first": "2026-10-01", "last": "2026-11-20"}       a range; without "last", up to the last finished session

`"tickers": ["META", "AMZN"]` in any of these replaces the watchlist; the schedules of an exchange name its tickers.
Each ticker is collected in the sessions of its own exchange: "last" and "today" are each exchange's own. With
`"repair": true`, gaps in earlier sessions are filled too, as far as Yahoo still serves them: a gap is asked for after
its session, and once more a day later.

A request for a whole session also finds what Yahoo no longer gives: bars that Athena finds in the lake and that the
answer lacks are withdrawn, by the rule of `tickerlake.lake.withdrawals`. If Athena cannot be asked, the bars are
delivered all the same, and the run fails at the end.

The look-back makes up for missed runs: each run
requests the bars of the previous ones again and sends those that are new. It also reaches past the close, so that a run
after the close collects the last bar. If no bar has ended in that time, nothing is requested.

Errors: ConfigError for an event or a setting that cannot be used, before any request; SinkError if Firehose did not
accept all bars; CollectFailed, after everything else has been delivered, for tickers that failed for any reason other
than having no bars, and for a lake that could not be read. The function is deployed without retries, so a failed event
goes straight to the failure queue: a retry after a rate limit would only prolong it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import pandas as pd
from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.athena import Athena
from functions.collector.lake import Lake
from functions.collector.settings import Settings
from tickerlake import aws, exchange, symbols
from tickerlake.collect import FINAL, SessionReport, collect, refuse_too_old
from tickerlake.errors import ConfigError, NoData, SourceError, TickerlakeError, Unavailable
from tickerlake.exchange import Exchange, Session
from tickerlake.gaps import Gap, deadline, requests
from tickerlake.lake import Sink
from tickerlake.lake.firehose import FirehoseSink, open_firehose
from tickerlake.lake.objects import LakeObjects
from tickerlake.metrics import measures
from tickerlake.plan import parse_date, plan
from tickerlake.sources import Source, open_source

DELIVERY_SECONDS = 30
"""Time reserved for delivery. A request that is still running may take up half of it."""

_CONFIG = Config(connect_timeout=4, read_timeout=10, retries={"mode": "standard"})
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "tickerlake-collector")
_KEYS = ("session", "first", "last", "tickers", "repair")
_ALLOWED = (
    'allowed are {} for the last finished bars, {"session": "YYYY-MM-DD"} (or "last", "today") for one session, '
    '{"first": "YYYY-MM-DD", "last": "YYYY-MM-DD"} for a range, each with "tickers": ["META", …] for a few tickers, '
    '"repair": true to fill gaps'
)

logger = Logger(service=_SERVICE)
copy_config_to_registered_loggers(logger, include={"functions"})
_asked = threading.Event()
"""Set once the vendor has been asked. The first run of a process asks even if there is nothing to collect, so that
within five minutes of a deployment it shows whether the vendor answers."""


class CollectFailed(TickerlakeError):
    """Some tickers failed; the bars of the others were delivered. `report` is what `respond` would have returned."""

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        super().__init__(message)
        self.report = report


@logger.inject_lambda_context(log_event=True)
def handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point: `respond` with the real vendor, stream and clock. Logs the report, publishes metrics."""
    sink: FirehoseSink | None = None
    before = Counter[str]()
    exchanges: tuple[Exchange, ...] = ()
    try:
        settings = _settings()
        request = Event.read(event)
        tickers = request.tickers or settings.tickers
        exchanges = exchange.all_of(tickers)
        lake = None if request.looks_back else _lake(settings)
        if request.looks_back:
            sink = _look_back_sink(settings, exchanges)
        else:
            in_force = lake.in_force if lake else None
            sink = open_firehose(settings.stream, objects=_objects(settings.bucket), in_force=in_force)
        before = sink.delivered.copy()
        with _stop_before_timeout(context.get_remaining_time_in_millis() / 1000) as stop:
            source = _source(settings, stop)
            report = respond(request, source, sink, _now, settings, stop, _count, lake)
            if not report["sessions"] and not _asked.is_set():
                _count({"VendorAnswers": int(_answers(source, tickers[0], settings.bar_minutes))})
    except CollectFailed as error:
        logger.error(str(error), report=error.report)  # noqa: TRY400  # Lambda prints the traceback
        raise
    except TickerlakeError as error:
        logger.error(str(error))  # noqa: TRY400
        raise
    finally:
        delivered = (sink.delivered if sink else before) - before
        for each in exchanges:
            # `Runs` is the heartbeat. Failed runs count too; they also raise the function's error count.
            _count({"Runs": 1, "BarsDelivered": delivered[each.code]}, exchange=each.code)
    logger.info("collected", report=report)
    return report


@dataclass(frozen=True)
class Event:
    """What an event asks for: the arguments of `plan`, and the tickers."""

    session: dt.date | Literal["today", "last"] | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    tickers: tuple[str, ...] = ()
    """Empty for those of the settings."""
    repair: bool = False
    """Whether to fill gaps too."""

    @property
    def names_sessions(self) -> bool:
        """Whether it asks for whole sessions."""
        return bool(self.session or self.first or self.last)

    @property
    def looks_back(self) -> bool:
        """Whether it asks for the last finished bars."""
        return not (self.names_sessions or self.repair)

    @classmethod
    def read(cls, event: object) -> Event:
        """The event as Lambda passes it. ConfigError lists every fault and what is allowed."""
        if not isinstance(event, dict):
            raise ConfigError(f"the event is {event!r}; {_ALLOWED}")
        faults, fields = [], {}
        for key, value in event.items():
            try:
                fields[key] = _parse(key, value)
            except ConfigError as error:
                faults.append(f"{key}: {error}")
        if faults:
            raise ConfigError(f"{'; '.join(faults)}; {_ALLOWED}")
        return cls(**fields)


class Window(NamedTuple):
    """What to collect: whole sessions, or those of their bars that start at `since` or later."""

    sessions: list[Session]
    since: dt.datetime | None = None


def respond(
    event: Event,
    source: Source,
    sink: Sink,
    clock: Callable[[], dt.datetime],
    settings: Settings,
    stop: threading.Event | None = None,
    count: Callable[[Mapping[str, int]], None] = lambda _: None,
    lake: Lake | None = None,
) -> dict[str, Any]:
    """Collects what `event` asks for and returns the report, ready for JSON. `count` gets the run's `measures`.

    Setting `stop` ends the requests; what has arrived is delivered. Raises ConfigError before the first request,
    SinkError, and CollectFailed after everything else has been delivered.
    """
    now = clock()
    window = window_of(event, settings, now)
    tickers = event.tickers or settings.tickers
    run = _Collection(source, sink, clock, stop or threading.Event(), lake)
    reports: list[SessionReport] = []
    if window.sessions:
        refuse_too_old(source, window.sessions, settings.bar_minutes, now)
        for note in symbols.rename_notes(tickers, window.sessions[0].date, window.sessions[-1].date):
            logger.info(note)
        reports = run.collect(window.sessions, tickers, settings.bar_minutes, window.since)
    # Athena does not see what Firehose has not written yet.
    before = window.sessions[0].date - dt.timedelta(days=1) if window.sessions else None
    gaps, repaired = run.repair(tickers, now, before) if event.repair else ([], [])
    count(measures([*reports, *repaired]))
    report = _report(window, tickers, settings, reports, repaired)
    report["missing"] = deadline(gaps, source.name, partial(source.oldest, now=now))
    _raise_failures(reports, repaired, run.unread, report)
    return report


@dataclass
class _Collection:
    """One run: it collects from `source` into `sink` until `stop` is set."""

    source: Source
    sink: Sink
    clock: Callable[[], dt.datetime]
    stop: threading.Event
    lake: Lake | None
    unread: list[TickerlakeError] = field(default_factory=list)
    """Why the lake could not be read. What arrives is delivered all the same."""

    def collect(
        self, sessions: Sequence[Session], tickers: Sequence[str], bar_minutes: int, since: dt.datetime | None = None
    ) -> list[SessionReport]:
        """Collects `sessions`. If it asks for whole ones, bars that the source no longer gives are withdrawn."""
        if since is None and self.lake is not None:
            try:
                self.lake.remember(sessions, tickers)
            except TickerlakeError as error:
                self.unread.append(error)
        return collect(self.source, self.sink, sessions, tickers, bar_minutes, self.clock, since=since, stop=self.stop)

    def repair(
        self, tickers: Sequence[str], now: dt.datetime, last: dt.date | None
    ) -> tuple[list[Gap], list[SessionReport]]:
        """Asks for the gaps of sessions up to `last`; returns them, and what came of it."""
        gaps: list[Gap] = []
        reports: list[SessionReport] = []
        if self.lake is not None and not self.stop.is_set():
            try:
                gaps = self.lake.gaps(tickers, partial(self.source.oldest, now=now), now, last)
            except TickerlakeError as error:
                self.unread.append(error)
        for bar_minutes, sessions, names in requests(gaps):
            if not self.stop.is_set():
                reports += self.collect(sessions, names, bar_minutes)
        return gaps, reports


def window_of(event: Event, settings: Settings, now: dt.datetime) -> Window:
    """What `event` means at `now`. No sessions if no bar ended within the look-back, or if it only repairs.

    ConfigError as `plan`.
    """
    exchanges = exchange.all_of(event.tickers or settings.tickers)
    if event.looks_back:
        return _last_bars(exchanges, settings, now)
    if not event.names_sessions:
        return Window([])
    return Window(plan(now, exchanges, session=event.session, first=event.first, last=event.last))


def _last_bars(exchanges: Sequence[Exchange], settings: Settings, now: dt.datetime) -> Window:
    """The bars of the running and the last sessions that ended within the look-back."""
    first: dict[Session, dt.datetime] = {}
    # Where it trades around the clock, the last session's last bars are due when the next one is running already.
    for session in (each for place in exchanges for each in (place.last_finished(now), place.running(now)) if each):
        starts = session.bar_starts(settings.bar_minutes, until=now)
        ends = pd.Series(starts + pd.Timedelta(minutes=settings.bar_minutes)).clip(upper=pd.Timestamp(session.close))
        recent = starts[ends >= now - dt.timedelta(minutes=settings.look_back_minutes)]
        if len(recent):
            first[session] = recent[0].to_pydatetime()
    return Window(sorted(first), min(first.values())) if first else Window([])


def _report(
    window: Window,
    tickers: Sequence[str],
    settings: Settings,
    reports: Sequence[SessionReport],
    repaired: Sequence[SessionReport],
) -> dict[str, Any]:
    both = [*reports, *repaired]
    rejected = sum((report.rejected for report in both), Counter[str]())
    failures = [failure for report in both for failure in report.failures]
    return {
        "requested": {
            "sessions": [session.dt for session in window.sessions],
            "since": window.since.isoformat() if window.since else None,
            "tickers": list(tickers),
            "bar_minutes": settings.bar_minutes,
        },
        "delivered": sum(report.stored for report in both),
        "withdrawn": sum(report.withdrawn for report in both),
        "unfinished": sum(report.unfinished for report in both),
        "rejected": dict(rejected),
        "failed": len({failure.ticker for failure in failures}),
        # One message per reason: all messages of a long watchlist and many sessions would not fit into an answer.
        "messages": {failure.reason: failure.message for failure in reversed(failures)},
        "sessions": [_of_session(report) for report in reports],
        "repaired": [_of_session(report) for report in repaired],
    }


def _of_session(report: SessionReport) -> dict[str, Any]:
    return {
        "session": report.session.dt,
        "bars": report.bars,
        "delivered": report.stored,
        "rejected": dict(report.rejected),
        "failed": {failure.ticker: failure.reason for failure in report.failures},
    }


def _raise_failures(
    reports: Sequence[SessionReport],
    repaired: Sequence[SessionReport],
    unread: Sequence[TickerlakeError],
    report: dict[str, Any],
) -> None:
    """Raises CollectFailed for failures that need a person or a later run.

    One ticker without bars is normal (a trading halt); all of them without bars is a failure. That Yahoo does not have
    what is missing is none.
    """
    failures = [failure for each in reports for failure in each.failures]
    if any(each.bars for each in reports):
        failures = [failure for failure in failures if failure.reason != NoData.reason]
    failures += [failure for each in repaired for failure in each.failures if failure.reason not in FINAL]
    faults = []
    if failures:
        tickers = list(dict.fromkeys(failure.ticker for failure in failures))
        reasons = ", ".join(dict.fromkeys(failure.reason for failure in failures))
        faults.append(
            f"{len(tickers)} of {len(report['requested']['tickers'])} tickers failed ({reasons}): "
            f"{symbols.listing(tickers)}; {report['delivered']} bars were delivered; "
            f"first failure: {failures[0].message}"
        )
    if unread:
        faults.append(
            f"the lake could not be read, so nothing was withdrawn and no gap filled; {report['delivered']} bars were "
            f"delivered; {unread[0]}"
        )
    if faults:
        raise CollectFailed("; ".join(faults), report)


def _count(counts: Mapping[str, int], **dimensions: str) -> None:
    for name, value in counts.items():
        with single_metric(
            name,
            MetricUnit.Count,
            value,
            namespace=aws.METRICS_NAMESPACE,
            default_dimensions={"service": _SERVICE, **dimensions},
        ):
            pass
    if "VendorAnswers" in counts:
        _asked.set()


def _answers(source: Source, ticker: str, bar_minutes: int) -> bool:
    """Whether `source` answers at all: one request, whose bars are not stored."""
    try:
        source.bars(symbols.current_symbol(ticker), [exchange.of(ticker).last_finished(_now())], bar_minutes)
    except SourceError as error:
        logger.warning("%s does not answer: %s", source.name, error)
        return error.reason in FINAL
    return True


def _parse(key: str, value: object) -> Any:
    if key not in _KEYS:
        raise ConfigError(f"unknown key; allowed are {', '.join(_KEYS)}")
    if key == "session" and value in ("today", "last"):
        return value
    if key == "repair":
        if not isinstance(value, bool):
            raise ConfigError(f"{value!r} is neither true nor false")
        return value
    if key != "tickers":
        return parse_date(value)
    if not isinstance(value, list) or not all(isinstance(ticker, str) for ticker in value):
        raise ConfigError(f"{value!r} is not a list of symbols")
    return symbols.parse_tickers(",".join(value))


def _source(settings: Settings, stop: threading.Event) -> Source:
    """The vendor, opened for each run, because its key may have changed. ConfigError."""
    if settings.key_parameter:
        os.environ.update(_key(settings.key_parameter))
    return open_source(settings.source, pause=_pause(stop))


def _key(parameter: str) -> dict[str, str]:
    """The vendor's key: the environment variables in the SSM parameter. Each run reads it, so that a new one counts.

    Raises ConfigError, without the value, which appears in no message and no log.
    """
    try:
        text = aws.client("ssm", config=_CONFIG).get_parameter(Name=parameter, WithDecryption=True)["Parameter"][
            "Value"
        ]
    except (BotoCoreError, ClientError) as error:
        raise ConfigError(
            f"cannot read the vendor's key from the SSM parameter {parameter}: {str(error).rstrip('.')}; "
            "run `pulumi up`, which makes the parameter and the permission"
        ) from error
    try:
        variables = json.loads(text)
    except ValueError:
        variables = None
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise ConfigError(f"the SSM parameter {parameter} holds no JSON object of texts; docs/deploy.md shows one")
    return variables


@cache
def _settings() -> Settings:
    return Settings.from_environment()


@cache
def _look_back_sink(settings: Settings, exchanges: tuple[Exchange, ...]) -> FirehoseSink:  # noqa: ARG001
    """Shared by all runs for `exchanges` of a warm Lambda, so that a run does not send again what the previous one
    delivered. A sink remembers one session only.
    """
    return open_firehose(settings.stream, skip_repeats=True, objects=_objects(settings.bucket))


@cache
def _objects(bucket: str) -> LakeObjects | None:
    """Shared by all runs of a warm Lambda, so that each split is stored once."""
    return LakeObjects(bucket) if bucket else None


def _lake(settings: Settings) -> Lake | None:
    return Lake(Athena(settings.database, settings.workgroup), settings.source) if settings.database else None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@contextmanager
def _stop_before_timeout(seconds: float) -> Generator[threading.Event]:
    """An event that is set when the rest of `seconds` is needed for delivery."""
    stop = threading.Event()
    timer = threading.Timer(max(seconds - DELIVERY_SECONDS, seconds / 2), stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield stop
    finally:
        timer.cancel()


def _pause(stop: threading.Event) -> Callable[[float], None]:
    """A pause between attempts that raises Unavailable once `stop` is set."""

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise Unavailable("not retried: the run was stopped")

    return pause


# Loads the calendars while Lambda starts, not in the first run's time. That run says what is wrong with the settings.
with suppress(ConfigError):
    for _place in exchange.all_of(_settings().tickers):
        _place.last_finished(_now())
