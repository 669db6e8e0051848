"""One ticker's session: candles with the hourly highs, and the volume below, on one time axis."""

from __future__ import annotations

import functools
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard import labels
from dashboard.charts.axes import DASH, LABELS_FIT, RESTATED, clock_axis, crosshair
from dashboard.charts.theme import Layers, Palette, layer, title
from tickerlake.exchange import Session

_PRICES, _VOLUMES = 0.78, 0.83
"""Where the prices end and the volumes begin, as shares of the height."""
_PALE = 0.5
_WITHDRAWN = "\N{MULTIPLICATION X}"


def candles(
    bars: pd.DataFrame,
    highs: pd.DataFrame,
    palette: Palette,
    *,
    session: Session,
    hour: int | None = None,
    changes: pd.DataFrame | None = None,
    split: str = "",
    under: pd.DataFrame | None = None,
    reach: float = 0.0,
    simulated: bool = False,
) -> Layers:
    """One ticker's bars of one session as candles, a line for each hourly high, a triangle for each touch, the volume.

    Bars that rose are hollow, bars that fell are filled, bars of a running hour are pale; a bar without an open or a
    close is a grey line from low to high. `highs` is the answer of `hourly_high` with `provisional` and `bar_minutes`.
    `hour` is shaded. `changes` are the last ones of each bar in `restatements`; a bar that was withdrawn is a dashed
    line where it was. `split` is written at the open. `under` has the course of another session, `minute` and `price`.
    The prices span `reach` as a share at least. Wheel and drag change the times shown, a double click resets them.
    """
    frame = _on_the_clock(bars, session).assign(side=_sides(bars), opacity=1.0)
    running = highs.loc[highs["provisional"].astype(bool), "hour"]
    frame["opacity"] = frame["opacity"].where(~bars["ts"].dt.hour.isin(running).to_numpy(), _PALE)
    changed = _changed(changes, session)
    low, high = float(bars["low"].min()), float(bars["high"].max())
    if under is not None and not under.empty:
        low, high = min(low, float(under["price"].min())), max(high, float(under["price"].max()))
    margin = max((high - low) * 0.08, high * 0.0005, (reach * high - (high - low)) / 2)
    has_volume = bool(bars["volume"].notna().any())
    bottom = alt.ExprRef(f"height * {_PRICES if has_volume else 1}")
    scale = alt.Scale(domain=[low - margin, high + margin], range=[bottom, 0], nice=False, zero=False)
    price = {"title": labels.currency(bars["ticker"].head(1)), "scale": scale, "axis": _axis(",.2f", 6)}
    prices = [
        _hours(palette, session),
        *_shade(hour, palette, session),
        *_under(under, palette, session, price),
        *_candles(frame, palette, session, price),
        *_highs(_on_the_clock(highs, session), palette, session, price),
        *_changes(changed, palette, session, price),
        *_split(split, palette, session),
    ]
    # Bound to the time axis alone: the prices keep their scale, so that bars stay comparable.
    zoom = alt.selection_interval(name="zoom", bind="scales", encodings=["x"])
    prices[-1] = prices[-1].add_params(zoom)
    parts = [Layers(layer=prices), *(_volumes(frame, palette, session) if has_volume else [])]
    pointed = crosshair(_columns(frame, highs, changed), palette, _clock(session), _tooltips())
    ticker, minutes = str(bars["ticker"].iloc[0]), int(bars["bar_minutes"].iloc[0])
    return Layers(
        layer=[*parts, *pointed],
        height=560 if has_volume else 440,
        title=title(f"{ticker}, {minutes}-minute bars and hourly highs", simulated=simulated),
        resolve=alt.Resolve(scale=alt.ScaleResolveMap(y="independent")),
    )


@functools.lru_cache(maxsize=8)
def _clock(session: Session) -> dict[str, Any]:
    """The time axis, which all layers share. Vega would draw its grid as high as the prices alone: see `_hours`."""
    return clock_axis(session, grid=False)


def _hours(palette: Palette, session: Session) -> alt.Chart:
    """A line at each hour, through prices and volumes."""
    x = _clock(session)
    frame = pd.DataFrame({"minute": x["axis"]["values"]})
    return layer(frame, "rule", color=palette.faint, opacity=0.3, clip=True).encode(x=alt.X("minute:Q", **x))


def _shade(hour: int | None, palette: Palette, session: Session) -> list[alt.Chart]:
    if hour is None:
        return []
    frame = _hour_ends(pd.Series([hour]), session).rename(columns={"hour_left": "from", "hour_right": "to"})
    x = alt.X("from:Q", **_clock(session))
    return [layer(frame, "rect", color=palette.faint, opacity=0.18, clip=True).encode(x=x, x2=alt.X2("to:Q"))]


def _under(under: pd.DataFrame | None, palette: Palette, session: Session, price: dict[str, Any]) -> list[alt.Chart]:
    if under is None or under.empty:
        return []
    line = layer(under, "line", color=palette.categories[1], strokeWidth=1.6, opacity=0.8, clip=True)
    return [line.encode(x=alt.X("minute:Q", **_clock(session)), y=alt.Y("price:Q", **price))]


def _candles(frame: pd.DataFrame, palette: Palette, session: Session, price: dict[str, Any]) -> list[alt.Chart]:
    x = _clock(session)
    colours = alt.Scale(domain=["rose", "fell", "unknown"], range=[palette.up, palette.down, palette.faint])
    opacity = alt.Opacity("opacity:Q", scale=None)
    known = frame[frame["side"] != "unknown"]
    # Without bodies the wicks are all there is to see.
    wicks = layer(frame, "rule", strokeWidth=3 if known.empty else 1, clip=True).encode(
        x=alt.X("middle:Q", **x),
        y=alt.Y("low:Q", **price),
        y2=alt.Y2("high:Q"),
        color=alt.Color("side:N", legend=None, scale=colours),
        opacity=opacity,
    )
    bodies = layer(known, "rect", strokeWidth=1.2, clip=True).encode(
        x=alt.X("left:Q", **x),
        x2=alt.X2("right:Q"),
        y=alt.Y("open:Q", **price),
        y2=alt.Y2("close:Q"),
        stroke=alt.Stroke("side:N", legend=None, scale=colours),
        fill=alt.FillValue(palette.down).condition(test="datum.side == 'rose'", value=palette.paper),
        opacity=opacity,
    )
    return [wicks] if known.empty else [wicks, bodies]


def _highs(touches: pd.DataFrame, palette: Palette, session: Session, price: dict[str, Any]) -> list[alt.Chart]:
    x = _clock(session)
    y = alt.Y("high:Q", **price)
    hours = touches[touches["touch"] == 1]
    layers = []
    for provisional, dash in ((False, [1, 0]), (True, DASH)):
        part = hours[hours["provisional"] == provisional]
        if not part.empty:
            rule = layer(part, "rule", strokeWidth=1.8, color=palette.ink, strokeDash=dash, clip=True)
            layers.append(rule.encode(x=alt.X("hour_left:Q", **x), x2=alt.X2("hour_right:Q"), y=y))
    # A price is wider than an hour of a day of 24: there, only the greatest one stands, towards the middle.
    named, end, align, right = hours, "hour_left", "left", 2
    if len(hours) > LABELS_FIT:
        named = hours.nlargest(1, "high")
        if named["middle"].iloc[0] > (session.minute(session.open) + session.minute(session.close)) / 2:
            end, align, right = "hour_right", "right", -2
    names = layer(
        named,
        "text",
        align=align,
        baseline="bottom",
        dy=-13,
        dx=right,
        fontSize=11,
        fontWeight=600,
        color=palette.ink,
        clip=True,
    )
    layers.append(names.encode(x=alt.X(f"{end}:Q", **x), y=y, text=alt.Text("high:Q", format=",.2f")))
    triangles = layer(
        touches,
        "point",
        shape="triangle-down",
        size=70,
        filled=True,
        opacity=1,
        color=palette.ink,
        yOffset=-6,
        clip=True,
    )
    layers.append(triangles.encode(x=alt.X("middle:Q", **x), y=y))
    return layers


def _changes(changed: pd.DataFrame, palette: Palette, session: Session, price: dict[str, Any]) -> list[alt.Chart]:
    """Where bars were before they were withdrawn or restated, and a sign above."""
    if changed.empty:
        return []
    x = alt.X("middle:Q", **_clock(session))
    before = layer(changed, "rule", strokeWidth=2, strokeDash=[2, 2], color=palette.faint, clip=True)
    signs = layer(changed, "text", fontSize=12, baseline="top", dy=6, color=palette.ink, clip=True)
    return [
        before.encode(x=x, y=alt.Y("old_low:Q", **price), y2=alt.Y2("old_high:Q")),
        signs.encode(x=x, y=alt.Y("old_low:Q", **price), text=alt.Text("sign:N")),
    ]


def _split(split: str, palette: Palette, session: Session) -> list[alt.Chart]:
    if not split:
        return []
    frame = pd.DataFrame({"minute": [session.minute(session.open)], "split": [split]})
    x = alt.X("minute:Q", **_clock(session))
    text = layer(
        frame,
        "text",
        align="left",
        baseline="top",
        dx=6,
        dy=6,
        fontSize=12,
        fontWeight=600,
        color=palette.ink,
        clip=True,
    )
    return [
        layer(frame, "rule", strokeWidth=3, color=palette.categories[1], clip=True).encode(x=x),
        text.encode(x=x, y=alt.YValue(0), text=alt.Text("split:N")),
    ]


def _volumes(frame: pd.DataFrame, palette: Palette, session: Session) -> list[alt.Chart]:
    """The volume of each bar, in shares; the vendor decides in what for a pair. Bars without a volume are left out."""
    known = frame.dropna(subset=["volume"]).astype({"volume": "float64"})
    unit = "volume" if session.exchange.trades_pairs else "shares"
    scale = alt.Scale(range=[alt.ExprRef("height"), alt.ExprRef(f"height * {_VOLUMES}")], zero=True, nice=False)
    return [
        layer(known, "rect", color=palette.faint, clip=True).encode(
            x=alt.X("left:Q", **_clock(session)),
            x2=alt.X2("right:Q"),
            y=alt.Y("volume:Q", title=unit, scale=scale, axis=_axis(".2~s", 3)),
            y2=alt.Y2Datum(0),
            opacity=alt.Opacity("opacity:Q", scale=None),
        )
    ]


def _columns(frame: pd.DataFrame, highs: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """What the tooltip tells of each bar; of a bar that was withdrawn nothing else is left."""
    places = ["at", "left", "right", "middle"]
    rows = (
        frame.merge(changed[[*places, "change"]], how="outer", on=places) if len(changed) else frame.assign(change="")
    )
    touches = dict(zip(highs["ts"].dt.strftime("%H:%M %Z"), highs["touch"], strict=True))
    notes = [
        " and ".join(filter(None, (f"touch {touches[at]} of the hourly high" if at in touches else "", change)))
        for at, change in zip(rows["at"], rows["change"].fillna(""), strict=True)
    ]
    half = frame["bar_minutes"].iloc[0] / 2
    columns = rows.assign(note=notes, left=rows["middle"] - half, right=rows["middle"] + half)
    columns["note"] = columns["note"].replace("", labels.DASH)
    return columns[[*places, "open", "high", "low", "close", "volume", "source", "note"]]


def _tooltips() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("at:N", title="bar"),
        *[alt.Tooltip(f"{name}:Q", title=name, format=",.4~f") for name in ("open", "high", "low", "close")],
        alt.Tooltip("volume:Q", title="volume", format=","),
        alt.Tooltip("source:N", title="source"),
        alt.Tooltip("note:N", title="note"),
    ]


def _changed(changes: pd.DataFrame | None, session: Session) -> pd.DataFrame:
    """`changes` on the clock, with a `sign` and the `change` in words."""
    if changes is None or changes.empty:
        return pd.DataFrame()
    frame = _on_the_clock(changes.dropna(subset=["old_high"]), session)
    is_gone = frame["kind"] == "withdrawn"
    return frame.assign(
        sign=np.where(is_gone, _WITHDRAWN, RESTATED),
        change=[
            "withdrawn" if gone else f"restated, high was {labels.price(old)}"
            for gone, old in zip(is_gone, frame["old_high"], strict=True)
        ],
    )[["at", "left", "right", "middle", "old_low", "old_high", "sign", "change"]]


def _sides(bars: pd.DataFrame) -> np.ndarray:
    unknown = bars["open"].isna() | bars["close"].isna()
    return np.select([unknown, bars["close"] < bars["open"]], ["unknown", "fell"], "rose")


def _on_the_clock(frame: pd.DataFrame, session: Session) -> pd.DataFrame:
    """`frame` with each bar's place on the exchange's clock, in minutes since midnight."""
    local = frame["ts"].dt
    start = local.hour * 60 + local.minute
    minutes = frame["bar_minutes"]
    placed = frame.assign(
        at=local.strftime("%H:%M %Z"),
        left=start + minutes * 0.14,
        right=start + minutes * 0.86,
        middle=start + minutes / 2,
    )
    if "hour" in frame:
        placed = placed.join(_hour_ends(frame["hour"], session))
    return placed.drop(columns=["ts", "collected_at"], errors="ignore")


def _hour_ends(hours: pd.Series, session: Session) -> pd.DataFrame:
    """Where each hour begins and ends on the clock while the session trades: `hour_left` and `hour_right`."""
    (opens, noon), (afternoon, closes) = (
        [session.minute(moment) for moment in part] for part in (session.parts * 2)[:2]
    )
    left, right = (hours * 60).clip(lower=opens), (hours * 60 + 60).clip(upper=closes)
    if noon < afternoon:  # a lunch break
        left = left.mask(left.between(noon, afternoon), afternoon)
        right = right.mask(right.between(noon, afternoon), noon)
    return pd.DataFrame({"hour_left": left, "hour_right": right})


def _axis(number: str, ticks: int) -> alt.Axis:
    return alt.Axis(format=number, tickCount=ticks, domain=False, ticks=False, labelPadding=8, orient="left")
