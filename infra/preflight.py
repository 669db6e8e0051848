"""`python -m infra.preflight`: read-only checks of the account before `pulumi up`, each with what to do next.

Exits with 0 if nothing stands in the way, 1 if something does, and 2 if the configuration cannot be used.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from infra import config
from tickerlake import aws
from tickerlake.cli.console import run_command
from tickerlake.cli.doctor import report
from tickerlake.doctor import Finding, check_vendor
from tickerlake.errors import ConfigError
from tickerlake.settings import REGION_VARIABLES
from tickerlake.sources import Source

Client = Callable[[str], Any]
"""Gives the boto3 client of a service."""

POLICY = Path(__file__).parent / "deployer-policy.json"
READS: Mapping[str, tuple[str, ...]] = {
    "athena": ("GetWorkGroup",),
    "cloudwatch": ("DescribeAlarms", "GetDashboard"),
    "firehose": ("DescribeDeliveryStream",),
    "glue": ("GetCrawler", "GetDatabase"),
    "iam": ("GetRole", "SimulatePrincipalPolicy"),
    "lakeformation": ("GetDataLakeSettings",),
    "lambda": ("GetAccountSettings", "GetFunctionConfiguration"),
    "logs": ("DescribeLogGroups",),
    "s3": ("HeadBucket",),
    "scheduler": ("GetScheduleGroup",),
    "sts": ("GetCallerIdentity",),
}
"""The requests that this sends, by service."""

_UNRESERVED = 100
"""Lambda lets no account reserve the last hundred executions, nor any in an account that has fewer:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
_DOCS = "docs/deploy.md"
_NAMED = 6


@click.command("preflight")
def preflight() -> int:
    """Check the AWS account before `pulumi up`. Changes nothing.

    Exits with 0 if nothing stands in the way, else with 1; with 2 if the configuration cannot be used.
    """
    from tickerlake.sources.yahoo import YahooSource  # noqa: PLC0415  # yfinance takes a second to import

    now = dt.datetime.now(dt.UTC)
    stack = pulumi("stack", "--show-name").strip()
    given = json.loads(pulumi("config", "--json", "--show-secrets"))
    values = {key: item["value"] for key, item in given.items() if "value" in item}
    settings = config.parse(values, stack, now.date())
    yahoo = YahooSource(timeout=(3, 5), pause=lambda _: None) if settings.source == "yahoo" else None
    own = owned(json.loads(pulumi("stack", "export")))
    return report(examine(settings, lambda service: aws.client(service, settings.region), yahoo, now, own))


def pulumi(*arguments: str) -> str:
    """What the Pulumi CLI prints. ConfigError if it is missing or refuses."""
    if shutil.which("pulumi") is None:
        raise ConfigError("the Pulumi CLI is not installed; see https://www.pulumi.com/docs/install/")
    done = subprocess.run(["pulumi", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        raise ConfigError(f"`pulumi {' '.join(arguments)}` failed: {said}; choose a stack with `pulumi stack select`")
    return done.stdout


def owned(state: Mapping[str, Any]) -> frozenset[str]:
    """What is in the stack's `state`, as `pulumi stack export` prints it: `Function tickerlake-dev-collector`."""
    resources = (state.get("deployment") or {}).get("resources") or []
    return frozenset(
        f"{each['type'].rpartition(':')[2]} {each['inputs'][key]}"
        for each in resources
        for key in ("name", "dashboardName", "bucket")
        if key in each.get("inputs", {})
    )


def examine(
    settings: config.Settings, client: Client, source: Source | None, now: dt.datetime, own: frozenset[str]
) -> Iterator[tuple[str, Finding]]:
    """Every check, each with its topic. `own` are the names of what the stack has already. Without a `source` no vendor
    is asked.
    """
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "Caller": lambda: check_caller(settings, client, os.environ),
        "Quota": lambda: check_quota(settings, client),
        "Rights": lambda: check_rights(settings, client),
        "Names": lambda: check_names(settings, client, own),
        "Lake Formation": lambda: check_lake_formation(client),
    }
    for topic, check in checks.items():
        try:
            for finding in check():
                yield topic, finding
        except (BotoCoreError, ClientError) as error:
            if topic == "Caller":
                yield topic, Finding("problem", f"AWS does not answer: {error}", "log in to AWS, or set AWS_PROFILE")
                break
            yield topic, Finding("note", f"cannot be checked: {error}", f"allow what {POLICY.name} lists")
    if source is None:
        yield "Vendor", Finding("note", f"{settings.source} is not asked from here: the function has its key")
        return
    answer = check_vendor(source, settings.tickers[0], now)
    if answer.level == "problem":
        what = f"{answer.what} (asked from this machine, not from Lambda)"
        answer = Finding("note", what, "if Lambda gets no answer either, collect outside: docs/outside.md")
    yield "Vendor", answer


def check_caller(settings: config.Settings, client: Client, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Who deploys where, and whether that is what the configuration says. ClientError without credentials."""
    caller = client("sts").get_caller_identity()
    account = caller["Account"]
    yield Finding("ok", f"{caller['Arn']} deploys {settings.name} to {settings.region}")
    if settings.account_id and account != settings.account_id:
        yield Finding(
            "problem",
            f"the account is {account}, and accountId allows {settings.account_id} only",
            "set AWS_PROFILE to a profile of that account, or correct accountId",
        )
    for name in REGION_VARIABLES:
        other = environment.get(name, "").strip()
        if other and other != settings.region:
            yield Finding(
                "note",
                f"{name} is {other}: commands other than pulumi go there",
                f"export {name}={settings.region}",
            )


def check_quota(settings: config.Settings, client: Client) -> Iterator[Finding]:
    """Whether Lambda lets the collector run, and reserves what the configuration asks for."""
    limit = client("lambda").get_account_settings()["AccountLimit"]
    total, free = limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]
    shards = sum(map(len, settings.shards.values()))
    raise_it = "ask for more in Service Quotas: Lambda, concurrent executions"
    spare = free - min(_UNRESERVED, total)
    if settings.reserve_concurrency and spare < shards:
        yield Finding(
            "problem",
            f"reserveConcurrency asks for {shards} of the account's {total} concurrent executions, and Lambda lets "
            f"{max(spare, 0)} be reserved",
            f"pulumi config rm reserveConcurrency, or {raise_it}",
        )
    elif shards > free:
        yield Finding("note", f"{shards} shards run at once, and {free} executions are free: some wait", raise_it)
    else:
        yield Finding("ok", f"{free} of {total} concurrent executions of Lambda are free, {shards} needed")


def check_rights(settings: config.Settings, client: Client) -> Iterator[Finding]:
    """Whether the caller may do what deploying needs, by IAM's own simulation."""
    arn = client("sts").get_caller_identity()["Arn"]
    if arn.endswith(":root"):
        yield Finding("note", "the caller is the root user, who may do everything", "deploy as a user or a role")
        return
    identity, who = client("iam"), principal(arn, client)
    denied: set[str] = set()
    asked: set[str] = set()
    for statement in json.loads(POLICY.read_text(encoding="utf-8"))["Statement"]:
        services = statement.get("Condition", {}).get("StringEquals", {}).get("iam:PassedToService", [""])
        for resource in statement["Resource"]:
            for service in services:
                context = [
                    {"ContextKeyName": "iam:PassedToService", "ContextKeyType": "string", "ContextKeyValues": [service]}
                ]
                pages = identity.get_paginator("simulate_principal_policy").paginate(
                    PolicySourceArn=who,
                    ActionNames=statement["Action"],
                    ResourceArns=[_example(resource, settings, who)],
                    ContextEntries=context if service else [],
                )
                results = [result for page in pages for result in page["EvaluationResults"]]
                asked.update(result["EvalActionName"] for result in results)
                denied.update(result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed")
    if not denied:
        yield Finding("ok", f"all {len(asked)} actions of {POLICY.name} are allowed")
        return
    more = f" and {len(denied) - _NAMED} more" if len(denied) > _NAMED else ""
    yield Finding(
        "problem",
        f"{len(denied)} of {len(asked)} actions are denied: {', '.join(sorted(denied)[:_NAMED])}{more}",
        f"have an administrator attach infra/{POLICY.name} to {who}",
    )


def principal(arn: str, client: Client) -> str:
    """The user or role behind the caller's `arn`. IAM does not simulate the session of a role."""
    if ":assumed-role/" not in arn:
        return arn
    role = arn.split("/")[1]
    try:
        return client("iam").get_role(RoleName=role)["Role"]["Arn"]  # a role of single sign-on has a path
    except ClientError:
        account = arn.split(":")[4]
        return f"arn:{arn.split(':')[1]}:iam::{account}:role/{role}"


def _example(pattern: str, settings: config.Settings, caller: str) -> str:
    """A resource of the stack that `pattern`, an ARN of the policy, covers."""
    if pattern == "*":
        return pattern
    _, _, service, region, account, *rest = pattern.split(":")
    place = [*caller.split(":")[:2], service, region and settings.region, account and caller.split(":")[4]]
    name = ":".join([*place, *rest]).replace(f"{config.PROJECT}-*", f"{settings.name}-x")
    return name.replace(f"{config.PROJECT}_*", settings.name.replace("-", "_")).replace("*", "x")


def check_names(settings: config.Settings, client: Client, own: frozenset[str]) -> Iterator[Finding]:
    """Whether something that is not the stack's own has a name that it needs."""
    taken = [what for what, find in names(settings, client).items() if what not in own and _exists(find)]
    pages = client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{settings.name}-")
    alarms = [f"MetricAlarm {alarm['AlarmName']}" for page in pages for alarm in page["MetricAlarms"]]
    taken += [alarm for alarm in alarms if alarm not in own]
    for what in taken:
        yield Finding(
            "problem",
            f"{what} exists, and is not in this stack's state",
            "delete it, or take another stack name: pulumi stack init NAME",
        )
    if settings.bucket_name and f"Bucket {settings.bucket_name}" not in own:
        yield from _bucket(settings.bucket_name, client)
    if not taken:
        yield Finding("ok", "nothing else has a name that the stack needs")


def names(settings: config.Settings, client: Client) -> dict[str, Callable[[], Any]]:
    """What the stack gives a name, apart from alarms, each with a request that finds one of that name."""
    name, stream = settings.name, f"{settings.name}-bars"
    database = name.replace("-", "_")

    def group(of: str) -> list[Any]:
        found = client("logs").describe_log_groups(logGroupNamePrefix=of)["logGroups"]
        return [each for each in found if each["logGroupName"] == of]

    finders: dict[str, Callable[[], Any]] = {}
    for function in (f"{name}-collector", f"{name}-compactor", f"{name}-forecaster", f"{name}-alerter"):
        finders |= {
            f"Function {function}": partial(client("lambda").get_function_configuration, FunctionName=function),
            f"LogGroup /aws/lambda/{function}": partial(group, f"/aws/lambda/{function}"),
        }
    of_exchanges = (
        f"{name}-{what}-{config.slug(place)}"
        for what in ("collector", "forecaster", "alerter")
        for place in settings.shards
    )
    for schedules in (f"{name}-compactor", *of_exchanges):
        finders[f"ScheduleGroup {schedules}"] = partial(client("scheduler").get_schedule_group, Name=schedules)
    return finders | {
        f"FirehoseDeliveryStream {stream}": lambda: client("firehose").describe_delivery_stream(
            DeliveryStreamName=stream
        ),
        f"CatalogDatabase {database}": lambda: client("glue").get_database(Name=database),
        f"Crawler {name}-crawler": lambda: client("glue").get_crawler(Name=f"{name}-crawler"),
        f"Workgroup {name}": lambda: client("athena").get_work_group(WorkGroup=name),
        f"Dashboard {name}": lambda: client("cloudwatch").get_dashboard(DashboardName=name),
        f"LogGroup /aws/kinesisfirehose/{stream}": lambda: group(f"/aws/kinesisfirehose/{stream}"),
    }


def _exists(find: Callable[[], Any]) -> bool:
    try:
        return bool(find())
    except ClientError as error:
        if is_missing(error):
            return False
        raise


def is_missing(error: ClientError) -> bool:
    """Whether AWS says that there is no such thing."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    return (
        error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        or any(word in code for word in ("NotFound", "NoSuch"))
        or "not found" in message  # Athena
    )


def _bucket(name: str, client: Client) -> Iterator[Finding]:
    try:
        client("s3").head_bucket(Bucket=name)
    except ClientError as error:
        if not is_missing(error):
            yield Finding("problem", f"the bucket {name} belongs to another account", "choose another bucketName")
        return
    yield Finding(
        "problem",
        f"the bucket {name} exists, and is not in this stack's state",
        f"import it: {_DOCS}, An existing bucket",
    )


def check_lake_formation(client: Client) -> Iterator[Finding]:
    """Whether IAM alone decides who reads new tables, as in every account that has not changed the default."""
    settings = client("lakeformation").get_data_lake_settings()["DataLakeSettings"]
    closed = [
        kind
        for kind in ("Database", "Table")
        if not any(
            entry["Principal"]["DataLakePrincipalIdentifier"] == "IAM_ALLOWED_PRINCIPALS"
            and "ALL" in entry["Permissions"]
            for entry in settings.get(f"Create{kind}DefaultPermissions", [])
        )
    ]
    if closed:
        yield Finding(
            "problem",
            f"Lake Formation governs every new {' and '.join(closed).lower()}: policies of IAM are not enough",
            "grant what docs/lake-formation.md lists, or restore the default there",
        )
    else:
        yield Finding("ok", "new databases and tables are governed by IAM alone")


if __name__ == "__main__":
    sys.exit(run_command(preflight))
