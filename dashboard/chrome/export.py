"""Charts and tables, each with the buttons that save it under a name that says what it holds."""

from __future__ import annotations

import re
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from tickerlake.query.formats import to_csv

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def chart(
    drawn: alt.Chart | alt.LayerChart | alt.HConcatChart | alt.VConcatChart, *name: object, **options: Any
) -> Any:
    """Draw a chart with the button that saves it as SVG; Streamlit's own toolbar saves PNG.

    `options` and the result are those of `st.altair_chart`.
    """
    with st.container(key=f"chart {options['key']}", gap=None):
        result = st.altair_chart(drawn, width="stretch", **options)
        # keys.js saves the picture.
        st.html(f'<button class="save-svg" value="{file_name(*name)}.svg" aria-label="Save as SVG">SVG</button>')
    return result


def table(shown: pd.DataFrame, *name: object, rows: pd.DataFrame | None = None, **options: Any) -> None:
    """Draw a table that can be saved as CSV and Parquet; `options` are those of `st.dataframe`.

    The files hold `rows` where the table shows them differently.
    """
    saved, file = shown if rows is None else rows, file_name(*name)
    st.dataframe(shown, hide_index=True, **options)
    with st.container(horizontal=True, gap="xxsmall"):
        # A function makes the file only when somebody asks for it.
        for kind, mime, make in (
            ("CSV", "text/csv", lambda: to_csv(saved)),
            ("Parquet", "application/vnd.apache.parquet", lambda: saved.to_parquet(index=False)),
        ):
            st.download_button(
                kind,
                make,
                file_name=f"{file}.{kind.lower()}",
                mime=mime,
                icon=":material/download:",
                type="tertiary",
                key=f"save {file} {kind}",
                on_click="ignore",
            )


def file_name(*parts: object) -> str:
    """`parts` as the name of a file: `bars-META-2026-11-20`."""
    return "-".join(_UNSAFE.sub("_", str(part)) for part in parts)
