"""What the collector reads of the lake: the bars that it may have to withdraw, and the gaps that it fills."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from tickerlake import bars, symbols
from tickerlake.collect import FINAL
from tickerlake.errors import LakeEmpty
from tickerlake.exchange import Session
from tickerlake.gaps import Gap, Reach, find_gaps, to_ask
from tickerlake.lake import Run
from tickerlake.query import Engine
from tickerlake.record import RUNS

# One row for many bars: Athena hands over 1,000 rows a request.
_IN_FORCE = """
SELECT
    ticker,
    bar_minutes,
    max(collected_at) AS newest,
    array_join(array_agg(CAST(date_diff('minute', CAST('1970-01-01' AS timestamp), ts) AS varchar)), ',') AS starts
FROM (
    SELECT
        ticker,
        dt,
        bar_minutes,
        ts,
        high,
        collected_at,
        row_number() OVER (
            PARTITION BY ticker, dt, bar_minutes, ts
            ORDER BY collected_at DESC, high DESC NULLS LAST
        ) AS version
    FROM bars
    WHERE dt BETWEEN %(first)s AND %(last)s
        AND source = %(source)s
        AND ticker IN %(tickers)s
) versions
WHERE version = 1 AND high < 1e300
GROUP BY ticker, dt, bar_minutes
"""
_RUNS = f"""
SELECT {", ".join(column.name for column in RUNS)}
FROM runs
WHERE session BETWEEN %(first)s AND %(last)s
    AND source = %(source)s
    AND ticker IN %(tickers)s
    AND outcome IN %(outcomes)s
"""  # noqa: S608  # our own names


class Lake:
    """The bars of `source` in the lake, as `engine` reads them. Raises QueryFailed.

    What Firehose has not written yet is not there: a bar that came in the last minute is neither withdrawn nor missed.
    """

    def __init__(self, engine: Engine, source: str) -> None:
        self._engine = engine
        self._source = source
        self._held = bars.empty()

    def remember(self, sessions: Sequence[Session], tickers: Sequence[str]) -> None:
        """Reads the bars of these sessions that are in force now, for `in_force`."""
        self._held = bars.empty()
        asked = {
            "first": sessions[0].dt,
            "last": sessions[-1].dt,
            "source": self._source,
            "tickers": sorted({name for ticker in tickers for name in symbols.names(symbols.current_symbol(ticker))}),
        }
        rows = self._engine.run(_IN_FORCE, asked).rows
        held = [
            (ticker, bar_minutes, newest, int(start))
            for ticker, bar_minutes, newest, starts in rows
            for start in starts.split(",")
        ]
        if held:
            frame = pd.DataFrame(held, columns=["ticker", "bar_minutes", "collected_at", "start"])
            frame["ts"] = pd.to_datetime(frame["start"] * 60, unit="s", utc=True).astype("datetime64[us, UTC]")
            frame["collected_at"] = pd.to_datetime(frame["collected_at"], utc=True)
            frame = frame.assign(source=self._source, open=None, high=None, low=None, close=None, volume=None)
            self._held = bars.as_bars(bars.placed(frame))

    def in_force(self, session: str) -> pd.DataFrame:
        """The bars of `session` that were in force when it was read, without their numbers."""
        return self._held[self._held["dt"] == session]

    def gaps(self, tickers: Sequence[str], reach: Reach, now: dt.datetime, last: dt.date | None = None) -> list[Gap]:
        """The gaps of `tickers` up to the session `last` that are worth a request, oldest first."""
        try:
            gaps = list(find_gaps(self._engine, tickers, reach, now, last=last))
        except LakeEmpty:
            return []
        if not gaps:
            return []
        asked = {
            "first": gaps[0].session.dt,
            "last": gaps[-1].session.dt,
            "source": self._source,
            "tickers": sorted({gap.ticker for gap in gaps}),
            "outcomes": list(FINAL),
        }
        names = [column.name for column in RUNS]
        runs = [Run(**dict(zip(names, row, strict=True))) for row in self._engine.run(_RUNS, asked).rows]
        return to_ask(gaps, runs, now)
