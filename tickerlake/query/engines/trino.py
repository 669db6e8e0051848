"""Your own Trino cluster, over any lake that one of its catalogs can read.

Needs Trino 418 or later, the first with EXECUTE IMMEDIATE. Earlier versions take prepared statements in an HTTP
header, which is too short for our longest query.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
import trino

from tickerlake import watchlist
from tickerlake.errors import LakeEmpty, NoAccess, QueryFailed, TickerlakeError
from tickerlake.query.answer import Answer, answer
from tickerlake.query.statement import OptionalTables, with_tables
from tickerlake.settings import Settings

CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
"""A coordinator answers every request within about a second, if only to say that the query still runs."""

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_STATUS = re.compile(r"error (\d{3})\b")


def open_engine(settings: Settings) -> TrinoEngine:
    """The engine on the cluster that `settings` name. It connects with the first query."""
    return TrinoEngine(settings)


class TrinoEngine:
    """Runs queries on the table `bars` of a Trino catalog. Safe to share between threads."""

    name = "trino"
    sources = watchlist.SOURCES

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._tables = OptionalTables()
        # Never send a password over a connection that others can read.
        self._scheme = "https" if settings.tls or settings.password else "http"
        self._address = f"{self._scheme}://{settings.host}:{settings.port}"
        self.lake = f"{settings.catalog}.{settings.database} at {settings.host}:{settings.port}"

    def run(
        self,
        sql: str,
        parameters: Mapping[str, Any],
        limit: int | None = None,
        *,
        columns: bool = False,  # noqa: ARG002  # it has rows only
    ) -> Answer:
        """Runs `sql` and waits for its rows, at most as long as the settings allow."""
        return self._tables.run(sql, lambda text: self._run(text, parameters, limit))

    def _run(self, sql: str, parameters: Mapping[str, Any], limit: int | None) -> Answer:
        started = self._clock()
        text, values = bind(sql, parameters) if parameters else (sql, None)
        with contextlib.closing(self._connect()) as connection:
            cursor = connection.cursor(stats_callback=self._watch(started + self._settings.timeout_seconds))
            try:
                cursor.execute(text, values)
                rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
            except BaseException as error:
                # Whatever ended the wait, Ctrl-C included, the cluster can stop.
                with contextlib.suppress(*_FAILURES):
                    cursor.cancel()
                if isinstance(error, (*_FAILURES, _TimedOut)):
                    raise self._failure(error, cursor.query_id) from error
                raise
        columns = [(column.name, column.type_code) for column in cursor.description]
        scanned = cursor.stats.get("physicalInputBytes", cursor.stats.get("processedBytes"))
        return answer(columns, rows, self._clock() - started, scanned, cursor.query_id)

    def _watch(self, deadline: float) -> Callable[[Mapping[str, Any]], None]:
        """A callback for the driver, called with each progress report, that raises when time is up."""

        def watch(_stats: Mapping[str, Any]) -> None:
            if self._clock() > deadline:
                raise _TimedOut

        return watch

    def ask(self, sql: str, limit: int | None = None, *, columns: bool = False) -> Answer:  # noqa: ARG002
        """Runs a user's SQL over `bars` and `records`."""
        table = f'"{self._settings.catalog}"."{self._settings.database}"."bars"'
        return self.run(with_tables(sql, table, self.sources), {}, limit)

    def simulated(self, first: dt.date | None, last: dt.date | None) -> bool:  # noqa: ARG002
        """Never: simulated bars are not sent to a stream."""
        return False

    def may_hold_long_bars(self, first: str, last: str) -> bool:  # noqa: ARG002
        """Only a query could tell."""
        return False

    def _connect(self) -> trino.dbapi.Connection:
        settings = self._settings
        password = trino.auth.BasicAuthentication(settings.user, settings.password) if settings.password else None
        return trino.dbapi.connect(
            host=settings.host,
            port=settings.port,
            http_scheme=self._scheme,
            user=settings.user,
            auth=password,
            verify=True,
            catalog=settings.catalog,
            schema=settings.database,
            source="tickerlake",
            # Trino reads a timestamp without a zone in the session's zone, by default this machine's.
            timezone="UTC",
            request_timeout=(CONNECT_SECONDS, min(ANSWER_SECONDS, settings.timeout_seconds)),
            # Times come as text; `types.read_timestamp` reads them, with any precision.
            legacy_primitive_types=True,
            legacy_prepared_statements=False,
        )

    def _failure(self, error: BaseException, query_id: str | None) -> TickerlakeError:
        """The error to raise for one of the driver's."""
        settings = self._settings
        if isinstance(error, _TimedOut):
            return QueryFailed(
                f"the query took longer than {settings.timeout_seconds} seconds and was cancelled; query fewer "
                "sessions or tickers, or raise LAKE_TIMEOUT_SECONDS",
                query_id,
            )
        if isinstance(error, trino.exceptions.TrinoQueryError):
            return self._refused(error, query_id or error.query_id)
        if isinstance(error, (trino.exceptions.HttpError, json.JSONDecodeError)):
            return self._http_failure(error)
        if isinstance(error.__context__, requests.exceptions.SSLError):
            return NoAccess(
                f"no trusted TLS connection to Trino at {self._address}: {_cause(error)}; set LAKE_PORT to a port "
                "with TLS, and REQUESTS_CA_BUNDLE to the file of your own authority's certificate"
            )
        return QueryFailed(
            f"cannot reach Trino at {self._address}: {_cause(error)}; start the coordinator, or set LAKE_HOST, "
            "LAKE_PORT and LAKE_TLS"
        )

    def _http_failure(self, error: Exception) -> TickerlakeError:
        status = int(match[1]) if (match := _STATUS.match(str(error))) else None
        if status in (401, 403):
            said = "a password" if self._settings.password else "no password"
            return NoAccess(
                f"Trino at {self._address} does not accept the user {self._settings.user!r} with {said} "
                f"(HTTP {status}); set LAKE_USER and LAKE_PASSWORD"
            )
        if status in (429, 502, 503, 504):
            return QueryFailed(f"Trino at {self._address} is not ready (HTTP {status}); try again in a minute")
        return QueryFailed(
            f"{self._address} is not a Trino coordinator ({str(error)[:200]}); set LAKE_HOST, LAKE_PORT and LAKE_TLS"
        )

    def _refused(self, error: trino.exceptions.TrinoQueryError, query_id: str | None) -> TickerlakeError:
        settings, message = self._settings, " ".join(error.message.split())
        match error.error_name:
            case "CATALOG_NOT_FOUND":
                return NoAccess(
                    f"Trino at {self._address} has no catalog {settings.catalog!r}; set LAKE_CATALOG, or add the "
                    "catalog as docs/trino.md says"
                )
            case "SCHEMA_NOT_FOUND":
                return NoAccess(
                    f"the catalog {settings.catalog!r} of Trino at {self._address} has no schema "
                    f"{settings.database!r}; set LAKE_DATABASE, or create the schema as docs/trino.md says"
                )
            case "TABLE_NOT_FOUND":
                self._tables.check(message)
                table = "runs" if re.search(r"\bruns\b", message) else "bars"
                return LakeEmpty(f"the lake {self.lake!r} has no table {table}; declare it as docs/trino.md says")
            case "PERMISSION_DENIED":
                return NoAccess(
                    f"Trino does not let the user {settings.user!r} read {self.lake!r}: {message}; set LAKE_USER, or "
                    "ask the cluster's administrator to allow it"
                )
            case "SERVER_STARTING_UP":
                return QueryFailed(f"Trino at {self._address} is still starting; try again in a minute", query_id)
            case "EXCEEDED_TIME_LIMIT":
                step = "query fewer sessions or tickers: the limit is the cluster's"
            case "EXCEEDED_LOCAL_MEMORY_LIMIT" | "EXCEEDED_GLOBAL_MEMORY_LIMIT" | "CLUSTER_OUT_OF_MEMORY":
                step = "query fewer sessions or tickers"
            case "COLUMN_NOT_FOUND" | "TYPE_MISMATCH":
                step = "declare the table bars as docs/trino.md says"
            case _:
                step = f"see the cluster's pages: {self._address}/ui"
        return QueryFailed(
            f"Trino could not run the query on {self.lake!r}: {error.error_name}: {message}; {step}", query_id
        )


def bind(sql: str, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """`sql` with a `?` for every `%(name)s`, and the values in the order of the question marks.

    A list becomes `(?, ?)`, an empty one `(NULL)`, which contains nothing. The driver passes values as parameters,
    never as part of the text.
    """
    values: list[Any] = []

    def marks(match: re.Match[str]) -> str:
        value = parameters[match[1]]
        if not isinstance(value, list):
            values.append(value)
            return "?"
        values.extend(value)
        return f"({', '.join('?' * len(value))})" if value else "(NULL)"

    return _PLACEHOLDER.sub(marks, sql), values


class _TimedOut(Exception):
    """The query ran into the time-out of the settings."""


_FAILURES = (
    trino.exceptions.Error,
    trino.exceptions.HttpError,
    requests.exceptions.RequestException,
    json.JSONDecodeError,
)
"""What the driver raises: errors of the database, HTTP statuses, network errors, and answers that are not JSON."""


def _cause(error: BaseException) -> str:
    """The innermost reason of a failed connection, without the retries wrapped around it."""
    while error.__context__ is not None:
        error = error.__context__
    text = re.sub(r"^\[[^]]*\] ", "", str(error))
    return text.split(" (_ssl")[0]
