"""The colours of both themes and what every chart has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import pandas as pd

SIMULATED = "SIMULATED"


SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")


@dataclass(frozen=True)
class Palette:
    """The colours of one theme; `categories` are those of `.streamlit/config.toml`, which a test holds together."""

    ink: str
    """Text on the page."""
    paper: str
    """The page itself."""
    faint: str
    """Lines that only help to read."""
    up: str
    level: str
    down: str
    on_strong: str
    """Text on the strong end of `up` and `down`."""
    up_soft: str
    early: str
    warn: str
    categories: tuple[str, ...]


LIGHT = Palette(
    ink="#0E141C",
    paper="#FFFFFF",
    faint="#8A94A3",
    up="#0072B2",
    level="#F1F3F5",
    down="#C2560A",
    on_strong="#FFFFFF",
    up_soft="#D6E9F5",
    early="#CFEDE3",
    warn="#FBE3A6",
    categories=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B58900", "#3A9BD9", "#6B4FA0", "#5B6670"),
)


DARK = Palette(
    ink="#E8EDF2",
    paper="#10151C",
    faint="#77838F",
    up="#1F86C9",
    level="#232C37",
    down="#C76A1A",
    on_strong="#FFFFFF",
    up_soft="#17405C",
    early="#14503F",
    warn="#6B5313",
    categories=("#56B4E9", "#E69F00", "#2BC49A", "#E393BF", "#F0E442", "#8FA8FF", "#F07850", "#A9B4C0"),
)


class Layers(alt.LayerChart):
    """Charts over one another. Not checked against Vega-Lite's schema unless asked, as tests do: checking takes
    longer than everything else about a chart, and Streamlit would do it on every run.
    """

    def to_dict(self, validate: bool = False, **options: Any) -> dict[str, Any]:
        """The chart as a Vega-Lite specification."""
        return super().to_dict(validate=validate, **options)


def colours(tickers: Sequence[str], palette: Palette) -> dict[str, str]:
    """The colour of each ticker; after eight they begin again, with another shape."""
    return {ticker: palette.categories[n % len(palette.categories)] for n, ticker in enumerate(tickers)}


def colour_scale(tickers: Sequence[str], palette: Palette) -> alt.Scale:
    """Each ticker's colour."""
    return alt.Scale(domain=list(tickers), range=list(colours(tickers, palette).values()))


def shape_scale(tickers: Sequence[str]) -> alt.Scale:
    """Each ticker's point shape; it changes when colours repeat."""
    eight = len(LIGHT.categories)
    return alt.Scale(domain=list(tickers), range=[SHAPES[n // eight % len(SHAPES)] for n in range(len(tickers))])


def layer(frame: pd.DataFrame, kind: Literal["bar", "line", "point", "rect", "rule", "text"], **look: Any) -> alt.Chart:
    """A chart of one mark, `look` its properties."""
    # What altair's own `mark_*` methods do; those lose the chart's type on the way.
    return alt.Chart(frame, mark=alt.MarkDef(kind, **look))


def title(text: str, *, simulated: bool) -> alt.TitleParams:
    """A chart's title, which says so where prices are simulated."""
    return alt.TitleParams(f"{SIMULATED} · {text}" if simulated else text, anchor="start", fontSize=14, offset=10)
