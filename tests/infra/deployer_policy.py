"""Generates `infra/deployer-policy.json`, the rights that a caller needs to deploy: `make deployer-policy`.

The actions follow from the resources that the program registers: the requests that create, read, change and delete each
of them, in AWS's service models, and those that the provider adds. What an action can be limited to is in AWS's service
authorization reference, which policy_sentry carries: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from policy_sentry.shared.iam_data import get_service_prefix_data

from infra.config import PROJECT
from infra.preflight import POLICY, READS
from infra.verify import REQUESTS as VERIFYING
from tests.cloud.resources import operations
from tests.infra.recorder import deploy, deployed, stack_config
from tests.infra.service_models import REQUESTS

LIMIT = 10_240
"""Characters of the policies within a role, white space not counted; a managed policy may have 6,144:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

# Requests of the provider beside those that create, read, change and delete, from its source:
# https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service
_ADDED: Mapping[str, str] = {
    "aws:athena/workgroup:Workgroup": "ListTagsForResource TagResource UntagResource",
    "aws:budgets/budget:Budget": "DescribeNotificationsForBudget DescribeSubscribersForNotification "
    "ListTagsForResource TagResource UntagResource",
    "aws:cloudwatch/eventRule:EventRule": "ListTagsForResource TagResource UntagResource",
    "aws:cloudwatch/logGroup:LogGroup": "CreateLogGroup DeleteRetentionPolicy ListTagsForResource TagResource "
    "UntagResource",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "ListTagsForResource TagResource UntagResource",
    "aws:glue/catalogDatabase:CatalogDatabase": "GetTags TagResource UntagResource",
    "aws:glue/catalogTable:CatalogTable": "GetPartitionIndexes",
    "aws:glue/crawler:Crawler": "GetTags StopCrawler TagResource UntagResource",
    "aws:iam/policy:Policy": "CreatePolicyVersion DeletePolicyVersion GetPolicyVersion ListPolicyVersions TagPolicy "
    "UntagPolicy",
    "aws:iam/role:Role": "ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies TagRole UntagRole "
    "UpdateAssumeRolePolicy UpdateRoleDescription",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "ListTagsForDeliveryStream "
    "StartDeliveryStreamEncryption StopDeliveryStreamEncryption TagDeliveryStream UntagDeliveryStream "
    "UpdateDestination",
    "aws:lambda/function:Function": "DeleteFunctionConcurrency GetFunction GetFunctionCodeSigningConfig ListTags "
    "ListVersionsByFunction PutFunctionConcurrency TagResource UntagResource UpdateFunctionCode "
    "UpdateFunctionConfiguration",
    # It reads every setting of a bucket, also those that other resources manage. To empty the bucket, it deletes each
    # version of each object.
    "aws:s3/bucket:Bucket": "DeleteObject GetBucketAccelerateConfiguration GetBucketAcl GetBucketCors "
    "GetBucketLocation GetBucketLogging GetBucketReplication GetBucketRequestPayment GetBucketTagging "
    "GetBucketWebsite GetObjectLockConfiguration ListObjectVersions PutBucketTagging",
    "aws:s3/bucketObjectv2:BucketObjectv2": "GetObjectTagging PutObjectTagging",
    "aws:scheduler/scheduleGroup:ScheduleGroup": "ListTagsForResource TagResource UntagResource",
    "aws:sns/topic:Topic": "ListTagsForResource SetTopicAttributes TagResource UntagResource",
    "aws:ssm/parameter:Parameter": "AddTagsToResource DescribeParameters ListTagsForResource RemoveTagsFromResource",
    "aws:sqs/queue:Queue": "ListQueueTags SetQueueAttributes TagQueue UntagQueue",
}
# Where the action has another name than the request.
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "budgets:CreateBudget": ("budgets:ModifyBudget",),
    "budgets:UpdateBudget": ("budgets:ModifyBudget",),
    "budgets:DeleteBudget": ("budgets:ModifyBudget",),
    "budgets:DescribeBudget": ("budgets:ViewBudget",),
    "budgets:DescribeNotificationsForBudget": ("budgets:ViewBudget",),
    "budgets:DescribeSubscribersForNotification": ("budgets:ViewBudget",),
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "s3:DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "s3:DeleteObject": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:DeletePublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3:GetBucketAccelerateConfiguration": ("s3:GetAccelerateConfiguration",),
    "s3:GetBucketCors": ("s3:GetBucketCORS",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketReplication": ("s3:GetReplicationConfiguration",),
    "s3:GetObjectLockConfiguration": ("s3:GetBucketObjectLockConfiguration",),
    "s3:GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "sts:GetCallerIdentity": (),  # nobody needs a right for it
}
_NAMES = f"{PROJECT}-*"
_DATABASES = f"{PROJECT}_*"
# The kinds of resources that the stack has, as AWS's reference names them, and the end of their ARNs.
_RESOURCES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "athena": {"workgroup": (_NAMES,)},
    "budgets": {"budget": (_NAMES,)},
    "cloudwatch": {"alarm": (_NAMES,), "dashboard": (_NAMES,)},
    "events": {"rule-on-default-event-bus": (_NAMES,)},
    "firehose": {"deliverystream": (_NAMES,)},
    "glue": {
        "rootcatalog": ("",),
        "database": (_DATABASES,),
        "table": (f"{_DATABASES}/*",),
        "crawler": (_NAMES,),
    },
    "iam": {"role": (_NAMES,), "policy": (_NAMES,)},
    "lambda": {"function": (_NAMES,)},
    "lakeformation": {},
    "logs": {
        "log-group": (f"/aws/lambda/{_NAMES}", f"/aws/kinesisfirehose/{_NAMES}"),
        "log-stream": (f"/aws/kinesisfirehose/{_NAMES}",),  # its streams too
    },
    "s3": {"bucket": (_NAMES,), "object": (f"{_NAMES}/*",)},
    "scheduler": {"schedule-group": (_NAMES,), "schedule": (f"{_NAMES}/{_NAMES}",)},
    "sns": {"topic": (_NAMES,)},
    "sqs": {"queue": (_NAMES,)},
    "ssm": {"parameter": (_NAMES,)},
    "sts": {"role": (_NAMES,)},
}
# Actions that AWS checks against other resources than its reference says, or than the stack's own.
_ANYWHERE = {"cloudwatch:DescribeAlarms", "iam:SimulatePrincipalPolicy"}


def text() -> str:
    """The policy as JSON."""
    statements: dict[tuple[str, tuple[str, ...], tuple[str, ...]], set[str]] = defaultdict(set)
    for action in {*_deploying(), *_actions(READS), *_actions(VERIFYING)}:
        service, _, name = action.partition(":")
        kinds = _kinds(service, name)
        resources = tuple(arn for kind in kinds for arn in _arns(service, kind)) or ("*",)
        statements[service, kinds, resources].add(action)
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": _sid(service, kinds),
                "Effect": "Allow",
                "Action": sorted(actions),
                "Resource": list(resources),
            }
            for (service, kinds, resources), actions in sorted(statements.items())
        ]
        + [
            {
                "Sid": "PassRoles",
                "Effect": "Allow",
                "Action": ["iam:PassRole"],
                "Resource": list(_arns("iam", "role")),
                "Condition": {"StringEquals": {"iam:PassedToService": sorted(_passed_to())}},
            }
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def main() -> None:
    """`python -m tests.infra.deployer_policy` writes the file."""
    POLICY.write_text(text(), encoding="utf-8")


def _registrations() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything that any configuration registers."""
    more = {
        "reserveConcurrency": "true",
        "source": "alpaca",
        "sourceKey": '{"APCA_API_KEY_ID": "i", "APCA_API_SECRET_KEY": "s"}',
    }
    everything = deploy(stack_config("prod") | {f"{PROJECT}:{key}": value for key, value in more.items()}, "prod")
    for recording in (deployed("dev"), deployed("prod"), everything):
        yield from ((item.type, item.inputs) for item in recording.registrations if item.type.startswith("aws:"))


def _deploying() -> Iterator[str]:
    for kind in sorted({kind for kind, _ in _registrations()}):
        request, others = REQUESTS[kind], operations(kind)
        names = {request.operation, others.read, others.update, others.delete, *_ADDED.get(kind, "").split()}
        yield from _actions({request.service: tuple(names - {""})})


def _actions(requests: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The actions for `requests`, by service."""
    for service, names in requests.items():
        for name in names:
            for action in _ACTIONS.get(f"{service}:{name}", (f"{service}:{name}",)):
                assert _reference(action), f"AWS has no action {action}; add {service}:{name} to _ACTIONS"
                yield action


def _reference(action: str) -> Mapping[str, Any] | None:
    service, _, name = action.partition(":")
    return get_service_prefix_data(service)["privileges"].get(name)


def _kinds(service: str, name: str) -> tuple[str, ...]:
    """The kinds of resources that the action can be limited to, of those that the stack has."""
    limits = (_reference(f"{service}:{name}") or {})["resource_types"]
    if f"{service}:{name}" in _ANYWHERE:
        return ()
    return tuple(kind for kind in _RESOURCES[service] if kind in limits)


def _arns(service: str, kind: str) -> Iterator[str]:
    pattern = get_service_prefix_data(service)["resources"][kind]["arn"]
    pattern = pattern.replace("${Partition}", "aws").replace("${Region}", "*").replace("${Account}", "*")
    for names in _RESOURCES[service][kind]:
        yield re.sub(r"\$\{.*\}", names, pattern)


def _sid(service: str, kinds: tuple[str, ...]) -> str:
    return "".join(word.capitalize() for word in re.split(r"\W", f"{service} {' '.join(kinds) or 'any'}"))


def _passed_to() -> set[str]:
    """The services that assume the stack's roles."""
    return {
        statement["Principal"]["Service"]
        for kind, inputs in _registrations()
        if kind == "aws:iam/role:Role"
        for statement in json.loads(inputs["assumeRolePolicy"])["Statement"]
    }


if __name__ == "__main__":
    main()
