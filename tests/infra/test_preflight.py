"""What `make preflight` says of an account, good and bad. `make test-engine` runs it in the emulator too."""

import datetime as dt
import json
import types
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from infra import config, preflight
from tests.infra.recorder import ACCOUNT, TODAY, deployed, stack_config
from tickerlake.errors import ConfigError, RateLimited
from tickerlake.sources.simulated import SimulatedSource

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
CALLER = f"arn:aws:iam::{ACCOUNT}:user/deployer"
DEFAULT = [{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}]
SETTINGS = config.parse(stack_config("dev"), "dev", TODAY)


def refusal(code: str, status: int = 400, message: str = "") -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")


class Account:
    """An account that answers every request; `answers` and `denied` make it differ from a new one."""

    def __init__(self, denied: tuple[str, ...] = (), **answers: Any) -> None:
        self._answers = {
            "get_caller_identity": {"Account": ACCOUNT, "Arn": CALLER},
            "get_role": {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/deployer"}},
            "get_account_settings": limits(10, 10),
            "get_data_lake_settings": lake_formation(DEFAULT, DEFAULT),
            "get_work_group": refusal("InvalidRequestException", 400, "WorkGroup tickerlake-dev is not found."),
            "describe_alarms": {"MetricAlarms": []},
            # CloudWatch finds other names with the same start.
            "describe_log_groups": {"logGroups": [{"logGroupName": "/aws/lambda/tickerlake-dev-collector-of-mine"}]},
            "head_bucket": refusal("404", 404),
        } | answers
        self._denied = denied
        self.simulated: list[Mapping[str, Any]] = []

    def client(self, service: str) -> Any:
        def method(name: str) -> Any:
            def answer(**_: Any) -> Any:
                given = self._answers.get(name, refusal("ResourceNotFoundException"))
                if isinstance(given, Exception):
                    raise given
                return given

            return answer

        methods = {name: method(name) for name in (*self._answers, *OTHERS)}
        pages = {
            "simulate_principal_policy": self._simulate,
            "describe_alarms": lambda **_: [self._answers["describe_alarms"]],
        }
        return types.SimpleNamespace(**methods, get_paginator=lambda name: types.SimpleNamespace(paginate=pages[name]))

    def _simulate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        self.simulated.append(asked)
        for action in asked["ActionNames"]:
            decision = "implicitDeny" if action in self._denied else "allowed"
            yield {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision}]}


OTHERS = (
    *("get_function_configuration", "get_schedule_group", "describe_delivery_stream", "get_database", "get_crawler"),
    "get_dashboard",
)


def limits(total: int, free: int) -> dict[str, Any]:
    return {"AccountLimit": {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": free}}


def lake_formation(databases: list[Any], tables: list[Any]) -> dict[str, Any]:
    return {
        "DataLakeSettings": {"CreateDatabaseDefaultPermissions": databases, "CreateTableDefaultPermissions": tables}
    }


def found(
    account: Account, *, own: frozenset[str] = frozenset(), source: Any = None, **changes: str
) -> dict[str, list[Any]]:
    """The findings by topic, for the configuration of the stack dev with `changes`."""
    values = stack_config("dev") | {f"tickerlake:{key}": value for key, value in changes.items()}
    settings = config.parse(values, "dev", TODAY)
    topics: dict[str, list[Any]] = {}
    for topic, finding in preflight.examine(settings, account.client, source or SimulatedSource(), NOW, own):
        topics.setdefault(topic, []).append(finding)
    return topics


@pytest.fixture(autouse=True)
def _no_region(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def test_a_new_account_is_ready():
    topics = found(Account())

    assert list(topics) == ["Caller", "Quota", "Rights", "Names", "Lake Formation", "Vendor"]
    assert {finding.level for findings in topics.values() for finding in findings} == {"ok"}
    assert topics["Caller"][0].what == f"{CALLER} deploys tickerlake-dev to us-east-1"


def test_without_credentials_nothing_else_of_aws_is_asked():
    topics = found(Account(get_caller_identity=NoCredentialsError()))

    assert list(topics) == ["Caller", "Vendor"]
    (caller,) = topics["Caller"]
    assert (caller.level, caller.what) == ("problem", "AWS does not answer: Unable to locate credentials")
    assert "AWS_PROFILE" in caller.next_step


def test_another_account_than_the_configured_one_is_a_problem():
    (_, wrong) = found(Account(), accountId="999999999999")["Caller"]

    assert wrong.what == f"the account is {ACCOUNT}, and accountId allows 999999999999 only"


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_a_region_of_the_environment_that_differs_is_noted(monkeypatch, name):
    monkeypatch.setenv(name, "eu-west-1")

    (_, other) = found(Account())["Caller"]

    assert (other.level, other.next_step) == ("note", f"export {name}=us-east-1")


@pytest.mark.parametrize(
    ("total", "free", "level"),
    [(10, 10, "problem"), (1000, 1000, "ok"), (1000, 100, "problem"), (101, 101, "ok")],
)
def test_reserving_concurrency_is_a_problem_where_lambda_refuses_it(total, free, level):
    (quota,) = found(Account(get_account_settings=limits(total, free)), reserveConcurrency="true")["Quota"]

    assert quota.level == level
    assert level == "ok" or "pulumi config rm reserveConcurrency" in quota.next_step


def test_more_shards_than_free_executions_are_noted():
    (quota,) = found(Account(get_account_settings=limits(10, 0)))["Quota"]

    assert (quota.level, quota.what) == ("note", "1 shards run at once, and 0 executions are free: some wait")


def test_denied_actions_are_named():
    (rights,) = found(Account(denied=("iam:CreateRole", "lambda:CreateFunction")))["Rights"]

    assert rights.level == "problem"
    assert "are denied: iam:CreateRole, lambda:CreateFunction" in rights.what
    assert rights.next_step == f"have an administrator attach infra/deployer-policy.json to {CALLER}"


def test_rights_are_simulated_for_every_action_of_the_policy_on_resources_of_this_stack():
    account = Account()
    found(account)

    statements = json.loads(preflight.POLICY.read_text(encoding="utf-8"))["Statement"]
    resources = {arn for asked in account.simulated for arn in asked["ResourceArns"]}
    assert {action for asked in account.simulated for action in asked["ActionNames"]} == {
        action for each in statements for action in each["Action"]
    }
    assert f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:tickerlake-dev-x" in resources
    assert f"arn:aws:glue:us-east-1:{ACCOUNT}:database/tickerlake_dev" in resources
    assert "arn:aws:s3:::tickerlake-dev-x/x" in resources
    assert not [arn for arn in resources if "*" in arn.removesuffix("*")]


def test_the_session_of_a_role_is_simulated_as_the_role():
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me"
    account = Account(get_caller_identity={"Account": ACCOUNT, "Arn": session})
    found(account)
    hidden = Account(get_caller_identity={"Account": ACCOUNT, "Arn": session}, get_role=refusal("AccessDenied", 403))
    found(hidden)

    sso = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/deployer"
    assert {asked["PolicySourceArn"] for asked in account.simulated} == {sso}
    assert {asked["PolicySourceArn"] for asked in hidden.simulated} == {f"arn:aws:iam::{ACCOUNT}:role/deployer"}


def test_the_root_user_is_noted():
    root = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}
    (rights,) = found(Account(get_caller_identity=root))["Rights"]

    assert (rights.level, rights.next_step) == ("note", "deploy as a user or a role")


def test_names_that_are_taken_are_a_problem_unless_they_are_the_stacks_own():
    taken = Account(
        get_database={"Database": {}},
        get_work_group={"WorkGroup": {}},
        describe_alarms={"MetricAlarms": [{"AlarmName": "tickerlake-dev-heartbeat"}]},
        describe_log_groups={"logGroups": [{"logGroupName": "/aws/lambda/tickerlake-dev-collector"}]},
    )
    resources = [
        {"type": "aws:athena/workgroup:Workgroup", "inputs": {"name": "tickerlake-dev"}},
        {"type": "aws:cloudwatch/metricAlarm:MetricAlarm", "inputs": {"name": "tickerlake-dev-heartbeat"}},
        # It has the same name, and is something else.
        {"type": "aws:lambda/function:Function", "inputs": {"name": "/aws/lambda/tickerlake-dev-collector"}},
        {"type": "pulumi:pulumi:Stack"},
    ]

    own = preflight.owned({"deployment": {"resources": resources}})
    problems = {finding.what.partition(" exists")[0] for finding in found(taken, own=own)["Names"]}

    assert problems == {"CatalogDatabase tickerlake_dev", "LogGroup /aws/lambda/tickerlake-dev-collector"}
    assert len(found(taken)["Names"]) == 4


def test_an_empty_state_owns_nothing():
    assert preflight.owned({"version": 3, "deployment": {}}) == frozenset()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ({}, "the bucket my-bucket exists, and is not in this stack's state"),
        (refusal("403", 403), "the bucket my-bucket belongs to another account"),
    ],
)
def test_a_bucket_that_exists_is_a_problem(answer, what):
    (bucket, _) = found(Account(head_bucket=answer), bucketName="my-bucket")["Names"]

    assert (bucket.level, bucket.what) == ("problem", what)


def test_every_name_that_the_program_gives_is_looked_for():
    settings = config.parse(stack_config("prod"), "prod", TODAY)
    given = {
        f"{item.kind} {value}"
        for item in deployed("prod").registrations
        for key, value in item.inputs.items()
        if key in ("name", "dashboardName") and item.type.startswith("aws:")
        # Inside a database, a workgroup, a group or a log group of the stack, or among its alarms.
        if item.kind not in ("CatalogTable", "NamedQuery", "Schedule", "LogStream", "MetricAlarm")
    }

    assert given == set(preflight.names(settings, Account().client))
    assert {item.inputs["name"].startswith("tickerlake-prod-") for item in deployed("prod").all("MetricAlarm")} == {
        True
    }


def test_lake_formation_that_governs_new_tables_is_a_problem():
    (closed,) = found(Account(get_data_lake_settings=lake_formation(DEFAULT, [])))["Lake Formation"]

    assert (closed.level, "docs/lake-formation.md" in closed.next_step) == ("problem", True)
    assert closed.what == "Lake Formation governs every new table: policies of IAM are not enough"


def test_what_may_not_be_read_is_noted_and_the_rest_is_checked():
    topics = found(Account(get_data_lake_settings=refusal("AccessDeniedException")))

    (unknown,) = topics["Lake Formation"]
    assert (unknown.level, unknown.next_step) == ("note", "allow what deployer-policy.json lists")
    assert "Vendor" in topics


def test_a_vendor_that_refuses_is_only_noted():
    class Refusing(SimulatedSource):
        def bars(self, *_: Any, **__: Any) -> Any:
            raise RateLimited("429")

    (vendor,) = found(Account(), source=Refusing())["Vendor"]

    assert vendor.level == "note"
    assert "not from Lambda" in vendor.what


def test_without_the_pulumi_cli_it_says_where_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ConfigError, match="not installed; see https://www.pulumi.com"):
        preflight.pulumi("stack")


def test_a_refusal_of_the_pulumi_cli_is_one_line(monkeypatch, tmp_path):
    script = tmp_path / "pulumi"
    script.write_text("#!/bin/sh\necho 'error: no stack selected' >&2; exit 255\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(ConfigError, match="no stack selected; choose a stack with `pulumi stack select`"):
        preflight.pulumi("stack", "--show-name")


def test_a_vendor_that_needs_a_key_is_not_asked():
    findings = list(preflight.examine(SETTINGS, Account().client, None, NOW, frozenset()))

    assert findings[-1][1].what == "yahoo is not asked from here: the function has its key"
