"""Settings of the Lambda function, from its environment variables."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tickerlake.alerts import Rule, rules
from tickerlake.settings import EnvironmentSettings, plain_name, setting


@dataclass(frozen=True)
class Settings(EnvironmentSettings):
    """Which rules are judged on which lake, and where their messages go."""

    rules: tuple[Rule, ...] = setting(
        "ALERTER_RULES", lambda text: rules(json.loads(text)), "the entries of [[alerts]], as JSON"
    )
    topic: str = setting("ALERTER_TOPIC", str, "the ARN of the SNS topic")
    bucket: str = setting("ALERTER_BUCKET", plain_name, "the lake's bucket")
    database: str = setting("ALERTER_DATABASE", plain_name, "the database of the table bars")
    workgroup: str = setting("ALERTER_WORKGROUP", plain_name, "the workgroup, whose limits apply")
