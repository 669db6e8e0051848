"""The dashboard: `streamlit run dashboard/app.py`, from any folder, with nothing else set up."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

HERE = Path(__file__).resolve().parent
# Streamlit puts this script's folder on the path, not the repository's root, where `queries` and `functions` are.
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

PAGES = (
    ("hourly_highs", "Hourly highs", ":material/show_chart:"),
    ("session", "Session", ":material/candlestick_chart:"),
    ("data_quality", "Data quality", ":material/fact_check:"),
    ("pipeline", "Pipeline", ":material/conveyor_belt:"),
)


def show() -> None:
    """The page that the visitor is on, under the navigation and the header that all pages share."""
    st.set_page_config(page_title="Tickerlake", page_icon=str(HERE / "icon.svg"), layout="wide")
    st.logo(HERE / "logo.svg", size="large")
    st.html(HERE / "page.css")
    page = st.navigation(
        [
            st.Page(f"app_pages/{name}.py", title=title, icon=icon, default=name == PAGES[0][0])
            for name, title, icon in PAGES
        ],
        position="top",
    )
    loading = _load_vega()
    from dashboard import header, problems  # noqa: PLC0415  `_warm` has begun with it
    from tickerlake.errors import TickerlakeError  # noqa: PLC0415

    lake = problems.current_lake()
    place = header.show(lake, page.title)
    try:
        header.warn(lake)
        page.run()
    except TickerlakeError as error:
        problems.tell(error)
    header.provenance(lake, place)
    loading.empty()


def _load_vega() -> DeltaGenerator:
    """Has the browser load what draws charts, a quarter of a second, while the lake is still being asked.

    Streamlit's pages load it when their first chart comes, so a chart of nothing comes at once, and goes again.
    """
    place = st.container(key="vega").empty()
    if "vega" not in st.session_state:
        st.session_state["vega"] = True
        place.vega_lite_chart({"mark": "point", "data": {"values": []}}, height=1)
    return place


@contextlib.asynccontextmanager
async def warmed(_app: st.App) -> AsyncGenerator[None]:
    """Loads what every page needs, a second's work, while the first visitor's browser still loads Streamlit."""
    threading.Thread(target=_warm, name="warm", daemon=True).start()
    yield


def _warm() -> None:
    from dashboard import header, lake  # noqa: F401, PLC0415  the header brings what draws

    lake.open_early()


app = st.App(Path(__file__).name, lifespan=warmed)

# The server imports this file as a module; each run for a visitor runs it as a script.
if __name__ == "__main__":
    show()
