"""How long the named queries take, and how much memory, on lakes as collecting leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

import tickerlake
from tests.bench import lakes
from tests.bench.timing import Row, pair, timed, worker
from tickerlake.lake.layout import Layout

BARE = {
    "hourly_high": (
        "max(high) by ticker, session, hour",
        "SELECT ticker, dt, hour, max(high) FROM {bars} GROUP BY ALL",
    ),
    "daily": (
        "prices by ticker, session",
        "SELECT ticker, dt, max(ts), max(bar_minutes), max(open), max(high), min(low), max(close), sum(volume), "
        "max(source), max(collected_at) FROM {bars} GROUP BY ALL",
    ),
    "bars": (
        "all columns, sorted",
        "SELECT * FROM {bars} ORDER BY dt, ticker, ts",
    ),
    "restatements": (
        "its columns by ticker, session",
        "SELECT ticker, dt, max(ts), max(bar_minutes), max(high), max(low), max(close), max(volume), "
        "max(collected_at) FROM {bars} GROUP BY ALL",
    ),
    "coverage": (
        "its columns by ticker, session",
        "SELECT ticker, dt, max(hour), max(bar_minutes), max(ts), max(high), max(collected_at) "
        "FROM {bars} GROUP BY ALL",
    ),
    "sessions": (
        "its columns by session and exchange",
        "SELECT dt, exchange, max(ticker), max(source), min(ts), max(ts), max(collected_at) FROM {bars} GROUP BY ALL",
    ),
}
"""Each query's baseline: what a bare scan does, and its SQL."""


def queries_year() -> Iterator[Row]:
    """The queries on 252 sessions of 500 tickers, one file a session."""
    yield from _measured(lakes.year(), "year", {"hourly_high": "3.5"}, runs=3)


def queries_running() -> Iterator[Row]:
    """The queries on a running session of 500 tickers in 78 files."""
    yield from _measured(lakes.running(), "running session", {"hourly_high": "3.0"}, runs=9)


def queries_market() -> Iterator[Row]:
    """The memory of the queries on sessions of 8,000 tickers in 1-minute bars, also with each bar delivered twice."""
    measured = {
        "3.1 million bars": lakes.minutes(),
        "6.2 million records, each bar twice": lakes.repeated(1),
        "12.5 million records, each bar twice": lakes.repeated(2),
    }
    for name in BARE:
        for says, lake in measured.items():
            with worker("first_row", str(lake), name) as query:
                seconds, memory = query(), query.peak()
            yield Row(f"{name}, {says}", f"{_seconds(seconds)}, {memory}", aim="1 GB")


def queries_month() -> Iterator[Row]:
    """The queries on 20 sessions of 500 tickers in 78 files each."""
    yield from _measured(lakes.month(), "month in 1,560 files", {}, runs=3)


def queries_compacted() -> Iterator[Row]:
    """The queries on a month that is not compacted, as delivered and as collected, against the same in 20 files."""
    for what, lake in (("1,560 files", lakes.month()), ("3 files a session", lakes.month_collected())):
        for name in BARE:
            yield against(
                f"{name}, month in {what}",
                ("first_row", str(lake), name),
                "in 20 files",
                ("first_row", str(lakes.month_compacted()), name),
                "1.5" if name == "hourly_high" else "",
                runs=3,
            )


def options() -> Iterator[Row]:
    """The queries with `as_of`, `basis` and the order of sources, which nobody uses, against the same without them."""
    lake = str(lakes.month_compacted())
    for name in ("hourly_high", "daily"):
        yield against(
            f"{name} with as_of, basis and order of sources, a month",
            ("text", lake, name),
            "without them",
            ("text", lake, name, "without"),
            "1.3",
            runs=9,
        )


def frame() -> Iterator[Row]:
    """The bars of a session of 500 tickers as a pandas frame against DuckDB's own frame."""
    lake = lakes.session()
    opened = tickerlake.open(lake)
    (file,) = lake.glob("bars/*/*.parquet")
    connection = duckdb.connect()
    taken = pair(
        timed(opened.bars),
        timed(lambda: connection.execute(f"SELECT * FROM '{file}'").df()),
        runs=9,
    )
    yield Row(
        "bars of a session of 500 tickers as a frame",
        f"{taken.figure * 1000:.0f} ms",
        f"duckdb .df() {taken.baseline * 1000:.0f} ms",
        taken.ratio,
        "1.5",
    )


def against(what: str, task: tuple[str, ...], says: str, baseline: tuple[str, ...], aim: str, runs: int) -> Row:
    """The time and memory of a task of `tests.bench.worker` against those of another."""
    with worker(*task) as one, worker(*baseline) as other:
        taken = pair(one, other, runs=runs)
        figure, base = f"{_seconds(taken.figure)}, {one.peak()}", f"{_seconds(taken.baseline)}, {other.peak()}"
    return Row(what, figure, f"{says} {base}", taken.ratio, aim)


def _measured(lake: Path, what: str, aims: dict[str, str], runs: int) -> Iterator[Row]:
    """One row a query: until its first row, against the bare scan, and until all rows are a frame."""
    for name, (says, sql) in BARE.items():
        aim = aims.get(name, "2.0" if name in ("restatements", "coverage", "sessions") else "")
        row = against(f"{name}, {what}", ("first_row", str(lake), name), says, ("bare", str(lake), sql), aim, runs)
        yield row._replace(figure=row.figure + _as_frame(lake, name))


def _as_frame(lake: Path, name: str) -> str:
    if name == "bars" and len(Layout(lake).sessions()) > 1:
        return ""  # millions of rows, which nobody takes into a frame
    with worker("query", str(lake), name) as query:
        seconds = min(query() for _ in range(3))
        return f"; frame {_seconds(seconds)}, {query.peak()}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
