"""The lake: the bucket of the bars, and the bucket of what queries answer."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import s3

from infra.access import document

BARS_PREFIX = "bars/"
ERRORS_PREFIX = "errors/bars/"
"""What Firehose could not store as bars; outside BARS_PREFIX, or queries would read it."""
CODE_PREFIX = "code/"
_ERRORS_DAYS = 90
_MULTIPART_DAYS = 1


@dataclass(frozen=True)
class LakeArgs:
    """What the lake is told."""

    bucket_name: str
    """Name of the data bucket; empty for one that Pulumi makes up."""
    old_version_days: int
    result_days: int
    ephemeral: bool
    """Whether the data goes when the stack is destroyed."""


class Lake(pulumi.ComponentResource):
    """The bucket of the bars, which outlives the stack, and the bucket of results, which does not."""

    bucket: s3.Bucket
    results: s3.Bucket

    def __init__(self, name: str, args: LakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:lake:Lake", name, None, opts)
        kept = not args.ephemeral

        self.bucket = s3.Bucket(
            f"{name}-bucket",
            bucket=args.bucket_name or None,
            force_destroy=args.ephemeral,
            opts=pulumi.ResourceOptions(parent=self, protect=kept, retain_on_delete=kept),
        )
        # What guards a bucket stays for as long as the bucket does.
        versioning = s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.bucket.id,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept),
        )
        self._guard(name, self.bucket, kept=kept)
        s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket.id,
            rules=[
                _abort_multipart(),
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="expire-old-versions",
                    status="Enabled",
                    filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=args.old_version_days
                    ),
                    expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
                ),
                _expire("expire-errors", ERRORS_PREFIX, _ERRORS_DAYS),
            ],
            # S3 refuses rules about versions while versioning is still on its way.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept, depends_on=[versioning]),
        )

        # Not Athena's managed results: PyAthena's fast cursors read the result's file, which those keep to themselves.
        self.results = s3.Bucket(
            f"{name}-results",
            force_destroy=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._guard(f"{name}-results", self.results, kept=False)
        s3.BucketLifecycleConfiguration(
            f"{name}-results-lifecycle",
            bucket=self.results.id,
            rules=[_abort_multipart(), _expire("expire-results", "", args.result_days)],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"bucket": self.bucket.bucket, "results": self.results.bucket})

    def _guard(self, name: str, bucket: s3.Bucket, *, kept: bool) -> None:
        """Encrypts `bucket`, closes it to the public, and refuses whoever comes without TLS."""
        # Not KMS: a key costs a dollar a month and every reader a grant, for data that Yahoo shows to anyone.
        s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="AES256"
                    ),
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept),
        )
        s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.id,
            rule=s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept),
        )
        block = s3.BucketPublicAccessBlock(
            f"{name}-public-access",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept),
        )
        s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=document(
                {
                    "Sid": "OnlyWithTls",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ),
            # S3 takes one change to a bucket's access at a time and answers 409 to a second.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept, depends_on=[block]),
        )


def _abort_multipart() -> s3.BucketLifecycleConfigurationRuleArgs:
    return s3.BucketLifecycleConfigurationRuleArgs(
        id="abort-multipart-uploads",
        status="Enabled",
        filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=_MULTIPART_DAYS
        ),
    )


def _expire(rule: str, prefix: str, days: int) -> s3.BucketLifecycleConfigurationRuleArgs:
    return s3.BucketLifecycleConfigurationRuleArgs(
        id=rule,
        status="Enabled",
        filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=prefix),
        expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days),
    )
