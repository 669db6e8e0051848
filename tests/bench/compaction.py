"""How fast a lake is compacted, and what queries gain from it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import duckdb

from tests.bench import lakes
from tests.bench.queries import BARE, against
from tests.bench.timing import Row, pair, worker
from tickerlake.lake.compaction import compact, finished
from tickerlake.lake.layout import Layout


def compacting() -> Iterator[Row]:
    """Compacting 20 sessions of 500 tickers in 78 files each, against a plain sorted COPY of each session."""
    bars = 20 * 78 * len(lakes.TICKERS)
    taken = pair(lambda: _compacted(lakes.month()), lambda: _copied(lakes.month()), runs=3)
    yield Row(
        f"compact {bars:,} bars, with their hours",
        f"{taken.figure:.2f} s, {bars / taken.figure:,.0f} bars a second",
        f"COPY {taken.baseline:.2f} s, {bars / taken.baseline:,.0f} bars a second",
        taken.ratio,
        "1.23",
    )


def compacting_minutes() -> Iterator[Row]:
    """Compacting one session of 8,000 tickers in bars of one minute."""
    with worker("compacted", str(lakes.minutes())) as compaction:
        seconds, memory = compaction(), compaction.peak()
    yield Row("compact a session of 8,000 tickers at one minute", f"{seconds:.1f} s, {memory}", aim="1,000 MB")


def queries_settled() -> Iterator[Row]:
    """`hourly_high` on 252 compacted sessions of 500 tickers, against a bare maximum over the same bars."""
    lake, (says, sql) = str(lakes.year_settled()), BARE["hourly_high"]
    yield against(
        "hourly_high, settled year", ("first_row", lake, "hourly_high"), says, ("bare", lake, sql), "0.5", runs=5
    )


def queries_watched() -> Iterator[Row]:
    """A year of `watch` with 11 tickers, compacted and never compacted, against a lake of one file a session."""
    tidy = str(lakes.watched_tidy())
    for what, lake, aim in (
        ("compacted", str(lakes.watched_compacted()), "1.2"),
        ("uncompacted", str(lakes.watched()), "3.0"),
    ):
        for name, task, *arguments in (
            ("hourly_high, one session", "first_row", "hourly_high", lakes.FRIDAY.dt),
            *((f"{name}, all sessions", "first_row", name) for name in BARE),
            ("page Hourly highs", "page", "hourly_highs"),
            ("page Pipeline", "page", "pipeline"),
            ("check before each run", "check"),
        ):
            yield against(
                f"{name}, {what} year of watch",
                (task, lake, *arguments),
                "tidy lake",
                (task, tidy, *arguments),
                aim,
                runs=5,
            )


def _compacted(lake: Path) -> float:
    """The seconds that it takes to compact a copy of `lake`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copytree(lake, Path(folder) / "lake")
        sessions = finished(copy, lakes.NOW)
        started = time.perf_counter()
        assert not [done.error for done in compact(copy, sessions, lakes.NOW) if done.error]
        return time.perf_counter() - started


def _copied(lake: Path) -> float:
    """The seconds that DuckDB takes to write each session of `lake` to one sorted file."""
    connection = duckdb.connect()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for session in Layout(lake).sessions():
            files = f"read_parquet('{Layout(lake).partition(session)}/*.parquet', hive_partitioning = false)"
            connection.execute(
                f"COPY (FROM {files} ORDER BY ticker, ts) TO '{folder}/{session}.parquet' "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
        return time.perf_counter() - started
