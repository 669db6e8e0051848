"""Reads objects straight from a bucket: `s3://bucket/prefix`."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tickerlake import aws
from tickerlake.errors import ConfigError
from tickerlake.importers.recorded import RecordedObject, collected_at_in
from tickerlake.record import milliseconds

_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")
_NEXT_STEPS = {
    "NoSuchBucket": "check its name",
    "InvalidBucketName": "check its name",
    "AccessDenied": "allow s3:ListBucket on the bucket and s3:GetObject on its objects",
    "PermanentRedirect": "it is in another region than AWS_REGION names",
    "InvalidObjectState": "it is archived: restore it first",
    "ExpiredToken": "log in to AWS again",
    "InvalidAccessKeyId": "check the AWS credentials",
}


def s3_objects(urls: Sequence[str], client: Any = None) -> Iterator[RecordedObject]:
    """The objects under `urls`, in the order they were written, each once.

    A URL names an object or a folder and everything below it. Hidden objects in folders are skipped. `client` is
    boto3's for S3, by default one with the AWS settings of the environment. Raises ConfigError for a URL that names
    nothing or cannot be read.
    """
    places = [_parse(url) for url in urls]
    client = client or _client()
    found: dict[str, tuple[dt.datetime, str, str]] = {}
    for url, (bucket, prefix) in zip(urls, places, strict=True):
        listed = dict(_list(client, bucket, prefix, url))
        if not listed:
            raise ConfigError(f"no object at {url}; name an object or a folder")
        for key, written in listed.items():
            found[f"s3://{bucket}/{key}"] = (collected_at_in(key.rpartition("/")[2]) or written, bucket, key)
    for name, (collected_at, bucket, key) in sorted(found.items(), key=lambda item: (item[1][0], item[0])):
        try:
            content = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise _unusable(name, error) from error
        yield RecordedObject(name, collected_at, content)


def _parse(url: str) -> tuple[str, str]:
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigError(f"{url!r} is not an S3 URL; write s3://bucket/prefix")
    return match["bucket"], match["prefix"] or ""


def _client() -> Any:
    try:
        return aws.client("s3")
    except BotoCoreError as error:
        raise ConfigError(f"cannot connect to S3: {error}; check your AWS profile") from error


def _list(client: Any, bucket: str, prefix: str, url: str) -> Iterator[tuple[str, dt.datetime]]:
    """Key and last modification (UTC) of the object `prefix`, or of the objects in that folder."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                key = item["Key"]
                is_inside = key.startswith(folder) and not any(
                    part.startswith(".") for part in key.removeprefix(folder).split("/")
                )
                # The console marks an empty folder by a key that ends in a slash.
                if (key == prefix or is_inside) and not key.endswith("/"):
                    yield key, milliseconds(item["LastModified"].astimezone(dt.UTC))
    except (ClientError, BotoCoreError) as error:
        raise _unusable(url, error) from error


def _unusable(url: str, error: Exception) -> ConfigError:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    next_step = _NEXT_STEPS.get(code, "check the network and your AWS profile")
    return ConfigError(f"cannot read {url}: {' '.join(str(error).split()).rstrip('.')}; {next_step}")
