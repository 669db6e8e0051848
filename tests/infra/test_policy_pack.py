"""The rules as a policy pack, which is declared without pulumi_policy being installed."""

from types import SimpleNamespace

from infra.policy import __main__ as policy_pack
from tests.infra.recorder import deployed


class FakePolicy:
    """As much of pulumi_policy as a pack needs to be declared; keeps what is declared."""

    EnforcementLevel = SimpleNamespace(MANDATORY="mandatory")

    def __init__(self):
        self.pack = {}

    def PolicyPack(self, **pack):  # the names are Pulumi's
        self.pack = pack

    def ResourceValidationPolicy(self, **policy):
        return policy

    def StackValidationPolicy(self, **policy):
        return policy


def declared():
    policy = FakePolicy()
    policy_pack.pack(policy)
    return policy.pack


def test_it_stops_an_update():
    assert declared()["name"] == "tickerlake"
    assert declared()["enforcement_level"] == "mandatory"


def test_it_reports_what_is_wrong_with_a_resource():
    reported = []
    props = {"retentionInDays": None}

    declared()["policies"][0]["validate"](
        SimpleNamespace(resource_type="aws:cloudwatch/logGroup:LogGroup", props=props), reported.append
    )

    assert reported == ["the log group keeps its logs for ever"]


def test_it_reports_what_is_wrong_between_resources():
    reported = []
    bucket = SimpleNamespace(resource_type="aws:s3/bucket:Bucket", props={"bucket": "open"})

    declared()["policies"][1]["validate"](SimpleNamespace(resources=[bucket]), reported.append)

    assert "a bucket is not encrypted" in reported


def test_it_lets_the_stack_as_it_is_pass():
    reported = []
    resources = [SimpleNamespace(resource_type=item.type, props=item.inputs) for item in deployed("prod").registrations]

    for resource in resources:
        declared()["policies"][0]["validate"](resource, reported.append)
    declared()["policies"][1]["validate"](SimpleNamespace(resources=resources), reported.append)

    assert reported == []
