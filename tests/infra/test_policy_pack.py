"""The rules as a policy pack, tested without pulumi_policy."""

from types import SimpleNamespace

from infra.policy import __main__ as policy_pack
from tests.infra.recorder import deployed


class FakePolicy:
    """Stands in for pulumi_policy and keeps the declared pack."""

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


def test_it_can_stop_an_update():
    assert declared()["name"] == "tickerlake"
    assert declared()["enforcement_level"] == "mandatory"


def test_it_reports_the_faults_of_a_resource():
    reported = []
    props = {"messageRetentionSeconds": 3600}

    declared()["policies"][0]["validate"](
        SimpleNamespace(resource_type="aws:sqs/queue:Queue", props=props), reported.append
    )

    assert reported == ["the queue keeps failed events for less than a week"]


def test_it_reports_the_faults_of_resources_in_combination():
    reported = []
    (stream,) = deployed("prod").all("FirehoseDeliveryStream")
    alone = SimpleNamespace(resource_type=stream.type, props=stream.inputs)

    declared()["policies"][1]["validate"](SimpleNamespace(resources=[alone]), reported.append)

    assert reported == ["the stream takes its schema from 'bars', which is not a table of this stack"]


def test_the_stack_passes():
    reported = []
    resources = [SimpleNamespace(resource_type=item.type, props=item.inputs) for item in deployed("prod").registrations]

    for resource in resources:
        declared()["policies"][0]["validate"](resource, reported.append)
    declared()["policies"][1]["validate"](SimpleNamespace(resources=resources), reported.append)

    assert reported == []
