"""Athena over the lake in S3, through PyAthena.

Queries run on PyAthena's plain cursor. Its first page has 999 rows, so most results take one request. A longer result
is read whole from the CSV file that Athena writes, because further pages cost one request per 1,000 rows; a workgroup
whose results Athena manages has no such file, and then pages are read after all. PyAthena's PandasCursor would make
three requests for the shortest result, and reads empty text as null.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    ConnectionError,  # noqa: A004
    CredentialRetrievalError,
    HTTPClientError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from pyarrow import csv
from pyathena import connect
from pyathena.connection import Connection
from pyathena.cursor import Cursor
from pyathena.error import Error
from pyathena.model import AthenaQueryExecution
from pyathena.util import RetryConfig, parse_output_location

from tickerlake import aws, watchlist
from tickerlake.errors import NoAccess, QueryFailed, TickerlakeError
from tickerlake.lake import bucket
from tickerlake.lake.bucket import BARS_PREFIX, HOURS_PREFIX, RUN_OF_HOURS
from tickerlake.lake.sql import quoted
from tickerlake.query.answer import Answer, answer
from tickerlake.query.statement import SETTLED_HOURS, OptionalTables, with_tables
from tickerlake.record import HOURS, PARTITION
from tickerlake.settings import Settings

# https://docs.aws.amazon.com/athena/latest/APIReference/API_GetQueryResults.html: 1,000 rows including the header
ROWS_OF_FIRST_PAGE = 999
POLL_SECONDS = 0.5
# Athena throttles by account and second: https://docs.aws.amazon.com/athena/latest/ug/service-limits.html.
# Fail within ten seconds: a user is waiting.
RETRY = RetryConfig(attempt=4, max_delay=4)

# The mode that AWS recommends; AWS_MAX_ATTEMPTS stays the user's.
_CONFIG = Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=30)

_CREDENTIALS_MISSING = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
)
_CREDENTIALS_REFUSED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"}
_NOT_AUTHORIZED = re.compile(
    r"not authorized to perform:? (?P<action>\w+:\w+)(?: on resource:? \"?(?P<resource>[^\s\",]+))?"
)
_DENIED = re.compile(
    r"access ?denied|not authorized|insufficient (lake formation )?permission|PERMISSION_DENIED", re.IGNORECASE
)
_NO_TABLE = re.compile(r"(TABLE|SCHEMA)_NOT_FOUND|(Table|Schema|Database) \S+ (does not exist|not found)")
_NO_WORKGROUP = re.compile(r"work ?group\b.* not found", re.IGNORECASE)

# PyAthena logs each failure with its traceback before it raises it. Without logging set up, that would reach the
# terminal.
logging.getLogger("pyathena").addHandler(logging.NullHandler())
_log = logging.getLogger(__name__)


def open_engine(settings: Settings) -> AthenaEngine:
    """The engine over the database and workgroup that `settings` name. NoAccess if AWS is not configured."""
    return AthenaEngine(settings)


class AthenaEngine:
    """Runs queries in one workgroup. Safe to share between threads.

    Credentials, and AWS_ENDPOINT_URL for another address, come from the AWS configuration of the environment.
    """

    name = "athena"
    sources = watchlist.SOURCES

    def __init__(
        self,
        settings: Settings,
        *,
        poll_seconds: float = POLL_SECONDS,
        retry: RetryConfig = RETRY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lake = f"{settings.database} ({settings.workgroup})"
        self._settings = settings
        self._poll_seconds = poll_seconds
        self._retry = retry
        self._clock = clock
        self._lock = threading.Lock()
        self._tables = OptionalTables()
        self._connection: Connection[Cursor] | None = self._connect()

    def run(
        self,
        sql: str,
        parameters: Mapping[str, Any],
        limit: int | None = None,
        *,
        columns: bool = False,  # noqa: ARG002  # it has rows only
    ) -> Answer:
        """Runs `sql`; the driver writes the parameters into the text, quoted for Athena.

        The query is cancelled, so that it scans no further, after the time-out of the settings and on Ctrl-C.
        Raises NoAccess if the workgroup, table, region or credentials are missing, else QueryFailed.
        """
        hours = self._hours(parameters) if "settled" in parameters else {}
        values = {**parameters, "settled": ",".join(hours)} if hours else parameters
        return self._tables.run(sql, lambda text: self._run(text, values, limit), self._table(hours.values()))

    def _hours(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """Of each session in question that is settled and was known in full at `as_of`, the run that wrote its hours.

        None if they cannot be listed: the query then reads the bars, and tells of a lake that cannot be reached.
        """
        span, moment = (parameters["first"], parameters["last"]), dt.datetime.fromisoformat(parameters["as_of"])
        try:
            name = self._bucket
            bars, hours = (bucket.sessions(self._s3, name, prefix, *span) for prefix in (BARS_PREFIX, HOURS_PREFIX))
        except (ClientError, BotoCoreError) as error:
            _log.info("settled hours are not used: %s", _one_line(error))
            return {}
        held = {session: bucket.settled(bars.get(session, ()), there) for session, there in hours.items()}
        return {
            session: made.run for session, made in held.items() if made and made.newest <= moment.replace(tzinfo=dt.UTC)
        }

    def _table(self, runs: Collection[str]) -> str:
        """The SQL of the table settled_hours as these runs wrote it."""
        if not runs:
            return ""
        names = ", ".join(column.name for column in (*HOURS, PARTITION))
        table = f'"{self._settings.database}"."{SETTLED_HOURS}"'
        return f"SELECT {names} FROM {table} WHERE {RUN_OF_HOURS} IN ({', '.join(map(quoted, runs))})"  # noqa: S608

    @cached_property
    def _bucket(self) -> str:
        """The bucket of the lake, in which the stack has put the table settled_hours. Raises botocore's errors."""
        glue = aws.client("glue", self._settings.region, config=_CONFIG)
        table = glue.get_table(DatabaseName=self._settings.database, Name=SETTLED_HOURS)["Table"]
        return urlsplit(table["StorageDescriptor"]["Location"]).netloc

    @cached_property
    def _s3(self) -> Any:
        return aws.client("s3", self._settings.region, config=_CONFIG)

    def _run(self, sql: str, parameters: Mapping[str, Any], limit: int | None) -> Answer:
        started = self._clock()
        cursor = None
        try:
            with self._lock:
                self._connection = connection = self._connection or self._connect()
            cursor = connection.cursor(Cursor, on_poll=self._watch(started + self._settings.timeout_seconds))
            # Without parameters the driver leaves a % alone.
            cursor.execute(sql, dict(parameters) or None)
            rows = _rows(connection, cursor, limit)
        except _TimedOut as error:
            raise self._cancelled(cursor) from error
        except (Error, ClientError, BotoCoreError, pa.ArrowException) as error:
            raise self._failure(error, cursor.query_id if cursor else None) from error
        columns = [(column[0], column[1]) for column in cursor.description or ()]
        return answer(columns, rows, self._clock() - started, cursor.data_scanned_in_bytes, cursor.query_id)

    def ask(self, sql: str, limit: int | None = None, *, columns: bool = False) -> Answer:  # noqa: ARG002
        """Runs a user's SQL over `bars` and `records`."""
        return self.run(with_tables(sql, f'"{self._settings.database}"."bars"', self.sources), {}, limit)

    def simulated(self, first: dt.date | None, last: dt.date | None) -> bool:  # noqa: ARG002
        """Never: simulated bars are not sent to a stream."""
        return False

    def may_hold_long_bars(self, first: str, last: str) -> bool:  # noqa: ARG002
        """Only a query could tell."""
        return False

    def _connect(self) -> Connection[Cursor]:
        try:
            return connect(
                region_name=aws.region(self._settings.region),
                schema_name=self._settings.database,
                work_group=self._settings.workgroup,
                # The workgroup decides where results go, whatever the environment says.
                s3_staging_dir="",
                poll_interval=self._poll_seconds,
                retry_config=self._retry,
                result_reuse_enable=self._settings.reuse_minutes > 0,
                result_reuse_minutes=self._settings.reuse_minutes,
                config=_CONFIG,
            )
        except BotoCoreError as error:
            raise self._failure(error, None) from error

    def _watch(self, deadline: float) -> Callable[[Any], None]:
        def on_poll(execution: AthenaQueryExecution) -> None:
            if self._clock() > deadline and execution.state not in AthenaQueryExecution.TERMINAL_STATES:
                raise _TimedOut

        return on_poll

    def _cancelled(self, cursor: Cursor | None) -> QueryFailed:
        """Cancels the query of `cursor` and returns the error to raise."""
        fate = "was cancelled"
        try:
            if cursor is not None:
                cursor.cancel()
        except Error as error:
            fate = f"could not be cancelled ({_one_line(error)})"
        return QueryFailed(
            f"the query took longer than {self._settings.timeout_seconds} seconds and {fate}; "
            "query fewer sessions, or raise LAKE_TIMEOUT_SECONDS",
            cursor.query_id if cursor else None,
        )

    def _failure(self, error: Exception, query_id: str | None) -> TickerlakeError:
        """The error to raise for one of PyAthena or botocore."""
        cause = error.__cause__ or error
        if isinstance(cause, ClientError):
            return self._refusal(cause, query_id)
        if isinstance(cause, BotoCoreError):
            return self._unreached(cause, query_id)
        return self._failed(_one_line(error), query_id)

    def _refusal(self, error: ClientError, query_id: str | None) -> TickerlakeError:
        """The error for a request that AWS refused."""
        code, message = error.response["Error"]["Code"], _one_line(error.response["Error"].get("Message", ""))
        if code in _CREDENTIALS_REFUSED:
            self._connection = None  # the next run looks for credentials again
            return NoAccess(f"AWS does not accept the credentials ({code}); log in again, or set AWS_PROFILE")
        if code in _THROTTLED:
            return QueryFailed(
                "Athena is throttled: too many queries at once in this account; try again later", query_id
            )
        if code.startswith("AccessDenied"):
            service = "s3" if error.operation_name == "GetObject" else "athena"
            return _denied(message, f"{service}:{error.operation_name}", query_id)
        if _NO_WORKGROUP.search(message):
            return NoAccess(
                f"workgroup not found: {self._region} has no {self._settings.workgroup!r}; "
                "set LAKE_WORKGROUP and LAKE_REGION to the stack's outputs"
            )
        return QueryFailed(f"Athena refused the query: {message or code}", query_id)

    def _unreached(self, error: BotoCoreError, query_id: str | None) -> TickerlakeError:
        """The error for a request that was not sent or not answered."""
        if isinstance(error, _CREDENTIALS_MISSING):
            self._connection = None
            return NoAccess(f"no credentials: {_one_line(error)}; log in to AWS, or set AWS_PROFILE")
        if isinstance(error, NoRegionError | InvalidRegionError):
            return NoAccess(f"no region: {_one_line(error)}; set LAKE_REGION or AWS_REGION to the region of the lake")
        if isinstance(error, ProfileNotFound | ConfigParseError):
            return NoAccess(f"the AWS configuration cannot be used: {_one_line(error)}; correct it, or set AWS_PROFILE")
        if isinstance(error, HTTPClientError | ConnectionError):
            return QueryFailed(
                f"Athena cannot be reached: {_one_line(error)}; check the network, LAKE_REGION and AWS_ENDPOINT_URL",
                query_id,
            )
        return QueryFailed(f"the request to Athena failed: {_one_line(error)}", query_id)

    def _failed(self, reason: str, query_id: str | None) -> TickerlakeError:
        """The error for a query that Athena started and failed for `reason`."""
        if "Bytes scanned limit was exceeded" in reason:
            return QueryFailed(
                f"scan limit reached: the workgroup {self._settings.workgroup!r} allows no query to read more; "
                "query fewer sessions, or raise the workgroup's limit",
                query_id,
            )
        if match := _NO_TABLE.search(reason):
            said = reason[match.start() :]
            self._tables.check(said)
            table = "runs" if "runs" in said else "bars"
            return NoAccess(
                f"there is no table {table} in the database {self._settings.database!r} of {self._region}; "
                "set LAKE_DATABASE and LAKE_REGION to the stack's outputs, or deploy the stack with pulumi up"
            )
        if _DENIED.search(reason):
            return _denied(reason, "the data of the query", query_id)
        return QueryFailed(f"Athena could not run the query: {reason}", query_id)

    @property
    def _region(self) -> str:
        return (
            f"the region {self._settings.region!r}" if self._settings.region else "the region of the AWS configuration"
        )


class _TimedOut(Exception):
    """The query ran into the time-out."""


def _rows(connection: Connection[Cursor], cursor: Cursor, limit: int | None) -> Sequence[Any]:
    """The rows of the query that `cursor` has run."""
    if limit is not None and limit < ROWS_OF_FIRST_PAGE:
        return cursor.fetchmany(limit)
    rows = cursor.fetchmany(ROWS_OF_FIRST_PAGE)
    if len(rows) == ROWS_OF_FIRST_PAGE:
        rows = _read_file(connection, cursor.output_location, len(cursor.description or ())) or [
            *rows,
            *cursor.fetchall(),
        ]
    return rows[:limit]


def _read_file(connection: Connection[Cursor], location: str | None, width: int) -> list[tuple[str | None, ...]]:
    """The rows of the CSV file at `location`, `width` texts each; no rows if there is no such file."""
    if location is None:
        return []
    bucket, key = parse_output_location(location)
    try:
        body = connection.s3_client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
            return []
        raise
    table = csv.read_csv(
        pa.BufferReader(body),
        read_options=csv.ReadOptions(column_names=[str(place) for place in range(width)], skip_rows=1),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        # Athena writes null as nothing between two commas and empty text as a pair of quotes. Python's csv module
        # reads both alike.
        convert_options=csv.ConvertOptions(
            column_types={str(place): pa.string() for place in range(width)},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _denied(message: str, otherwise: str, query_id: str | None) -> QueryFailed:
    """The error for a denied request, with the action and the resource if `message` names them."""
    found = _NOT_AUTHORIZED.search(message)
    if found is None:
        what = f"{otherwise} ({message})"
    elif found["resource"] is None:
        what = found["action"]
    else:
        what = f"{found['action']} on {found['resource']}"
    return QueryFailed(f"access denied to {what}; add it to the permissions of this AWS identity", query_id)


def _one_line(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")
