"""Access: ARNs, policy documents, and the roles that AWS services assume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """The stack's partition, account and region."""

    partition: pulumi.Output[str]
    account: pulumi.Output[str]
    region: str

    @classmethod
    def of(cls, provider: aws.Provider, region: str) -> Place:
        """The place that `provider` deploys to."""
        options = pulumi.InvokeOutputOptions(provider=provider)
        return cls(
            partition=aws.get_partition_output(opts=options).partition,
            account=aws.get_caller_identity_output(opts=options).account_id,
            region=region,
        )

    def arn(self, service: str, resource: pulumi.Input[str]) -> pulumi.Output[str]:
        """`arn:aws:glue:us-east-1:123456789012:catalog` for the service `glue` and the resource `catalog`."""
        return pulumi.Output.concat("arn:", self.partition, f":{service}:{self.region}:", self.account, ":", resource)


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    condition: Mapping[str, Any] | None = None,
) -> Statement:
    """A statement that allows `actions` on `resources`."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": condition} if condition else statement


def document(*statements: Statement) -> pulumi.Output[str]:
    """A policy document of `statements`, as JSON."""
    return pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(statements)})


def service_role(
    name: str,
    parent: pulumi.Resource,
    service: str,
    statements: Sequence[Statement],
    trust: Mapping[str, Any] | None = None,
) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
    """The role `name` that `service` assumes, and its policy.

    `trust` is a condition on assuming the role, for services that pass the account or the resource they act for.

    Resources that use the role must depend on the policy too: on creation, services check what the role allows.
    """
    trust_policy = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = aws.iam.Role(
        name,
        assume_role_policy=document({**trust_policy, "Condition": trust} if trust else trust_policy),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    policy = aws.iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=document(*statements),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return role, policy
