"""A Trino cluster that tests fill with the bars of local lakes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import trino

from tickerlake.lake.layout import Layout
from tickerlake.query import Settings
from tickerlake.query.engines.trino import TrinoEngine
from tickerlake.record import ACTIONS, COLUMNS, FORECASTS, PARTITION, RUNS, Column

_TYPES = {"string": "varchar", "timestamp": "timestamp({precision})", "int": "integer"}


@dataclass(frozen=True)
class Cluster:
    """A coordinator, and a catalog on it in which the tests may make schemas."""

    host: str
    port: int
    catalog: str = "memory"
    user: str = "tickerlake"
    password: str = ""
    tls: bool = False
    statement_characters: int = 900_000
    """Trino takes statements of up to a million by default (query.max-length)."""

    def engine(self, schema: str, **settings: Any) -> TrinoEngine:
        """Our engine over the table `bars` of `schema`."""
        given = {"catalog": self.catalog, "user": self.user, "password": self.password, "tls": self.tls}
        given |= {"database": schema, "timeout_seconds": 600} | settings
        return TrinoEngine(Settings(engine="trino", host=self.host, port=self.port, **given))

    @contextlib.contextmanager
    def holding(self, lake: Path, *, precision: int) -> Iterator[TrinoEngine]:
        """Our engine over the tables of `lake`, copied record by record into timestamps of `precision` digits."""
        schema = f"tickerlake_test_{uuid4().hex[:12]}"
        layout = Layout(lake)
        self.execute(f"CREATE SCHEMA {schema}")
        try:
            self._copy(f"{schema}.bars", (*COLUMNS, PARTITION), layout.files(), precision)
            self._copy(f"{schema}.actions", ACTIONS, layout.actions(), precision)
            self._copy(f"{schema}.runs", RUNS, layout.runs(), precision)
            self._copy(f"{schema}.forecasts", FORECASTS, layout.forecasts(), precision)
            yield self.engine(schema)
        finally:
            for table in ("bars", "actions", "runs", "forecasts"):
                self.execute(f"DROP TABLE IF EXISTS {schema}.{table}")
            self.execute(f"DROP SCHEMA {schema}")

    def _copy(self, table: str, columns: Sequence[Column], files: Sequence[Path], precision: int) -> None:
        """Creates `table` and fills it with the rows of `files`."""
        types = {column.name: _TYPES.get(column.type, column.type).format(precision=precision) for column in columns}
        self.execute(f"CREATE TABLE {table} ({', '.join(f'{name} {types[name]}' for name in types)})")
        # Times travel as text, so that no driver on the way has a say in them.
        carried = {name: "varchar" if type_.startswith("timestamp") else type_ for name, type_ in types.items()}
        insert = (
            f"INSERT INTO {table} SELECT {', '.join(f'CAST({name} AS {types[name]})' for name in types)} "
            # From a row of VALUES: a parameter of UNNEST itself would be worked out into the query's plan.
            "FROM (VALUES ?) AS given (document) CROSS JOIN UNNEST(CAST(json_parse(document) AS "
            f"array(row({', '.join(f'{name} {carried[name]}' for name in types)}))))"
        )
        for rows in _chunks(_records(files, carried), self.statement_characters):
            self.execute(insert, [rows])

    def execute(self, sql: str, values: list[str] | None = None) -> list[list[Any]]:
        """Runs a statement that is none of ours, and waits for it to end."""
        with contextlib.closing(
            trino.dbapi.connect(
                host=self.host,
                port=self.port,
                http_scheme="https" if self.tls else "http",
                user=self.user,
                auth=trino.auth.BasicAuthentication(self.user, self.password) if self.password else None,
                catalog=self.catalog,
                timezone="UTC",
                legacy_prepared_statements=False,
                request_timeout=300,
            )
        ) as connection:
            return connection.cursor().execute(sql, values).fetchall()


def _records(files: Sequence[Path], types: dict[str, str]) -> Iterator[str]:
    """The rows of `files`, each as a JSON array."""
    if not files:
        return
    with duckdb.connect() as connection:
        cursor = connection.execute(
            f"SELECT {', '.join(f'CAST({name} AS {type_})' for name, type_ in types.items())} FROM "
            "read_parquet($files, hive_partitioning = true, hive_types_autocast = false)",
            {"files": [str(path) for path in files]},
        )
        while rows := cursor.fetchmany(100_000):
            yield from map(json.dumps, rows)


def _chunks(records: Iterator[str], characters: int) -> Iterator[str]:
    """`records` as JSON arrays of about `characters` each."""
    chunk: list[str] = []
    length = 0
    for record in records:
        chunk.append(record)
        length += len(record) + 2
        if length > characters - 1000:
            yield f"[{', '.join(chunk)}]"
            chunk, length = [], 0
    if chunk:
        yield f"[{', '.join(chunk)}]"
