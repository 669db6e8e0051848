"""The colours of both themes and what every chart has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import pandas as pd

SIMULATED = "SIMULATED"
MANY, TOO_MANY = 1_500, 6_000
"""Streamlit draws charts of 2,000 marks and more on a canvas, which cannot be saved as SVG, and which neither the
keyboard nor a screen reader reaches. Up to `TOO_MANY`, SVG is fast enough."""
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")


@dataclass(frozen=True)
class Palette:
    """The colours of one theme. A test checks that they match `.streamlit/config.toml`."""

    ink: str
    """Text."""
    paper: str
    """Background of the page."""
    faint: str
    """Guide lines and background bars."""
    up: str
    level: str
    down: str
    on_strong: str
    """Text on full `up` or `down`."""
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


# Altair would check each part of a chart as it is made; tests check whole charts.
alt.utils.schemapi.disable_debug_mode()


class Layers(alt.LayerChart):
    """Layered charts that are made quickly, each of layers of its own, with its own names of parameters.

    `alt.LayerChart` copies every layer several times and holds the whole to the schema, which would take most of a
    page's time. Tests do the latter.
    """

    def __init__(self, data: Any = alt.Undefined, layer: Sequence[Any] = (), **properties: Any) -> None:
        if lifted := _lifted(layer):
            properties["params"] = lifted
        super(alt.LayerChart, self).__init__(data=data, layer=list(layer), **properties)

    def to_dict(self, validate: bool = False, **options: Any) -> dict[str, Any]:
        """The chart as a Vega-Lite specification."""
        spec = super().to_dict(validate=validate, **options)
        is_whole = options.get("context", {}).get("top_level", True)
        if is_whole and MANY < _marks(self) <= TOO_MANY:
            spec["usermeta"] = {"embedOptions": {"renderer": "svg"}}
        return spec


def _lifted(parts: Sequence[Any]) -> list[alt.TopLevelSelectionParameter]:
    """The parameters of the layers `parts`, taken from them: Streamlit looks for selections at the top only."""
    lifted = []
    for part in parts:
        if part.params is alt.Undefined:
            continue
        for param in part.params:
            given = param.to_dict()
            if "views" not in given:
                part.name = f"{param.name}_view"
                given["views"] = [part.name]
            lifted.append(alt.TopLevelSelectionParameter(**given))
        part.params = alt.Undefined
    return lifted


def _marks(chart: Any, above: int = 0) -> int:
    """How many marks there are at most: the rows of each layer, or of the chart that it is a layer of."""
    rows = above if chart.data is alt.Undefined else len(chart.data)
    return sum(_marks(part, rows) for part in chart.layer) if isinstance(chart, Layers) else rows


def colours(tickers: Sequence[str], palette: Palette) -> dict[str, str]:
    """The colour of each ticker. After eight tickers colours repeat, with another shape."""
    return {ticker: palette.categories[n % len(palette.categories)] for n, ticker in enumerate(tickers)}


def colour_scale(tickers: Sequence[str], palette: Palette) -> alt.Scale:
    """Each ticker's colour, as a scale."""
    return alt.Scale(domain=list(tickers), range=list(colours(tickers, palette).values()))


def shape_scale(tickers: Sequence[str]) -> alt.Scale:
    """Each ticker's point shape, which changes each time the colours repeat."""
    repeat = len(LIGHT.categories)
    return alt.Scale(domain=list(tickers), range=[SHAPES[n // repeat % len(SHAPES)] for n in range(len(tickers))])


def layer(
    frame: pd.DataFrame | None, kind: Literal["area", "bar", "line", "point", "rect", "rule", "text"], **properties: Any
) -> alt.Chart:
    """A chart of one mark; without `frame`, of the data of the chart that it is a layer of.

    Does what altair's `mark_*` methods do; those lose the chart's type.
    """
    return alt.Chart(alt.Undefined if frame is None else frame, mark=alt.MarkDef(kind, **properties))


def title(text: str, *, simulated: bool) -> alt.TitleParams:
    """A chart's title, marked if the prices are simulated."""
    return alt.TitleParams(marked(text, simulated=simulated), anchor="start", fontSize=14, offset=10)


def marked(text: str, *, simulated: bool) -> str:
    """`text`, marked if the prices are simulated."""
    return f"{SIMULATED} · {text}" if simulated else text
