"""The compactor: the Lambda function that compacts finished sessions and sums up their hours, every hour."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import lambda_, s3

from infra.access import allow
from infra.functions import QueryingArgs, ScheduleArgs, querying_function
from infra.lake import BARS_PREFIX, HOURS_PREFIX

HANDLER = "functions.compactor.handler.handler"
TIMEOUT_SECONDS = 240
# Whatever the last exchange of a date, within two hours of its close; at :50 no exchange's sweep is running. A run that
# has no time left leaves the rest to the next one; a run with nothing to do lists the bucket and ends.
COMPACT_SCHEDULE = "cron(50 * * * ? *)"
_MEMORY_MIB = 512


@dataclass(frozen=True, kw_only=True)
class CompactorArgs(QueryingArgs):
    """Arguments of `Compactor`."""

    results: s3.Bucket
    """Athena writes here, and what it wrote is copied from here to `bucket`."""


class Compactor(pulumi.ComponentResource):
    """The function that compacts finished sessions."""

    function: lambda_.Function

    def __init__(self, name: str, args: CompactorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tickerlake:compactor:Compactor", name, None, opts)
        self.function = querying_function(
            name,
            self,
            args,
            {None: [ScheduleArgs("compact", COMPACT_SCHEDULE, {}, age_seconds=3600)]},
            description="Makes one object of the many of each finished session, and sums up its hours",
            handler=HANDLER,
            memory_mib=_MEMORY_MIB,
            timeout_seconds=TIMEOUT_SECONDS,
            settings="COMPACTOR",
            environment={
                "COMPACTOR_RESULTS": args.results.bucket,
            },
            may=[
                # It deletes only objects that it has listed, and whose records it has counted in the new ones.
                # Versions it cannot delete, so S3 keeps what it replaces for `oldVersionDays`.
                allow(
                    "ReplaceBarsAndHours",
                    ["s3:DeleteObject", "s3:PutObject"],
                    [pulumi.Output.concat(args.bucket.arn, f"/{prefix}*") for prefix in (BARS_PREFIX, HOURS_PREFIX)],
                ),
            ],
        )
        self.register_outputs({"function": self.function.name})
