"""The lake: a bucket for the bars and a bucket for query results."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import s3

from infra.access import document

BARS_PREFIX = "bars/"
ACTIONS_PREFIX = "actions/"
RUNS_PREFIX = "runs/"
FORECASTS_PREFIX = "forecasts/"
HOURS_PREFIX = "hours/"
ALERTS_PREFIX = "alerts/"
"""The alerts that the alerter has sent."""
ERRORS_PREFIX = "errors/bars/"
"""Records that Firehose could not convert. Outside BARS_PREFIX, so that queries do not read them."""
CODE_PREFIX = "code/"
_ERRORS_DAYS = 90
_RUNS_DAYS = 800
"""As long as a local lake keeps rejected records and runs. Bars, splits and forecasts are never deleted."""
_MULTIPART_DAYS = 1


@dataclass(frozen=True)
class LakeArgs:
    """Arguments of `Lake`."""

    bucket_name: str
    """Name of the data bucket; Pulumi generates one if this is empty."""
    old_version_days: int
    result_days: int
    protect: bool
    """Whether Pulumi refuses to delete the data bucket."""
    keep: bool
    """Whether the data bucket stays in the account when the stack is destroyed."""


class Lake(pulumi.ComponentResource):
    """The bucket for bars, which outlives the stack, and the bucket for results, which does not."""

    bucket: s3.Bucket
    results: s3.Bucket

    def __init__(self, name: str, args: LakeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:lake:Lake", name, None, opts)
        kept = args.keep

        self.bucket = s3.Bucket(
            f"{name}-bucket",
            bucket=args.bucket_name or None,
            force_destroy=not kept,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, retain_on_delete=kept),
        )
        # A retained bucket keeps its settings.
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
                    filter=_every_object(),
                    noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=args.old_version_days
                    ),
                ),
                # A rule of its own, because the provider has failed on this beside another expiration:
                # https://github.com/hashicorp/terraform-provider-aws/issues/41277
                s3.BucketLifecycleConfigurationRuleArgs(
                    id="expire-delete-markers",
                    status="Enabled",
                    filter=_every_object(),
                    expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
                ),
                _expire("expire-errors", _ERRORS_DAYS, ERRORS_PREFIX),
                _expire("expire-runs", _RUNS_DAYS, RUNS_PREFIX),
            ],
            # S3 refuses rules about versions before versioning is enabled.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept, depends_on=[versioning]),
        )

        # Not Athena's managed results: PyAthena's fast cursors read the result file, which those do not expose.
        self.results = s3.Bucket(
            f"{name}-results",
            force_destroy=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._guard(f"{name}-results", self.results, kept=False)
        s3.BucketLifecycleConfiguration(
            f"{name}-results-lifecycle",
            bucket=self.results.id,
            rules=[_abort_multipart(), _expire("expire-results", args.result_days)],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"bucket": self.bucket.bucket, "results": self.results.bucket})

    def _guard(self, name: str, bucket: s3.Bucket, *, kept: bool) -> None:
        """Encrypts `bucket`, blocks public access, and refuses requests without TLS."""
        # Not KMS: a key costs a dollar a month and a grant for every reader, and the data is public anyway.
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
            # S3 answers 409 to two changes of a bucket's access at the same time.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=kept, depends_on=[block]),
        )


def _every_object() -> s3.BucketLifecycleConfigurationRuleFilterArgs:
    # Without an empty prefix, on which the provider has failed: https://github.com/hashicorp/terraform-provider-aws/issues/41310
    return s3.BucketLifecycleConfigurationRuleFilterArgs()


def _abort_multipart() -> s3.BucketLifecycleConfigurationRuleArgs:
    return s3.BucketLifecycleConfigurationRuleArgs(
        id="abort-multipart-uploads",
        status="Enabled",
        filter=_every_object(),
        abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=_MULTIPART_DAYS
        ),
    )


def _expire(rule: str, days: int, prefix: str | None = None) -> s3.BucketLifecycleConfigurationRuleArgs:
    return s3.BucketLifecycleConfigurationRuleArgs(
        id=rule,
        status="Enabled",
        filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=prefix),
        expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days),
    )
