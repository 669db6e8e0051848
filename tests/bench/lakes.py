"""Lakes of invented bars, made in seconds and kept in build/bench/ until their recipe changes.

DuckDB invents the bars; the files are written as the product writes them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc

from tickerlake import exchange, watchlist
from tickerlake.exchange import Session
from tickerlake.lake import Run
from tickerlake.lake.compaction import compact, finished
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import SCHEMA
from tickerlake.lake.retention import tidy
from tickerlake.lake.rolling import FILES
from tickerlake.lake.runs import runs_table
from tickerlake.lake.schema import write_table
from tickerlake.record import COLUMNS

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
FRIDAY = exchange.XNYS.session_on(dt.date(2026, 11, 20))
YEAR = exchange.XNYS.sessions_between(dt.date(2025, 1, 1), FRIDAY.date)[-252:]
TICKERS = [f"T{number:03}" for number in range(500)]
ROLLED = FILES - 2
"""Files of one bar that collecting leaves at most beside the one that it has rolled up."""
BUILT = Path(__file__).parents[2] / "build" / "bench"

# A price that swings with the months and with the hours, and some noise; each bar spans three such prices.
_BARS = """
WITH
grid AS (
    SELECT
        t.ticker,
        hash(t.ticker) / 18446744073709551616e0 AS own,
        g.place,
        CAST('{opened}' AS timestamp) + g.place * INTERVAL '5' MINUTE AS ts
    FROM unnest({tickers}) AS t (ticker), range({bars}) AS g (place)
),
prices AS (
    SELECT
        *,
        list_transform([1, 2, 3], step -> round(
            8 * pow(75, own)
            * exp(0.25 * sin(6.28 * ({day} / 550 + own)) + 0.02 * sin(place / 13 + 9 * own)
                + 0.004 * (hash(ticker, ts, step) / 18446744073709551616e0)), 4)) AS steps
    FROM grid
)
SELECT {columns} FROM prices ORDER BY ticker, ts
"""
_COLUMNS = {
    "ticker": "ticker",
    "exchange": "'XNYS'",
    "ts": "ts",
    "hour": "CAST(extract(HOUR FROM ts AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York') AS integer)",
    "bar_minutes": "CAST(5 AS integer)",
    "open": "steps[1]",
    "high": "list_max(steps)",
    "low": "list_min(steps)",
    "close": "steps[3]",
    "volume": "CAST(4000 + hash(ts, ticker) % 80000 AS bigint)",
    "currency": "'USD'",
    "source": "'simulated'",
    "collected_at": "{collected}",
}
_AT_ONCE = "CAST('{closed}' AS timestamp) + INTERVAL '2' HOUR"
_BAR_BY_BAR = "ts + INTERVAL '5' MINUTE + INTERVAL '20' SECOND"


def session() -> Path:
    """One session of 500 tickers in one file: 39,000 bars."""
    return _built("session", [FRIDAY], TICKERS)


def small() -> Path:
    """One session of the default watchlist in one file: what a new user has."""
    return _built("small", [FRIDAY], watchlist.DEFAULT)


def week() -> Path:
    """Five sessions of the default watchlist, one file each."""
    return _built("week", YEAR[-5:], watchlist.DEFAULT)


def year() -> Path:
    """252 sessions of 500 tickers, one file each: 9.8 million bars."""
    return _built("year", YEAR, TICKERS)


def quarter() -> Path:
    """80 sessions of 500 tickers, one file each."""
    return _built("quarter", YEAR[-80:], TICKERS)


def year_of_watchlist() -> Path:
    """252 sessions of the default watchlist, one file each."""
    return _built("year-of-watchlist", YEAR, watchlist.DEFAULT)


def running() -> Path:
    """One session of 500 tickers, delivered every five minutes: 78 files."""
    return _built("running", [FRIDAY], TICKERS, singles=78)


def month() -> Path:
    """20 sessions of 500 tickers, delivered every five minutes and not compacted: 78 files each."""
    return _built("month", YEAR[-20:], TICKERS, singles=78)


def month_collected() -> Path:
    """The same bars as `tickerlake watch` leaves them if it never compacts, at worst: 3 files a session."""
    return _built("month-collected", YEAR[-20:], TICKERS, singles=ROLLED)


def month_compacted() -> Path:
    """The same bars, one file a session."""
    return _built("month-compacted", YEAR[-20:], TICKERS)


def year_settled() -> Path:
    """The year, compacted."""
    return _compacted(year(), "year-settled")


def watched() -> Path:
    """250 sessions of the default watchlist as `tickerlake watch` leaves them if it never compacts, at worst."""
    return _built("watched", YEAR[-250:], watchlist.DEFAULT, singles=ROLLED, runs=True)


def watched_compacted() -> Path:
    """The same, compacted, as the watcher does each evening."""
    return _compacted(watched(), "watched-compacted")


def watched_tidy() -> Path:
    """The same bars, one file a session as collected once after the close, with their hours."""
    return _compacted(_built("watched-tidy", YEAR[-250:], watchlist.DEFAULT, runs=True), "watched-tidy-compacted")


def minutes() -> Path:
    """One session of 8,000 tickers in bars of one minute, in two files: 3.1 million bars."""
    return _minutes("minutes", [FRIDAY])


def repeated(sessions: int) -> Path:
    """So many such sessions in which every bar was delivered twice: 6.2 million records each."""
    return _minutes(f"repeated-{sessions}", YEAR[-sessions:], deliveries=2)


def _minutes(name: str, sessions: Sequence[Session], deliveries: int = 1) -> Path:
    lake, unfinished = BUILT / name, BUILT / f".{name}"
    if not lake.exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        for each in sessions:
            folder = Layout(unfinished).partition(each.date)
            folder.mkdir(parents=True)
            text = _recipe(_AT_ONCE).format(
                **_numbers(each, [f"T{number:04}" for number in range(8000)]) | {"bars": 390}
            )
            text = text.replace("INTERVAL '5' MINUTE", "INTERVAL '1' MINUTE").replace("CAST(5 AS", "CAST(1 AS")
            for place, delivery in product(range(2), range(deliveries)):
                half = (
                    f"SELECT * REPLACE (collected_at + {delivery} * INTERVAL '1' HOUR AS collected_at) "
                    f"FROM ({text}) WHERE hash(ticker) % 2 = {place}"
                )
                duckdb.execute(
                    f"COPY ({half}) TO '{folder}/{place}-{delivery}.parquet' (FORMAT parquet, COMPRESSION zstd)"
                )
        unfinished.rename(lake)
    return lake


def _compacted(lake: Path, name: str) -> Path:
    """A compacted copy of `lake`."""
    copy = BUILT / f"{name}-{lake.name.rpartition('-')[2]}"
    if not copy.exists():
        unfinished = BUILT / f".{name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(lake, unfinished)
        assert not [done.error for done in compact(unfinished, finished(unfinished, NOW), NOW) if done.error]
        tidy(unfinished, NOW)
        unfinished.rename(copy)
    return copy


def _built(
    name: str, sessions: Sequence[Session], tickers: Sequence[str], *, singles: int = 0, runs: bool = False
) -> Path:
    """The lake of that name, written now if it is missing or made by another recipe.

    The last `singles` bars of a session are in files of their own; with `runs`, so are the runs that brought them.
    """
    recipe = _recipe(_BAR_BY_BAR if singles else _AT_ONCE)
    digest = hashlib.sha256(repr((recipe, sessions, tickers, singles, runs, 2)).encode()).hexdigest()[:8]
    lake = BUILT / f"{name}-{digest}"
    if not lake.exists():
        unfinished = BUILT / f".{name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        for each in sessions:
            _write(Layout(unfinished).partition(each.date), recipe, each, tickers, singles)
            if runs:
                _log(Layout(unfinished).log, each, tickers, singles)
        unfinished.rename(lake)
    return lake


def _recipe(collected: str) -> str:
    columns = ", ".join(f"{_COLUMNS[column.name]} AS {column.name}" for column in COLUMNS)
    return _BARS.replace("{columns}", columns).replace("{collected}", collected)


def _numbers(each: Session, tickers: Sequence[str]) -> dict[str, Any]:
    return {
        "opened": f"{each.open:%F %T}",
        "closed": f"{each.close:%F %T}",
        "tickers": list(tickers),
        "bars": int((each.close - each.open) / dt.timedelta(minutes=5)),
        "day": each.date.toordinal(),
    }


def _write(folder: Path, recipe: str, each: Session, tickers: Sequence[str], singles: int) -> None:
    folder.mkdir(parents=True)
    numbers = _numbers(each, tickers)
    made = duckdb.execute(recipe.format(**numbers)).to_arrow_table().cast(SCHEMA)
    opened = each.open.replace(tzinfo=None)
    for place, (first, last) in enumerate(_spans(numbers["bars"], singles)):
        starts = [opened + bar * dt.timedelta(minutes=5) for bar in range(first, last)]
        write_table(made.filter(pc.field("ts").isin(starts)), folder / f"{place:02}.parquet")


def _spans(bars: int, singles: int) -> list[tuple[int, int]]:
    """The bars of each file, from the first to before the last."""
    together = max(bars - singles, 0)
    return [(0, together)] * (together > 0) + [(bar, bar + 1) for bar in range(together, bars)]


def _log(folder: Path, each: Session, tickers: Sequence[str], singles: int) -> None:
    """The runs of a watcher in that session, a run a bar."""
    folder.mkdir(exist_ok=True)
    bars = len(each.bar_starts(5))
    ends = [each.open + bar * dt.timedelta(minutes=5, seconds=1) for bar in range(1, bars + 1)]
    for first, last in _spans(bars, singles):
        made = [
            Run(ticker, "XNYS", each.dt, each.open, end, 5, 1, 1, 0, 0, "answered", "simulated", end)
            for end in ends[first:last]
            for ticker in tickers
        ]
        write_table(runs_table(made), folder / f"{ends[last - 1]:%Y%m%dT%H%M%SZ}-{first:012}.parquet")
