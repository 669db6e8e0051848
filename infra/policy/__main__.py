"""The rules as a policy pack: `pip install pulumi-policy`, then `pulumi up --policy-pack infra/policy`.

Pulumi runs this in the pack's folder. The tests run the same rules on every registration, without Pulumi.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.policy import rules


def pack(policy: Any) -> None:
    """Declares the pack with `policy`: the module pulumi_policy, or a stand-in for it."""

    def validate_resource(args: Any, report: Any) -> None:
        for violation in rules.violations(args.resource_type, args.props):
            report(violation)

    def validate_stack(args: Any, report: Any) -> None:
        for violation in rules.stack_violations([(item.resource_type, item.props) for item in args.resources]):
            report(violation)

    policy.PolicyPack(
        name="tickerlake",
        enforcement_level=policy.EnforcementLevel.MANDATORY,
        policies=[
            policy.ResourceValidationPolicy(
                name="resource",
                description="Each resource is valid and safe",
                validate=validate_resource,
            ),
            policy.StackValidationPolicy(
                name="stack",
                description="Resources protect and refer to each other correctly",
                validate=validate_stack,
            ),
        ],
    )


if __name__ == "__main__":
    pack(importlib.import_module("pulumi_policy"))
