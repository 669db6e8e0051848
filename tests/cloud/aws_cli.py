"""As much of the AWS CLI as docs/outside.md uses, on boto3: `python -m tests.cloud.aws_cli iam list-users`.

The real one pins a version of botocore, and so does the emulator.
"""

from __future__ import annotations

import configparser
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import jmespath


def main(words: Sequence[str]) -> None:
    """`SERVICE OPERATION --option VALUE …`, or `configure set NAME VALUE`."""
    service, operation, *rest = words
    if (service, operation) == ("configure", "set"):
        configure(*rest)
        return
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    query = options.pop("--query", None)
    parameters = {
        "".join(map(str.capitalize, name.removeprefix("--").split("-"))): value for name, value in options.items()
    }
    answer = getattr(boto3.client(service, region_name=os.environ.get("AWS_REGION")), operation.replace("-", "_"))(
        **parameters
    )
    answer.pop("ResponseMetadata", None)
    shown: Any = jmespath.search(query, answer) if query else answer
    sys.stdout.write(json.dumps(shown, indent=4, default=str) + "\n")


def configure(name: str, value: str) -> None:
    """Stores a setting where the AWS CLI does."""
    file = Path(os.environ["HOME"]) / ".aws" / ("credentials" if "key" in name else "config")
    file.parent.mkdir(exist_ok=True)
    stored = configparser.ConfigParser()
    stored.read(file)
    if not stored.has_section("default"):
        stored.add_section("default")
    stored.set("default", name, value)
    with file.open("w", encoding="utf-8") as opened:
        stored.write(opened)


if __name__ == "__main__":
    main(sys.argv[1:])
