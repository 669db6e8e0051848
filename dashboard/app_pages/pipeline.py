"""Pipeline: what the lake holds and the runs that filled it; in the cloud, metrics, cost, alarms and the crawler."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pandas as pd
import streamlit as st

from dashboard import access, clock, labels
from dashboard.charts.records import records_per_session
from dashboard.chrome import as_of, cards, export, header
from dashboard.chrome.theme import palette
from dashboard.data import cloud, lake_files
from dashboard.data.figures import Figure
from dashboard.data.lake import ALL, Lake
from tickerlake.query import Settings

RUNS_SHOWN = 50
SESSIONS_WITH_RUNS = 20
"""Runs are read for so many of the latest sessions: a year has 200,000 rows."""
SESSIONS_SHOWN = 120


def page() -> None:
    """Draw the page."""
    lake = replace(as_of.current_lake(), tickers=ALL)  # what the lake holds of every exchange
    held = lake.sessions()
    if lake.is_local:
        _local(lake, held)
    else:
        _cloud(lake)
    export.chart(
        records_per_session(
            held[held["session"].isin(held["session"].unique()[:SESSIONS_SHOWN])],
            palette(),
            simulated=header.is_simulated(held),
        ),
        "records-per-session",
        key="records",
        alt="Records per session",
    )
    if not access.is_read_only():
        _settings(lake)
    st.caption(f"Read {labels.instant(clock.now(), lake.exchange)}.")


def _local(lake: Lake, held: pd.DataFrame) -> None:
    """Figures of the lake's files, and the runs that filled it."""
    sizes = lake_files.sizes(lake.layout.files())
    tickers = lake.query("tickers")["ticker"].tolist()
    oldest = dt.date.fromisoformat(held["session"].iloc[-1])
    records, then = int(held["records"].sum()), " now" if lake.as_of else ""
    cards.figures(
        (
            Figure("Sessions", f"{len(held):,}", f"since {labels.day(oldest, weekday=False)}"),
            Figure("Tickers", f"{len(tickers):,}", f"{tickers[0]} to {tickers[-1]}"),
            Figure("Records", f"{records:,}", "including repeats"),
            Figure("Size", labels.size(sum(sizes)), f"in {labels.count(len(sizes), 'file')}{then}"),
        )
    )
    st.header("Runs", anchor=False)
    since = held["session"].iloc[:SESSIONS_WITH_RUNS].iloc[-1]
    runs = lake_files.runs(lake.query("runs", dt.date.fromisoformat(since)), RUNS_SHOWN, lake.exchange)
    if runs.empty:
        st.info(f"Nothing was collected for the sessions since {since}. Imports are not runs.")
        return
    st.caption(f"Runs for sessions since {since}, also those that found nothing new. The query **runs** has every one.")
    export.table(
        runs,
        "runs",
        column_config={
            "collected": "Collected",
            "source": "Source",
            "sessions": "Sessions",
            "span": "Range",
            "tickers": "Tickers",
            "bars": st.column_config.NumberColumn("Bars", format="localized"),
            "stored": st.column_config.NumberColumn("New", format="localized"),
            "withdrawn": st.column_config.NumberColumn("Withdrawn", format="localized"),
            "rejected": st.column_config.NumberColumn("Rejected", format="localized"),
            "outcome": "Outcome",
        },
        alt="The latest runs",
    )


def _cloud(lake: Lake) -> None:
    """Metrics, alarms and the crawler of the deployed stack."""
    if lake.settings.engine != "athena":
        st.info(f"No AWS data: the lake is read with {lake.settings.engine}. AWS data needs LAKE_ENGINE=athena.")
        return
    report = cloud.today(lake.settings, lake.exchange)
    if report.faults:
        faults = "\n".join(f"- {labels.escape(fault)}" for fault in report.faults)
        st.warning(f"Some AWS data is unavailable:\n\n{faults}", icon=":material/cloud_alert:")
        st.caption("This page needs the policy in the stack's output `readerPolicy`; attach it to your user or role.")
    cards.figures(report.figures)
    st.header("Alarms", anchor=False)
    _alarms(report.alarms)
    if report.crawler:
        st.header("Crawler", anchor=False)
        export.table(pd.DataFrame([report.crawler]), "crawler", alt="The crawler and its last run")
    st.caption(
        f"Read from AWS {labels.instant(report.read_at, lake.exchange)}. "
        f"Figures are since midnight in {labels.city(lake.exchange)}."
    )


def _alarms(alarms: list[dict[str, str]]) -> None:
    firing = [alarm["Alarm"] for alarm in alarms if alarm["State"] == "ALARM"]
    if firing:
        names = labels.escape(labels.listing(firing))
        st.error(f"{labels.count(len(firing), 'alarm')} firing: {names}", icon=":material/notifications_active:")
    elif alarms:
        waiting = sum(alarm["State"] == "INSUFFICIENT_DATA" for alarm in alarms)
        note = f"; {waiting} of {len(alarms)} without enough data yet" if waiting else ""
        st.success(f"No alarms firing{note}.", icon=":material/notifications:")
    if alarms:
        states = pd.DataFrame(alarms)
        states = states.assign(
            State=states["State"].str.replace("_", " "),
            **{name: states[name].map(labels.escape) for name in ("Alarm", "Meaning")},
        )
        # A table, unlike a data frame, wraps its text.
        st.table(states, hide_index=True, alt="Alarms and their states")


def _settings(lake: Lake) -> None:
    rows = [
        {
            "Variable": setting.variable,
            "Value": ("•••" if setting.value else "") if setting.secret else str(value),
            "From": setting.origin if value == setting.value else "this visit",
            "Meaning": setting.comment,
        }
        for setting in Settings.explain()
        for value in [getattr(lake.settings, setting.name)]
    ]
    with st.expander("Settings", icon=":material/settings:"):
        export.table(pd.DataFrame(rows), "settings", alt="Settings in use and where they come from")


page()
