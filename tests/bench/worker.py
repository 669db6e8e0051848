"""`python -m tests.bench.worker TASK ARGUMENTS`: repeats a task for each line `run`, and answers with its seconds.

The line `peak` is answered with the most memory that the process has held.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.lakes import NOW, TICKERS, YEAR
from tests.bench.timing import peak, timed


def query(lake: str, name: str) -> Callable[[], object]:
    """Runs the named query to a pandas frame, as a caller in Python gets it."""
    from tickerlake.query import Settings, open_engine, run

    engine = open_engine(Settings(lake=Path(lake)))
    return lambda: run(engine, name, now=NOW).frame


def first_row(lake: str, name: str) -> Callable[[], object]:
    """Runs the named query and takes its first row only: what the SQL costs, without the way into pandas."""
    from tickerlake.query import Settings, open_engine, run

    engine = open_engine(Settings(lake=Path(lake)))
    return lambda: run(engine, name, now=NOW, limit=1)


def bare(lake: str, sql: str) -> Callable[[], object]:
    """Runs `sql` with DuckDB alone, over all files of the lake, and takes the first row."""
    import duckdb

    connection = duckdb.connect()
    files = f"read_parquet('{lake}/bars/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
    return lambda: connection.execute(sql.replace("{bars}", files)).fetchone()


def simulate(sessions: str) -> Callable[[], object]:
    """Collects that many simulated sessions of 500 tickers into a new lake."""
    from tickerlake.collect import collect
    from tickerlake.lake.parquet import ParquetSink
    from tickerlake.sources.simulated import SimulatedSource

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            collect(SimulatedSource(), ParquetSink(Path(folder)), YEAR[-int(sessions) :], TICKERS, 5, lambda: NOW)

    return run


def forecast(lake: str, sessions: str) -> Callable[[], object]:
    """Forecasts the last sessions of the lake, as `tickerlake forecast` does before it stores them."""
    from tickerlake.forecast.making import make
    from tickerlake.query import Settings, open_engine

    engine = open_engine(Settings(lake=Path(lake)))
    return lambda: make(engine, YEAR[-int(sessions) :], NOW)


def compacted(lake: str) -> Callable[[], object]:
    """Compacts a copy of the lake."""
    from shutil import copytree

    from tickerlake.lake.compaction import compact, finished

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = copytree(lake, Path(folder) / "lake")
            assert not [done.error for done in compact(copy, finished(copy, NOW), NOW) if done.error]

    return run


TASKS = {task.__name__: task for task in (query, first_row, bare, simulate, forecast, compacted)}

if __name__ == "__main__":
    run = timed(TASKS[sys.argv[1]](*sys.argv[2:]))
    for line in sys.stdin:
        if line.strip() == "peak":
            print(peak("self"), flush=True)
        else:
            print(run(), flush=True)
