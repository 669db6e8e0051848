"""Settings of the Lambda function, from its environment variables."""

from __future__ import annotations

from dataclasses import dataclass

from tickerlake.settings import EnvironmentSettings, plain_name, setting


@dataclass(frozen=True)
class Settings(EnvironmentSettings):
    """Which lake is compacted, and by which workgroup of Athena."""

    bucket: str = setting("COMPACTOR_BUCKET", plain_name, "the lake's bucket")
    results: str = setting("COMPACTOR_RESULTS", plain_name, "the bucket that Athena writes to first")
    database: str = setting("COMPACTOR_DATABASE", plain_name, "the database of the table bars")
    workgroup: str = setting("COMPACTOR_WORKGROUP", plain_name, "the workgroup, whose limits apply")
