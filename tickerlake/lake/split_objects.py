"""Stores splits as objects of JSON lines in the lake's bucket, where the Glue table `actions` reads them.

They do not go through Firehose: its stream has the columns of bars, and a split must not wait in a buffer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tickerlake import aws
from tickerlake.actions import Split
from tickerlake.errors import SinkError
from tickerlake.exchange import EXCHANGE
from tickerlake.record import ACTIONS

PREFIX = "actions/"
_CONFIG = Config(connect_timeout=4, read_timeout=10, retries={"mode": "standard"})
_NEXT_STEPS = {
    "AccessDenied": f"allow s3:PutObject on {PREFIX}* of this bucket",
    "NoSuchBucket": "check the bucket's name",
}

_log = logging.getLogger(__name__)


class SplitObjects:
    """Puts splits into `bucket`, each report once.

    A later process puts the same split again, with its own `collected_at`. That does no harm, because the latest report
    counts. Replacing the first object would move the moment from which the split is known, and `as_of` would miss it.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._stored: dict[tuple[str, dt.date, str], tuple[float, dt.datetime | None]] = {}
        """The last report of each ticker, date and source."""

    def put(self, splits: Sequence[Split]) -> int:
        """Stores those of `splits` that are new or changed, as one object; returns how many. SinkError."""
        new = {_key(split): split for split in splits if self._stored.get(_key(split)) != _report(split)}
        if not new:
            return 0
        body = b"".join(_line(split) for split in new.values())
        newest = max(split.collected_at for split in new.values())
        key = f"{PREFIX}{newest:%Y%m%dT%H%M%SZ}-{hashlib.sha256(body).hexdigest()[:12]}.json"
        names = ", ".join(f"{split.ticker} {split.ex_date} {split.ratio:g}" for split in new.values())
        try:
            # Opened only now: it takes a quarter of a second, and most runs have no split.
            aws.client("s3", config=_CONFIG).put_object(Bucket=self._bucket, Key=key, Body=body)
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            raise SinkError(
                f"splits ({names}) were not stored in s3://{self._bucket}/{PREFIX}: {str(error).rstrip('.')}; "
                f"{_NEXT_STEPS.get(code, 'collect this session again')}"
            ) from error
        self._stored |= {key: _report(split) for key, split in new.items()}
        _log.warning("stored splits (%s) in s3://%s/%s", names, self._bucket, key)
        return len(new)


def _key(split: Split) -> tuple[str, dt.date, str]:
    return split.ticker, split.ex_date, split.source


def _report(split: Split) -> tuple[float, dt.datetime | None]:
    return split.ratio, split.adjusted_from


def _line(split: Split) -> bytes:
    """One line of JSON without nulls, as the OpenX SerDe reads it; times as `yyyy-MM-dd HH:mm:ss.SSS`, UTC."""
    values = asdict(split) | {"exchange": EXCHANGE, "ex_date": split.ex_date.isoformat()}
    fields = {column.name: _value(values[column.name]) for column in ACTIONS if values[column.name] is not None}
    return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _value(value: Any) -> Any:
    if not isinstance(value, dt.datetime):
        return value
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
