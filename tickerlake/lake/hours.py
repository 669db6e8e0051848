"""The table `settled_hours`: the bars of each finished session, summed up hour by hour.

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

_TIME = "%Y%m%dT%H%M%S%fZ"

SQL = """
WITH
highs AS (
    SELECT
        ticker,
        hour,
        bar_minutes,
        source,
        -- Both pass over bars without this price.
        min_by(open, ts) AS open,
        max(high) AS high,
        min(low) AS low,
        max_by(close, ts) AS close,
        CAST(sum(volume) AS bigint) AS volume,
        count(*) AS bars,
        max(collected_at) AS collected_at,
        list(STRUCT_PACK(high, ts)) AS each,
        bit_or(CAST(1 AS bigint) << CAST(extract(MINUTE FROM ts) AS integer)) AS minutes,
        date_trunc('hour', min(ts)) = date_trunc('hour', max(ts)) AS same_hour,
        bool_and(ts = date_trunc('minute', ts)) AS to_the_minute,
        bool_and(extract(MINUTE FROM ts) + bar_minutes <= 60) AS inside
    FROM in_force
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
    SELECT *, list_transform(list_filter(each, lambda bar: bar.high = highs.high), lambda bar: bar.ts) AS times
    FROM highs
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
    list_min(h.times) AS ts,
    list_bit_or(
        list_transform(h.times, lambda ts: CAST(1 AS bigint) << CAST(extract(MINUTE FROM ts) AS integer))
    ) AS touches,
    h.collected_at,
    t.plain AND h.same_hour AS plain,
    h.bars = bit_count(h.minutes) AND h.same_hour AND h.to_the_minute AS once
FROM touched h
JOIN tickers t ON t.ticker = h.ticker
ORDER BY h.ticker, h.hour, h.bar_minutes, h.source
"""
"""The rows of one session, for DuckDB, from a table `in_force` of its bars in force.

`once` says that no bar of the hour is there twice.
"""


def target(layout: Layout, bars: Path, newest: dt.datetime) -> Path:
    """The file of hours that is made from the file `bars`, whose newest record was collected at `newest` (UTC)."""
    return layout.hours / bars.parent.name / f"{newest.strftime(_TIME)}-{_digest(bars)}.parquet"


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
    return dt.datetime.strptime(hours.name.partition("-")[0], _TIME).replace(tzinfo=dt.UTC)


def _digest(file: Path) -> str:
    """What tells this file from any that may take its place."""
    state = file.stat()
    return hashlib.sha256(f"{file.name} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:12]
