"""Makes the pictures of the README: `python -m tests.dashboard.screenshots [FOLDER]`.

The same every time: simulated bars, in a lake made for it, and a stopped clock.
"""

from __future__ import annotations

import datetime as dt
import io
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image, ImageChops
from playwright.sync_api import Page

from tests.dashboard import lakes
from tests.dashboard.browser import ROOT, browsing, serving, settled

PAGES = {
    "session": "session",
    "hourly-highs": "",
    "across-days": "across_days",
    "data-quality": "data_quality",
    "pipeline": "pipeline",
}
ROUNDING = 8
"""Of 255, in any colour of any pixel."""
WIDTHS = {"": 1440, "-narrow": 390}
AFTER_THE_CLOSE = lakes.EVENING - dt.timedelta(minutes=45)
THURSDAY = dt.date(2026, 11, 19)


def main(folder: Path) -> None:
    """Writes a picture of every page, in both themes and at both widths, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, browsing() as browser:
        lake = Path(temporary, "lake-simulated")
        lakes.fill(lake, dt.date(2026, 11, 9), source="simulated", now=AFTER_THE_CLOSE, change=_faults_before_friday)
        lakes.fill(lake, THURSDAY, THURSDAY, source="simulated", tickers=["NFLX"], change=lakes.restated)
        with serving(lake, lakes.EVENING, Path(temporary, "log")) as address:
            for suffix, width in WIDTHS.items():
                for theme in ("light", "dark"):
                    context = browser.new_context(
                        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
                    )
                    page = context.new_page()
                    for name, path in PAGES.items():
                        page.set_viewport_size({"width": width, "height": 900})
                        page.goto(f"{address}/{path}")
                        settled(page)
                        # Streamlit scrolls inside the page, so a whole page needs a window as tall; in a taller
                        # window more is drawn, and the page may grow once more.
                        for _ in range(3):
                            height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
                            page.set_viewport_size({"width": width, "height": max(900, height)})
                            settled(page).wait_for_timeout(300)
                        target = folder / f"{name}{suffix}-{theme}.png"
                        picture = _still(page)
                        if not (target.exists() and _alike(target.read_bytes(), picture)):
                            target.write_bytes(picture)
                        print(target)
                    context.close()


def _still(page: Page) -> bytes:
    """The picture of `page` once nothing on it moves any more."""
    before = b""
    for _ in range(20):
        picture = page.screenshot(animations="disabled")
        if picture == before:
            break
        before = picture
        page.wait_for_timeout(400)
    return before


def _alike(before: bytes, after: bytes) -> bool:
    """Whether two pictures differ by no more than the browser's rounding of a few edges, which no eye can see."""
    old, new = (Image.open(io.BytesIO(picture)).convert("RGB") for picture in (before, after))
    return old.size == new.size and max(high for _, high in ImageChops.difference(old, new).getextrema()) <= ROUNDING


def _faults_before_friday(symbol: str, bars: pd.DataFrame) -> pd.DataFrame:
    """The page Data quality has something to show, and the last session is whole."""
    friday = bars["ts"] >= pd.Timestamp(lakes.FRIDAY, tz="UTC")
    early = bars["ts"] < pd.Timestamp(dt.date(2026, 11, 18), tz="UTC")
    middle = bars[~friday & ~early].reset_index(drop=True)
    return pd.concat([bars[early], lakes.with_faults(symbol, middle), bars[friday]])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
