"""Sends bars to a Firehose stream, which turns JSON lines into the Parquet files of the lake in S3.

Firehose answers 200 even if it refuses some records of a batch; the answer has an entry for each record. Only refused
records are sent again, after growing pauses. If the connection breaks, a record may arrive twice. That does no harm:
queries read each bar once.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential_jitter

from tickerlake import aws, exchange
from tickerlake.actions import Split
from tickerlake.errors import ConfigError, SinkError
from tickerlake.exchange import Session
from tickerlake.lake import Rejected, Run
from tickerlake.lake.objects import LakeObjects
from tickerlake.lake.withdrawals import withdrawn
from tickerlake.record import COLUMNS, KEY, PARTITION, Type
from tickerlake.symbols import listing

# https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
RECORDS_PER_CALL = 500
BYTES_PER_CALL = 4 * 1024 * 1024
# https://docs.aws.amazon.com/firehose/latest/dev/limits.html, before base64
BYTES_PER_RECORD = 1000 * 1024

CALLS_AT_ONCE = 4
"""A call waits for its answer most of the time."""

ATTEMPTS = 5
"""Attempts per record before it counts as undelivered. The pauses between them add up to 7.5 to 11.5 seconds."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 8.0

# https://docs.aws.amazon.com/firehose/latest/APIReference/CommonErrors.html
_TRANSIENT = {
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
_RECORDS_PER_LOG_LINE = 100
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"))

_log = logging.getLogger(__name__)


class FirehoseClient(Protocol):
    """The one method of boto3's Firehose client that this module calls."""

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html"""


class _Record(NamedTuple):
    """One bar as it is sent, and what an error message says about it."""

    data: bytes
    ticker: str
    session: str


class _Refused(NamedTuple):
    """A record that Firehose did not accept, and why."""

    record: _Record
    code: str
    message: str
    is_transient: bool
    """Whether sending it again may work."""


class FirehoseSink:
    """Sends bars to the Firehose stream `stream`. `pause` waits between attempts.

    With `skip_repeats`, a bar that this sink has already delivered with the same numbers is not sent again. A look-back
    meets each bar several times; the memory covers the latest session only. Without it every bar is sent, which also
    repairs what was lost behind Firehose. Splits and runs go to `objects`; without it, splits go into the log.
    `in_force` gives the lake's bars of a session that may have to be withdrawn; without it, none are.
    """

    def __init__(
        self,
        client: FirehoseClient,
        stream: str,
        pause: Callable[[float], None] = time.sleep,
        attempts: int = ATTEMPTS,
        *,
        skip_repeats: bool = False,
        objects: LakeObjects | None = None,
        in_force: Callable[[str], pd.DataFrame] | None = None,
    ) -> None:
        self._client = client
        self._stream = stream
        self._pause = pause
        self._attempts = attempts
        self._skip_repeats = skip_repeats
        self._objects = objects
        self._in_force = in_force
        self._sent: dict[tuple[Any, ...], bytes] = {}
        """By key, each delivered bar of `_sent_session` without the time it was collected."""
        self._sent_session = ""
        self.delivered = Counter[str]()
        """Bars delivered so far by exchange code, including those of writes that failed in part."""

    def check_sources(self, sources: Collection[str]) -> None:
        """Refuses simulated bars: a stream leads to a lake of real ones. ConfigError."""
        if "simulated" in sources:
            raise ConfigError(
                f"simulated bars cannot go to the stream {self._stream!r}; store them with --sink parquet"
            )

    def write(self, frame: pd.DataFrame) -> Counter[str]:
        """Delivers the bars of one session; returns how many of each ticker were sent.

        A bar that fails does not stop the others. SinkError then names what was not delivered. ConfigError as
        `check_sources`.
        """
        self.check_sources(frame["source"].unique())
        unsent = self._unsent(frame) if self._skip_repeats else None
        records = list(_records(frame)) if unsent is None else [record for record, _ in unsent.values()]
        waiting = [record for record in records if len(record.data) <= BYTES_PER_RECORD]
        refused = [
            _Refused(record, "RecordTooLarge", f"over {BYTES_PER_RECORD} bytes", is_transient=False)
            for record in records
            if len(record.data) > BYTES_PER_RECORD
        ]
        refused += self._deliver(waiting)
        delivered = Counter(record.ticker for record in records) - Counter(each.record.ticker for each in refused)
        for ticker, count in delivered.items():
            self.delivered[exchange.of(ticker).code] += count
        if refused:
            raise self._failure(refused, len(records))
        self._sent.update({key: line for key, (_, line) in (unsent or {}).items()})
        return Counter(record.ticker for record in records)

    def forget(self) -> None:
        """Makes the next write send every bar, whatever was delivered before."""
        self._sent = {}

    def withdraw(self, answered: pd.DataFrame, session: Session, bar_minutes: int, now: dt.datetime) -> Counter[str]:
        """Sends a record for each bar that is `withdrawn`; returns how many of each ticker. SinkError."""
        if self._in_force is None or answered.empty:
            return Counter()
        gone = withdrawn(self._in_force(session.dt), answered, session, bar_minutes, now)
        return Counter() if gone.empty else self.write(gone)

    def log(self, runs: Sequence[Run]) -> None:
        """Stores `runs` in the lake's bucket, if the sink knows it. SinkError."""
        if self._objects is not None:
            self._objects.put_runs(runs)

    def report_splits(self, splits: Sequence[Split], now: dt.datetime, answered: pd.DataFrame | None = None) -> int:  # noqa: ARG002
        """Stores `splits` in the lake's bucket, or logs them if the sink does not know it: the stream has no place for
        them. Returns how many are new to this process. SinkError.
        """
        if self._objects is not None:
            return self._objects.put_splits(splits)
        for split in splits:
            _log.warning("split: %s %s %s", split.ticker, split.ex_date, split.ratio, extra={"split": asdict(split)})
        return 0

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Logs `rejected`, up to 100 records of one rule per line. A stream has no other place for them."""
        by_rule: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in rejected:
            by_rule[record.rule].append(record.as_dict())
        for rule, records in by_rule.items():
            for start in range(0, len(records), _RECORDS_PER_LOG_LINE):
                some = records[start : start + _RECORDS_PER_LOG_LINE]
                _log.warning("%d rejected records: %s", len(some), rule, extra={"rule": rule, "records": some})

    def _unsent(self, frame: pd.DataFrame) -> dict[tuple[Any, ...], tuple[_Record, bytes]]:
        """By key, the bars of `frame` that are new or changed since they were delivered."""
        session = str(frame["dt"].max())
        if session != self._sent_session:
            self._sent, self._sent_session = {}, session
        keys = frame[list(KEY)].itertuples(index=False, name=None)
        lines = _lines(frame.drop(columns="collected_at"))
        rows = zip(keys, _records(frame), lines, strict=True)
        return {key: (record, line) for key, record, line in rows if self._sent.get(key) != line}

    def _deliver(self, records: Sequence[_Record]) -> list[_Refused]:
        """Sends `records`, and refused ones again after growing pauses; returns those that were never accepted."""
        refused: list[_Refused] = []
        waiting = records

        def send() -> bool:
            nonlocal refused, waiting
            refused = self._send(waiting)
            waiting = [each.record for each in refused]
            return bool(refused) and all(each.is_transient for each in refused)

        Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential_jitter(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS),
            retry=retry_if_result(bool),
            retry_error_callback=lambda _: None,
            sleep=self._pause,
        )(send)
        return refused

    def _send(self, records: Sequence[_Record]) -> list[_Refused]:
        """One attempt: sends every record once, in batches, a few at once; returns in order those that were refused."""
        # If one connection fails, the next probably will too, and each may cost the full time-out: skip the rest.
        lost: tuple[str, str, bool] | None = None

        def send(batch: list[_Record]) -> list[_Refused]:
            nonlocal lost
            if lost is None:
                try:
                    entries = [{"Data": record.data} for record in batch]
                    answer = self._client.put_record_batch(DeliveryStreamName=self._stream, Records=entries)
                    return _refused(batch, answer)
                except (HTTPClientError, ConnectionError) as error:
                    lost = (type(error).__name__, str(error), True)
                except BotoCoreError as error:
                    lost = (type(error).__name__, str(error), False)
                except ClientError as error:
                    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
                    if code in _TRANSIENT or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                        return [_Refused(record, code, message, is_transient=True) for record in batch]
                    lost = (code, message, False)
            return [_Refused(record, *lost) for record in batch]

        batches = list(_batches(records))
        refused = [send(batch) for batch in batches[:1]]  # alone, to find out whether there is a connection
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            refused += pool.map(send, batches[1:])
        return list(chain.from_iterable(refused))

    def _failure(self, refused: Sequence[_Refused], out_of: int) -> SinkError:
        tickers = sorted({each.record.ticker for each in refused})
        days = sorted({each.record.session for each in refused})
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        codes = ", ".join(f"{count} {code}" for code, count in Counter(each.code for each in refused).most_common())
        reason = next((f": {each.message.rstrip('.')}" for each in refused if each.message), "")
        attempts = f" after {self._attempts} attempts" if all(each.is_transient for each in refused) else ""
        next_step = _NEXT_STEPS.get(refused[0].code, "collect these sessions again")
        return SinkError(
            f"{len(refused)} of {out_of} bars were not delivered to the Firehose stream {self._stream!r}{attempts}: "
            f"{listing(tickers)} in {span} ({codes}{reason}); {next_step}",
            undelivered=len(refused),
        )


def open_firehose(
    stream: str,
    region: str | None = None,
    *,
    skip_repeats: bool = False,
    objects: LakeObjects | None = None,
    in_force: Callable[[str], pd.DataFrame] | None = None,
) -> FirehoseSink:
    """The sink for `stream`, with the AWS settings of the environment. ConfigError if they name no region."""
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=4,
        read_timeout=10,
        # It would look at each of 500 records for as long as sending them takes; all are made here.
        parameter_validation=False,
        # This module retries single records. botocore would retry whole batches, and the attempts would multiply.
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    try:
        client = aws.client("firehose", region, config=config)
    except BotoCoreError as error:
        raise ConfigError(
            f"cannot open the Firehose stream {stream!r}: {error}; set AWS_REGION, or check your AWS profile"
        ) from error
    return FirehoseSink(client, stream, skip_repeats=skip_repeats, objects=objects, in_force=in_force)


def _records(frame: pd.DataFrame) -> Iterator[_Record]:
    for line, ticker, session in zip(_lines(frame), frame["ticker"], frame["dt"], strict=True):
        yield _Record(line, ticker, session)


def _lines(frame: pd.DataFrame) -> Iterator[bytes]:
    """Each bar as one line of JSON without nulls, as the OpenX SerDe of the table reads it."""
    columns = [column for column in (*COLUMNS, PARTITION) if column.name in frame]
    values = [_values(frame[column.name], column.type) for column in columns]
    names = [column.name for column in columns]
    for row in zip(*values, strict=True):
        fields = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        yield _JSON.encode(fields).encode() + b"\n"


def _values(column: pd.Series, kind: Type) -> list[Any]:
    """The values of `column` for JSON; times as `yyyy-MM-dd HH:mm:ss.SSS`, UTC."""
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
    """The records of `batch` that have an error code in `answer`, which lists them in the same order."""
    if not answer["FailedPutCount"]:
        return []
    return [
        _Refused(record, entry["ErrorCode"], entry.get("ErrorMessage", ""), is_transient=True)
        for record, entry in zip(batch, answer["RequestResponses"], strict=True)
        if entry.get("ErrorCode")
    ]
