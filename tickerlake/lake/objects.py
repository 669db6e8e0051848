"""Stores splits, runs and forecasts as objects of JSON lines in the bucket, where the Glue tables of their names are.

They do not go through Firehose: its stream has the columns of bars, and a split must not wait in a buffer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tickerlake import aws
from tickerlake.actions import Split
from tickerlake.errors import SinkError
from tickerlake.lake import Run
from tickerlake.record import ACTIONS, FORECASTS, RUNS, SESSION, Column

if TYPE_CHECKING:
    import pandas as pd

ACTIONS_PREFIX = "actions/"
RUNS_PREFIX = "runs/"
FORECASTS_PREFIX = "forecasts/"
_CONFIG = Config(connect_timeout=4, read_timeout=10, retries={"mode": "standard"})

_log = logging.getLogger(__name__)


class LakeObjects:
    """Puts runs and forecasts into `bucket`, and splits, each report of a split once.

    A later process puts the same split again, with its own `collected_at`. That does no harm, because the latest report
    counts. Replacing the first object would move the moment from which the split is known, and `as_of` would miss it.
    """

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._reported: dict[tuple[str, dt.date, str], tuple[float, dt.datetime | None]] = {}
        """The last report of each ticker, date and source."""

    def put_splits(self, splits: Sequence[Split]) -> int:
        """Stores those of `splits` that are new or changed, as one object; returns how many. SinkError."""
        new = {_key(split): split for split in splits if self._reported.get(_key(split)) != _report(split)}
        if not new:
            return 0
        names = ", ".join(f"{split.ticker} {split.ex_date} {split.ratio:g}" for split in new.values())
        rows = [split.row() for split in new.values()]
        key = self._put(f"the splits {names}", ACTIONS_PREFIX, "", _lines(rows, ACTIONS), rows)
        self._reported |= {key: _report(split) for key, split in new.items()}
        _log.warning("stored splits (%s) in s3://%s/%s", names, self._bucket, key)
        return len(new)

    def put_runs(self, runs: Sequence[Run]) -> None:
        """Stores `runs`, one object for each session, in its partition. SinkError."""
        self._put_sessions("runs", RUNS_PREFIX, [asdict(run) for run in runs], RUNS, "collected_at")

    def put_forecasts(self, forecasts: pd.DataFrame) -> None:
        """Stores forecasts, a frame with the columns of `record.FORECASTS`, one object for each session. SinkError."""
        rows = forecasts.astype(object).where(forecasts.notna(), None).to_dict("records")
        self._put_sessions("forecasts", FORECASTS_PREFIX, rows, FORECASTS, "made_at")

    def _put_sessions(
        self, what: str, prefix: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], time: str
    ) -> None:
        sessions: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            sessions[row["session"]].append(row)
        held = [column for column in columns if column.name != SESSION.name]
        for session, inside in sessions.items():
            folder = f"{SESSION.name}={session}/"
            self._put(f"the {what} of {session}", prefix, folder, _lines(inside, held), inside, time)

    def _put(
        self,
        what: str,
        prefix: str,
        folder: str,
        body: bytes,
        rows: Sequence[Mapping[str, Any]],
        time: str = "collected_at",
    ) -> str:
        """Puts `body`, which holds `rows`, under a name that begins with their latest `time`; returns its key."""
        newest = max(row[time] for row in rows)
        key = f"{prefix}{folder}{newest:%Y%m%dT%H%M%SZ}-{hashlib.sha256(body).hexdigest()[:12]}.json"
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            next_steps = {
                "AccessDenied": f"allow s3:PutObject on {prefix}* of this bucket",
                "NoSuchBucket": "check the bucket's name",
            }
            raise SinkError(
                f"cannot store {what} in s3://{self._bucket}/{prefix}: {str(error).rstrip('.')}; "
                f"{next_steps.get(code, 'collect this session again')}"
            ) from error
        return key

    @cached_property
    def _client(self) -> Any:
        return aws.client("s3", config=_CONFIG)


def _key(split: Split) -> tuple[str, dt.date, str]:
    return split.ticker, split.ex_date, split.source


def _report(split: Split) -> tuple[float, dt.datetime | None]:
    return split.ratio, split.adjusted_from


def _lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> bytes:
    """Lines of JSON without nulls, as the OpenX SerDe reads them; times as `yyyy-MM-dd HH:mm:ss.SSS`, UTC."""
    names = [column.name for column in columns]
    return b"".join(
        json.dumps(
            {name: _value(row[name]) for name in names if row[name] is not None},
            allow_nan=False,
            separators=(",", ":"),
        ).encode()
        + b"\n"
        for row in rows
    )


def _value(value: Any) -> Any:
    if not isinstance(value, dt.datetime):
        return value
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
