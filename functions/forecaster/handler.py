"""The forecaster as a Lambda function: it forecasts the hour that has just begun at an exchange, for its tickers.

    {"exchange": "XNYS"}            every ticker of it in the lake

Outside the first five minutes of an hour of the session there is nothing to forecast, and it ends at once; a second run
in the same hour stores nothing more. The models are hour-of-day and har: LightGBM does not fit into the zip.

Errors: ConfigError for an event that cannot be used; QueryFailed, SinkError. A forecast that failed is lost, because it
can only be made before its hour.
"""

from __future__ import annotations

import datetime as dt
import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.athena import Athena
from functions.events import exchange_of
from functions.forecaster.settings import Settings
from tickerlake.errors import LakeEmpty, TickerlakeError
from tickerlake.exchange import Exchange
from tickerlake.forecast.making import just_begun, make_live
from tickerlake.lake.objects import LakeObjects
from tickerlake.query.engines import Engine

_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "tickerlake-forecaster")

logger = Logger(service=_SERVICE)
metrics = Metrics(namespace="Tickerlake", service=_SERVICE)
copy_config_to_registered_loggers(logger, include={"functions"})


@logger.inject_lambda_context(log_event=True)
@metrics.log_metrics
def handler(event: object, _context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point: `respond` with Athena, S3 and the clock. Logs the report and publishes metrics."""
    try:
        report = respond(exchange_of(event), *_lake(), _now())
    except TickerlakeError as error:
        logger.error(str(error))  # noqa: TRY400  # Lambda prints the traceback
        raise
    metrics.add_metric("ForecastsStored", MetricUnit.Count, report["stored"])
    logger.info("forecast", report=report)
    return report


def respond(place: Exchange, engine: Engine, objects: LakeObjects, now: dt.datetime) -> dict[str, Any]:
    """Stores the forecasts of the hour that has just begun at `place` and returns the report, ready for JSON."""
    moment = just_begun(now, place)
    if moment is None:
        return {"session": None, "hour": None, "tickers": 0, "stored": 0}
    report = {"session": moment.session.dt, "hour": moment.hour, "tickers": 0, "stored": 0}
    try:
        made = make_live(engine, now, place)
    except LakeEmpty as error:
        logger.info(str(error))
        return report
    objects.put_forecasts(made)
    return report | {"tickers": made["ticker"].nunique(), "stored": len(made)}


@cache
def _lake() -> tuple[Athena, LakeObjects]:
    settings = Settings.from_environment()
    return Athena(settings.database, settings.workgroup), LakeObjects(settings.bucket)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
