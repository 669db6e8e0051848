"""How long forecasts take, from the lake to the table, and how much memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench import lakes
from tests.bench.timing import Row, worker


def forecasts() -> Iterator[Row]:
    """Forecasts by hour-of-day and har: walked forward, and of the next hour; beside the query they start with."""
    yield _row("11 tickers, 230 sessions walked forward", lakes.year_of_watchlist(), 230, "20 s", runs=2)
    yield _row("500 tickers, 60 sessions walked forward", lakes.quarter(), 60, "60 s, 1,500 MB", runs=1)
    yield _row("11 tickers, the next hour, warm", lakes.year_of_watchlist(), 1, "1 s", runs=5)


def _row(what: str, lake: Path, sessions: int, aim: str, *, runs: int) -> Row:
    with worker("forecast", str(lake), str(sessions)) as task, worker("query", str(lake), "hourly_versions") as query:
        seconds, baseline = (min(times) for times in zip(*((task(), query()) for _ in range(runs)), strict=True))
        return Row(
            f"forecasts of {what}",
            f"{seconds:.2f} s, {task.peak()}",
            f"its bars by hour, {baseline:.2f} s",
            f"{seconds / baseline:.1f}",
            aim,
        )
