"""Pipeline: what the lake holds and what brought it there; on the cloud engine what runs, at what cost."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import cards, charts, clock, cloud, header, holdings, problems, wording
from dashboard.lake import Lake
from tickerlake.query import SETTINGS

RUNS_SHOWN = 50


def page() -> None:
    """The whole page."""
    lake = problems.current_lake()
    held = lake.sessions()
    if lake.is_local:
        _local(lake, held)
    else:
        cloud.show(lake.settings)
    st.altair_chart(
        charts.bars_per_session(held.head(120), header.palette(), simulated=header.is_simulated(held)),
        width="stretch",
        key="records",
        alt="Records per session",
    )
    _settings(lake)
    st.caption(f"Read {wording.instant(clock.now())}.")


def _local(lake: Lake, held: pd.DataFrame) -> None:
    """Figures of the folder and the runs that filled it."""
    files = holdings.read(lake.files())
    tickers = lake.ask("tickers").frame
    records = int(files["records"].sum())
    cards.figures(
        (
            cards.Figure("Sessions", f"{len(held):,}", f"{held['session'].iloc[-1]} to {held['session'].iloc[0]}"),
            cards.Figure("Tickers", f"{len(tickers):,}", wording.listing(tickers["ticker"].tolist(), 3)),
            cards.Figure("Records", f"{records:,}", f"{files['bytes'].sum() / max(records, 1):.1f} bytes each"),
            cards.Figure("Size", wording.size(int(files["bytes"].sum())), f"in {wording.count(len(files), 'file')}"),
        )
    )
    st.header("Last runs", anchor=False)
    st.caption(
        "Each run leaves its time in the names of the files that it wrote. Runs that found nothing new leave none."
    )
    runs = holdings.runs(files, lake.files("rejected"))
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
