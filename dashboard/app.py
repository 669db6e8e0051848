"""The dashboard: `streamlit run dashboard/app.py`, from any folder, without further setup."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

HERE = Path(__file__).resolve().parent
# Streamlit puts this script's folder on the path; `import dashboard` needs its parent.
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from dashboard.pages import PAGES  # noqa: E402


def show() -> None:
    """Draw the current page under the navigation and the header."""
    # The latest news; `dashboard.chrome.news` sets it.
    st.set_page_config(
        page_title=st.session_state.get("news", "Tickerlake"),
        page_icon=str(HERE / "chrome" / "icon.svg"),
        layout="wide",
    )
    st.logo(HERE / "chrome" / "logo.svg", size="large")
    st.html(HERE / "chrome" / "page.css")
    keys = (HERE / "chrome" / "keys.js").read_text(encoding="utf-8")
    st.container(key="keys").html(f"<script>{keys}</script>", unsafe_allow_javascript=True)
    page = st.navigation(
        [
            st.Page(f"app_pages/{page.name}.py", title=page.title, icon=page.icon, default=page is PAGES[0])
            for page in PAGES
        ],
        position="top",
    )
    from dashboard.chrome import login  # noqa: PLC0415  see `_warm`

    if not login.is_admitted():
        login.ask()
        return
    loading = _load_vega()
    from dashboard.chrome import as_of, errors, header, news  # noqa: PLC0415
    from tickerlake.errors import TickerlakeError  # noqa: PLC0415

    lake = errors.current_lake()
    place = header.show(lake, page.title)
    banner = st.empty()
    try:
        lake = as_of.look_back(lake)
        as_of.banner(lake)
        page.run()
    except TickerlakeError as error:
        errors.show(error)
    header.skipped(lake, banner)
    header.provenance(lake, place)
    news.show(lake)
    loading.empty()


def _load_vega() -> DeltaGenerator:
    """Draw an empty chart, so that the browser loads Vega (250 ms) while the lake is queried.

    Streamlit otherwise loads Vega when the first chart arrives.
    """
    place = st.container(key="vega").empty()
    if "vega" not in st.session_state:
        st.session_state["vega"] = True
        place.vega_lite_chart({"mark": "point", "data": {"values": []}}, height=1)
    return place


@contextlib.asynccontextmanager
async def warmed(_app: st.App) -> AsyncGenerator[None]:
    """Import what every page needs (about a second) while the first visitor's browser loads Streamlit."""
    threading.Thread(target=_warm, name="warm", daemon=True).start()
    yield


def _warm() -> None:
    from dashboard.charts import candles, coverage, heat_map, lines, records  # noqa: F401, PLC0415
    from dashboard.chrome import cards, controls, header  # noqa: F401, PLC0415
    from dashboard.data import lake, prices  # noqa: F401, PLC0415

    lake.open_early()


app = st.App(Path(__file__).name, lifespan=warmed)

# The server imports this file as a module; each run for a visitor executes it as a script.
if __name__ == "__main__":
    show()
