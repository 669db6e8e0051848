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
    settings = {**stack_config("prod"), "tickerlake:forecast": False, "tickerlake:alerts": False}
    outside = deploy({**settings, "tickerlake:collect": "outside"}, "prod")
    everywhere = len(deploy(settings, "prod").all("MetricAlarm"))

    assert (everywhere, everywhere - len(outside.all("MetricAlarm"))) == (costs.ALARMS, costs.FUNCTION_ALARMS)
    assert [item.name for item in outside.all("MetricAlarm") if item.name.endswith("-new-york")] == [
        f"tickerlake-prod-monitoring-{name}-new-york" for name in ("collector-silent", "heartbeat")
    ]


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
        "forecast",
        "alerts",
        "alertEmail",
        "accountId",
        "watchlist",
        "collect",
        "source",
        "sourceKey",
    } == keys & set(re.findall(r"\w+", section))


def test_the_split_it_adds_has_the_columns_of_the_table():
    (line,) = re.findall(r"echo '(.*)' \|", TEXT)

    assert list(json.loads(line)) == [column.name for column in ACTIONS if not column.nullable]


# The forms of command that `make test-engine` runs and looks at the effect of. It sets the place of the state by a
# variable instead of `login`, and has no host for policy packs; `test_policy_pack.py` runs the rules without one.
RUN = {
    *("config set", "config set --secret", "destroy", "import --file", "preview", "stack init"),
    *("stack output --json", "stack output readme", "up", "up --target"),
}
NOT_RUN = {"login", "login --local", "up --policy-pack"}


def test_every_form_of_pulumi_command_in_the_documents_is_run_by_the_engine_tests():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    verbs = r"pulumi ((?:config set|config rm|stack init|stack output|[a-z]+)(?: --[a-z-]+| readme)?)(?![\w:.-])"
    written = re.findall(rf"(?:^    |^|`|\(|&& ){verbs}", "\n".join(texts), re.MULTILINE)

    assert {form for form in written if form.split()[0] in PULUMI} == RUN | NOT_RUN


PULUMI = {"config", "destroy", "import", "login", "preview", "refresh", "stack", "up", "cancel"}
