"""Pipeline: what the lake holds and what brought it there; on the cloud engine what runs, at what cost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import clock, labels
from dashboard.charts.records import bars_per_session
from dashboard.chrome import cards, errors, header
from dashboard.data import cloud, lake_files
from dashboard.data.lake import Lake
from tickerlake.query import SETTINGS

RUNS_SHOWN = 50


def page() -> None:
    """The whole page."""
    lake = errors.current_lake()
    held = lake.sessions()
    if lake.is_local:
        _local(lake, held)
    else:
        cloud.show(lake.settings)
    st.altair_chart(
        bars_per_session(held.head(120), header.palette(), simulated=header.is_simulated(held)),
        width="stretch",
        key="records",
        alt="Records per session",
    )
    _settings(lake)
    st.caption(f"Read {labels.instant(clock.now())}.")


def _local(lake: Lake, held: pd.DataFrame) -> None:
    """Figures of the folder and the runs that filled it."""
    files = lake_files.read(lake.files())
    tickers = lake.ask("tickers").frame
    records = int(files["records"].sum())
    cards.figures(
        (
            cards.Figure("Sessions", f"{len(held):,}", f"{held['session'].iloc[-1]} to {held['session'].iloc[0]}"),
            cards.Figure("Tickers", f"{len(tickers):,}", labels.listing(tickers["ticker"].tolist(), 3)),
            cards.Figure("Records", f"{records:,}", f"{files['bytes'].sum() / max(records, 1):.1f} bytes each"),
            cards.Figure("Size", labels.size(int(files["bytes"].sum())), f"in {labels.count(len(files), 'file')}"),
        )
    )
    st.header("Last runs", anchor=False)
    st.caption(
        "Each run leaves its time in the names of the files that it wrote. Runs that found nothing new leave none."
    )
    runs = lake_files.runs(files, lake.files("rejected"))
    st.dataframe(
        runs.head(RUNS_SHOWN),
        hide_index=True,
        column_config={
            "collected": "Collected",
            "sessions": "Sessions",
            "span": "From and to",
            "records": st.column_config.NumberColumn("Records", format="localized"),
            "size": "Size",
            "rejected": st.column_config.NumberColumn("Rejected", format="localized"),
        },
        alt="The last runs that stored something",
    )


def _settings(lake: Lake) -> None:
    with st.expander("Settings", icon=":material/settings:"):
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "Variable": setting.variable,
                        "Value": "•••" if setting.secret else str(getattr(lake.settings, setting.name)),
                        "Default": "" if setting.secret else str(setting.default),
                        "Meaning": setting.comment,
                    }
                    for setting in SETTINGS
                ]
            ),
            hide_index=True,
            alt="Settings in use",
        )


page()
