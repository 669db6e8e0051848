"""`make verify` in an emulator that checks permissions, on a stack that works and on broken ones.

The caller has the rights of `infra/deployer-policy.json` and no others. The tests break one part each and restore it.
"""

from __future__ import annotations

import datetime as dt
import os
import time

import pytest

if not os.environ.get("ENGINE_TESTS"):
    pytest.skip("the checks of a deployed stack run with `make test-engine`", allow_module_level=True)

from infra.preflight import POLICY
from infra.verify import REQUESTS, Verification
from tests.cloud.stack import running_guarded_stack
from tests.fakes.yahoo import running_yahoo

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with running_yahoo() as yahoo, running_guarded_stack(tmp_path_factory.mktemp("guarded"), yahoo) as stack:
        yield stack


@pytest.fixture(scope="module")
def sent():
    """Every request of the caller, as `service:Operation`."""
    return set()


@pytest.fixture(scope="module")
def deployer(guarded, sent):
    """Gives the clients of a user who has the deployer policy only."""
    iam = guarded.client("iam")
    iam.create_user(UserName="deployer")
    iam.put_user_policy(UserName="deployer", PolicyName="deployer", PolicyDocument=POLICY.read_text(encoding="utf-8"))
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    given = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    def client(service):
        made = guarded.client_of(service, given)
        made.meta.events.register("before-call", lambda model, **_: sent.add(f"{service}:{model.name}"))
        return made

    return client


@pytest.fixture
def verification(guarded, deployer):
    def reader(credentials):
        given = {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }
        return lambda service: guarded.client_of(service, given)

    return Verification(guarded.outputs, deployer, reader, dt.datetime.now(dt.UTC), lambda _: time.sleep(0.05))


def found(verification, check):
    """The findings of one check, by its name."""
    return list(verification._caught(getattr(verification, check)))


def test_a_stack_that_works_is_verified_with_the_rights_of_the_deployer_policy(guarded, verification, sent):
    before = guarded.client("cloudwatch").describe_alarms()["MetricAlarms"]

    everything = list(verification.examine())

    assert [finding for _, finding in everything if finding.level == "problem"] == []
    assert [topic for topic, _ in everything if topic != "Stack"] == [
        *("Collector", "Delivery", "Athena", "Crawler", "Reader", "Alarms", "Alarms", "Removal")
    ]
    # Nothing is left behind.
    assert guarded.objects(f"bars/dt={verification._day}/") == []
    assert guarded.client("iam").list_roles()["Roles"] == [
        role for role in guarded.client("iam").list_roles()["Roles"] if "verify" not in role["RoleName"]
    ]
    after = guarded.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert [alarm["StateValue"] for alarm in after] == [alarm["StateValue"] for alarm in before]
    # What the policy is generated from.
    assert sent == {f"{service}:{name}" for service, names in REQUESTS.items() for name in names} - UNSEEN


# GetDatabase, GetPartitions and the bucket's location are Athena's own, on behalf of the caller; GetRole is only for a
# caller who is a role; the reader tries PutObject.
UNSEEN = {
    "glue:GetDatabase",
    "glue:GetPartitions",
    "glue:GetTable",
    "iam:GetRole",
    "s3:GetBucketLocation",
    "s3:PutObject",
}


def test_what_it_prints_names_no_account(verification):
    assert not [finding for _, finding in verification.examine() if "123456789012" in finding.what + finding.next_step]
