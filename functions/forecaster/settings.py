"""Settings of the Lambda function, from its environment variables."""

from __future__ import annotations

from dataclasses import dataclass

from tickerlake.settings import EnvironmentSettings, plain_name, setting


@dataclass(frozen=True)
class Settings(EnvironmentSettings):
    """Which lake is forecast, and by which workgroup of Athena."""

    bucket: str = setting("FORECASTER_BUCKET", plain_name, "the lake's bucket")
    database: str = setting("FORECASTER_DATABASE", plain_name, "the database of the table bars")
    workgroup: str = setting("FORECASTER_WORKGROUP", plain_name, "the workgroup, whose limits apply")
