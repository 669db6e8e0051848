"""Lakes for the dashboard's tests and screenshots: simulated bars under the source that the test is about."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.exchange import Session
from tickerlake.forecast.samples import DIRECTION, TARGETS
from tickerlake.forecast.scores import BASELINE
from tickerlake.importers.importing import import_objects
from tickerlake.importers.recorded import RecordedObject
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.watchlist import DEFAULT as WATCHLIST

FRIDAY = dt.date(2026, 11, 20)
EVENING = dt.datetime(2026, 11, 20, 23, 0, tzinfo=dt.UTC)
"""18:00 on that day at the exchange."""
MIDDAY = dt.datetime(2026, 11, 20, 18, 23, tzinfo=dt.UTC)
"""13:23 on that day at the exchange, in the middle of the session."""
HOSTILE = "[/RED] <B>_X_</B> :RED[Y]"
"""A ticker that Markdown, HTML and Rich would interpret. A lake that other programs write may hold any name."""

Change = Callable[[str, pd.DataFrame], pd.DataFrame]


def unchanged(_: str, bars: pd.DataFrame) -> pd.DataFrame:
    return bars


class Invented(SimulatedSource):
    """Simulated bars in whole cents, so that there are ties, under another source's name and with a test's change."""

    def __init__(self, name: str, change: Change = unchanged) -> None:
        super().__init__()
        self.name = name
        self._change = change

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        bars = super().bars(symbol, sessions, bar_minutes)
        prices = ["open", "high", "low", "close"]
        return self._change(symbol, bars.assign(**bars[prices].round(2))).reset_index(drop=True)


def fill(
    lake: Path,
    first: dt.date = FRIDAY,
    last: dt.date = FRIDAY,
    *,
    source: str = "yahoo",
    tickers: Sequence[str] = WATCHLIST,
    now: dt.datetime = EVENING,
    change: Change = unchanged,
) -> Path:
    """Collects invented bars into `lake` under the name `source`, as if it were `now`."""
    collect(
        Invented(source, change),
        ParquetSink(lake),
        exchange.XNYS.sessions_between(first, last),
        tickers,
        5,
        lambda: now,
    )
    return lake


def import_without_open(lake: Path) -> Path:
    """Imports what an earlier deployment wrote, names, highs, lows and times only, of two sessions into `lake`."""
    sessions = exchange.XNYS.sessions_between(dt.date(2026, 11, 19), FRIDAY)
    records = [
        json.dumps({"name": name, "high": bar.high, "low": bar.low, "ts": bar.ts.isoformat()})
        for name in ("META", "AMZN", "SNAP")
        for bar in Invented("yahoo").bars(name, sessions, 5).itertuples()
    ]
    import_objects([RecordedObject("old.json", EVENING, "\n".join(records).encode())], ParquetSink(lake))
    for path in Layout(lake).files():
        table = pq.read_table(path, partitioning=None)
        names = pc.replace_substring(table["ticker"], "SNAP", HOSTILE)
        pq.write_table(table.set_column(table.schema.get_field_index("ticker"), "ticker", names), path)
    return lake


def forecast(lake: Path, ticker: str, *, first_hour: int = 10, now: dt.datetime = EVENING) -> Path:
    """Stores invented forecasts of Friday's hours of `ticker` from `first_hour` on in `lake`, made at `now`."""
    session = exchange.XNYS.session_on(FRIDAY)
    hours = run(DuckDBEngine(lake), "hourly", first=FRIDAY, last=FRIDAY, tickers=ticker).frame.set_index("hour")
    quantiles = {"q05": 0.0, "q25": 0.002, "q50": 0.004, "q75": 0.006, "q95": 0.01}
    rows = [
        {
            "ticker": ticker,
            "exchange": "XNYS",
            "session": session.dt,
            "hour": hour,
            "target": target,
            "made_at": now,
            "known_until": begun,
            "ends_at": begun + dt.timedelta(hours=1) if target == "next-hour-high" else session.close,
            "reference": hours["high"].loc[hour - 1 : hour].iloc[0],
            **(dict.fromkeys(quantiles) if target == DIRECTION else quantiles),
            "probability": 0.5 if target == DIRECTION else None,
            "model": BASELINE,
            "version": 1,
            "sessions_used": 20,
        }
        for hour in range(first_hour, hours.index[-1] + 1)
        for begun in [dt.datetime.combine(FRIDAY, dt.time(hour), exchange.XNYS.zone).astimezone(dt.UTC)]
        for target in TARGETS
    ]
    ParquetSink(lake).store_forecasts(pd.DataFrame(rows))
    return lake


def with_faults(symbol: str, bars: pd.DataFrame) -> pd.DataFrame:
    """SNAP lacks an hour, OKTA a session; four records of PINS and one of TTD break a rule."""
    local = bars["ts"].dt.tz_convert("America/New_York")
    if symbol == "SNAP":
        return bars[local.dt.hour != 12]
    if symbol == "OKTA":
        return bars[local.dt.date != dt.date(2026, 11, 19)]
    if symbol == "PINS":
        return bars.assign(high=bars["high"].where(~bars.index.isin(range(5, 9)), bars["low"] - 1))
    if symbol == "TTD":
        return bars.assign(high=bars["high"].where(bars.index != 30))
    return bars


def restated(symbol: str, bars: pd.DataFrame) -> pd.DataFrame:
    """Every thirtieth high of NFLX is 0.4 % higher."""
    if symbol != "NFLX":
        return bars
    return bars.assign(high=bars["high"].where(bars.index % 30 != 0, (bars["high"] * 1.004).round(2)))
