"""SNS topics, and the mail that they send."""

from __future__ import annotations

import pulumi
from pulumi_aws import sns


def topic(name: str, of: str, parent: pulumi.Resource, email: str, kms_key: str | None = None) -> sns.Topic:
    """The topic of alarms or alerts, and the subscription of the address `email`, if there is one."""
    own = pulumi.ResourceOptions(parent=parent)
    made = sns.Topic(f"{name}-{of}", kms_master_key_id=kms_key, opts=own)
    if email:
        sns.TopicSubscription(f"{name}-email", topic=made.arn, protocol="email", endpoint=email, opts=own)
    return made
