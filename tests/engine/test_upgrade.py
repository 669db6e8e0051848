"""A stack that an earlier version deployed, under the real engine."""

import json
import os

import pytest

from tests.cloud.resources import Changes, Cloud
from tests.infra.recorder import ROOT

if not os.environ.get("ENGINE_TESTS"):
    pytest.skip("the program under the real Pulumi engine runs with `make test-engine`", allow_module_level=True)

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("state", sorted((ROOT / "tests/engine/states").glob("*.json")), ids=lambda path: path.stem)
def test_a_stack_of_an_earlier_version_is_updated_in_place(account, state):
    exported = json.loads(state.read_text(encoding="utf-8"))
    cloud = Cloud(account.client, Changes(code=account.zip.read_bytes()))
    for resource in exported["deployment"]["resources"]:
        if resource["type"].startswith("aws:"):
            inputs = {key: value for key, value in resource["inputs"].items() if not key.startswith("__")}
            made = cloud.create(resource["type"], {key: value for key, value in inputs.items() if key != "source"})
            if "namedQuery" in resource["type"]:
                resource["id"] = resource["outputs"]["id"] = made["id"]
    upgraded = account.project("upgraded-clone")
    (upgraded.folder / "state.json").write_text(json.dumps(exported), encoding="utf-8")
    upgraded.ok("cp Pulumi.dev.example.yaml Pulumi.dev.yaml && pulumi stack init dev")
    upgraded.ok("pulumi stack import --file state.json")
    upgraded.ok(f"pulumi config set collectorZip {account.zip}")

    done = upgraded.ok("pulumi up --skip-preview")

    gone = {name for name, steps in done.steps.items() if steps & {"replaced", "deleted"}}
    # Saved queries have new texts, the code a new hash, and what an exchange has of its own was renamed.
    assert {name for name in gone if not name.startswith("analytics-")} == {
        *("collector-code", "collector-collect-1", "collector-schedules", "collector-sweep-1"),
        *("monitoring-collector-silent", "monitoring-session-heartbeat"),
    }
    assert upgraded.ok("pulumi up --skip-preview").counts.keys() == {"unchanged"}
    assert upgraded.ok("pulumi destroy --skip-preview").counts.keys() == {"deleted"}
    assert account.inventory("tickerlake-dev") == []
