"""The deployer policy lets its holder create, read and delete everything that the program registers.

In the emulator that checks permissions, each request is sent with these rights alone. The emulator cannot name the
resource of a few requests; those are listed, and sent again as the owner of the account.
"""

from __future__ import annotations

import os

import pytest

if not os.environ.get("ENGINE_TESTS"):
    pytest.skip("the rights to deploy are tested with `make test-engine`", allow_module_level=True)

import boto3
from botocore.exceptions import ClientError

from tests.cloud.resources import Changes, Cloud, name_of, operations
from tests.infra.recorder import REGION, computed, deployed

pytestmark = pytest.mark.engine

# The emulator compares these with the resource `*`, or with another action than AWS: `CreateBudget`, where AWS asks for
# `ModifyBudget`.
NOT_NAMED = {
    *("athena:CreateWorkGroup", "athena:GetNamedQuery", "athena:DeleteNamedQuery"),
    *("budgets:CreateBudget", "budgets:DeleteBudget"),
    *("events:PutRule", "events:PutTargets", "events:DescribeRule", "events:ListTargetsByRule"),
    *("events:RemoveTargets", "events:DeleteRule"),
    *("glue:DeleteCrawler", "iam:CreatePolicy", "lambda:CreateFunction"),
    *("cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards"),
    *("scheduler:CreateSchedule", "scheduler:GetSchedule", "scheduler:DeleteSchedule"),
}


class Caller:
    """Sends with the rights of the deployer, and as the owner what the emulator refuses. Remembers what it refused."""

    def __init__(self, account, credentials):
        self.refused, self.sent = set(), 0
        self._account, self._credentials, self._made = account, credentials, {}

    def client(self, service):
        if service not in self._made:
            given = {name.lower(): value for name, value in self._credentials.items()}
            mine = boto3.client(
                service,
                region_name=REGION,
                endpoint_url=self._account.url,
                verify=str(self._account.authority),
                **given,
            )
            self._made[service] = Falling(self, service, mine, self._account.client(service))
        return self._made[service]


class Falling:
    """A client that falls back to the owner's."""

    def __init__(self, caller, service, mine, owner):
        self._caller, self._service, self._mine, self._owner = caller, service, mine, owner

    def __getattr__(self, name):
        if name == "get_paginator":
            return self._owner.get_paginator

        def send(**members):
            self._caller.sent += 1
            try:
                return getattr(self._mine, name)(**members)
            except ClientError as error:
                if not error.response["Error"]["Code"].startswith("AccessDenied"):
                    raise
                self._caller.refused.add(f"{self._service}:{error.operation_name}")
                return getattr(self._owner, name)(**members)

        return send


def test_it_suffices_to_create_read_and_delete_everything(account):
    caller = Caller(account, account.deployer("every-resource"))
    cloud = Cloud(caller.client, Changes(code=account.zip.read_bytes()))
    made = []
    for item in deployed("prod").registrations:
        if item.type.startswith("aws:"):
            _, named = computed(item.type, item.name, item.inputs)
            inputs = {**item.inputs, **name_of(item.type, named)}
            if item.type == "aws:s3/bucket:Bucket":
                inputs["forceDestroy"] = True
            made.append((item.type, inputs, {**named, **cloud.create(item.type, inputs)}))
    for kind, inputs, state in made:
        if kind != "aws:budgets/budget:Budget":  # its requests are nested in another way
            cloud.read(kind, inputs, state)
    for kind, inputs, state in reversed(made):
        if operations(kind).delete:
            cloud.delete(kind, inputs, state)

    assert caller.refused <= NOT_NAMED
    assert caller.sent > 250
    assert account.inventory("tickerlake-prod") == []
