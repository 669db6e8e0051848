"""DuckDB over the Parquet files of a local lake, in this process."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tickerlake import watchlist
from tickerlake.errors import LakeEmpty, QueryFailed
from tickerlake.lake.layout import Layout
from tickerlake.query.answer import Answer, Result, answer
from tickerlake.query.statement import bars_of, empty, records_of, refuse
from tickerlake.record import ACTIONS, COLUMNS, PARTITION, RUNS, Column
from tickerlake.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")

# Trino's names of functions that DuckDB has under other names only.
TRINO_FUNCTIONS = {
    "array_join(list, separator)": "array_to_string(list, separator)",
    "bit_count(bits, width)": "system.main.bit_count(bits)",
    "bitwise_and(one, other)": "one & other",
    "bitwise_left_shift(bits, places)": "bits << places",
    "bitwise_or_agg(bits)": "bit_or(bits)",
    "element_at(list, place)": "list[place]",
    "sequence(start, stop)": "generate_series(start, stop)",
}

_PLAIN_TYPES = {"VARCHAR", "INTEGER", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}
"""Types of which DuckDB makes a whole pandas column."""

_USERS_ERRORS = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException, duckdb.PermissionException)
"""What is wrong with the text of a question, not with a file."""


def open_engine(settings: Settings) -> DuckDBEngine:
    """The engine over the folder that `settings` name."""
    return DuckDBEngine(settings.lake)


class DuckDBEngine:
    """Runs queries on the lake in the folder `lake`. Safe to share between threads."""

    name = "duckdb"

    def __init__(self, lake: Path) -> None:
        self.lake = str(lake)
        self._layout = Layout(Path(lake))
        self._connection = _connect()

    def run(
        self, sql: str, parameters: Mapping[str, Any], limit: int | None = None, *, columns: bool = False
    ) -> Answer:
        """Runs `sql` over the files that the lake holds now, of the sessions from `first` to `last` if given."""
        started = time.perf_counter()
        files = self._files(parameters.get("since", parameters.get("first")), parameters.get("last"))
        # Temporary views belong to one cursor, so threads do not see each other's.
        cursor = self._connection.cursor()
        # Values become literals: passing one to DuckDB makes it import pandas, NumPy and pyarrow (0.6 s).
        text = _PLACEHOLDER.sub(lambda match: literal(parameters[match[1]]), sql) if parameters else sql
        try:
            cursor.execute(f"CREATE TEMPORARY VIEW bars AS FROM {_stored(files)}")
            cursor.execute(f"CREATE TEMPORARY VIEW actions AS {_whole(self._layout.actions(), ACTIONS)}")
            cursor.execute(f"CREATE TEMPORARY VIEW runs AS {_whole(self._layout.runs(), RUNS)}")
            return _run(cursor, text, limit, columns, started)
        except duckdb.Error as error:
            raise self._failure(error, files) from error

    def ask(self, sql: str, limit: int | None = None, *, columns: bool = False) -> Answer:
        """Runs a user's SQL over `bars`, `records`, `actions` and `runs`."""
        started = time.perf_counter()
        files = self._files(None, None)
        try:
            statements = duckdb.extract_statements(sql)
            if len(statements) != 1:
                raise refuse("more than one statement" if statements else "")
            if statements[0].type != duckdb.StatementType.SELECT:
                raise refuse(statements[0].type.name)
            return _run(self._reader(files), statements[0].query, limit, columns, started)
        except _USERS_ERRORS as error:
            raise QueryFailed(f"DuckDB could not run the query on {self.lake!r}: {_reason(error)}") from error
        except duckdb.Error as error:
            raise self._failure(error, files) from error

    def _reader(self, files: list[str]) -> duckdb.DuckDBPyConnection:
        """A database with `bars` and `records` that can read `files` and nothing else."""
        connection = _connect()
        try:
            connection.execute(f"CREATE VIEW records AS {records_of(_stored(files))}")
        except duckdb.Error as error:
            raise self._failure(error, files) from error
        actions, runs = self._layout.actions(), self._layout.runs()
        connection.execute(f"CREATE VIEW actions AS {_whole(actions, ACTIONS)}")
        connection.execute(f"CREATE VIEW runs AS {_whole(runs, RUNS)}")
        # DuckDB applies a user's condition on dt before it reads only where it materializes nothing.
        bars = re.sub(
            r"^(\w+) AS \($", r"\1 AS NOT MATERIALIZED (", bars_of("records", self.sources), flags=re.MULTILINE
        )
        connection.execute(f"CREATE VIEW bars AS {bars}")
        connection.execute(f"SET allowed_paths = {_array([*files, *map(str, actions), *map(str, runs)])}")
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def simulated(self, first: dt.date | None, last: dt.date | None) -> bool:
        """Reads the statistics of one file."""
        files = self._layout.files(first, last)[-1:]
        return any("simulated" in row for file in files for row in self._inspect("stats_min_value", "metadata", file))

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources in the order of preference that the lake's tickerlake.toml gives."""
        return watchlist.sources(self._layout.config)

    def _files(self, first: str | None, last: str | None) -> list[str]:
        """The files of the sessions asked for; if there are none, any file, so that the columns are known."""
        span = (dt.date.fromisoformat(date) if date else None for date in (first, last))
        files = self._layout.files(*span) or self._layout.files()[-1:]
        if not files and not self._layout.runs():
            raise LakeEmpty(
                f"the lake {self.lake!r} holds no bars; collect some: tickerlake collect --lake {self.lake}"
            )
        return [str(path) for path in files]

    def _failure(self, error: duckdb.Error, files: list[str]) -> QueryFailed:
        """Names the file that is to blame, if one is; looking costs time, so only after a failure."""
        wanted = {column.name for column in COLUMNS}
        for file in files:
            try:
                rows = self._inspect("name", "schema", file)
            except duckdb.Error as damage:
                return QueryFailed(f"cannot read {file}: {_reason(damage)}; move the damaged file out of the lake")
            if lacking := sorted(wanted - {name for (name,) in rows}):
                return QueryFailed(
                    f"{file} is not a file of bars: it has no column {', '.join(lacking)}; move it out of the lake"
                )
        return QueryFailed(f"DuckDB could not run the query on {self.lake!r}: {_reason(error)}")

    def _inspect(self, column: str, what: str, file: str | Path) -> list[tuple[Any, ...]]:
        """One column of what DuckDB's `parquet_metadata` or `parquet_schema` says of `file`."""
        text = f"SELECT {column} FROM parquet_{what}({literal(str(file))})"  # noqa: S608  # `literal` quotes
        return self._connection.cursor().execute(text).fetchall()


def literal(value: Any) -> str:
    """`value` as SQL: text in quotes, a list of text in parentheses."""
    if isinstance(value, str):
        if "\0" in value:
            raise QueryFailed(f"DuckDB takes no zero byte in text: {value!r}")
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, list):
        return f"({', '.join(map(literal, value)) or 'NULL'})"
    if isinstance(value, float):
        return f"CAST({value!r} AS double)"
    return str(value).lower()


def _whole(files: Sequence[Path], columns: Sequence[Column]) -> str:
    """The SQL of a table without partitions."""
    return f"FROM read_parquet({_array([str(file) for file in files])})" if files else empty(columns)


def _stored(files: list[str]) -> str:
    if not files:
        return f"({empty((*COLUMNS, PARTITION))})"
    # Partition values stay text, as Glue declares them; DuckDB would make them dates.
    return f"read_parquet({_array(files)}, hive_partitioning = true, hive_types_autocast = false)"


def _array(texts: list[str]) -> str:
    return f"[{', '.join(map(literal, texts))}]"


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    # Not an option of connect(): the extension that knows time zones is loaded later than options are read.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    for signature, meaning in TRINO_FUNCTIONS.items():
        connection.execute(f"CREATE OR REPLACE MACRO {signature} AS {meaning}")
    return connection


def _run(
    cursor: duckdb.DuckDBPyConnection,
    text: str,
    limit: int | None,
    columns: bool,
    started: float,
) -> Answer:
    """Runs `text` and fetches its result once, as rows or as whole columns."""
    cursor.execute(text)
    described = [(column[0], str(column[1])) for column in cursor.description or ()]
    result: Result
    if columns and limit is None and {type_ for _, type_ in described} <= _PLAIN_TYPES:
        result = _Columns(cursor.to_arrow_table())
    else:
        result = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
    return answer(described, result, time.perf_counter() - started)


class _Columns:
    """The result of a query as whole columns."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*(column.to_pylist() for column in self._table.columns), strict=True)

    def columns(self) -> list[pd.Series]:
        """The columns for pandas."""
        import numpy as np  # noqa: PLC0415  # only frames need the three
        import pandas as pd  # noqa: PLC0415
        import pyarrow as pa  # noqa: PLC0415

        # Without this mapping, pandas makes a Python object of each text.
        dtypes = {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype(na_value=np.nan)}
        return [column.to_pandas(types_mapper=dtypes.get) for column in self._table.columns]

    def distinct(self, name: str) -> set[Any]:
        """The different values of one column."""
        return set(self._table[name].unique().to_pylist())


def _reason(error: duckdb.Error) -> str:
    """DuckDB's message, with its suggestions and without the extract of the text."""
    return " ".join(str(error).partition("\nLINE ")[0].split())
