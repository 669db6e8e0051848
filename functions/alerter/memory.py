"""The alerts already sent, in the lake's bucket: one JSON object per exchange, such as `alerts/XNYS.json`.

A run replaces it only if nobody else has since it read it (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
So only one of two concurrent runs can claim the new alerts.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tickerlake.alerts import Sent, dump, load
from tickerlake.errors import SinkError

ALERTS_PREFIX = "alerts/"
LEASE = dt.timedelta(minutes=3)
"""How long a claim holds: longer than a run may take, and over before the next run that is scheduled."""
# Another run has written it, or is writing it: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict")


class Claimed(Exception):
    """Another run is sending these alerts, or has sent them."""


class Memory:
    """The alerts already sent for the exchange with this code. `read` them first."""

    def __init__(self, client: Any, bucket: str, code: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = f"{ALERTS_PREFIX}{code.replace('/', '-')}.json"
        self._version = ""
        self._sent: list[Sent] = []

    def read(self, now: dt.datetime) -> list[Sent]:
        """The alerts already sent; an empty list if there is no object. Raises Claimed and SinkError."""
        try:
            # Who may list only some prefixes gets "access denied" for an object that is not there, not "no such key".
            if not self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._key, MaxKeys=1)["KeyCount"]:
                return []
            found = self._client.get_object(Bucket=self._bucket, Key=self._key)
            self._version, content = found["ETag"], json.loads(found["Body"].read())
            self._sent = load(json.dumps(content["sent"]))
            claimed = dt.datetime.fromisoformat(content["claimed_at"]) if content["claimed_at"] else None
        except (BotoCoreError, ClientError) as error:
            raise SinkError(f"cannot read {self._place}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise SinkError(
                f"{self._place} does not hold what was sent: {error}; delete it, and today's alerts are sent once more"
            ) from error
        if claimed and now - claimed < LEASE:
            raise Claimed(f"another run has claimed {self._place} at {claimed:%H:%M:%S} UTC")
        return self._sent

    def claim(self, now: dt.datetime) -> None:
        """Keeps other runs from sending for as long as `LEASE`. Claimed, SinkError."""
        self._write(self._sent, now)

    def store(self, sent: Sequence[Sent]) -> None:
        """Records the alerts sent, and releases the claim. Claimed, SinkError."""
        self._write(sent, None)

    def _write(self, sent: Sequence[Sent], claimed: dt.datetime | None) -> None:
        content = {"claimed_at": claimed and claimed.isoformat(), "sent": json.loads(dump(sent))}
        condition = {"IfMatch": self._version} if self._version else {"IfNoneMatch": "*"}
        try:
            self._version = self._client.put_object(
                Bucket=self._bucket, Key=self._key, Body=json.dumps(content).encode(), **condition
            )["ETag"]
        except ClientError as error:
            if error.response["Error"]["Code"] in _TAKEN:
                raise Claimed(f"another run has written {self._place}") from error
            raise SinkError(f"cannot write {self._place}: {error}") from error
        except BotoCoreError as error:
            raise SinkError(f"cannot write {self._place}: {error}") from error

    @property
    def _place(self) -> str:
        return f"s3://{self._bucket}/{self._key}"
