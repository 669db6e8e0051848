"""The record of the lake: one bar of one ticker. `COLUMNS` is its only definition.

The Glue columns, the JSON lines for Firehose, the local Parquet schema and the checks on the SQL files are all made
from it. `bars` holds the same record as a pandas frame, with the rules for a bar.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Type = Literal["string", "timestamp", "int", "bigint", "double", "boolean"]


@dataclass(frozen=True)
class Column:
    """One column of the table: its name, its type as Hive and Glue call it, and what it holds."""

    name: str
    type: Type
    comment: str
    nullable: bool = False

    @property
    def sql_type(self) -> str:
        """The type as DuckDB, Trino and Athena call it in SQL."""
        return {"string": "varchar", "int": "integer"}.get(self.type, self.type)


COLUMNS = (
    Column("ticker", "string", "Symbol the company traded under that day"),
    Column("exchange", "string", "Exchange the bar was traded on, such as XNYS"),
    Column("ts", "timestamp", "Start of the bar, UTC"),
    Column("hour", "int", "Clock hour of the exchange in which the bar starts"),
    Column("bar_minutes", "int", "Length of the bar in minutes"),
    Column("open", "double", "First price; null if the source gave none", nullable=True),
    Column("high", "double", "Highest price; null if the source withdrew the bar", nullable=True),
    Column("low", "double", "Lowest price; null if the source withdrew the bar", nullable=True),
    Column("close", "double", "Last price; null if the source gave none", nullable=True),
    Column("volume", "bigint", "Shares traded; null if the source gave none, 0 if none were traded", nullable=True),
    Column("currency", "string", "Currency of the prices, such as USD"),
    Column("source", "string", "Where the bar comes from, such as yahoo, simulated or recorded"),
    Column("collected_at", "timestamp", "When the bar was collected, UTC; the latest record of a bar wins"),
)
PARTITION = Column("dt", "string", "Session: date in exchange time, YYYY-MM-DD")
KEY = ("ticker", "bar_minutes", "ts", "source")
"""Two records with the same key are the same bar. The one with the latest `collected_at` wins."""
KNOWLEDGE = ("collected_at", "high", "low", "open", "close", "volume")
"""The order of a bar's records; the greatest is in force. The numbers only break ties, so file order never matters."""
ACTIONS = (
    Column("ticker", "string", "Symbol that the bars before the split are stored under"),
    Column("exchange", "string", "Exchange, such as XNYS"),
    Column("ex_date", "string", "First session at the new price, YYYY-MM-DD"),
    Column("ratio", "double", "New shares for one old share; 1 revokes the split"),
    Column(
        "adjusted_from",
        "timestamp",
        "From when on the source gives adjusted prices, UTC; null for the start of ex_date",
        nullable=True,
    ),
    Column("source", "string", "Who reported the split, such as yahoo or manual"),
    Column("collected_at", "timestamp", "When it was reported, UTC; the latest report of a source wins"),
)
"""The columns of the table `actions`: splits, which queries need to bring prices to one basis."""
RUNS = (
    Column("ticker", "string", "Symbol the company traded under in the session"),
    Column("exchange", "string", "Exchange, such as XNYS"),
    Column("session", "string", "Session that was requested, YYYY-MM-DD"),
    Column("since", "timestamp", "Start of the first bar that was requested, UTC"),
    Column("until", "timestamp", "End of the last bar that was requested, UTC"),
    Column("bar_minutes", "int", "Length of the bars in minutes"),
    Column("bars", "bigint", "Valid bars in the answer"),
    Column("stored", "bigint", "Bars that were new, or had other numbers than before"),
    Column("withdrawn", "bigint", "Stored bars that the answer no longer had"),
    Column("rejected", "bigint", "Records in the answer that broke a rule"),
    Column("outcome", "string", "answered, or why there was no answer: no-data, rate-limited, unavailable, ..."),
    Column("source", "string", "Who was asked"),
    Column("collected_at", "timestamp", "When it was asked, UTC"),
)
"""The columns of the table `runs`: what was asked of whom, and what came of it."""
SESSION = Column("session", "string", "Session, YYYY-MM-DD")
"""By which the runs and the forecasts in the bucket are partitioned."""
FORECASTS = (
    Column("ticker", "string", "Symbol the company traded under in the session"),
    Column("exchange", "string", "Exchange, such as XNYS"),
    Column("session", "string", "Session that the forecast is about, YYYY-MM-DD"),
    Column("hour", "int", "Clock hour of the exchange at the start of which the forecast stands: 10 to 15"),
    Column("target", "string", "next-hour-high, day-high (from then on) or close-above"),
    Column("made_at", "timestamp", "When the forecast was made, UTC"),
    Column("known_until", "timestamp", "The start of the hour, UTC: only bars that ended by then were used"),
    Column("ends_at", "timestamp", "End of the time that the forecast is about, UTC"),
    Column("reference", "double", "Last close at that moment, in the session's own shares"),
    Column("q05", "double", "5 % quantile of the high relative to reference, less 1", nullable=True),
    Column("q25", "double", "25 % quantile", nullable=True),
    Column("q50", "double", "50 % quantile", nullable=True),
    Column("q75", "double", "75 % quantile", nullable=True),
    Column("q95", "double", "95 % quantile; the quantiles are null for close-above", nullable=True),
    Column("probability", "double", "Probability of a close above reference; null for the highs", nullable=True),
    Column("model", "string", "Model: hour-of-day, har or boosted"),
    Column("version", "int", "Version of the model; scores of two versions are never mixed"),
    Column("sessions_used", "int", "Earlier sessions of the ticker that were known, up to 250"),
)
"""The columns of the table `forecasts`. The first one made of its kind counts: a later one cannot replace it."""
HOURS = (
    Column("ticker", "string", "Symbol the company traded under that day"),
    Column("hour", "int", "Clock hour of the exchange in which the bars start"),
    Column("bar_minutes", "int", "Length of the bars in minutes"),
    Column("source", "string", "Where the bars come from"),
    Column("open", "double", "First price of the hour's earliest bar that has one", nullable=True),
    Column("high", "double", "Greatest high"),
    Column("low", "double", "Least low"),
    Column("close", "double", "Last price of the hour's latest bar that has one", nullable=True),
    Column("volume", "bigint", "Shares traded, of the bars that have a volume", nullable=True),
    Column("bars", "bigint", "Number of bars in force"),
    Column("ts", "timestamp", "Start of the earliest bar that reached the high, UTC"),
    Column("touches", "bigint", "Minutes of the hour in which a bar starts that reached the high, one bit each"),
    Column("collected_at", "timestamp", "When the latest of these records was collected, UTC"),
    Column("plain", "boolean", "Whether the ticker has one source, one bar length, and no bar across two hours"),
)
"""The columns of the table `settled_hours`: the bars in force of one hour from one source, as a cache for queries."""
PRICES = ("open", "high", "low", "close")
BAR_MINUTES = (1, 2, 5, 15, 30, 60, 90)
"""The intraday bar sizes that Yahoo offers."""


def milliseconds(moment: dt.datetime) -> dt.datetime:
    """`moment` truncated to milliseconds, the finest time in Athena's CSV results."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
