"""Queries of the lake: one SQL file each, the same text on every engine, and free SQL.

    from tickerlake.query import Settings, open_engine, run

    engine = open_engine(Settings.from_environment())
    answer = run(engine, "hourly_high", first="2026-11-20", tickers="META")
    answer.rows         # tuples: ticker, session, hour, high, ts, touch; ts in exchange time
    answer.frame        # the same as a pandas frame

The SQL keeps to the subset that Trino (the engine inside Athena) and DuckDB both read; a test checks every file.
"""

from tickerlake.query.answer import Answer
from tickerlake.query.catalog import Field, Query, load, names
from tickerlake.query.engines import Engine, open_engine
from tickerlake.query.runner import run
from tickerlake.settings import SETTINGS, Settings

__all__ = ["SETTINGS", "Answer", "Engine", "Field", "Query", "Settings", "load", "names", "open_engine", "run"]
