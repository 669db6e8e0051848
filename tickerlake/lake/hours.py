"""The table `settled_hours`: the bars of each finished session, summed up hour by hour (in S3, see `bucket`).

It is a cache. Each of its files is made from one compacted file of bars, and its name says from which one and when the
newest record in it was collected. A session is settled while its bars are in exactly that file: as soon as anything
else is stored, or the file is another one, queries work from the bars again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from tickerlake.lake.layout import Layout

TIME = "%Y%m%dT%H%M%S%fZ"

_SUMMED = """
WITH
highs AS (
    SELECT
        ticker,
        hour,
        bar_minutes,
        source,
        min_by(open, ts) FILTER (WHERE open IS NOT NULL) AS open,
        max(high) AS high,
        min(low) AS low,
        max_by(close, ts) FILTER (WHERE close IS NOT NULL) AS close,
        CAST(sum(volume) AS bigint) AS volume,
        count(*) AS bars,
        max(collected_at) AS collected_at,
        bitwise_or_agg(bitwise_left_shift(CAST(1 AS bigint), CAST(extract(MINUTE FROM ts) AS integer))) AS minutes,
        date_trunc('hour', min(ts)) = date_trunc('hour', max(ts)) AS same_hour,
        bool_and(ts = date_trunc('minute', ts)) AS to_the_minute,
        bool_and(extract(MINUTE FROM ts) + bar_minutes <= 60) AS inside
    FROM {bars}
    GROUP BY ticker, hour, bar_minutes, source
),
tickers AS (
    SELECT
        ticker,
        min(source) = max(source)
            AND min(bar_minutes) = max(bar_minutes)
            AND bool_and(inside AND to_the_minute) AS plain
    FROM highs
    GROUP BY ticker
),
touched AS (
    SELECT
        b.ticker,
        b.hour,
        b.bar_minutes,
        b.source,
        min(b.ts) AS ts,
        bitwise_or_agg(bitwise_left_shift(CAST(1 AS bigint), CAST(extract(MINUTE FROM b.ts) AS integer))) AS touches
    FROM {bars} b
    JOIN highs h
        ON h.ticker = b.ticker
        AND h.hour = b.hour
        AND h.bar_minutes = b.bar_minutes
        AND h.source = b.source
        AND h.high = b.high
    GROUP BY b.ticker, b.hour, b.bar_minutes, b.source
)
SELECT
    h.ticker,
    h.hour,
    h.bar_minutes,
    h.source,
    h.open,
    h.high,
    h.low,
    h.close,
    h.volume,
    h.bars,
    m.ts,
    m.touches,
    h.collected_at,
    t.plain AND h.same_hour AS plain,
    h.bars = bit_count(h.minutes, 64) AND h.same_hour AND h.to_the_minute AS once
FROM highs h
JOIN touched m ON m.ticker = h.ticker AND m.hour = h.hour AND m.bar_minutes = h.bar_minutes AND m.source = h.source
JOIN tickers t ON t.ticker = h.ticker
"""
ORDER = "ticker, hour, bar_minutes, source"
"""By which the rows are sorted."""


def summed(bars: str) -> str:
    """The SQL, for DuckDB and Athena, of the hours of `bars`: a table, or a query in parentheses, of the bars in force
    of one session.

    Its column `once` says that no bar of the hour is there twice.
    """
    return _SUMMED.format(bars=bars)


def target(layout: Layout, bars: Path, newest: dt.datetime) -> Path:
    """The file of hours that is made from the file `bars`, whose newest record was collected at `newest` (UTC)."""
    return layout.hours / bars.parent.name / f"{newest.strftime(TIME)}-{_digest(bars)}.parquet"


def is_settled(layout: Layout, session: str, bars: Iterable[Path]) -> bool:
    """Whether there are hours made from exactly the files `bars` of `session`."""
    return _made_from(layout, session, list(bars)) is not None


def settled(layout: Layout, bars: Iterable[Path], as_of: dt.datetime) -> list[Path]:
    """The files of hours of the settled sessions of which the lake knew every record `as_of` (UTC).

    `bars` are all files of the sessions in question, session by session.
    """
    made = (_made_from(layout, session, list(files)) for session, files in groupby(bars, key=session_of))
    return [hours for hours in made if hours is not None and _newest(hours) <= as_of]


def session_of(file: Path) -> str:
    """The session that a file of bars or of hours belongs to."""
    return file.parent.name.removeprefix("dt=")


def _made_from(layout: Layout, session: str, bars: list[Path]) -> Path | None:
    if len(bars) != 1:
        return None
    with suppress(FileNotFoundError):  # replaced in between
        ending = f"-{_digest(bars[0])}.parquet"
        return next((path for path in layout.hours_of(session) if path.name.endswith(ending)), None)
    return None


def _newest(hours: Path) -> dt.datetime:
    return dt.datetime.strptime(hours.name.partition("-")[0], TIME).replace(tzinfo=dt.UTC)


def _digest(file: Path) -> str:
    """What tells this file from any that may take its place."""
    state = file.stat()
    return hashlib.sha256(f"{file.name} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:12]
