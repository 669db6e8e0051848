"""The questions that the lake answers: one SQL file each, the same text on every engine.

    from tickerlake.query import Settings, open_engine, run

    engine = open_engine(Settings.from_environment())
    result = run(engine, "hourly_high", first=date(2026, 11, 20), tickers=["META"])
    result.frame        # ticker, session, hour, high, ts, touch; ts in exchange time

The text keeps to the subset of SQL that Trino (the engine inside Athena) and DuckDB read alike; a test holds
every file against it. Parameters are `%(name)s`, bound or quoted by the engine's own driver.
"""

from tickerlake.query.catalog import Field, Query, load, names
from tickerlake.query.engines import Engine, Result, open_engine
from tickerlake.query.runner import run
from tickerlake.settings import SETTINGS, Settings

__all__ = ["SETTINGS", "Engine", "Field", "Query", "Result", "Settings", "load", "names", "open_engine", "run"]
