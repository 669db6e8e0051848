"""The dashboard: `streamlit run dashboard/app.py`, from any folder, with nothing else set up."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Streamlit puts this script's folder on the path, not the repository's root, where `queries` and `functions` are.
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from dashboard import header, problems  # noqa: E402
from functions.collector.errors import TickerlakeError  # noqa: E402

PAGES = (
    ("hourly_highs", "Hourly highs", ":material/show_chart:"),
    ("session", "Session", ":material/candlestick_chart:"),
    ("data_quality", "Data quality", ":material/fact_check:"),
    ("pipeline", "Pipeline", ":material/conveyor_belt:"),
)

st.set_page_config(page_title="Tickerlake", page_icon=str(ROOT / "dashboard" / "icon.svg"), layout="wide")
page = st.navigation(
    [
        st.Page(f"app_pages/{name}.py", title=title, icon=icon, default=name == PAGES[0][0])
        for name, title, icon in PAGES
    ],
    position="top",
)
st.html(ROOT / "dashboard" / "page.css")
try:
    header.show(page.title)
    page.run()
except TickerlakeError as error:
    problems.tell(error)
