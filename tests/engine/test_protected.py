"""The life of a stack to keep, under the real engine. The tests of this file run in order."""

import os
import re

import pytest

from tests.engine.cli import OBJECT
from tests.engine.documented import DEPLOY, commands

if not os.environ.get("ENGINE_TESTS"):
    pytest.skip("the program under the real Pulumi engine runs with `make test-engine`", allow_module_level=True)

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def prod(account):
    project = account.project("prod-clone")
    project.ok("cp Pulumi.prod.example.yaml Pulumi.prod.yaml && pulumi stack init prod")
    project.ok(f"pulumi config set collectorZip {account.zip}")
    return project


def test_an_update_that_fails_midway_is_completed_by_the_next_one(account, prod):
    prod.ok("pulumi config set reserveConcurrency true")

    failed = prod.run("pulumi up --skip-preview")

    assert failed.code != 0
    assert "below its minimum value of [10]" in failed.output
    assert 0 < failed.counts["created"] < 100

    prod.ok("pulumi config rm reserveConcurrency")
    done = prod.ok("pulumi up --skip-preview")

    assert done.counts.keys() == {"created", "unchanged"}
    assert done.counts["unchanged"] >= failed.counts["created"] - 1
    function = account.client("lambda").get_function_configuration(FunctionName="tickerlake-prod-collector")
    assert function["State"] == "Active"


@pytest.mark.parametrize("option", ["", " --skip-preview", " --exclude-protected"])
def test_destroying_it_is_refused_as_a_whole(account, prod, option):
    bucket = prod.outputs()["tickerlake"]["bucket"]
    account.client("s3").put_object(Bucket=bucket, Key=OBJECT, Body=b"PAR1")
    before, resources = account.inventory("tickerlake-prod"), len(prod.state())

    refused = prod.run(f"pulumi destroy{option}")

    assert refused.steps == {}
    assert "deleted" not in refused.counts
    assert (account.inventory("tickerlake-prod"), len(prod.state())) == (before, resources)


def test_the_documented_commands_destroy_it_and_keep_the_data(account, prod):
    bucket = prod.outputs()["tickerlake"]["bucket"]

    for command in commands("Destroy"):
        if "onDestroy delete" in command:
            break
        prod.ok(command)

    assert account.inventory("tickerlake-prod") == [bucket]
    assert account.client("s3").get_object(Bucket=bucket, Key=OBJECT)["Body"].read() == b"PAR1"
    assert account.client("s3").get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert len(prod.state()) == 0


def test_the_documented_commands_adopt_the_bucket_that_is_there(account, prod):
    (bucket,) = account.inventory("tickerlake-prod")
    section = DEPLOY.split("\n## An existing bucket\n")[1].split("**As a source only.**")[0]
    block = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    *before, preview = block.strip().splitlines()
    prod.ok("pulumi config set onDestroy delete")

    prod.ok("\n".join(before).replace("my-bucket", bucket))
    shown = prod.ok(f"{preview.split(' #')[0]} --diff").output
    done = prod.ok("pulumi up --skip-preview")

    assert "[+-]" not in shown
    assert not re.search(r"replace", shown.partition("Resources:")[2])
    assert prod.outputs()["tickerlake"]["bucket"] == bucket
    assert done.counts["created"] >= 60
    assert account.client("s3").get_object(Bucket=bucket, Key=OBJECT)["Body"].read() == b"PAR1"


def test_destroying_it_with_its_data_leaves_nothing_in_the_account(account, prod):
    prod.ok("pulumi destroy --skip-preview")

    assert account.inventory("tickerlake-prod") == []
