"""The charts of the dashboard: pure functions from a frame to an Altair chart.

Never colour alone: lines carry their ticker at their end and a mark of their own shape, cells carry their price, and
what is provisional is dashed and hollow. Colours are Okabe and Ito's, which differ for every kind of colour vision.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from dashboard import wording
from tickerlake.exchange import EXCHANGE_TIME, Session

Scale = Literal["percent", "usd"]
Mark = Literal["bar", "line", "point", "rect", "rule", "text"]

LINES_HEIGHT = 440
LABEL_GAP = 15
"""Pixels between the labels at the lines' ends, so that none covers another."""
LABELS_FIT = LINES_HEIGHT // LABEL_GAP
ROW_HEIGHT = 28
AROUND_ROWS = 130
"""Pixels that title, axis and legend take of a heat map's height: Streamlit fits all of it into the height given."""
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
DASH = [5, 4]

_PERCENT = "replace(format(datum.value, '+.1%'), '%', ' %')"
_TICKER_AXIS = alt.Axis(domain=False, ticks=False, labelFontWeight=600, labelOverlap=False, labelFlush=False)
SIMULATED = "SIMULATED"


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


def hourly_lines(
    hours: pd.DataFrame, scale: Scale, palette: Palette, *, tickers: Sequence[str], simulated: bool = False
) -> Layers:
    """Each ticker's hourly highs as a line, its name at the end; hours that still run are dashed and hollow.

    `hours` is what `market.hourly` or `market.per_session` makes; `tickers` fixes the order of colours and shapes.
    """
    value = "change" if scale == "percent" else "high"
    low, high, logarithmic = _bounds(hours[value], scale)
    slots = sorted(hours["slot"].unique())
    room = ["\u00a0" * n for n in range(1, 1 + max(1, math.ceil(len(slots) / 8)))]  # for the names at the lines' ends
    hover = alt.selection_point(name="hover", fields=["ticker"], on="pointerover", clear="pointerout", nearest=False)
    colour = alt.Color("ticker:N", title=None, legend=None, scale=_categories(tickers, palette))
    fill = alt.Fill("ticker:N", legend=None, scale=_categories(tickers, palette))
    x = alt.X(
        "slot:N", title=_axis_title(hours), sort=None, scale=alt.Scale(domain=slots + room), axis=_slot_axis(slots)
    )
    y = alt.Y(
        f"{value}:Q",
        title="from the open" if scale == "percent" else f"USD{', logarithmic' if logarithmic else ''}",
        scale=alt.Scale(domain=[low, high], nice=False, zero=False, type="log" if logarithmic else "linear"),
        axis=_value_axis(scale, 6),
    )
    faded = alt.OpacityValue(0.18).condition(param="hover", value=1)
    layers: list[alt.Chart] = []
    if scale == "percent":
        layers.append(_zero(y, palette))
    for finished, dash in ((True, [1, 0]), (False, DASH)):
        part = _stretches(hours, finished=finished)
        if not part.empty:
            layers.append(
                _chart(part, "line", strokeWidth=2, strokeDash=dash, clip=True).encode(
                    x=x, y=y, color=colour, detail="ticker:N", opacity=faded
                )
            )
    points = (
        _chart(hours, "point", size=46, strokeWidth=1.6, opacity=1)
        .properties(name="points")
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("ticker:N", legend=None, scale=_shapes(tickers)),
            fill=fill.condition(test="datum.provisional", value=palette.paper),
            opacity=faded,
            tooltip=_tooltip(hours),
        )
    )
    layers.append(points.add_params(hover))
    ends = _ends(hours, value, low, high, logarithmic=logarithmic)
    if len(ends) <= LABELS_FIT:
        layers.append(
            _chart(ends, "text", align="left", dx=9, fontSize=12, fontWeight=600).encode(
                x=x, y=alt.Y("label_at:Q"), text=alt.Text("ticker:N"), color=colour, opacity=faded
            )
        )
    return Layers(
        layer=layers,
        height=LINES_HEIGHT,
        title=_title("Hourly highs" if "hour" in hours else "Day's highs", simulated=simulated),
    )


def small_multiple(
    hours: pd.DataFrame, palette: Palette, *, ticker: str, colour: str, bounds: tuple[float, float], simulated: bool
) -> Layers:
    """One ticker's hourly highs against its open, on the scale that all tickers share."""
    mine = hours[hours["ticker"] == ticker]
    x = alt.X("slot:N", title=None, sort=None, axis=alt.Axis(labels=False, ticks=False, domain=False))
    y = alt.Y(
        "change:Q",
        title=None,
        scale=alt.Scale(domain=list(bounds), nice=False),
        axis=_value_axis("percent", 3),
    )
    layers = [_zero(y, palette)]
    for finished, dash in ((True, [1, 0]), (False, DASH)):
        part = _stretches(mine, finished=finished)
        if not part.empty:
            layers.append(_chart(part, "line", strokeWidth=2, strokeDash=dash, color=colour).encode(x=x, y=y))
    layers.append(
        _chart(mine, "point", size=30, strokeWidth=1.6, color=colour, opacity=1).encode(
            x=x,
            y=y,
            fill=alt.FillValue(colour).condition(test="datum.provisional", value=palette.paper),
            tooltip=_tooltip(mine),
        )
    )
    last = mine.iloc[-1]
    subtitle = f"high {wording.price(mine['high'].max())}, last {wording.change(last['change'])}"
    title = alt.TitleParams(
        f"{SIMULATED} · {ticker}" if simulated else ticker,
        subtitle=subtitle, anchor="start", fontSize=14, subtitleFontSize=11, subtitleColor=palette.ink, offset=4,
    )  # fmt: skip
    return Layers(layer=layers, height=130, title=title)


def heat_map(hours: pd.DataFrame, palette: Palette, *, order: Sequence[str], simulated: bool = False) -> Layers:
    """Ticker by hour: each cell the hourly high in USD, coloured by its distance from the open.

    `order` is the rows from above; of a high that more than one bar reached, the cell says how many did.
    """
    reach = max(float(hours["change"].abs().max()), 0.001)
    frame = hours.assign(
        label=[
            f"{wording.price(high).replace(',', '')}{_ties(touches)}{' …' if running else ''}"
            for high, touches, running in zip(hours["high"], hours["touches"], hours["provisional"], strict=True)
        ],
        strong=hours["change"].abs() > reach * 0.55,
    )
    slots = sorted(hours["slot"].unique())
    place: dict[str, Any] = {
        "x": alt.X(
            "slot:N", title=_axis_title(hours), sort=None, scale=alt.Scale(domain=slots), axis=_slot_axis(slots, "top")
        ),
        "y": alt.Y("ticker:N", title=None, sort=list(order), axis=_TICKER_AXIS),
        "tooltip": _tooltip(hours),
    }
    cells = _chart(frame, "rect", cornerRadius=3, stroke=palette.paper, strokeWidth=2).encode(
        **place,
        color=alt.Color(
            "change:Q",
            title="from the open",
            scale=alt.Scale(
                domain=[-reach, 0, reach], range=[palette.down, palette.level, palette.up], interpolate="rgb"
            ),
            legend=alt.Legend(orient="bottom", labelExpr=_PERCENT, gradientLength=180, tickCount=3, titleOrient="left"),
        ),
    )
    text = _chart(frame, "text", fontSize=11).encode(
        **place,
        text=alt.Text("label:N"),
        color=alt.ColorValue(palette.ink).condition(test="datum.strong", value=palette.on_strong),
    )
    return Layers(
        layer=[cells, text],
        height=ROW_HEIGHT * len(order) + AROUND_ROWS,
        title=_title("Hourly highs, USD", simulated=simulated),
    )


def candles(
    bars: pd.DataFrame, highs: pd.DataFrame, palette: Palette, *, session: Session, simulated: bool = False
) -> Layers:
    """One ticker's bars of one session as candles, the hourly highs as lines over them, each touch a mark.

    Bars that rose are hollow, bars that fell are filled. `highs` is the answer of `hourly_high` with `provisional`.
    """
    frame = _on_the_clock(bars)
    hourly = _on_the_clock(highs)
    low, high = float(bars["low"].min()), float(bars["high"].max())
    air = max((high - low) * 0.08, high * 0.0005)
    y_scale = alt.Scale(domain=[low - air, high + air], nice=False, zero=False)
    y_axis = alt.Axis(format=",.2f", tickCount=6, domain=False, ticks=False, labelPadding=8, minExtent=64, maxExtent=64)
    x = _clock_axis(session, labels=False)
    sides = alt.Scale(domain=["rose", "fell"], range=[palette.up, palette.down])
    tooltip = [
        alt.Tooltip("at:N", title="bar"),
        *[alt.Tooltip(f"{name}:Q", title=name, format=",.4~f") for name in ("open", "high", "low", "close")],
        alt.Tooltip("volume:Q", title="volume", format=","),
        alt.Tooltip("source:N", title="source"),
    ]
    wicks = _chart(frame, "rule").encode(
        x=alt.X("middle:Q", **x), y=alt.Y("low:Q", title="USD", scale=y_scale, axis=y_axis), y2="high:Q",
        color=alt.Color("side:N", legend=None, scale=sides),
        tooltip=tooltip,
    )  # fmt: skip
    bodies = _chart(frame, "rect", strokeWidth=1.2).encode(
        x=alt.X("left:Q", **x), x2="right:Q", y=alt.Y("open:Q", scale=y_scale), y2="close:Q",
        stroke=alt.Stroke("side:N", legend=None, scale=sides),
        fill=alt.FillValue(palette.down).condition(test="datum.side == 'rose'", value=palette.paper),
        tooltip=tooltip,
    )  # fmt: skip
    by_hour = hourly[hourly["touch"] == 1]
    layers: list[alt.Chart] = [wicks, bodies]
    for provisional, dash in ((False, [1, 0]), (True, DASH)):
        part = by_hour[by_hour["provisional"] == provisional]
        if not part.empty:
            layers.append(
                _chart(part, "rule", strokeWidth=1.8, color=palette.ink, strokeDash=dash).encode(
                    x=alt.X("hour_left:Q", **x), x2="hour_right:Q", y=alt.Y("high:Q", scale=y_scale)
                )
            )
    layers.append(
        _chart(
            by_hour,
            "text",
            align="left",
            baseline="bottom",
            dy=-13,
            dx=2,
            fontSize=11,
            fontWeight=600,
            color=palette.ink,
        ).encode(x=alt.X("hour_left:Q", **x), y=alt.Y("high:Q", scale=y_scale), text=alt.Text("high:Q", format=",.2f"))
    )
    layers.append(
        _chart(
            hourly, "point", shape="triangle-down", size=70, filled=True, opacity=1, color=palette.ink, yOffset=-6
        ).encode(
            x=alt.X("middle:Q", **x),
            y=alt.Y("high:Q", scale=y_scale),
            tooltip=[
                alt.Tooltip("at:N", title="touch at"),
                alt.Tooltip("high:Q", title="hour's high, USD", format=",.4~f"),
                alt.Tooltip("touch:Q", title="touch"),
            ],
        )
    )
    ticker = str(bars["ticker"].iloc[0])
    minutes = int(bars["bar_minutes"].iloc[0])
    return Layers(
        layer=layers, height=420, title=_title(f"{ticker}, {minutes}-minute bars and hourly highs", simulated=simulated)
    )


def volumes(bars: pd.DataFrame, palette: Palette, *, session: Session) -> alt.Chart:
    """The volume under the candles, on the same axis of time."""
    frame = _on_the_clock(bars).dropna(subset=["volume"])
    return (
        _chart(frame.astype({"volume": "float64"}), "rect", color=palette.faint)
        .encode(
            x=alt.X("left:Q", **_clock_axis(session, labels=True)),
            x2="right:Q",
            y=alt.Y(
                "volume:Q",
                title="shares",
                axis=alt.Axis(
                    format=".2~s", tickCount=3, domain=False, ticks=False, labelPadding=8, minExtent=64, maxExtent=64
                ),
            ),
            y2=alt.datum(0),
            tooltip=[alt.Tooltip("at:N", title="bar"), alt.Tooltip("volume:Q", title="volume", format=",")],
        )
        .properties(height=110)
    )


_MEANINGS = {
    "complete": "✓ complete",
    "early close": "✓ ½ early close",
    "partial": f"{wording.MINUS}n bars missing",
    "missing": "✕ no bar",
}
CELL = "cell"
STATES = ("complete", "early close", "partial", "missing")
"""What a ticker's session can be; an early close is a complete session of a shorter day."""


def coverage_map(coverage: pd.DataFrame, palette: Palette, *, simulated: bool = False) -> Layers:
    """Ticker by session: complete, partial with the bars missing, missing, early close; each with a sign of its own.

    `coverage` is the answer of `coverage` with `early_close`, one row a ticker and session. A click picks a cell: the
    selection `CELL` holds its `ticker` and `session`.
    """
    frame = coverage.assign(state=states(coverage), gaps=coverage["gaps"].where(coverage["gaps"] != "", "none"))
    frame["sign"] = frame["state"].map({"complete": "✓", "early close": "✓ ½", "missing": "✕"})
    frame["sign"] = frame["sign"].where(frame["state"] != "partial", wording.MINUS + frame["missing"].astype("str"))
    frame["shown_gaps"] = frame["gaps"].str.slice(0, 120)
    slots = sorted(frame["session"].unique())
    frame = frame.drop(columns="gaps")
    place: dict[str, Any] = {
        "x": alt.X(
            "session:N", title="session", sort=None, scale=alt.Scale(domain=slots), axis=_slot_axis(slots, "top")
        ),
        "y": alt.Y("ticker:N", title=None, sort=None, axis=_TICKER_AXIS),
        "tooltip": [
            alt.Tooltip("ticker:N"),
            alt.Tooltip("session:N"),
            alt.Tooltip("state:N"),
            alt.Tooltip("present:Q", title="bars"),
            alt.Tooltip("expected:Q", title="of"),
            alt.Tooltip("shown_gaps:N", title="missing"),
        ],
    }
    picked = alt.selection_point(name=CELL, fields=["ticker", "session"])
    cells = _chart(frame, "rect", cornerRadius=3, strokeWidth=2, cursor="pointer").encode(
        **place,
        stroke=alt.StrokeValue(palette.paper).condition(param=CELL, empty=False, value=palette.ink),
        color=alt.Color(
            "state:N",
            title=None,
            scale=alt.Scale(domain=list(STATES), range=[palette.up_soft, palette.early, palette.warn, palette.down]),
            legend=alt.Legend(
                orient="bottom",
                symbolType="square",
                labelExpr=f"({_MEANINGS})[datum.label]",
                columns=2,
                symbolSize=160,
            ),
        ),
    )
    text = _chart(frame, "text", fontSize=11).encode(
        **place,
        text=alt.Text("sign:N"),
        color=alt.ColorValue(palette.ink).condition(test="datum.state == 'missing'", value=palette.on_strong),
    )
    return Layers(
        layer=[cells.add_params(picked), text],
        height=24 * frame["ticker"].nunique() + AROUND_ROWS,
        title=_title("Coverage", simulated=simulated),
    )


def states(coverage: pd.DataFrame) -> pd.Series:
    """The state of each row of `coverage`, one of `STATES`."""
    return pd.Series(
        np.select(
            [coverage["present"] == 0, coverage["missing"] > 0, coverage["early_close"]],
            ["missing", "partial", "early close"],
            "complete",
        ),
        index=coverage.index,
        dtype="str",
    )


def sparkline(values: Sequence[float], colour: str, *, bars: bool = False) -> str:
    """A few values in a card, without axes, as an SVG picture: a Vega chart each would cost more than the page."""
    width, height, edge = 240, 52, 4
    least, most = (min(0, *values), max(0, *values)) if bars else (min(values), max(values))
    scale = (height - 2 * edge) / ((most - least) or 1)
    step = (width - 2 * edge) / max(len(values) - (0 if bars else 1), 1)

    def y(value: float) -> float:
        return height - edge - (value - least) * scale

    if bars:
        body = "".join(
            f'<rect x="{edge + step * (n + 0.15):.1f}" y="{min(y(value), y(0)):.1f}" width="{step * 0.7:.1f}" '
            f'height="{max(abs(y(value) - y(0)), 0.8):.1f}" rx="1.5" fill="{colour}"/>'
            for n, value in enumerate(values)
        )
    else:
        points = " ".join(f"{edge + step * n:.1f},{y(value):.1f}" for n, value in enumerate(values))
        body = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{body}</svg>'


def bars_per_session(held: pd.DataFrame, palette: Palette, *, simulated: bool = False) -> alt.Chart:
    """How many records each session holds; `held` is the answer of `sessions`."""
    frame = held.sort_values("session")
    slots = frame["session"].tolist()
    return (
        _chart(frame[["session", "records", "tickers", "sources"]], "bar", color=palette.up, cornerRadiusEnd=2)
        .encode(
            x=alt.X("session:N", title="session", sort=None, axis=_slot_axis(slots)),
            y=alt.Y("records:Q", title="records", axis=alt.Axis(format=",d", tickCount=4, domain=False, ticks=False)),
            tooltip=["session:N", alt.Tooltip("records:Q", format=","), "tickers:Q", "sources:N"],
        )
        .properties(height=220, title=_title("Records per session", simulated=simulated))
    )


def spread(values: Sequence[float], least: float, most: float, gap: float) -> list[float]:
    """`values` moved apart until neighbours are `gap` from each other, within `least` and `most` where they fit."""
    order = np.argsort(values, kind="stable")
    placed = np.asarray(values, dtype=float)[order]
    for _ in range(200):
        distances = np.diff(placed)
        close = distances < gap - 1e-9
        if not close.any():
            break
        push = np.where(close, (gap - distances) / 2, 0)
        placed[:-1] -= push
        placed[1:] += push
        placed = np.clip(placed, least, most)
    result = np.empty_like(placed)
    result[order] = placed
    return result.tolist()


def colours(tickers: Sequence[str], palette: Palette) -> dict[str, str]:
    """The colour of each ticker; after eight they begin again, with another shape."""
    return {ticker: palette.categories[n % len(palette.categories)] for n, ticker in enumerate(tickers)}


def shared_bounds(hours: pd.DataFrame) -> tuple[float, float]:
    """The scale that charts of several tickers share, from the open, as shares."""
    low, high, _ = _bounds(hours["change"], "percent")
    return low, high


def _on_the_clock(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with its bars' places on the exchange's clock, in minutes from midnight."""
    local = frame["ts"].dt
    start = local.hour * 60 + local.minute
    minutes = frame["bar_minutes"]
    placed = frame.assign(
        at=local.strftime("%H:%M %Z"), left=start + minutes * 0.14, right=start + minutes * 0.86,
        middle=start + minutes / 2,
    )  # fmt: skip
    if "hour" in frame:
        opens = 9 * 60 + 30
        return placed.assign(hour_left=(frame["hour"] * 60).clip(lower=opens), hour_right=frame["hour"] * 60 + 60)
    fell = frame["close"] < frame["open"]
    return placed.assign(side=np.where(fell, "fell", "rose")).drop(columns=["ts", "collected_at"], errors="ignore")


def _clock_axis(session: Session, *, labels: bool) -> dict[str, Any]:
    """From the open to the close on the exchange's clock; the session has no closed hours, so neither has the axis."""
    opens, closes = (
        moment.astimezone(EXCHANGE_TIME).hour * 60 + moment.astimezone(EXCHANGE_TIME).minute
        for moment in (session.open, session.close)
    )
    return {
        "title": f"New York ({wording.offset(session.open)})" if labels else None,
        "scale": alt.Scale(domain=[opens, closes], nice=False, zero=False),
        "axis": alt.Axis(
            values=[opens, *range((opens // 60 + 1) * 60, closes + 1, 60)],
            labelExpr="format(floor(datum.value / 60), '02d') + ':' + format(datum.value % 60, '02d')",
            labels=labels,
            domain=False,
            ticks=False,
            grid=True,
            labelPadding=8,
            labelOverlap="greedy",
        ),
    }


def _chart(
    frame: pd.DataFrame, kind: Literal["bar", "line", "point", "rect", "rule", "text"], **look: Any
) -> alt.Chart:
    # What altair's own `mark_*` methods do; those lose the chart's type on the way.
    return alt.Chart(frame, mark=alt.MarkDef(kind, **look))


def _zero(y: alt.Y, palette: Palette) -> alt.Chart:
    """The line of no change."""
    return _chart(pd.DataFrame({"change": [0.0]}), "rule", color=palette.faint, strokeDash=[2, 3]).encode(y=y)


def _ties(touches: int) -> str:
    return f" {wording.TIMES}{touches}" if touches > 1 else ""


def _title(text: str, *, simulated: bool) -> alt.TitleParams:
    return alt.TitleParams(f"{SIMULATED} · {text}" if simulated else text, anchor="start", fontSize=14, offset=10)


def _categories(tickers: Sequence[str], palette: Palette) -> alt.Scale:
    return alt.Scale(domain=list(tickers), range=list(colours(tickers, palette).values()))


def _shapes(tickers: Sequence[str]) -> alt.Scale:
    eight = len(LIGHT.categories)
    return alt.Scale(domain=list(tickers), range=[SHAPES[n // eight % len(SHAPES)] for n in range(len(tickers))])


def _bounds(values: pd.Series, scale: Scale) -> tuple[float, float, bool]:
    """Least and most of the axis with some air, and whether the prices ask for a log scale."""
    low, high = float(values.min()), float(values.max())
    if scale == "percent":
        low, high = min(low, 0.0), max(high, 0.0)
        air = max((high - low) * 0.06, 0.001)
        return low - air, high + air, False
    if high > 4 * low:
        return low * 0.94, high * 1.06, True
    air = max((high - low) * 0.06, high * 0.001)
    return low - air, high + air, False


def _stretches(hours: pd.DataFrame, *, finished: bool) -> pd.DataFrame:
    """The rows to draw as full lines, or as dashed ones: an hour that still runs, and the one before it."""
    if finished:
        return hours[~hours["provisional"]]
    following = hours.groupby("ticker")["provisional"].shift(-1, fill_value=False)
    return hours[hours["provisional"] | following]


def _ends(hours: pd.DataFrame, value: str, low: float, high: float, *, logarithmic: bool) -> pd.DataFrame:
    """Where each line's name stands: at its last point, moved up or down so that all can be read."""
    ends = hours.groupby("ticker", as_index=False).last()

    def measure(number: float) -> float:
        return math.log(number) if logarithmic else number

    least, most = measure(low), measure(high)
    at = spread([measure(each) for each in ends[value]], least, most, (most - least) * LABEL_GAP / LINES_HEIGHT)
    ends["label_at"] = np.exp(at) if logarithmic else at
    return ends[["ticker", "slot", "label_at"]]


def _value_axis(scale: Scale, ticks: int) -> alt.Axis:
    """Percent with their sign, or USD."""
    label = f"datum.value == 0 ? '0 %' : {_PERCENT}" if scale == "percent" else "format(datum.value, ',.2f')"
    return alt.Axis(labelExpr=label, tickCount=ticks, domain=False, ticks=False, labelPadding=8)


def _slot_axis(slots: Sequence[str], orient: Literal["top", "bottom"] = "bottom") -> alt.Axis:
    """Labels for hours (`10:00`), for the hours of several sessions (their date, once) or for sessions."""
    by_hour = len(slots[0]) > len("2026-11-20")
    sessions_shown = sorted({slot[:10] for slot in slots})
    if by_hour and len(sessions_shown) == 1:
        names = {slot: wording.hour_start(int(slot[11:])) for slot in slots}
    elif by_hour:
        names = {
            min(slot for slot in slots if slot[:10] == date): wording.short_day(dt.date.fromisoformat(date))
            for date in sessions_shown
        }
    else:
        every = max(1, len(slots) // 10)
        names = {slot: wording.short_day(dt.date.fromisoformat(slot)) for slot in slots[::every]}
    return alt.Axis(
        orient=orient,
        labelAngle=0,
        labelExpr=_lookup(names.items()),
        values=list(names),
        domain=False,
        ticks=False,
        labelPadding=8,
        labelOverlap="greedy",
        labelFlush=False,
    )


def _lookup(pairs: Iterable[tuple[str, str]]) -> str:
    """A Vega expression that names each value; only digits, letters and signs of dates and times go in."""
    return "({" + ", ".join(f"'{key}': '{name}'" for key, name in pairs) + "})[datum.value] || ''"


def _axis_title(hours: pd.DataFrame) -> str:
    if "hour" not in hours:
        return "session"
    offsets = sorted({wording.offset(moment) for moment in hours["ts"]})
    return f"hour in New York ({', then '.join(offsets)})"


def _tooltip(hours: pd.DataFrame) -> list[alt.Tooltip]:
    tips = [alt.Tooltip("ticker:N", title="ticker"), alt.Tooltip("session:N", title="session")]
    if "hour" in hours:
        tips += [
            alt.Tooltip("span:N", title="hour"),
            alt.Tooltip("high:Q", title="high, USD", format=",.4~f"),
            alt.Tooltip("change:Q", title="from the open", format="+.2%"),
            alt.Tooltip("reached:N", title="first reached"),
            alt.Tooltip("touches:Q", title="bars that reached it"),
            alt.Tooltip("provisional:N", title="hour still running"),
        ]
    else:
        tips += [
            alt.Tooltip("high:Q", title="day's high, USD", format=",.4~f"),
            alt.Tooltip("change:Q", title="from the first open", format="+.2%"),
        ]
    return tips
