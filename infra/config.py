"""The stack's settings: every key that `Pulumi.yaml` declares, parsed once.

The Pulumi CLI fills in the defaults of `Pulumi.yaml`; without the CLI the defaults below apply. A test keeps the two
equal.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import pulumi
from pulumi.runtime.config import CONFIG, is_config_secret

from tickerlake import alerts, exchange, watchlist
from tickerlake.errors import ConfigError
from tickerlake.exchange import Exchange
from tickerlake.record import BAR_MINUTES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "tickerlake"
WATCHLIST_FILE = "lake/tickerlake.toml"
"""The file that `tickerlake watchlist` writes for the default lake, relative to the root of the clone."""

COLLECT_EVERY_MINUTES = 5
COLLECTOR_TIMEOUT_SECONDS = 240
"""Less than the five minutes between two runs, so that a run that hangs ends before the next one starts."""
RESERVED_SECONDS = 50
"""Time that a run keeps for starting and for delivering the bars."""
ANSWER_SECONDS = 10
REQUESTS_AT_ONCE = 4
"""The collector sends this many requests at once and gives each one up after `ANSWER_SECONDS`."""
TICKERS_IN_TIME = (COLLECTOR_TIMEOUT_SECONDS - RESERVED_SECONDS) // ANSWER_SECONDS * REQUESTS_AT_ONCE
"""How many tickers one run can collect even if every answer takes `ANSWER_SECONDS`."""

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
# The watchlist and the rules of alerts are in their function's environment variables, which may hold 4 KB in total:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_WATCHLIST_CHARACTERS = 3500
_RULES_CHARACTERS = 3500
# Schedules have the longest names, and may have 64 characters: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
_STACK = re.compile(r"[a-z][a-z0-9-]{0,19}")
_BUCKET = re.compile(r"((?!xn--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9])?")
_EMAIL = re.compile(r"([^@\s,]+@[^@\s,]+\.[^@\s,]+)?")
_ACCOUNT = re.compile(r"(\d{12})?")
_COLLECT = re.compile(r"lambda|outside")
_ON_DESTROY = re.compile(r"refuse|keep|delete")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


def slug(place: Exchange) -> str:
    """How the names of an exchange's resources mark it: `new-york`."""
    return place.name.lower().replace(" ", "-")


class Vendor(NamedTuple):
    """A vendor that the function can ask."""

    key: tuple[str, ...] = ()
    """The environment variables that hold its key."""
    bar_minutes: tuple[int, ...] = BAR_MINUTES
    exchanges: tuple[Exchange, ...] = tuple(exchange.EXCHANGES.values())


VENDORS: Mapping[str, Vendor] = {
    "yahoo": Vendor(),
    "alpaca": Vendor(
        ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"),
        tuple(size for size in BAR_MINUTES if size <= 30),
        (exchange.XNYS,),
    ),
}


def _key(name: str, default: Any, description: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"key": name, "description": description})


@dataclass(frozen=True)
class Settings:
    """The configuration of one stack."""

    stack: str
    region: str
    tickers: tuple[str, ...]
    """Read from the file `watchlist`."""
    rules: str
    """The `[[alerts]]` in it, as JSON; empty without `alerts`."""
    watchlist: str = _key(
        "watchlist",
        WATCHLIST_FILE,
        "The file that `tickerlake watchlist` writes; the default file may be missing",
    )
    collect: str = _key(
        "collect",
        "lambda",
        "Who collects: lambda, the stack's function; or outside, a machine of yours, if the vendor refuses AWS",
    )
    source: str = _key("source", "yahoo", "The vendor that the function asks: yahoo or alpaca")
    source_key: str = _key(
        "sourceKey",
        "",
        "The vendor's key, a JSON object of the environment variables that hold it; set it with --secret",
        secret=True,
    )
    bar_minutes: int = _key("barMinutes", 5, "Length of a bar in minutes: 1, 2, 5, 15, 30, 60 or 90")
    look_back_minutes: int = _key(
        "lookBackMinutes", 30, "How many minutes back each run collects, to fill in for runs that failed"
    )
    tickers_per_shard: int = _key("tickersPerShard", 50, f"Tickers that one run collects, at most {TICKERS_IN_TIME}")
    # Off, because a new account allows ten executions in all and lets none be reserved. Runs that overlap do no harm:
    # both deliver the same bars, and queries read each bar once.
    reserve_concurrency: bool = _key(
        "reserveConcurrency",
        False,
        "Reserve one Lambda execution per shard; refused in an account that allows only ten",
    )
    buffer_seconds: int = _key("bufferSeconds", 60, "Seconds that Firehose buffers bars before it writes a file")
    first_session: dt.date = _key(  # noqa: RUF009  # a date is immutable
        "firstSession", dt.date(2020, 1, 1), "First session that queries see, YYYY-MM-DD"
    )
    scan_limit_mb: int = _key("scanLimitMb", 10_000, "Athena cancels a query that scans more megabytes than this")
    crawl: bool = _key(
        "crawl",
        True,
        "Run the crawler on a schedule, which is most of the stack's cost; Athena and the dashboard do not need it",
    )
    # Off, because a new stack has no history to forecast from.
    forecast: bool = _key("forecast", False, "Forecast each hour of the session; a ticker needs 20 earlier sessions")
    alerts: bool = _key(
        "alerts", False, "Send what the rules under [[alerts]] in the watchlist's file find to an SNS topic"
    )
    alert_email: str = _key("alertEmail", "", "Address that gets the alerts; without it you can subscribe to the topic")
    result_days: int = _key("resultDays", 7, "Days until query results are deleted")
    old_version_days: int = _key("oldVersionDays", 30, "Days until overwritten and deleted objects are removed")
    log_retention_days: int = _key("logRetentionDays", 30, "Days to keep logs; CloudWatch allows certain values only")
    alarm_email: str = _key("alarmEmail", "", "Address to notify of alarms; without it you can subscribe to the topic")
    monthly_budget_usd: int = _key(
        "monthlyBudgetUsd", 0, "Warn alarmEmail when the account's monthly cost nears this many US dollars; 0 for never"
    )
    bucket_name: str = _key("bucketName", "", "Name of the data bucket; Pulumi generates one if this is empty")
    account_id: str = _key("accountId", "", "Refuse to deploy to any other AWS account than this one, 12 digits")
    collector_zip: str = _key(
        "collectorZip",
        "",
        "Path of a zip from `make package`; if empty, the program builds the zip when it has changed",
    )
    on_destroy: str = _key(
        "onDestroy",
        "refuse",
        "What `pulumi destroy` does: refuse; keep, which leaves the data bucket in the account; or delete everything",
    )

    @property
    def name(self) -> str:
        """Prefix of every resource name in this stack."""
        return f"{PROJECT}-{self.stack}"

    @property
    def shards(self) -> dict[Exchange, tuple[tuple[str, ...], ...]]:
        """The tickers of each exchange in equal parts, each small enough for one run."""
        shards = {}
        for place in exchange.all_of(self.tickers):
            tickers = tuple(ticker for ticker in self.tickers if exchange.of(ticker) == place)
            count = -(-len(tickers) // self.tickers_per_shard)
            shards[place] = tuple(tickers[start::count] for start in range(count))
        return shards

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource."""
        return {"project": PROJECT, "stack": self.stack}


KEYS = tuple(item for item in fields(Settings) if item.metadata)
"""The fields of Settings that can be configured."""


def load() -> Settings:
    """The settings of the stack that Pulumi is running. Raises ConfigError."""
    if CONFIG.get().get(f"{PROJECT}:sourceKey") and not is_config_secret(f"{PROJECT}:sourceKey"):
        raise ConfigError(
            "sourceKey is in plain text in the stack's configuration; get another key from the vendor, and store it "
            "with `pulumi config set --secret sourceKey`"
        )
    return parse(CONFIG.get(), pulumi.get_stack(), dt.datetime.now(dt.UTC).date())


def parse(config: Mapping[str, Any], stack: str, today: dt.date) -> Settings:
    """The settings in `config` (`tickerlake:barMinutes` → `"5"`). Raises ConfigError, which lists every fault."""
    values: dict[str, Any] = {"stack": stack, "region": str(config.get("aws:region", ""))}
    faults = []
    for item in KEYS:
        text = config.get(f"{PROJECT}:{item.metadata['key']}")
        # Unreadable keys count as their defaults, so that the other keys are still checked.
        values[item.name] = item.default
        try:
            if text is not None:
                values[item.name] = _value(item.default, text)
        except ValueError as error:
            faults.append(f"{item.metadata['key']} is {text!r}; {error}")
    known = {item.metadata["key"] for item in KEYS}
    faults += [
        f"{key.removeprefix(f'{PROJECT}:')} is not a key; the keys are {', '.join(sorted(known))}"
        for key in sorted(config)
        if key.startswith(f"{PROJECT}:") and key.removeprefix(f"{PROJECT}:") not in known
    ]
    try:
        values["tickers"] = _tickers(values["watchlist"])
    except ConfigError as error:
        values["tickers"] = watchlist.DEFAULT
        faults.append(f"watchlist: {error}")
    values["rules"] = ""
    try:
        if values["alerts"]:
            values["rules"] = _rules(values["watchlist"])
    except ConfigError as error:
        faults.append(f"alerts: {error}")
    settings = Settings(**values)
    faults += _faults(settings, today)
    if faults:
        raise ConfigError(
            f"the stack {stack!r} cannot be deployed with this configuration:\n"
            + "\n".join(f"  - {fault}" for fault in faults)
            + "\nSet a key with `pulumi config set KEY VALUE`; Pulumi.yaml describes every key."
        )
    return settings


def _value(default: Any, text: Any) -> Any:
    """`text`, as Pulumi passes it, converted to the type of `default`."""
    if isinstance(default, str):
        return str(text)
    if isinstance(default, dt.date):
        try:
            return dt.date.fromisoformat(str(text))
        except ValueError:
            raise ValueError("write a date as YYYY-MM-DD") from None
    try:
        value = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        value = None
    if type(value) is not type(default):
        raise ValueError("write true or false" if isinstance(default, bool) else "write a whole number")
    return value


def _tickers(file: str) -> tuple[str, ...]:
    path = ROOT / file
    if file != WATCHLIST_FILE and not path.exists():
        raise ConfigError(f"{path} does not exist; create it: tickerlake watchlist add NVDA --lake {path.parent}")
    return watchlist.read(path)


def _rules(file: str) -> str:
    path = ROOT / file
    entries = watchlist.alerts(path)
    alerts.rules(entries, f"{path}: ")
    if not entries:
        raise ConfigError(f"{path} has no [[alerts]]; docs/lake.md shows how to write them")
    return json.dumps(entries)


def _faults(settings: Settings, today: dt.date) -> Iterator[str]:
    """Everything wrong with `settings`: each value, and what is allowed."""
    if not _STACK.fullmatch(settings.stack):
        yield f"the stack name is {settings.stack!r}; use up to 20 lower-case letters, digits and dashes"
    if not _REGION.fullmatch(settings.region):
        yield f"aws:region is {settings.region!r}; name a region, such as us-east-1"
    yield from _watchlist_faults(settings)
    yield from _vendor_faults(settings)
    yield from _range_faults(settings)
    yield from _alert_faults(settings)
    if not dt.date(1990, 1, 1) <= settings.first_session <= today:
        yield f"firstSession is {settings.first_session}; it must lie between 1990-01-01 and today, {today}"
    if settings.log_retention_days not in LOG_RETENTION_DAYS:
        yield f"logRetentionDays is {settings.log_retention_days}; CloudWatch allows {_listed(LOG_RETENTION_DAYS)}"
    forms = {
        "collect": (settings.collect, _COLLECT, "write lambda or outside"),
        "alarmEmail": (settings.alarm_email, _EMAIL, "write one e-mail address"),
        "alertEmail": (settings.alert_email, _EMAIL, "write one e-mail address"),
        "bucketName": (settings.bucket_name, _BUCKET, "use 3 to 63 lower-case letters, digits and dashes"),
        "accountId": (settings.account_id, _ACCOUNT, "an account number has 12 digits"),
        "onDestroy": (settings.on_destroy, _ON_DESTROY, "write refuse, keep or delete"),
    }
    for key, (value, pattern, allowed) in forms.items():
        if not pattern.fullmatch(value):
            yield f"{key} is {value!r}; {allowed}"
    if settings.monthly_budget_usd and not settings.alarm_email:
        yield f"monthlyBudgetUsd is {settings.monthly_budget_usd}, but alarmEmail is empty; set both"
    if settings.collector_zip and not Path(settings.collector_zip).is_file():
        yield f"collectorZip is {settings.collector_zip!r}, which does not exist; run `make package`"


def _watchlist_faults(settings: Settings) -> Iterator[str]:
    length = len(",".join(settings.tickers))
    if length > _WATCHLIST_CHARACTERS:
        yield (
            f"watchlist: {len(settings.tickers)} symbols make a list of {length} characters, and the collector's "
            f"environment holds {_WATCHLIST_CHARACTERS}; move some of them to a second stack"
        )
    if not 1 <= settings.tickers_per_shard <= TICKERS_IN_TIME:
        yield (
            f"tickersPerShard is {settings.tickers_per_shard}; it must lie between 1 and {TICKERS_IN_TIME}: a run has "
            f"{COLLECTOR_TIMEOUT_SECONDS} seconds and sends {REQUESTS_AT_ONCE} requests of {ANSWER_SECONDS} seconds"
        )
    least = settings.bar_minutes + COLLECT_EVERY_MINUTES
    if not least <= settings.look_back_minutes <= 390:
        yield (
            f"lookBackMinutes is {settings.look_back_minutes}; for bars of {settings.bar_minutes} minutes, collected "
            f"every {COLLECT_EVERY_MINUTES}, it must lie between {least} and 390, a whole session"
        )


def _vendor_faults(settings: Settings) -> Iterator[str]:
    vendor = VENDORS.get(settings.source)
    if vendor is None:
        yield f"source is {settings.source!r}; the function can ask {' or '.join(VENDORS)}"
        return
    if settings.bar_minutes not in vendor.bar_minutes:
        allowed = _listed(vendor.bar_minutes)
        yield f"barMinutes is {settings.bar_minutes}; {settings.source} serves bars of {allowed} minutes"
    others = [ticker for ticker in settings.tickers if exchange.of(ticker) not in vendor.exchanges]
    if others and settings.collect == "lambda":
        yield f"watchlist: {settings.source} has no bars of {', '.join(others)}; remove them, or set source to yahoo"
    example = json.dumps(dict.fromkeys(vendor.key, "…"), ensure_ascii=False)
    if settings.source_key and not vendor.key:
        yield f"sourceKey is set, and {settings.source} takes no key; remove it: pulumi config rm sourceKey"
    elif vendor.key and settings.collect == "lambda" and _names(settings.source_key) != set(vendor.key):
        # The value appears in no message.
        yield f"{settings.source} needs a key: pulumi config set --secret sourceKey '{example}'"


def _alert_faults(settings: Settings) -> Iterator[str]:
    if settings.alert_email and not settings.alerts:
        yield f"alertEmail is {settings.alert_email}, but alerts is false; set both"
    if len(settings.rules) > _RULES_CHARACTERS:
        yield (
            f"alerts: the rules make a text of {len(settings.rules)} characters; the alerter's environment holds "
            f"{_RULES_CHARACTERS}; write fewer [[alerts]]"
        )


def _names(text: str) -> set[str]:
    """The names of the texts in a JSON object."""
    try:
        held = json.loads(text)
    except ValueError:
        return set()
    return (
        {name for name, value in held.items() if isinstance(value, str) and value} if isinstance(held, dict) else set()
    )


def _range_faults(settings: Settings) -> Iterator[str]:
    ranges = {
        # https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html
        # With dynamic partitioning it is 60 at least.
        "bufferSeconds": (settings.buffer_seconds, 60, 900),
        # https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html
        "scanLimitMb": (settings.scan_limit_mb, 10, 7_000_000),
        "resultDays": (settings.result_days, 1, 3650),
        "oldVersionDays": (settings.old_version_days, 1, 3650),
        "monthlyBudgetUsd": (settings.monthly_budget_usd, 0, 1_000_000),
    }
    for key, (value, low, high) in ranges.items():
        if not low <= value <= high:
            yield f"{key} is {value}; it must lie between {low} and {high}"


def _listed(values: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, values[:-1]))} or {values[-1]}"
