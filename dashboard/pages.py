"""The pages of the dashboard, in the order of the navigation; the first is the start page."""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    """One page: its module in `app_pages`, its title, its icon, and what it shows (for the README)."""

    name: str
    title: str
    icon: str
    shows: str


PAGES = (
    Page(
        "hourly_highs",
        "Hourly highs",
        ":material/grid_on:",
        "each ticker's highest price in every hour, when it was reached, and whether that is unusual",
    ),
    Page(
        "session",
        "Session",
        ":material/candlestick_chart:",
        "one ticker's bars as candles with volume, its hourly highs, and every touch",
    ),
    Page(
        "across_days",
        "Across days",
        ":material/calendar_month:",
        "when the day's high and low come, beside chance; sessions on one clock, in a calendar, and side by side",
    ),
    Page(
        "outlook",
        "Outlook",
        ":material/query_stats:",
        "forecasts of the next hour's and the day's high against what happened, and how good they have been",
    ),
    Page(
        "data_quality",
        "Data quality",
        ":material/fact_check:",
        "which bars are missing, which records were rejected, which bars were restated, how old the data is",
    ),
    Page(
        "pipeline",
        "Pipeline",
        ":material/conveyor_belt:",
        "what the lake holds and the runs that filled it; in the cloud, metrics, cost, alarms and the crawler",
    ),
)
