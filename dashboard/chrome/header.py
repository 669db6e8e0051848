"""What stands at the top of every page: where the data comes from, how old it is, and whether it is real."""

from __future__ import annotations

import datetime as dt
import os

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import clock, labels
from dashboard.charts.theme import DARK, LIGHT, Palette
from dashboard.chrome import collect_control, errors
from dashboard.data import figures
from dashboard.data.lake import Lake
from tickerlake import exchange
from tickerlake.errors import LakeEmpty, TickerlakeError

SOURCES = {"yahoo": "Yahoo Finance", "recorded": "recorded earlier", "simulated": "a random generator"}
REFRESH = dt.timedelta(seconds=20)
"""How often pages look for new bars while a session runs."""
AGING = dt.timedelta(minutes=1)
"""How often the age of the data is told anew while none does."""
NOTICE = "TICKERLAKE_NOTICE"
"""Environment variable with a warning for every page: how a demonstration says that its prices are no prices."""


def show(lake: Lake, title: str) -> DeltaGenerator:
    """Title, the collect control and how far it is. Gives the place that `provenance` is for."""
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        st.title(title, anchor=False)
    with right.container(horizontal=True, horizontal_alignment="right"):
        collect_control.control(lake)
    place = st.container()
    if notice := os.environ.get(NOTICE):
        st.warning(notice, icon=":material/science:")
    collect_control.progress(lake)
    return place


def warn(lake: Lake) -> None:
    """Says so where the prices are no prices."""
    if is_simulated(lake.sessions()):
        st.warning(
            "**SIMULATED DATA.** A random generator invented these prices; none of them was ever traded.",
            icon=":material/science:",
        )


def provenance(lake: Lake, place: DeltaGenerator) -> None:
    """Where the data come from, how old they are and what the exchange is doing, kept up to date in `place`.

    It is told after the page: the exchange's calendar takes a fifth of a second to load, and no chart of a session
    past needs it.
    """
    with place:
        errors.live(_provenance, REFRESH if exchange.running(clock.now()) else AGING)(lake)


def is_simulated(held: pd.DataFrame) -> bool:
    """Whether any session of `held` has simulated bars."""
    return bool(held["sources"].str.contains("simulated").any())


def palette() -> Palette:
    """The colours that go with the theme the visitor looks at."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def refresh_interval(dates: list[dt.date]) -> dt.timedelta | None:
    """How often to look for new bars: only where a session that is running now is on the page."""
    now = clock.now()
    return REFRESH if exchange.exchange_date(now) in dates and exchange.running(now) else None


def _provenance(lake: Lake) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        try:
            _source_and_age(lake, lake.sessions())
        except LakeEmpty:
            st.badge(f"Lake {lake.name}: empty", icon=":material/database:", color="gray")
        except TickerlakeError:  # the page tells why
            st.badge(f"Lake {lake.name}: no answer", icon=":material/database:", color="orange")
        _market_badge()


def _source_and_age(lake: Lake, held: pd.DataFrame) -> None:
    now = clock.now()
    sources = sorted({source for listed in held["sources"] for source in listed.split(", ")})
    origin = " and ".join(SOURCES.get(source, source) for source in sources)
    newest = held["last_ts"].max()
    st.badge(
        f"Source: {origin}",
        icon=":material/science:" if "simulated" in sources else ":material/database:",
        color="orange" if "simulated" in sources else "blue",
        help=f"Bars in the lake {lake.name}: {', '.join(sources)}",
    )
    late = figures.behind(dt.date.fromisoformat(held["session"].iloc[0]), now)
    st.badge(
        f"Newest bar {labels.age(newest, now)}: {labels.brief_instant(newest)}",
        icon=":material/schedule:",
        color="orange" if late else "gray",
        help=f"The bar that starts {labels.instant(newest)}; collected {labels.instant(held['collected_at'].max())}",
    )
    if late:
        st.badge(
            f"Stale: {labels.count(late, 'session')} closed since",
            icon=":material/history_toggle_off:",
            color="orange",
        )


def _market_badge() -> None:
    now = clock.now()
    st.badge(
        labels.market(now),
        icon=":material/storefront:",
        color="green" if exchange.running(now) else "gray",
        help="XNYS, the New York Stock Exchange",
    )
