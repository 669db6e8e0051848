"""One account in the emulator for every test of this folder, and a summary of the engine's steps at the end."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.preflight import POLICY
from tests.cloud.emulator import CREDENTIALS, environment, running_emulator
from tests.cloud.stack import guarding, own_code
from tests.engine.cli import STEPS, Project, built
from tests.engine.provider import NEW_ACCOUNT_EXECUTIONS
from tests.fakes.yahoo import FakeYahoo, running_yahoo
from tests.infra.recorder import REGION


@dataclass
class Account:
    """An AWS account that is new: it lets no executions of Lambda be reserved."""

    url: str
    authority: Path
    """Vouches for the certificate at `url`."""
    folder: Path
    zip: Path
    """The function's code, without its packages."""
    yahoo: FakeYahoo

    def client(self, service: str) -> Any:
        """A boto3 client of the account's owner."""
        return boto3.client(
            service, region_name=REGION, endpoint_url=self.url, verify=str(self.authority), **CREDENTIALS
        )

    def project(self, name: str, **variables: str) -> Project:
        """A clone of its own, with the credentials of the account's owner."""
        folder = self.folder / name
        folder.mkdir()
        reached = {"AWS_ENDPOINT_URL": self.url, "AWS_CA_BUNDLE": str(self.authority)}
        function = json.dumps({**self.yahoo.environment(), **reached})
        return Project(folder, environment(self.url) | reached | {"TEST_FUNCTION_ENVIRONMENT": function} | variables)

    def deployer(self, name: str) -> dict[str, str]:
        """The credentials of a new user who has the rights of the deployer policy and no others."""
        access, user = self.client("iam"), {"UserName": name}
        access.create_user(**user)
        access.put_user_policy(**user, PolicyName="deployer", PolicyDocument=POLICY.read_text(encoding="utf-8"))
        key = access.create_access_key(**user)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def inventory(self, prefix: str) -> list[str]:
        """The names of everything whose name starts with `prefix`."""
        listed = (
            ("athena", "list_work_groups", "WorkGroups", "Name"),
            ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
            ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
            ("events", "list_rules", "Rules", "Name"),
            ("firehose", "list_delivery_streams", "DeliveryStreamNames", ""),
            ("glue", "get_crawlers", "Crawlers", "Name"),
            ("glue", "get_databases", "DatabaseList", "Name"),
            ("iam", "list_policies", "Policies", "PolicyName"),
            ("iam", "list_roles", "Roles", "RoleName"),
            ("lambda", "list_functions", "Functions", "FunctionName"),
            ("logs", "describe_log_groups", "logGroups", "logGroupName"),
            ("s3", "list_buckets", "Buckets", "Name"),
            ("scheduler", "list_schedule_groups", "ScheduleGroups", "Name"),
            ("scheduler", "list_schedules", "Schedules", "Name"),
            ("sns", "list_topics", "Topics", "TopicArn"),
            ("sqs", "list_queues", "QueueUrls", ""),
        )
        names = [
            (item[key] if key else item).rpartition("/")[2].rpartition(":")[2]
            for service, operation, kind, key in listed
            for item in getattr(self.client(service), operation)().get(kind, [])
        ]
        return sorted(name for name in names if name.replace("_", "-").startswith(prefix))


@pytest.fixture(scope="session")
def account(tmp_path_factory):
    if shutil.which("go") is None:
        pytest.skip("there is no Go to build the Pulumi CLI with")
    built()
    folder = tmp_path_factory.mktemp("account")
    (folder / "faults.json").write_text("{}", encoding="utf-8")
    (folder / "collector.zip").write_bytes(own_code())
    guarded, authority = guarding(folder)
    settings = {
        "EMULATOR_FAULTS": str(folder / "faults.json"),
        "LAMBDA_ACCOUNT_CONCURRENCY": str(NEW_ACCOUNT_EXECUTIONS),
    }
    with running_yahoo() as yahoo, running_emulator(folder, settings | guarded) as url:
        yield Account(url, authority, folder, folder / "collector.zip", yahoo)


@pytest.fixture(autouse=True)
def _steps(record_property):
    """Reports what the engine did in a test to the process that prints the summary."""
    yield
    for command, result, seconds in STEPS:
        counts = ", ".join(f"{count} {word}" for word, count in result.counts.items())
        record_property("step", f"{seconds:5.1f} s  {command.splitlines()[-1]:<50} {counts}")
    STEPS.clear()


def pytest_terminal_summary(terminalreporter):
    ended = [report for report in terminalreporter.stats.get("", []) if report.when == "teardown"]
    ended.sort(key=lambda report: report.fspath)  # two files run at a time
    steps = [line for report in ended for name, line in report.user_properties if name == "step"]
    if steps:
        terminalreporter.section("what the engine did")
    for line in steps:
        terminalreporter.line(line)
