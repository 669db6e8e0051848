"""DuckDB over the Parquet files of a local lake, inside this process."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from tickerlake.errors import LakeEmpty, QueryFailed
from tickerlake.query.engines import Result
from tickerlake.settings import Settings

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")

# Functions of Trino's that DuckDB knows under another name only.
_ARRAY_JOIN = "CREATE OR REPLACE MACRO array_join(list, separator) AS array_to_string(list, separator)"

# Variables and temporary views belong to one cursor, so threads do not see each other's. Partition values stay
# text, as Glue declares them; left to guess, DuckDB makes them dates.
_BARS = """
CREATE TEMPORARY VIEW bars AS
SELECT * FROM read_parquet(getvariable('files'), hive_partitioning = true, hive_types_autocast = false)
"""


def open_engine(settings: Settings) -> DuckDBEngine:
    """The engine over the folder that `settings` name."""
    return DuckDBEngine(settings.lake)


class DuckDBEngine:
    """Runs queries on the lake in the folder `lake`. Safe to share between threads."""

    name = "duckdb"

    def __init__(self, lake: Path) -> None:
        self.lake = str(lake)
        self._folder = lake
        self._connection = duckdb.connect()
        # Not as a setting of the connection: its extension is loaded later than those are read.
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        self._connection.execute(_ARRAY_JOIN)

    def run(self, sql: str, parameters: Mapping[str, Any]) -> Result:
        """Runs `sql` over the files that the lake holds now."""
        started = time.perf_counter()
        files = sorted(str(path) for path in self._folder.glob("bars/dt=*/*.parquet"))
        if not files:
            raise LakeEmpty(
                f"the lake {self.lake!r} holds no bars; collect some: tickerlake collect --lake {self.lake}"
            )
        cursor = self._connection.cursor()
        # Only what the text names: DuckDB refuses parameters that it does not find.
        named = {name: parameters[name] for name in _PLACEHOLDER.findall(sql)}
        try:
            cursor.execute("SET VARIABLE files = $files", {"files": files})
            cursor.execute(_BARS)
            table = cursor.execute(_PLACEHOLDER.sub(r"$\1", sql), named).to_arrow_table()
        except duckdb.Error as error:
            raise QueryFailed(
                f"DuckDB could not run the query on {self.lake!r}: {str(error).splitlines()[0]}"
            ) from error
        finally:
            cursor.close()
        frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        return Result(frame, time.perf_counter() - started)
