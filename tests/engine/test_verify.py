"""`make verify` in an emulator that checks permissions, on a stack that works and on broken ones.

The caller has the rights of `infra/deployer-policy.json` and no others. The tests break one part each and restore it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time

import botocore.session
import pytest

if not os.environ.get("ENGINE_TESTS"):
    pytest.skip("the checks of a deployed stack run with `make test-engine`", allow_module_level=True)

from infra.preflight import POLICY
from infra.verify import REQUESTS, Verification
from tests.cloud.stack import running_guarded_stack
from tests.fakes.yahoo import running_yahoo

pytestmark = pytest.mark.engine

PUT_ALARM = (
    botocore.session.get_session().get_service_model("cloudwatch").operation_model("PutMetricAlarm").input_shape.members
)


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


def verification_of(guarded, deployer, **outputs):
    """The verification of the stack, with other `outputs` than it has."""

    def reader(credentials):
        given = {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }
        return lambda service: guarded.client_of(service, given)

    now = dt.datetime.now(dt.UTC)
    return Verification({**guarded.outputs, **outputs}, deployer, reader, now, lambda _: time.sleep(0.05))


@pytest.fixture
def verification(guarded, deployer):
    return verification_of(guarded, deployer)


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


# Each check, on a stack that is broken where it looks


def problem(verification, check):
    """The one problem that a check finds."""
    (finding,) = [each for each in found(verification, check) if each.level == "problem"]
    assert finding.next_step
    return finding.what


def test_a_vendor_that_refuses(guarded, verification):
    guarded.yahoo.rate_limited_from = 1
    try:
        said = problem(verification, "check_collector")
    finally:
        guarded.yahoo.rate_limited_from = None

    assert "the collector failed" in said
    assert "rate-limited" in said


def test_a_stream_that_does_not_deliver(guarded, deployer, verification):
    with guarded.firehose_fault(hold=True):
        said = problem(verification, "check_delivery")

    assert said == "tickerlake-dev-bars has not written the record within 240 seconds"
    # The record arrives now, and the next run removes it.
    late = verification._until(verification._key, 240)
    assert [finding.what for finding in verification_of(guarded, deployer).remove()] == [f"removed {late}"]


def test_a_stream_that_is_gone(guarded, deployer):
    other = verification_of(guarded, deployer, stream="tickerlake-gone")

    assert "ResourceNotFoundException" in problem(other, "check_delivery")


def test_a_table_that_looks_elsewhere(guarded, verification):
    found(verification, "check_delivery")
    glue, name = guarded.client("glue"), {"DatabaseName": guarded.outputs["database"]}
    table = glue.get_table(**name, Name="bars")["Table"]
    kept = {key: table[key] for key in ("Name", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")}
    moved = {**kept["Parameters"], "projection.dt.range": "2021-01-01,NOW"}
    glue.update_table(**name, TableInput={**kept, "Parameters": moved})
    try:
        said = problem(verification, "check_athena")
    finally:
        glue.update_table(**name, TableInput=kept)
        list(verification.remove())

    assert said.startswith("Athena answers [] for the marked record of")


def test_a_workgroup_that_is_gone(guarded, deployer):
    other = verification_of(guarded, deployer, workgroup="tickerlake-gone")

    assert "WorkGroup tickerlake-gone is not found" in problem(other, "check_athena")


def test_a_crawler_whose_table_is_gone(guarded, verification):
    glue, crawler = guarded.client("glue"), guarded.outputs["crawler"]
    targets = glue.get_crawler(Name=crawler)["Crawler"]["Targets"]
    missing = {"CatalogTargets": [{**targets["CatalogTargets"][0], "Tables": ["gone"]}]}
    glue.update_crawler(Name=crawler, Targets=missing)
    try:
        said = problem(verification, "check_crawler")
    finally:
        glue.update_crawler(Name=crawler, Targets=targets)

    assert said == "tickerlake-dev-crawler ended with FAILED: Table tickerlake_dev.gone does not exist"


def test_a_crawler_that_finds_no_partition(verification):
    # Nothing was delivered on that day.
    assert problem(verification, "check_crawler") == (
        f"tickerlake-dev-crawler has not registered the partition {verification._day}"
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (lambda policy: [each for each in policy if each["Sid"] != "RunQueries"], "does not let its user query"),
        (
            lambda policy: [*policy, {"Sid": "Write", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}],
            "lets its user write to the lake",
        ),
    ],
)
def test_a_reader_policy_that_was_changed(guarded, deployer, changed, says):
    iam, arn = guarded.client("iam"), guarded.outputs["readerPolicy"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    wrong = json.dumps({**document, "Statement": changed(document["Statement"])})
    policy = iam.create_policy(PolicyName="tickerlake-changed", PolicyDocument=wrong)["Policy"]["Arn"]
    try:
        said = problem(verification := verification_of(guarded, deployer, readerPolicy=policy), "check_reader")
    finally:
        iam.delete_policy(PolicyArn=policy)
        list(verification.remove())

    assert says in said


def test_an_alarm_that_notifies_nobody(guarded, verification):
    watch, name = guarded.client("cloudwatch"), "tickerlake-dev-delivery-late"
    (alarm,) = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    kept = {key: value for key, value in alarm.items() if key in PUT_ALARM}
    watch.put_metric_alarm(**{**kept, "AlarmActions": []})
    try:
        said = problem(verification, "check_alarms")
    finally:
        watch.put_metric_alarm(**kept)

    assert said == f"not notifying the topic: {name}"


def test_a_record_that_cannot_be_removed(guarded, deployer):
    gone = verification_of(guarded, deployer, bucket="tickerlake-gone")

    assert "NoSuchBucket" in problem(gone, "remove")
