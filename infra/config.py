"""The stack's settings: every key that `Pulumi.yaml` declares, parsed once.

A key that is missing takes its default, so that the program means the same with and without the Pulumi CLI, which
fills in the defaults of `Pulumi.yaml`. A test holds the two lists against each other.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG

from tickerlake.errors import ConfigError
from tickerlake.record import BAR_MINUTES
from tickerlake.symbols import SYMBOL
from tickerlake.watchlist import DEFAULT as WATCHLIST

PROJECT = "tickerlake"

COLLECT_EVERY_MINUTES = 5
COLLECTOR_TIMEOUT_SECONDS = 240
"""Below the five minutes between two runs: a run that hangs is ended before the next one needs its place."""
RESERVED_SECONDS = 50
"""What a run keeps of its time for starting and for delivering what has come."""
ANSWER_SECONDS = 10
REQUESTS_AT_ONCE = 4
"""How the collector asks Yahoo: so many requests side by side, each given up after so many seconds."""
TICKERS_IN_TIME = (COLLECTOR_TIMEOUT_SECONDS - RESERVED_SECONDS) // ANSWER_SECONDS * REQUESTS_AT_ONCE
"""How many tickers one run collects in its time, though every answer comes at the last moment."""

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
# The watchlist is one of the function's environment variables, which have 4 KB in all:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_WATCHLIST_CHARACTERS = 3500
# A schedule's name, the longest one, has 64 characters: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
_STACK = re.compile(r"[a-z][a-z0-9-]{0,19}")
_BUCKET = re.compile(r"(?!xn--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")
_ACCOUNT = re.compile(r"\d{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


def _key(name: str, default: Any, description: str) -> Any:
    return field(default=default, metadata={"key": name, "description": description})


@dataclass(frozen=True)
class Settings:
    """What one stack is to be."""

    stack: str
    region: str
    tickers: tuple[str, ...] = _key("tickers", WATCHLIST, "Symbols to collect, as they trade today")
    bar_minutes: int = _key("barMinutes", 5, "Length of a bar in minutes; Yahoo has 1, 2, 5, 15, 30, 60 and 90")
    look_back_minutes: int = _key(
        "lookBackMinutes", 30, "How far back a run collects, so that it heals those missed before it"
    )
    tickers_per_shard: int = _key(
        "tickersPerShard", 50, f"How many tickers one run collects; {TICKERS_IN_TIME} at most in its time"
    )
    reserve_concurrency: bool = _key(
        "reserveConcurrency",
        True,
        "Reserve one Lambda execution for each shard; new accounts with ten in all cannot",
    )
    buffer_seconds: int = _key(
        "bufferSeconds", 60, "How long Firehose gathers bars before it writes a file, 60 to 900 seconds"
    )
    first_session: dt.date = _key(  # noqa: RUF009  # a date is as immutable as the others
        "firstSession", dt.date(2020, 1, 1), "First day of the table, YYYY-MM-DD; queries do not look before it"
    )
    scan_limit_mb: int = _key("scanLimitMb", 10_000, "Athena ends a query that scans more megabytes, 10 at least")
    crawl: bool = _key(
        "crawl", True, "Crawl twice a session day, most of the stack's cost; only readers without projection need it"
    )
    result_days: int = _key("resultDays", 7, "Days until the results of queries expire")
    old_version_days: int = _key("oldVersionDays", 30, "Days until overwritten and deleted objects are gone for good")
    log_retention_days: int = _key("logRetentionDays", 30, "Days that logs are kept, one of those CloudWatch offers")
    alarm_email: str = _key("alarmEmail", "", "Who hears of alarms; empty for nobody, the topic is there all the same")
    monthly_budget_usd: int = _key(
        "monthlyBudgetUsd", 0, "Warn alarmEmail when the account's month costs more US dollars; 0 for no budget"
    )
    bucket_name: str = _key("bucketName", "", "Name of the data bucket; empty for one made up")
    account_id: str = _key("accountId", "", "The only AWS account to deploy to, 12 digits; empty for any")
    collector_zip: str = _key(
        "collectorZip", "", "Path of a zip that `make package` built; empty to build it when it is needed"
    )
    ephemeral: bool = _key("ephemeral", False, "Delete the data as well when the stack is destroyed")

    @property
    def name(self) -> str:
        """What this stack's resources are called by."""
        return f"{PROJECT}-{self.stack}"

    @property
    def shards(self) -> tuple[tuple[str, ...], ...]:
        """The watchlist in parts that one run collects in its time, as even as they can be."""
        count = -(-len(self.tickers) // self.tickers_per_shard)
        return tuple(self.tickers[start::count] for start in range(count))

    @property
    def tags(self) -> dict[str, str]:
        """What every resource is tagged with."""
        return {"project": PROJECT, "stack": self.stack}


KEYS = tuple(item for item in fields(Settings) if item.metadata)
"""The fields of Settings that are keys of the stack's configuration."""


def load() -> Settings:
    """The settings of the stack that Pulumi is running."""
    return parse(CONFIG.get(), pulumi.get_stack(), dt.datetime.now(dt.UTC).date())


def parse(config: Mapping[str, Any], stack: str, today: dt.date) -> Settings:
    """The settings in `config` (`tickerlake:barMinutes` → `"5"`). ConfigError that lists every fault there is."""
    values: dict[str, Any] = {"stack": stack, "region": str(config.get("aws:region", ""))}
    faults = []
    for item in KEYS:
        text = config.get(f"{PROJECT}:{item.metadata['key']}")
        try:
            values[item.name] = item.default if text is None else _value(item.default, text)
        except ValueError as error:
            faults.append(f"{item.metadata['key']} is {text!r}; {error}")
    known = {item.metadata["key"] for item in KEYS}
    faults += [
        f"{key.removeprefix(f'{PROJECT}:')} is no key; the keys are {', '.join(sorted(known))}"
        for key in sorted(config)
        if key.startswith(f"{PROJECT}:") and key.removeprefix(f"{PROJECT}:") not in known
    ]
    # A key that could not be read stands in with its default: the others are still held against their limits.
    settings = Settings(**values)
    faults += _faults(settings, today)
    if faults:
        raise ConfigError(
            f"the stack {stack!r} cannot be deployed as it is configured:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
            + "\nSet a key by `pulumi config set KEY VALUE`; Pulumi.yaml describes them all."
        )
    return settings


def _value(default: Any, text: Any) -> Any:
    """`text`, as Pulumi hands a key over, in the type of the key's default."""
    if isinstance(default, str):
        return str(text)
    if isinstance(default, dt.date):
        try:
            return dt.date.fromisoformat(str(text))
        except ValueError:
            raise ValueError("write a day as YYYY-MM-DD") from None
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        value = None
    if isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ValueError('write a list of symbols, such as ["META", "AMZN"]')
        return tuple(dict.fromkeys(value))
    if type(value) is not type(default):
        raise ValueError("write true or false" if isinstance(default, bool) else "write a whole number")
    return value


def _faults(settings: Settings, today: dt.date) -> Iterator[str]:
    """Everything that is wrong with `settings`, each as what it is and what is allowed."""
    if not _STACK.fullmatch(settings.stack):
        yield f"the stack is named {settings.stack!r}; write up to 20 small letters, digits and dashes"
    if not _REGION.fullmatch(settings.region):
        yield f"aws:region is {settings.region!r}; name a region, such as us-east-1"
    yield from _watchlist_faults(settings)
    yield from _range_faults(settings)
    if not dt.date(1990, 1, 1) <= settings.first_session <= today:
        yield f"firstSession is {settings.first_session}; it lies between 1990-01-01 and today, {today}"
    if settings.log_retention_days not in LOG_RETENTION_DAYS:
        yield f"logRetentionDays is {settings.log_retention_days}; CloudWatch has {_listed(LOG_RETENTION_DAYS)}"
    if settings.alarm_email and not _EMAIL.fullmatch(settings.alarm_email):
        yield f"alarmEmail is {settings.alarm_email!r}, which is not one e-mail address"
    if settings.monthly_budget_usd and not settings.alarm_email:
        yield f"monthlyBudgetUsd is {settings.monthly_budget_usd}, but nobody would hear of it; set alarmEmail as well"
    if settings.bucket_name and not _BUCKET.fullmatch(settings.bucket_name):
        yield f"bucketName is {settings.bucket_name!r}; write 3 to 63 small letters, digits and dashes"
    if settings.account_id and not _ACCOUNT.fullmatch(settings.account_id):
        yield f"accountId is {settings.account_id!r}; an account has 12 digits"
    if settings.collector_zip and not Path(settings.collector_zip).is_file():
        yield f"collectorZip is {settings.collector_zip!r}, where there is no file; build it by `make package`"


def _watchlist_faults(settings: Settings) -> Iterator[str]:
    wrong = [ticker for ticker in settings.tickers if not SYMBOL.fullmatch(ticker)]
    if wrong or not settings.tickers:
        yield (
            f"tickers: {', '.join(map(repr, wrong)) or 'an empty list'} is not a symbol; "
            "write symbols in capitals, such as META or BRK-B"
        )
    length = len(",".join(settings.tickers))
    if length > _WATCHLIST_CHARACTERS:
        yield (
            f"tickers: {len(settings.tickers)} symbols make a list of {length} characters, and the collector's "
            f"environment holds {_WATCHLIST_CHARACTERS}; give some of them to a second stack"
        )
    if not 1 <= settings.tickers_per_shard <= TICKERS_IN_TIME:
        yield (
            f"tickersPerShard is {settings.tickers_per_shard}; one run collects 1 to {TICKERS_IN_TIME} tickers in its "
            f"{COLLECTOR_TIMEOUT_SECONDS} seconds, {REQUESTS_AT_ONCE} at once at up to {ANSWER_SECONDS} seconds each"
        )
    if settings.bar_minutes not in BAR_MINUTES:
        yield f"barMinutes is {settings.bar_minutes}; Yahoo serves bars of {_listed(BAR_MINUTES)} minutes"
    least = settings.bar_minutes + COLLECT_EVERY_MINUTES
    if not least <= settings.look_back_minutes <= 390:
        yield (
            f"lookBackMinutes is {settings.look_back_minutes}; with bars of {settings.bar_minutes} minutes, collected "
            f"every {COLLECT_EVERY_MINUTES}, it lies between {least} and a session's 390"
        )


def _range_faults(settings: Settings) -> Iterator[str]:
    ranges = {
        # https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html; 60 with dynamic partitioning
        "bufferSeconds": (settings.buffer_seconds, 60, 900),
        # https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html
        "scanLimitMb": (settings.scan_limit_mb, 10, 7_000_000),
        "resultDays": (settings.result_days, 1, 3650),
        "oldVersionDays": (settings.old_version_days, 1, 3650),
        "monthlyBudgetUsd": (settings.monthly_budget_usd, 0, 1_000_000),
    }
    for key, (value, low, high) in ranges.items():
        if not low <= value <= high:
            yield f"{key} is {value}; it lies between {low} and {high}"


def _listed(values: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, values[:-1]))} or {values[-1]}"
