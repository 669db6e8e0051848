"""`python -m tests.bench.worker TASK ARGUMENTS`: repeats a task for each line `run`, and answers with its seconds.

The line `peak` is answered with the most memory that the process has held.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dashboard.clock import VARIABLE
from tests.bench import lakes
from tests.bench.lakes import NOW, TICKERS, YEAR
from tests.bench.timing import ROOT, peak, timed
from tickerlake.lake.layout import Layout

OPTIONS = {
    r"(AND|WHERE) (b\.)?collected_at <= CAST\(%\(as_of\)s AS timestamp\)": "",
    r"LEFT JOIN \(SELECT[^\n]+ FROM splits GROUP BY ticker\) s\s+ON [^\n]+": "",
    r"AND s\.ticker IS NULL": "",
    r"coalesce\(\(\s+SELECT power.+?\), 1e0\)": "1e0",
    r"ORDER BY coalesce\(nullif\(strpos\(%\(sources\)s.+?, source": "ORDER BY source",
}
"""What makes `as_of`, `basis` and the order of sources work in a query, and what is there without them."""


def query(lake: str, name: str) -> Callable[[], object]:
    """Runs the named query to a pandas frame, as a caller in Python gets it."""
    from tickerlake.query import Settings, open_engine, run

    engine = open_engine(Settings(lake=Path(lake)))
    return lambda: run(engine, name, now=NOW).frame


def first_row(lake: str, name: str, session: str | None = None) -> Callable[[], object]:
    """Runs the named query and takes its first row only: what the SQL costs, without the way into pandas."""
    from tickerlake.query import Settings, open_engine, run

    engine = open_engine(Settings(lake=Path(lake)))
    return lambda: run(engine, name, now=NOW, limit=1, first=session, last=session)


def text(lake: str, name: str, without: str = "") -> Callable[[], object]:
    """Runs the text of the named query, `without` options if so asked, and takes its first row only."""
    from tickerlake.query import Settings, open_engine
    from tickerlake.query.catalog import load
    from tickerlake.query.runner import bind

    query = load(name)
    engine = open_engine(Settings(lake=Path(lake)))
    sql, values = query.sql, bind(engine, query, {}) | {"sources": ",simulated,", "settled": ""}
    for option, put in OPTIONS.items() if without else ():
        sql, found = re.subn(option, put, sql, flags=re.DOTALL)
        assert found, option
    return lambda: engine.run(sql, values, limit=1)


def page(lake: str, name: str) -> Callable[[], object]:
    """Draws a page of the dashboard as for the first visitor, without a browser."""
    os.environ |= {"LAKE_DIR": lake, VARIABLE: NOW.isoformat()}
    logging.disable()  # Streamlit misses its server
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    from tests.dashboard import conftest  # noqa: F401  looks for components once

    def draw() -> None:
        for kept in (st.cache_data, st.cache_resource):
            kept.clear()
        page = AppTest.from_file(ROOT / "dashboard" / "app.py", default_timeout=600)
        page.switch_page(f"app_pages/{name}.py").run()
        assert not page.exception, page.exception

    return draw


def check(lake: str) -> Callable[[], object]:
    """Reads the runs since the last session's close, as the watcher does before it collects."""
    from tickerlake.lake.runs import read_runs

    return lambda: read_runs(Layout(Path(lake)).runs(YEAR[-2].close))


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


def imported(sessions: str, low: str = "") -> Callable[[], object]:
    """Imports JSON lines of that many sessions of 500 tickers, a file a session, into a new lake.

    With `low` "-", each low is below zero, and each record rejected.
    """
    from tickerlake.importers.importing import import_objects
    from tickerlake.importers.recorded import RecordedObject
    from tickerlake.lake.parquet import ParquetSink

    text = json_lines().replace('"low":', f'"low":{low}')

    def run() -> None:
        files = (RecordedObject(day, NOW, content) for day, content in by_session(text, int(sessions)))
        with tempfile.TemporaryDirectory() as folder:
            report = import_objects(files, ParquetSink(Path(folder)))
        assert report.read == (report.rejected.total() if low else report.stored), report.line()

    return run


def parsed(sessions: str) -> Callable[[], object]:
    """Parses the same lines with the standard library, one by one."""
    text = json_lines()
    return lambda: [
        len(json.loads(line)) for _, content in by_session(text, int(sessions)) for line in content.splitlines()
    ]


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


def json_lines() -> str:
    """The bars of one session of 500 tickers as lines of JSON."""
    import pyarrow.parquet as pq

    (file,) = Layout(lakes.session()).files()
    frame = pq.read_table(file, partitioning=None).to_pandas().assign(source="recorded")
    return frame.to_json(orient="records", lines=True, date_format="iso")


def by_session(text: str, sessions: int) -> Iterator[tuple[str, bytes]]:
    """The date of each of so many sessions of 78 bars, and `text` as if it were of that date."""
    alike = [each for each in YEAR if len(each.bar_starts(5)) == 78 and each.open.hour == lakes.FRIDAY.open.hour]
    for each in alike[-sessions:]:
        yield each.dt, text.replace(lakes.FRIDAY.dt, each.dt).encode()


TASKS = {
    task.__name__: task
    for task in (query, first_row, text, page, check, bare, simulate, imported, parsed, forecast, compacted)
}

if __name__ == "__main__":
    run = timed(TASKS[sys.argv[1]](*sys.argv[2:]))
    for line in sys.stdin:
        if line.strip() == "peak":
            print(peak("self"), flush=True)
        else:
            print(run(), flush=True)
