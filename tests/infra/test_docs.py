"""docs/deploy.md agrees with what is deployed."""

import json
import re

import pytest

from infra.config import KEYS
from tests import costs
from tests.infra.recorder import ROOT, deploy, deployed, stack_config
from tickerlake.record import ACTIONS

TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_it_explains_every_alarm_and_no_other():
    section = TEXT.split("## Alarms")[1].split("## ")[0]

    assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == {
        item.inputs["name"].removeprefix("tickerlake-prod-") for item in deployed("prod").all("MetricAlarm")
    }


@pytest.mark.parametrize("column", [1, 2])
def test_its_costs_add_up(column):
    table = TEXT.split("<!-- costs:")[1].split("<!-- /costs")[0]
    rows = [line.split("|")[1:4] for line in table.splitlines() if re.search(r"\d\.\d\d", line)]
    *parts, total = [float(row[column].strip(" *")) for row in rows]

    assert round(sum(parts), 2) == total


def test_its_costs_count_the_alarms_that_are_deployed():
    outside = deploy({**stack_config("prod"), "tickerlake:collect": "outside"}, "prod")
    everywhere = len(deployed("prod").all("MetricAlarm"))

    assert (everywhere, everywhere - len(outside.all("MetricAlarm"))) == (costs.ALARMS, costs.FUNCTION_ALARMS)


def test_the_resources_it_imports_exist():
    made = {(item.type, item.name) for item in deployed("prod").registrations}
    named = set(re.findall(r'"type": "([^"]+)", "name": "([^"]+)"', TEXT))

    assert len(named) == 3
    assert named <= made
    assert ("pulumi:providers:aws", "tickerlake-prod-aws") in made


def test_the_keys_it_mentions_exist():
    keys = {item.metadata["key"] for item in KEYS}
    section = TEXT.split("| to | set |")[1].split("\n\n")[0]

    assert {
        "alarmEmail",
        "monthlyBudgetUsd",
        "reserveConcurrency",
        "crawl",
        "accountId",
        "watchlist",
        "collect",
        "source",
        "sourceKey",
    } == keys & set(re.findall(r"\w+", section))


def test_the_split_it_adds_has_the_columns_of_the_table():
    (line,) = re.findall(r"echo '(.*)' \|", TEXT)

    assert list(json.loads(line)) == [column.name for column in ACTIONS if not column.nullable]
