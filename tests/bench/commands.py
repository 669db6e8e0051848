"""How long the command takes to start and to print."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import lakes
from tests.bench.timing import Row, pair, process, tickerlake

_READ_AND_PRINT = """
import sys, duckdb
sql = "SELECT ticker, date_trunc('hour', ts), max(high) FROM read_parquet(?) GROUP BY 1, 2 ORDER BY 1, 2"
for row in duckdb.execute(sql.replace("?", repr(sys.argv[1]))).fetchall():
    print(*row, sep=",")
"""


def command_help() -> Iterator[Row]:
    """`tickerlake --help` against importing click."""
    taken = pair(tickerlake("--help"), process("-c", "import click"), runs=15)
    yield Row(
        "tickerlake --help",
        f"{taken.figure * 1000:.0f} ms",
        f"import click {taken.baseline * 1000:.0f} ms",
        taken.ratio,
        "2.0",
    )


def command_query() -> Iterator[Row]:
    """`tickerlake query hourly_high` over one session against a process that reads the same file with DuckDB."""
    lake = lakes.small()
    (file,) = lake.glob("bars/*/*.parquet")
    for form in ("csv", "table"):
        taken = pair(
            tickerlake("query", "hourly_high", "--lake", str(lake), "--format", form),
            process("-c", _READ_AND_PRINT, str(file)),
            runs=11,
        )
        yield Row(
            f"tickerlake query hourly_high --format {form}, one session",
            f"{taken.figure * 1000:.0f} ms",
            f"import duckdb, read, print {taken.baseline * 1000:.0f} ms",
            taken.ratio,
            "2.0",
        )


def command_table() -> Iterator[Row]:
    """30,000 rows as a table against the same rows as CSV."""
    query = ("query", "bars", "--lake", str(lakes.session()), "--limit", "30000", "--format")
    taken = pair(tickerlake(*query, "table"), tickerlake(*query, "csv"), runs=5)
    yield Row("30,000 rows as a table", f"{taken.figure:.2f} s", f"as CSV {taken.baseline:.2f} s", taken.ratio, "2.0")
