"""The compactor as a Lambda function: it makes one object of the many of each finished session, newest first, and sums
up its hours.

    {}                              every finished session that needs it, as far as the time allows
    {"session": "2026-11-20"}       one session

A session is a date. It is finished an hour after the close of the last exchange with bars in it; Athena says which
those are.

Errors: ConfigError for an event or a setting that cannot be used; QueryFailed if Athena cannot say which exchanges have
bars; CompactionFailed, after all other sessions, for those that could not be compacted. Their objects stay as they are,
and the next run tries again. What a run has no time for is left to the next one.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from functions.athena import Athena
from functions.compactor.compaction import Lake, is_compact
from functions.compactor.settings import Settings
from tickerlake import aws
from tickerlake.errors import ConfigError, QueryFailed, SinkError, TickerlakeError
from tickerlake.lake.finished import is_finished
from tickerlake.plan import parse_date

SECONDS_A_SESSION = 60
"""No session is begun in a run that has less time left. One that takes longer is killed, and begun again."""

_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "tickerlake-compactor")
_ALLOWED = 'allowed are {} for every finished session and {"session": "YYYY-MM-DD"} for one'
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard"})

logger = Logger(service=_SERVICE)
metrics = Metrics(namespace="Tickerlake", service=_SERVICE)
copy_config_to_registered_loggers(logger, include={"functions"})


class CompactionFailed(TickerlakeError):
    """Some sessions could not be compacted. `report` is what `respond` would have returned."""

    def __init__(self, message: str, report: dict[str, Any]) -> None:
        super().__init__(message)
        self.report = report


@logger.inject_lambda_context(log_event=True)
@metrics.log_metrics
def handler(event: object, context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point: `respond` with S3, Athena and the clock. Logs the report and publishes metrics."""
    try:
        report = respond(event, _lake(), _now(), lambda: context.get_remaining_time_in_millis() / 1000)
    except CompactionFailed as error:
        _count(error.report)
        logger.error(str(error), report=error.report)  # noqa: TRY400  # Lambda prints the traceback
        raise
    except TickerlakeError as error:
        logger.error(str(error))  # noqa: TRY400
        raise
    _count(report)
    metrics.add_metric("Compactions", MetricUnit.Count, 1)
    logger.info("compacted", report=report)
    return report


def respond(
    event: object, lake: Lake, now: dt.datetime, seconds_left: Callable[[], float] = lambda: 900
) -> dict[str, Any]:
    """Compacts what `event` asks for and returns the report, ready for JSON.

    Raises ConfigError and QueryFailed before anything is done, SinkError if the lake cannot be listed, and
    CompactionFailed.
    """
    wanted = _read(event)
    if wanted and not is_finished(wanted, now, lake.exchanges):
        raise ConfigError(f"{wanted} may still be collected; compact it an hour after its close")
    sessions = lake.sessions()
    due = [
        session
        for session, listed in sessions.items()
        if (not listed.is_done or listed.superseded(now))
        and (session == wanted or (wanted is None and is_finished(session, now, lake.exchanges)))
    ]
    compacted, settled, failed = [], [], {}
    while due and seconds_left() > SECONDS_A_SESSION:
        session = due.pop(0)
        listed = sessions[session]
        try:
            if not is_compact(listed.keys):
                compacted.append(lake.compact(session, listed.keys, now))
            if not listed.is_done and lake.settle(session):
                settled.append(session)
            lake.delete(listed.superseded(now))
        except (QueryFailed, SinkError) as error:
            failed[session] = str(error)
    report = {
        "compacted": [asdict(each) for each in compacted],
        "settled": settled,
        "failed": failed,
        "left": len(due),
    }
    if failed:
        session, reason = next(iter(failed.items()))
        raise CompactionFailed(f"{len(failed)} sessions were not compacted; the first, {session}: {reason}", report)
    return report


def _read(event: object) -> str | None:
    """The session that `event` names, if it names one. ConfigError."""
    if not isinstance(event, dict) or event.keys() - {"session"}:
        raise ConfigError(f"the event is {event!r}; {_ALLOWED}")
    if "session" not in event:
        return None
    return parse_date(event["session"]).isoformat()


def _count(report: dict[str, Any]) -> None:
    replaced = sum(each["objects"] for each in report["compacted"])
    metrics.add_metric("ObjectsReplaced", MetricUnit.Count, replaced)


@cache
def _lake() -> Lake:
    settings = Settings.from_environment()
    athena = Athena(settings.database, settings.workgroup)
    return Lake(settings.bucket, settings.results, athena, aws.client("s3", config=_CONFIG))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
