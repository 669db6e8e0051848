"""The top of every page: title, collect control, source and age of the data, what the exchange is doing."""

from __future__ import annotations

import datetime as dt
import os

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import access, clock, labels
from dashboard.chrome import as_of, collect_control, login
from dashboard.chrome.live import REFRESH, live
from dashboard.data import figures, news
from dashboard.data.lake import Lake
from tickerlake.errors import LakeEmpty, TickerlakeError

SOURCES = {"yahoo": "Yahoo Finance", "recorded": "imported records", "simulated": "simulation"}
REFRESH_CLOSED = dt.timedelta(minutes=1)
"""Refresh interval outside market hours."""
NOTICE = "TICKERLAKE_NOTICE"
"""Environment variable with a banner for every page, for demo data."""


def show(lake: Lake, title: str) -> DeltaGenerator:
    """Draw title, collect control and progress. Returns the place that `provenance` fills."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="top"):
        st.title(title, anchor=False, width="stretch")
        as_of.control(lake.exchange)
        collect_control.control(lake)
        login.leave()
    place = st.container()
    if notice := os.environ.get(NOTICE):
        st.warning(labels.escape(notice), icon=":material/science:")
    collect_control.progress(lake)
    return place


def skipped(lake: Lake, place: DeltaGenerator) -> None:
    """Fill `place` with a banner if damaged files are left out of what the page shows.

    Runs after the page: a damaged file is found by the query that needs it.
    """
    try:
        faults = lake.faults()
    except TickerlakeError:  # shown on the page
        return
    if faults:
        file = faults[0].path.relative_to(lake.settings.lake)
        # The reason names folders of the machine.
        why = access.for_owner(f": {labels.escape(faults[0].reason)}")
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        cure = " Run `tickerlake repair` to move damaged files to quarantine and fill the gap."
        place.warning(
            f"**Some bars are left out:** cannot use {labels.escape(str(file))}{why}{more}.{access.for_owner(cure)}",
            icon=":material/broken_image:",
        )


def provenance(lake: Lake, place: DeltaGenerator) -> None:
    """Fill `place` with source, age and market status, kept up to date.

    Runs after the page: the exchange's calendar takes 200 ms to load, and charts of past sessions do not need it.
    """
    with place:
        live(_provenance, REFRESH if lake.exchange.running(clock.now()) else REFRESH_CLOSED)(lake)


def is_simulated(held: pd.DataFrame) -> bool:
    """Whether any session in `held`, the answer of `sessions`, has simulated bars."""
    return bool(held["sources"].str.contains("simulated").any())


def _provenance(lake: Lake) -> None:
    """One line of badges."""
    name = labels.escape(lake.name)
    try:
        badges = _source_and_age(lake, lake.sessions())
    except LakeEmpty:
        badges = [_badge(f"Lake {name}: empty", "database", "gray")]
    except TickerlakeError:  # shown on the page
        badges = [_badge(f"Lake {name}: unavailable", "database", "orange")]
    now = clock.now()
    open_now = lake.exchange.running(now) is not None
    badges.append(_badge(labels.market(now, lake.exchange), "storefront", "green" if open_now else "gray"))
    if open_now and lake.is_local:
        watched = news.watcher(lake.settings.lake) is not None
        badges.append(
            _badge("Watching", "visibility", "green")
            if watched
            else _badge("No watcher runs", "visibility_off", "gray")
        )
    st.markdown(" ".join(badges))


def _source_and_age(lake: Lake, held: pd.DataFrame) -> list[str]:
    now = lake.now()
    sources = sorted({source for listed in held["sources"] for source in listed.split(", ")})
    newest = held["last_ts"].max()
    late = figures.sessions_behind(dt.date.fromisoformat(held["session"].iloc[0]), now, lake.exchange)
    named = labels.escape(" and ".join(SOURCES.get(source, source) for source in sources))
    badges = [
        _badge("Simulated prices, for demonstration only.", "science", "orange")
        if sources == ["simulated"]
        else _badge(f"Source: {named}", "database", "orange" if "simulated" in sources else "blue"),
        _badge(
            f"Newest bar {labels.age(newest, now)}: {labels.brief_instant(newest, lake.exchange)}",
            "schedule",
            "orange" if late else "gray",
        ),
    ]
    if late:
        badges.append(_badge(f"Stale: {labels.count(late, 'session')} behind", "history_toggle_off", "orange"))
    return badges


def _badge(text: str, icon: str, colour: str) -> str:
    return f":{colour}-badge[:material/{icon}: {text}]"
