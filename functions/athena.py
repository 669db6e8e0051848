"""Athena as Lambda functions use it: with boto3, which the runtime has.

The engine in `tickerlake.query.engines` needs PyAthena and pyarrow, which do not fit into a zip for Lambda.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tickerlake import aws, watchlist
from tickerlake.errors import ConfigError, QueryFailed
from tickerlake.lake.sql import quoted
from tickerlake.query.answer import Answer, answer

_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard"})
_POLL_SECONDS = 0.5
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


class Athena:
    """Runs SQL on `database` in `workgroup`. It is an engine for `tickerlake.query.run`.

    A query that runs longer than `seconds` is cancelled.
    """

    name = "athena"
    sources = watchlist.SOURCES

    def __init__(
        self,
        database: str,
        workgroup: str,
        *,
        seconds: float = 120,
        client: Callable[[str], Any] = lambda service: aws.client(service, config=_CONFIG),
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lake = f"{database} ({workgroup})"
        self._database = database
        self._workgroup = workgroup
        self._seconds = seconds
        self._client = client("athena")
        self._objects = client("s3")
        self._pause = pause
        self._clock = clock

    def run(
        self,
        sql: str,
        parameters: Mapping[str, Any],
        limit: int | None = None,
        *,
        columns: bool = False,  # noqa: ARG002  # it has rows only
    ) -> Answer:
        """Runs `sql` with `%(name)s` parameters: text, numbers and lists of text. QueryFailed."""
        started = self._clock()
        execution = self._execute(sql % {name: _literal(value) for name, value in parameters.items()})
        query_id = execution["QueryExecutionId"]
        try:
            pages = self._client.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
            found = [page["ResultSet"] for page in pages]
        except (BotoCoreError, ClientError) as error:
            raise QueryFailed(f"Athena did not give the result: {error}", query_id) from error
        rows = [tuple(cell.get("VarCharValue") for cell in row["Data"]) for each in found for row in each["Rows"]]
        types = [(column["Name"], column["Type"]) for column in found[0]["ResultSetMetadata"]["ColumnInfo"]]
        # The first row is the header.
        return answer(types, rows[1:][:limit], self._clock() - started, query_id=query_id)

    def unload(self, select: str, location: str) -> list[str]:
        """Writes the rows of `select` as Parquet below `location`, which must be empty; returns the objects written.

        They are those of the query's manifest: https://docs.aws.amazon.com/athena/latest/ug/unload.html. What a query
        that failed has written is in no manifest and stays where it is. QueryFailed.
        """
        execution = self._execute(
            f"UNLOAD ({select}) TO {quoted(location)} WITH (format = 'PARQUET', compression = 'ZSTD')"
        )
        manifest = execution["Statistics"].get("DataManifestLocation", "")
        bucket, _, key = manifest.removeprefix("s3://").partition("/")
        try:
            text = self._objects.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        except (BotoCoreError, ClientError) as error:
            raise QueryFailed(
                f"cannot read the manifest {manifest!r}: {error}", execution["QueryExecutionId"]
            ) from error
        return [row[0] for row in csv.reader(io.StringIO(text)) if row]

    def ask(self, sql: str, limit: int | None = None, *, columns: bool = False) -> Answer:  # noqa: ARG002
        """Refused: a function runs its own SQL only. ConfigError."""
        raise ConfigError("a function takes no SQL; run it on your machine: tickerlake sql")

    def simulated(self, first: object, last: object) -> bool:  # noqa: ARG002
        """Never: simulated bars are not sent to a stream."""
        return False

    def may_hold_long_bars(self, first: object, last: object) -> bool:  # noqa: ARG002
        """Only a query could tell."""
        return False

    def _execute(self, sql: str) -> dict[str, Any]:
        """Runs `sql` to its end; returns what Athena says of it. QueryFailed."""
        query_id = None
        deadline = self._clock() + self._seconds
        try:
            query_id = self._client.start_query_execution(
                QueryString=sql, QueryExecutionContext={"Database": self._database}, WorkGroup=self._workgroup
            )["QueryExecutionId"]
            while True:
                execution = self._client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
                if execution["Status"]["State"] in _ENDED:
                    break
                if self._clock() > deadline:
                    self._client.stop_query_execution(QueryExecutionId=query_id)
                    raise QueryFailed(
                        f"the query took longer than {self._seconds:.0f} seconds and was cancelled", query_id
                    )
                self._pause(_POLL_SECONDS)
        except (BotoCoreError, ClientError) as error:
            raise QueryFailed(f"Athena did not run the query: {error}", query_id) from error
        if execution["Status"]["State"] != "SUCCEEDED":
            reason = execution["Status"].get("StateChangeReason") or execution["Status"]["State"].lower()
            raise QueryFailed(f"Athena could not run the query: {reason}", query_id)
        return execution


def _literal(value: Any) -> str:
    """A parameter as SQL."""
    if isinstance(value, str):
        return quoted(value)
    return f"({', '.join(map(_literal, value))})" if isinstance(value, list | tuple) else str(value)
