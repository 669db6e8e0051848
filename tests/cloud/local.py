"""The same bars on one machine, to compare with: Yahoo server, collect, Parquet files, DuckDB."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from tests.fakes.yahoo import LoopbackSession, running_yahoo
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.exchange import Session
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import Engine, Settings, open_engine
from tickerlake.sources.yahoo import YahooSource


def local_lake(folder: Path, first: Session, last: Session, tickers: Sequence[str]) -> Engine:
    """The engine on a lake in `folder` with the sessions from `first` to `last`, from a Yahoo without faults."""
    wanted = exchange.XNYS.sessions_between(first.date, last.date)
    with running_yahoo() as yahoo:
        source = YahooSource(LoopbackSession(yahoo.origin))
        collect(source, ParquetSink(folder), wanted, tickers, 5, lambda: dt.datetime.now(dt.UTC))
    return open_engine(Settings(lake=folder))
