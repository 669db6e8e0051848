"""A Firehose stream, which turns JSON lines into the Parquet files of the lake in S3.

Firehose answers 200 and refuses single records inside the answer, so what counts is each record's own entry in
it. Refused records, and only those, are sent again with growing pauses. A record may arrive twice: after a broken
connection nobody knows whether it was taken. Queries read each bar once, so a repeat does no harm.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential_jitter

from tickerlake import aws
from tickerlake.errors import ConfigError, SinkError
from tickerlake.lake import Rejected
from tickerlake.record import COLUMNS, KEY, PARTITION, Type

# https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
RECORDS_PER_CALL = 500
BYTES_PER_CALL = 4 * 1024 * 1024
# https://docs.aws.amazon.com/firehose/latest/dev/limits.html, before base64
BYTES_PER_RECORD = 1000 * 1024

ATTEMPTS = 5
"""How often a record is sent before it counts as undelivered: 7.5 to 11.5 seconds of pauses."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 8.0

# https://docs.aws.amazon.com/firehose/latest/APIReference/CommonErrors.html
_MAY_PASS = {
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "RequestTimeout",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_NEXT_STEPS = {
    "AccessDeniedException": "allow firehose:PutRecordBatch on this stream",
    "ExpiredTokenException": "log in to AWS again",
    "NoCredentialsError": "log in to AWS, or set AWS_PROFILE",
    "ResourceNotFoundException": "check the stream's name and the region",
    "UnrecognizedClientException": "check the AWS credentials",
}
_NAMED = 10
_LOGGED_AT_ONCE = 100

_log = logging.getLogger(__name__)


class FirehoseClient(Protocol):
    """The one call of boto3's Firehose client that is made."""

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html"""


class _Record(NamedTuple):
    """One bar on its way: its line, and what is told of it where it does not arrive."""

    data: bytes
    ticker: str
    session: str


class _Refused(NamedTuple):
    """A record that was not taken, and why."""

    record: _Record
    code: str
    message: str
    may_pass: bool
    """Whether it is worth sending again."""


class FirehoseSink:
    """Sends bars to the Firehose stream `stream`; `pause` waits between attempts.

    With `skip_repeats` a bar that this sink delivered last with the same numbers is not sent again, as long as bars
    of the same session follow: a look-back meets each bar several times. Without it every bar is sent, so that a
    sweep also mends what was lost behind Firehose.
    """

    def __init__(
        self,
        client: FirehoseClient,
        stream: str,
        pause: Callable[[float], None] = time.sleep,
        attempts: int = ATTEMPTS,
        *,
        skip_repeats: bool = False,
    ) -> None:
        self._client = client
        self._stream = stream
        self._pause = pause
        self._attempts = attempts
        self._skip_repeats = skip_repeats
        self._said: dict[tuple[Any, ...], bytes] = {}
        self._said_of = ""
        self.delivered = 0
        """Bars delivered so far, those of writes that failed in part included."""

    def write(self, frame: pd.DataFrame) -> int:
        """Delivers the bars of one session and returns how many.

        Everything that can be delivered is; then SinkError names what was not.
        """
        fresh = self._fresh(frame)
        records = list(_records(frame)) if fresh is None else [record for record, _ in fresh.values()]
        waiting = [record for record in records if len(record.data) <= BYTES_PER_RECORD]
        refused = [
            _Refused(record, "RecordTooLarge", f"over {BYTES_PER_RECORD} bytes", may_pass=False)
            for record in records
            if len(record.data) > BYTES_PER_RECORD
        ]
        refused += self._deliver(waiting)
        self.delivered += len(records) - len(refused)
        if refused:
            raise self._failure(refused, len(records))
        self._said.update({key: said for key, (_, said) in (fresh or {}).items()})
        return len(records)

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Logs `rejected` as they came, many of one rule in one line: a stream has no place to keep them."""
        by_rule: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in rejected:
            by_rule[record.rule].append(record.as_dict())
        for rule, records in by_rule.items():
            for start in range(0, len(records), _LOGGED_AT_ONCE):
                some = records[start : start + _LOGGED_AT_ONCE]
                _log.warning("%d rejected records: %s", len(some), rule, extra={"rule": rule, "records": some})

    def _fresh(self, frame: pd.DataFrame) -> dict[tuple[Any, ...], tuple[_Record, bytes]] | None:
        """By key, the bars of `frame` that say something else than what was delivered of them last, and what.

        None where repeats are not to be skipped.
        """
        if not self._skip_repeats:
            return None
        session = str(frame["dt"].max())
        if session != self._said_of:
            self._said, self._said_of = {}, session
        keys = frame[list(KEY)].itertuples(index=False, name=None)
        said = _lines(frame.drop(columns="collected_at"))
        bars_said = zip(keys, _records(frame), said, strict=True)
        return {key: (record, line) for key, record, line in bars_said if self._said.get(key) != line}

    def _deliver(self, records: Sequence[_Record]) -> list[_Refused]:
        """Sends `records`, those that are refused again after growing pauses; returns what is left in the end."""
        refused: list[_Refused] = []
        waiting = records

        def send() -> bool:
            nonlocal refused, waiting
            refused = self._send(waiting)
            waiting = [each.record for each in refused]
            return bool(refused) and all(each.may_pass for each in refused)

        Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential_jitter(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
            retry=retry_if_result(bool),
            retry_error_callback=lambda _: None,
            sleep=self._pause,
        )(send)
        return refused

    def _send(self, records: Sequence[_Record]) -> list[_Refused]:
        """One attempt: every record once, in batches; returns those that were not taken."""
        refused: list[_Refused] = []
        # Where one connection fails the next will too, and each may cost the whole time-out: the rest is not tried.
        lost: tuple[str, str, bool] | None = None
        for batch in _batches(records):
            if lost is None:
                try:
                    entries = [{"Data": record.data} for record in batch]
                    answer = self._client.put_record_batch(DeliveryStreamName=self._stream, Records=entries)
                    refused += _refused(batch, answer)
                    continue
                except (HTTPClientError, ConnectionError) as error:
                    lost = (type(error).__name__, str(error), True)
                except BotoCoreError as error:
                    lost = (type(error).__name__, str(error), False)
                except ClientError as error:
                    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
                    if code in _MAY_PASS or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                        refused += [_Refused(record, code, message, may_pass=True) for record in batch]
                        continue
                    lost = (code, message, False)
            refused += [_Refused(record, *lost) for record in batch]
        return refused

    def _failure(self, refused: Sequence[_Refused], out_of: int) -> SinkError:
        tickers = sorted({each.record.ticker for each in refused})
        named = ", ".join(tickers[:_NAMED]) + (f" and {len(tickers) - _NAMED} more" if len(tickers) > _NAMED else "")
        days = sorted({each.record.session for each in refused})
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        codes = ", ".join(f"{count} {code}" for code, count in Counter(each.code for each in refused).most_common())
        said = next((f": {each.message.rstrip('.')}" for each in refused if each.message), "")
        tried = f" after {self._attempts} attempts" if all(each.may_pass for each in refused) else ""
        next_step = _NEXT_STEPS.get(refused[0].code, "collect these sessions again")
        return SinkError(
            f"{len(refused)} of {out_of} bars were not delivered to the Firehose stream {self._stream!r}{tried}: "
            f"{named} in {span} ({codes}{said}); {next_step}",
            undelivered=len(refused),
        )


def open_firehose(stream: str, region: str | None = None, *, skip_repeats: bool = False) -> FirehoseSink:
    """The sink for `stream` with the AWS configuration of the environment. ConfigError where that names no region."""
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=4,
        read_timeout=10,
        # Every attempt is made here, where refused records are told from accepted ones. botocore would send whole
        # batches again beneath, and its attempts and these would multiply.
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    try:
        client = aws.client("firehose", region, config=config)
    except BotoCoreError as error:
        raise ConfigError(
            f"cannot open the Firehose stream {stream!r}: {error}; set AWS_REGION, or check your AWS profile"
        ) from error
    return FirehoseSink(client, stream, skip_repeats=skip_repeats)


def _records(frame: pd.DataFrame) -> Iterator[_Record]:
    for line, ticker, session in zip(_lines(frame), frame["ticker"], frame["dt"], strict=True):
        yield _Record(line, ticker, session)


def _lines(frame: pd.DataFrame) -> Iterator[bytes]:
    """Each bar as one line of JSON, nulls left out: what the OpenX SerDe of the table reads."""
    columns = [column for column in (*COLUMNS, PARTITION) if column.name in frame]
    values = [_values(frame[column.name], column.type) for column in columns]
    names = [column.name for column in columns]
    for row in zip(*values, strict=True):
        fields = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        yield json.dumps(fields, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _values(column: pd.Series, kind: Type) -> list[Any]:
    """The values of `column` as JSON knows them; times as `yyyy-MM-dd HH:mm:ss.SSS`, UTC."""
    if kind == "timestamp":
        naive = column.dt.tz_localize(None).to_numpy(dtype="datetime64[ms]")
        return [str(text).replace("T", " ") for text in np.datetime_as_string(naive, unit="ms")]
    return column.astype(object).where(column.notna(), None).tolist()


def _batches(records: Sequence[_Record]) -> Iterator[list[_Record]]:
    batch: list[_Record] = []
    size = 0
    for record in records:
        if batch and (len(batch) == RECORDS_PER_CALL or size + len(record.data) > BYTES_PER_CALL):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.data)
    if batch:
        yield batch


def _refused(batch: Sequence[_Record], answer: dict[str, Any]) -> list[_Refused]:
    """The records of `batch` with an error code in `answer`, which lists them in their order."""
    if not answer["FailedPutCount"]:
        return []
    return [
        _Refused(record, entry["ErrorCode"], entry.get("ErrorMessage", ""), may_pass=True)
        for record, entry in zip(batch, answer["RequestResponses"], strict=True)
        if entry.get("ErrorCode")
    ]
