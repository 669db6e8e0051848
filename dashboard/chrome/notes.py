"""What to know about the prices of a session, under its chart."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import labels
from dashboard.data import figures
from tickerlake.exchange import Session


def midpoints(daily: pd.DataFrame) -> None:
    """Say so where prices had to be estimated. `daily` is the answer of `daily`."""
    if note := figures.midpoint_note(daily):
        st.caption(f":material/info: {labels.escape(note)}")


def gaps(daily: pd.DataFrame, session: Session, now: dt.datetime) -> None:
    """Name the tickers with bars missing in `session`, which is the one in `daily`."""
    if found := figures.incomplete(daily, session, now):
        verb = "has" if len(found) == 1 else "have"
        names = labels.escape(labels.listing(found))
        st.caption(f":material/warning: Partial: {names} {verb} bars missing; see **Data quality**.")
