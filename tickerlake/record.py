"""The record of the lake: one bar of one ticker. Every other schema is rendered from `COLUMNS`.

The Glue columns, the JSON lines for Firehose, the local Parquet schema and the checks on the SQL files all follow
from this one list. `bars` holds the same record as a pandas frame, with the rules that a bar must keep.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Type = Literal["string", "timestamp", "int", "bigint", "double"]


@dataclass(frozen=True)
class Column:
    """One column of the table: its name, its type in the words of Hive and Glue, and what it holds."""

    name: str
    type: Type
    comment: str
    nullable: bool = False


COLUMNS = (
    Column("ticker", "string", "Symbol as traded that day"),
    Column("ts", "timestamp", "Start of the bar, UTC"),
    Column("bar_minutes", "int", "Length of the bar in minutes"),
    Column("open", "double", "First price, USD; null when the source gave none", nullable=True),
    Column("high", "double", "Highest price, USD"),
    Column("low", "double", "Lowest price, USD"),
    Column("close", "double", "Last price, USD; null when the source gave none", nullable=True),
    Column("volume", "bigint", "Shares traded; null when the source gave none, 0 is a real zero", nullable=True),
    Column("source", "string", "Where the bar came from: yahoo, simulated or recorded"),
    Column("collected_at", "timestamp", "When the bar was collected, UTC; the latest wins"),
)
PARTITION = Column("dt", "string", "Session, YYYY-MM-DD in exchange time")
KEY = ("ticker", "bar_minutes", "ts")
"""What makes two records the same bar. Of such records the one with the latest `collected_at` wins."""
PRICES = ("open", "high", "low", "close")
BAR_MINUTES = (1, 2, 5, 15, 30, 60, 90)
"""The bar sizes that Yahoo serves within a day."""


def milliseconds(moment: dt.datetime) -> dt.datetime:
    """`moment` cut to milliseconds, the finest time that Athena's CSV results carry."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
