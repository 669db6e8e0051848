"""The alerter as a Lambda function: it judges the rules of `[[alerts]]` on today's session and publishes what is news.

    {"exchange": "XNYS"}            the schedules of each exchange

A run with new alerts locks the list of those already sent, publishes, and then updates the list. If it is killed in
between, a later run in the same session publishes the alerts again: a message may arrive twice, and is lost only if
no later run follows. Of two concurrent runs only one publishes.

Errors: ConfigError for an event or a setting that cannot be used, QueryFailed, SinkError.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from functions.alerter.memory import Claimed, Memory
from functions.alerter.settings import Settings
from functions.athena import Athena
from functions.events import exchange_of
from tickerlake import aws
from tickerlake.alerting import days
from tickerlake.alerts import Message, Rule, judge
from tickerlake.errors import SinkError, TickerlakeError
from tickerlake.exchange import Exchange
from tickerlake.query.engines import Engine

MOST_LINES = 1_000
"""Alerts in one message, which may have 256 KB: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
_SUBJECT = 99
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard"})
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "tickerlake-alerter")

logger = Logger(service=_SERVICE)
copy_config_to_registered_loggers(logger, include={"functions"})


@logger.inject_lambda_context(log_event=True)
def handler(event: object, _context: LambdaContext) -> dict[str, Any]:
    """Lambda's entry point: `respond` with Athena, S3, SNS and the clock. Logs the report."""
    try:
        settings, place = _settings(), exchange_of(event)
        report = respond(
            _engine(),
            Memory(_client("s3"), settings.bucket, place.code),
            lambda messages: publish(_client("sns"), settings.topic, messages),
            settings.rules,
            place,
            _now(),
        )
    except TickerlakeError as error:
        logger.error(str(error))  # noqa: TRY400  # Lambda prints the traceback
        raise
    logger.info("alerts", report=report)
    return report


def respond(
    engine: Engine,
    memory: Memory,
    tell: Callable[[Sequence[Message]], object],
    rules: Sequence[Rule],
    place: Exchange,
    now: dt.datetime,
) -> dict[str, Any]:
    """Publishes new alerts for the session at `place`, each once, and returns the report, ready for JSON."""
    report = {"exchange": place.code, "session": str(place.date_at(now)), "alerts": 0}
    try:
        sent = memory.read(now)
        messages, after = judge(rules, days(engine, rules, now, place), sent)
        if messages:
            memory.claim(now)
            tell(messages)
        if after != sent:
            memory.store(after)
    except Claimed as other:
        logger.info(str(other))
        return report
    return report | {"alerts": len(messages)}


def publish(client: Any, topic: str, messages: Sequence[Message]) -> None:
    """Publishes `messages` to the SNS topic, one a line: a quick market must not make hundreds of mails. SinkError."""
    for start in range(0, len(messages), MOST_LINES):
        part = messages[start : start + MOST_LINES]
        more = f" and {len(part) - 1} more" if len(part) > 1 else ""
        try:
            client.publish(
                TopicArn=topic, Subject=_subject(part[0].title, more), Message="\n".join(each.text for each in part)
            )
        except (BotoCoreError, ClientError) as error:
            raise SinkError(f"cannot publish to {topic}: {error}; the next run tries again") from error


def _subject(title: str, more: str) -> str:
    """A subject as SNS takes it: printable ASCII of less than 100 characters."""
    return "".join(letter for letter in title if " " <= letter <= "~")[: _SUBJECT - len(more)] + more


@cache
def _settings() -> Settings:
    return Settings.from_environment()


@cache
def _engine() -> Athena:
    return Athena(_settings().database, _settings().workgroup)


@cache
def _client(service: str) -> Any:
    return aws.client(service, config=_CONFIG)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
