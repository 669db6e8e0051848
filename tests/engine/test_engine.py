"""The life of a stack to try things in, under the real engine. The tests of this file run in order.

Only `make test-engine` runs these: the CLI is built first, and each step takes as long as it does for a user.
"""

import json
import os
import re

import pytest

from infra.preflight import POLICY
from tests.engine.cli import OBJECT
from tests.engine.documented import OUTSIDE, commands
from tests.infra.recorder import ROOT

if not os.environ.get("ENGINE_TESTS"):
    pytest.skip("the program under the real Pulumi engine runs with `make test-engine`", allow_module_level=True)

pytestmark = pytest.mark.engine

PREFLIGHT, VERIFY = (f".venv/bin/python -m infra.{name}" for name in ("preflight", "verify"))


def on(account, key):
    """What is deployed: the answer of AWS about one resource of the stack."""
    name = "tickerlake-dev"
    return {
        "function": lambda: account.client("lambda").get_function_configuration(FunctionName=f"{name}-collector"),
        "workgroup": lambda: account.client("athena").get_work_group(WorkGroup=name)["WorkGroup"],
        "alarms": lambda: account.client("cloudwatch").describe_alarms(AlarmNamePrefix=name)["MetricAlarms"],
    }[key]()


@pytest.fixture(scope="module")
def dev(account):
    return account.project("dev-clone")


@pytest.fixture(scope="module")
def deployer(account):
    return account.deployer("deployer")


def test_the_account_is_ready_before_the_stack_is_created(account, dev, deployer):
    for command in commands("Deploy")[:2]:
        dev.ok(command)
    dev.ok(f"pulumi config set collectorZip {account.zip}")

    checked = dev.ok(PREFLIGHT, **deployer).words

    assert "arn:aws:iam::123456789012:user/deployer deploys tickerlake-dev to us-east-1" in checked
    assert "10 of 10 concurrent executions of Lambda are free, 1 needed" in checked
    assert re.search(r"all \d+ actions of deployer-policy.json are allowed", checked)
    assert "nothing else has a name that the stack needs" in checked


def test_what_stands_in_the_way_of_a_stack_is_found_before_it_is_created(account, dev, deployer):
    account.client("glue").create_database(DatabaseInput={"Name": "tickerlake_dev"})
    dev.ok("pulumi config set reserveConcurrency true")
    user = {"UserName": "deployer", "PolicyName": "deployer"}
    less = json.loads(POLICY.read_text(encoding="utf-8"))
    less["Statement"] = [each for each in less["Statement"] if each["Sid"] != "PassRoles"]
    account.client("iam").put_user_policy(**user, PolicyDocument=json.dumps(less))

    refused = dev.run(PREFLIGHT, **deployer)

    account.client("iam").put_user_policy(**user, PolicyDocument=POLICY.read_text(encoding="utf-8"))
    account.client("glue").delete_database(Name="tickerlake_dev")
    dev.ok("pulumi config rm reserveConcurrency")
    assert refused.code == 1
    assert "CatalogDatabase tickerlake_dev exists, and is not in this stack's state" in refused.words
    assert "actions are denied: iam:PassRole" in refused.words
    assert "reserveConcurrency asks for 1 of the account's 10 concurrent executions" in refused.words


def test_the_documented_commands_create_the_stack_that_the_preview_showed(account, dev):
    preview, up = commands("Deploy")[2:4]

    shown = dev.ok(preview).counts
    done = dev.ok(f"{up} --skip-preview").counts

    assert shown == {"create": done["created"]}
    assert done["created"] >= 76
    assert on(account, "function")["State"] == "Active"


def test_a_stack_of_ones_own_changes_no_tracked_file(dev):
    for path in ROOT.glob("Pulumi*.yaml"):
        if path.name == "Pulumi.yaml" or path.name.endswith(".example.yaml"):
            assert (dev.folder / path.name).read_bytes() == path.read_bytes()


def test_a_second_update_changes_nothing(dev):
    counts = dev.ok("pulumi up --skip-preview").counts

    assert counts.keys() == {"unchanged"}


def test_the_stack_is_verified(account, dev, deployer):
    checked = dev.ok(VERIFY, **deployer).words

    assert "answers a query with the marked record" in checked
    assert f"all {len(on(account, 'alarms'))} alarms fired and notified the topic" in checked
    assert checked.endswith("Nothing needs attention.")
    assert "123456789012" not in checked


def test_the_outputs_become_the_settings_of_a_query(dev):
    (command,) = [line for line in commands("Deploy", starting=("env $(",)) if "tickerlake query" in line]

    printed = dev.ok(command.replace(".venv/bin/tickerlake query hourly_high", "env")).output

    assert "LAKE_WORKGROUP=tickerlake-dev\n" in printed
    assert dev.ok("pulumi stack output readme").output.startswith("# Tickerlake")


def test_a_ticker_added_to_the_watchlist_updates_the_function_and_its_schedules(account, dev):
    before = on(account, "function")["Environment"]["Variables"]["COLLECTOR_TICKERS"]
    dev.ok(".venv/bin/python -m tickerlake watchlist add NVDA")

    done = dev.ok("pulumi up --skip-preview")

    assert done.steps == {
        name: {"updated"}
        for name in ("collector-function", "collector-new-york-collect-1", "collector-new-york-sweep-1")
    }
    assert on(account, "function")["Environment"]["Variables"]["COLLECTOR_TICKERS"] == f"{before},NVDA"


def test_an_exchange_and_alerts_bring_resources_of_their_own_and_take_them_away_again(account, dev):
    dev.ok(".venv/bin/python -m tickerlake watchlist add VOD.L")
    dev.ok("printf '\\n[[alerts]]\\nnew_high = 1\\n' >> lake/tickerlake.toml")
    for command in commands("Alerts"):
        done = dev.ok(command)
    brought = {name for name, steps in done.steps.items() if steps == {"created"}}

    assert {name for name in brought if not name.startswith("alerter-")} == {
        *("collector-london-schedules", "collector-london-collect-1", "collector-london-sweep-1"),
        *("forecaster-london-schedules", "forecaster-london-forecast", "monitoring-alerts-failing"),
        *("monitoring-heartbeat-london", "monitoring-collector-silent-london"),
    }
    assert {"alerter-function", "alerter-alerts", "alerter-email", "alerter-london-alert"} <= brought
    heartbeats = [alarm["AlarmName"] for alarm in on(account, "alarms") if "heartbeat" in alarm["AlarmName"]]
    assert heartbeats == ["tickerlake-dev-heartbeat-london", "tickerlake-dev-heartbeat-new-york"]

    dev.ok("pulumi config rm alerts && pulumi config rm alertEmail")
    dev.ok(".venv/bin/python -m tickerlake watchlist remove VOD.L")
    done = dev.ok("pulumi up --skip-preview")
    assert {name for name, steps in done.steps.items() if steps == {"deleted"}} == brought


def test_a_changed_setting_of_each_component_updates_what_depends_on_it(account, dev):
    for key, value in {
        "resultDays": "3",
        "firstSession": "2024-01-02",
        "bufferSeconds": "120",
        "lookBackMinutes": "45",
        "scanLimitMb": "500",
        "alarmEmail": "you@example.com",
    }.items():
        dev.ok(f"pulumi config set {key} {value}")

    done = dev.ok("pulumi up --skip-preview")

    assert done.steps == {
        "lake-results-lifecycle": {"updated"},
        "catalog-forecasts": {"updated"},
        "catalog-hours": {"updated"},
        "catalog-runs": {"updated"},
        "catalog-table": {"updated"},
        "delivery-stream": {"updated"},
        "collector-function": {"updated"},
        "analytics-workgroup": {"updated"},
        "monitoring-email": {"created"},
    }
    limits = on(account, "workgroup")["Configuration"]
    assert limits["BytesScannedCutoffPerQuery"] == 500_000_000
    assert on(account, "function")["Environment"]["Variables"]["COLLECTOR_LOOK_BACK_MINUTES"] == "45"


def test_new_code_and_a_new_query_text_replace_only_the_objects_that_hold_them(account, dev):
    dev.write("queries/tickers.sql", "The tickers in the lake", "Every ticker in the lake")
    with account.zip.open("ab") as archive:
        archive.write(b"\0")  # another hash

    done = dev.ok("pulumi up --skip-preview")

    assert {name for name, steps in done.steps.items() if "replaced" in steps} == {
        "analytics-tickers",
        "collector-code",
    }
    assert done.steps["collector-function"] == done.steps["compactor-function"] == {"updated"}
    assert done.counts["replaced"] == 2


def test_a_refresh_sees_what_was_changed_by_hand_and_an_update_restores_it(account, dev):
    account.client("lambda").update_function_configuration(FunctionName="tickerlake-dev-collector", Timeout=3)
    account.client("cloudwatch").delete_alarms(AlarmNames=["tickerlake-dev-delivery-late"])

    seen = dev.ok("pulumi refresh --skip-preview")
    done = dev.ok("pulumi up --skip-preview")

    assert (seen.counts["updated"], seen.counts["deleted"]) == (1, 1)
    assert done.steps == {"collector-function": {"updated"}, "monitoring-delivery-late": {"created"}}
    assert on(account, "function")["Timeout"] == 240
    assert "tickerlake-dev-delivery-late" in [alarm["AlarmName"] for alarm in on(account, "alarms")]


def test_the_documented_commands_move_the_collecting_outside_and_back(account, dev):
    for command in commands("1. Take the function out of the stack", page=OUTSIDE):
        gone = dev.ok(command)

    assert {name for name, steps in gone.steps.items() if steps == {"deleted"}} == {
        *("collector-function", "collector-failure-destination", "collector-logs", "collector-new-york-schedules"),
        *("collector-role", "collector-role-policy", "collector-scheduler-role", "collector-scheduler-role-policy"),
        *("collector-new-york-collect-1", "collector-new-york-sweep-1"),
        *("monitoring-collector-failing", "monitoring-collector-slow", "monitoring-collector-throttled"),
    }
    assert "docs/outside.md" in dev.ok("pulumi stack output readme").output
    (heartbeat,) = [alarm["Dimensions"] for alarm in on(account, "alarms") if "heartbeat" in alarm["AlarmName"]]
    assert {each["Name"]: each["Value"] for each in heartbeat} == {
        "service": "tickerlake-dev-bars",
        "exchange": "XNYS",
    }

    for command in commands("Back to the function", page=OUTSIDE):
        dev.ok(command)
    assert on(account, "function")["State"] == "Active"


def test_a_vendors_key_is_encrypted_in_the_state_and_a_new_one_needs_no_deployment(account, dev):
    key = json.dumps({"APCA_API_KEY_ID": "an-id", "APCA_API_SECRET_KEY": "a-plain-secret"})
    dev.ok("pulumi config set source alpaca")
    dev.ok(f"pulumi config set --plaintext sourceKey '{key}'")
    assert "sourceKey is in plain text" in dev.run("pulumi up --skip-preview").output

    dev.ok(f"pulumi config set --secret sourceKey '{key}'")
    done = dev.ok("pulumi up --skip-preview")

    parameter = {"Name": "/tickerlake-dev-collector/key", "WithDecryption": True}
    assert done.steps["collector-key"] == {"created"}
    assert account.client("ssm").get_parameter(**parameter)["Parameter"]["Value"] == key
    assert "a-plain-secret" not in json.dumps(dev.state())

    account.client("ssm").put_parameter(Name=parameter["Name"], Value="{}", Type="SecureString", Overwrite=True)
    assert dev.ok("pulumi up --skip-preview").counts.keys() == {"unchanged"}
    assert account.client("ssm").get_parameter(**parameter)["Parameter"]["Value"] == "{}"

    dev.ok("pulumi config rm sourceKey && pulumi config rm source")
    assert dev.ok("pulumi up --skip-preview").steps["collector-key"] == {"deleted"}


def test_another_account_is_refused_before_anything_changes(dev):
    dev.ok("pulumi config set accountId 999999999999")

    refused = dev.run("pulumi up --skip-preview")

    assert refused.code != 0
    assert "AWS account ID not allowed: 123456789012" in refused.output
    assert refused.steps == {}
    dev.ok("pulumi config rm accountId")


def test_destroying_it_leaves_nothing_in_the_account(account, dev):
    bucket = dev.outputs()["tickerlake"]["bucket"]
    account.client("s3").put_object(Bucket=bucket, Key=OBJECT, Body=b"PAR1")

    done = dev.ok("pulumi destroy --skip-preview")

    assert done.counts.keys() == {"deleted"}
    assert account.inventory("tickerlake-dev") == []
