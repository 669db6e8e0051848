"""The top of every page: title, collect control, source and age of the data, what the exchange is doing."""

from __future__ import annotations

import datetime as dt
import os

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import clock, labels
from dashboard.chrome import as_of, collect_control
from dashboard.chrome.live import REFRESH, live
from dashboard.data import figures
from dashboard.data.lake import Lake
from tickerlake import exchange
from tickerlake.errors import LakeEmpty, TickerlakeError

SOURCES = {"yahoo": "Yahoo Finance", "recorded": "imported records", "simulated": "simulation"}
REFRESH_CLOSED = dt.timedelta(minutes=1)
"""Refresh interval outside market hours."""
NOTICE = "TICKERLAKE_NOTICE"
"""Environment variable with a banner for every page, for demo data."""


def show(lake: Lake, title: str) -> DeltaGenerator:
    """Draw title, collect control and progress. Returns the place that `provenance` fills."""
    left, right = st.columns([3, 1], vertical_alignment="center")
    with left:
        st.title(title, anchor=False)
    with right.container(horizontal=True, horizontal_alignment="right"):
        as_of.control()
        collect_control.control(lake)
    place = st.container()
    if notice := os.environ.get(NOTICE):
        st.warning(labels.escape(notice), icon=":material/science:")
    collect_control.progress(lake)
    return place


def warn(lake: Lake) -> None:
    """Draw a banner if the lake holds simulated prices."""
    if is_simulated(lake.sessions()):
        st.warning("**Simulated prices, for demonstration only.**", icon=":material/science:")


def skipped(lake: Lake, place: DeltaGenerator) -> None:
    """Fill `place` with a banner if damaged files are left out of what the page shows.

    Runs after the page: a damaged file is found by the query that needs it.
    """
    try:
        faults = lake.faults()
    except TickerlakeError:  # shown on the page
        return
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        place.warning(
            f"**Some bars are left out:** cannot use {labels.escape(f'{faults[0].path}: {faults[0].reason}')}{more}. "
            "Run `tickerlake repair` to move damaged files to quarantine and fill the gap.",
            icon=":material/broken_image:",
        )


def provenance(lake: Lake, place: DeltaGenerator) -> None:
    """Fill `place` with source, age and market status, kept up to date.

    Runs after the page: the exchange's calendar takes 200 ms to load, and charts of past sessions do not need it.
    """
    with place:
        live(_provenance, REFRESH if exchange.running(clock.now()) else REFRESH_CLOSED)(lake)


def is_simulated(held: pd.DataFrame) -> bool:
    """Whether any session in `held`, the answer of `sessions`, has simulated bars."""
    return bool(held["sources"].str.contains("simulated").any())


def _provenance(lake: Lake) -> None:
    name = labels.escape(lake.name)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        try:
            _source_and_age(lake, lake.sessions())
        except LakeEmpty:
            st.badge(f"Lake {name}: empty", icon=":material/database:", color="gray")
        except TickerlakeError:  # shown on the page
            st.badge(f"Lake {name}: unavailable", icon=":material/database:", color="orange")
        _market()


def _source_and_age(lake: Lake, held: pd.DataFrame) -> None:
    now = lake.now()
    sources = sorted({source for listed in held["sources"] for source in listed.split(", ")})
    simulated = "simulated" in sources
    newest = held["last_ts"].max()
    st.badge(
        f"Source: {labels.escape(' and '.join(SOURCES.get(source, source) for source in sources))}",
        icon=":material/science:" if simulated else ":material/database:",
        color="orange" if simulated else "blue",
        help=f"Lake {labels.escape(lake.name)}",
    )
    late = figures.sessions_behind(dt.date.fromisoformat(held["session"].iloc[0]), now)
    st.badge(
        f"Newest bar {labels.age(newest, now)}: {labels.brief_instant(newest)}",
        icon=":material/schedule:",
        color="orange" if late else "gray",
        help=f"Bar of {labels.instant(newest)}, collected {labels.instant(held['collected_at'].max())}",
    )
    if late:
        missing = labels.count(late, "session")
        st.badge(f"Stale: {missing} behind", icon=":material/history_toggle_off:", color="orange")


def _market() -> None:
    now = clock.now()
    st.badge(
        labels.market(now),
        icon=":material/storefront:",
        color="green" if exchange.running(now) else "gray",
        help="New York Stock Exchange (XNYS)",
    )
