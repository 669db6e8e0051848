"""AWS clients in the region that the environment names, and the namespace of our metrics."""

from __future__ import annotations

import os
from typing import Any

from tickerlake.settings import REGION_VARIABLES

METRICS_NAMESPACE = "Tickerlake"
"""CloudWatch namespace of the metrics of collecting."""


def region(given: str | None = None) -> str | None:
    """`given`, else the first of LAKE_REGION, AWS_REGION and AWS_DEFAULT_REGION; None leaves it to the AWS profile."""
    names = ("LAKE_REGION", *REGION_VARIABLES)
    return given or next((text for name in names if (text := os.environ.get(name, "").strip())), None)


def client(service: str, region_name: str | None = None, **options: Any) -> Any:
    """The boto3 client for `service` in that region. Raises botocore's BotoCoreError."""
    import boto3  # noqa: PLC0415  # only commands that talk to AWS need it

    # A session of its own: boto3's default one is not safe to share between threads.
    return boto3.Session(region_name=region(region_name)).client(service, **options)
