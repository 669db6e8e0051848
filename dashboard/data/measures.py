"""How hourly highs compare: with a price, and with the same hours of earlier sessions. Pure functions of frames."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from dashboard import labels
from dashboard.data.figures import rows

if TYPE_CHECKING:
    from dashboard.charts.axes import Scale

PAST = 20
"""How many earlier sessions are compared with."""
LEAST = 5
"""With fewer earlier sessions nothing is called unusual."""
Origin = Literal["open", "close", "usual"]
ORIGINS: dict[Origin, str] = {"open": "Open", "close": "Previous close", "usual": "Usual day"}


class Measure(NamedTuple):
    """What the views show of each hour."""

    label: str
    title: str
    scale: Scale

    def named(self, currency: str) -> Measure:
        """With the currency in its label and its title."""
        return self._replace(label=self.label.format(currency=currency), title=self.title.format(currency=currency))


MEASURES = {
    "high": Measure("High, {currency}", "Hourly highs, {currency}", "price"),
    "change": Measure("Change, %", "Hourly highs, change", "percent"),
    "unusual": Measure("Percentile of high", "Hourly highs over the open, percentile", "percentile"),
    "range": Measure("Percentile of range", "Hourly ranges, percentile", "percentile"),
}
"""By their names in the address. The last two need earlier sessions."""


def over_open(highs: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    """Each hourly high over the session's first price, as a share: `ticker`, `session`, `hour`, `value`.

    `highs` is the answer of `hourly_high`; `daily` has `first_price`, see `figures.with_change`.
    """
    frame = highs.loc[highs["touch"] == 1, ["ticker", "session", "hour", "high"]]
    return frame.assign(value=frame["high"] / _first_prices(frame, daily) - 1).drop(columns="high")


def ranges(hourly: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    """The range of each hour over the session's first price, in the shape of `over_open`. `hourly` is that answer."""
    value = (hourly["high"] - hourly["low"]) / _first_prices(hourly, daily)
    return hourly[["ticker", "session", "hour"]].assign(value=value)


def against(now: pd.DataFrame, past: pd.DataFrame) -> pd.DataFrame:
    """Each row of `now` among the rows of `past` with the same ticker and hour.

    Adds `percentile` (share of them that are lower, ties counted half, from 0 to 100), `usual` (their median), `past`
    (how many there are) and `unusual` (greater than every one of at least `LEAST`). Unknown values do not count.
    """
    values: dict[tuple[str, int], list[float]] = {}
    for ticker, hour, value in rows(past.dropna(subset="value"), "ticker", "hour", "value"):
        values.setdefault((ticker, hour), []).append(value)
    here = list(rows(now, "ticker", "hour", "value"))
    others = [[] if math.isnan(value) else values.get((ticker, hour), []) for ticker, hour, value in here]
    percentile = np.array([_among(value, those) for (*_, value), those in zip(here, others, strict=True)], float)
    counts = np.array([len(those) for those in others], int)
    return now.assign(
        percentile=percentile,
        usual=np.array([median(those) if those else np.nan for those in others], float),
        past=counts,
        unusual=(percentile == 100) & (counts >= LEAST),
    )


def joined(hours: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """`hours` with the columns that `against` adds; hours that were not compared have none of them."""
    place, added = ("ticker", "session", "hour"), ("percentile", "usual", "unusual")
    known = dict(zip(rows(compared, *place), rows(compared, *added), strict=True))
    found = [known.get(each, (np.nan, np.nan, False)) for each in rows(hours, *place)]
    columns = np.array(found, float).reshape(-1, len(added)).T
    return hours.assign(percentile=columns[0], usual=columns[1], unusual=columns[2] > 0)


def days(values: pd.DataFrame) -> pd.DataFrame:
    """The greatest value of each ticker's session, as its only hour, for `against`."""
    return values.groupby(["ticker", "session"], as_index=False)["value"].max().assign(hour=0)


def measured_from(hours: pd.DataFrame, origin: Origin, closes: pd.Series) -> pd.DataFrame:
    """`hours` with `change` from the `origin`, named in `basis`; hours without one are left out.

    `hours` comes from `joined` highs, so that its `usual` is the usual high over the open; `closes` has each ticker's
    previous close.
    """
    if origin == "open":
        return hours
    if origin == "close":
        before, basis = hours["ticker"].map(closes).astype("float64"), "previous close"
    else:
        opens = hours["high"] / (hours["change"] + 1)
        before, basis = opens * (1 + hours["usual"]), "usual day"
    found = hours.assign(change=hours["high"] / before - 1, basis=basis)
    return found.dropna(subset=["change"]).reset_index(drop=True)


def with_top(hours: pd.DataFrame) -> pd.DataFrame:
    """`hours` with `is_top`: the hour that reached each ticker's highest price first."""
    top: dict[str, tuple[float, int]] = {}
    for row, (ticker, high) in enumerate(rows(hours, "ticker", "high")):
        top[ticker] = max(top.get(ticker, (high, -row)), (high, -row))
    tops = {-row for _, row in top.values()}
    return hours.assign(is_top=[row in tops for row in range(len(hours))])


def with_restated(hours: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """`hours` with `restated`: how many bars of the hour the source changed or withdrew. `changes`: `restatements`."""
    bars = set(rows(changes, "ticker", "session", "ts"))
    found = Counter((ticker, session, ts.hour) for ticker, session, ts in bars)
    return hours.assign(restated=[found[place] for place in rows(hours, "ticker", "session", "hour")])


def ranking_column(scale: Scale) -> str:
    """The column by which tickers are ranked: prices of different tickers cannot be compared, changes can."""
    return "percentile" if scale == "percentile" else "change"


def ranked(hours: pd.DataFrame, scale: Scale) -> list[str]:
    """The tickers in the order that the views and the words share: by their greatest value, then by name."""
    greatest = (
        hours.groupby("ticker")[ranking_column(scale)].max().sort_index().sort_values(ascending=False, kind="stable")
    )
    return greatest.index.tolist()


def words(hours: pd.DataFrame, scale: Scale) -> str:
    """What the picture shows in one sentence: who reached the most and who the least, and when."""
    if hours.empty:
        return "No hourly highs in these sessions."
    column, order = ranking_column(scale), ranked(hours, scale)
    rows = [hours.loc[hours.loc[hours["ticker"] == ticker, column].idxmax()] for ticker in (order[0], order[-1])]
    best, worst = rows
    if column == "percentile":
        first = f"{best['ticker']} leads: percentile {best['percentile']:.0f}, {best['span']}"
        rest = f"{worst['ticker']} trails: {worst['percentile']:.0f}"
    else:
        high = f"{labels.price(best['high'])} {_when(best)}"
        first = f"{best['ticker']} leads: {high}, {labels.change(best['change'])} from its {best['basis']}"
        rest = f"{worst['ticker']} trails: {labels.change(worst['change'])}"
    return f"{first}." if len(order) == 1 else f"{first}; {rest}."


def unusual(today: pd.DataFrame, hours: pd.DataFrame) -> str:
    """Which tickers' highs of the day are unusual, and when they came, in one sentence.

    `today` comes from `against` of `days`, `hours` from `with_top`.
    """
    compared = today[today["past"] >= LEAST]
    if compared.empty:
        return f"Too few earlier sessions to say what is unusual: it takes {LEAST}."
    sessions = int(compared["past"].max())
    names = compared.loc[compared["unusual"], "ticker"].tolist()
    if not names:
        return f"No high is unusual: each is within those of {sessions} earlier sessions, over the open."
    tops = hours[hours["is_top"]].set_index("ticker")
    highs = [f"{name} ({labels.price(tops.loc[name, 'high'])} {_when(tops.loc[name])})" for name in names]
    return f"Unusual: {labels.listing(highs)}, highest over the open in {sessions + 1} sessions."


def _first_prices(frame: pd.DataFrame, daily: pd.DataFrame) -> np.ndarray:
    """Of each row of `frame`, the first price of its ticker's session; NaN where `daily` does not know it."""
    known = {(*whose,): price for *whose, price in rows(daily, "ticker", "session", "first_price")}
    return np.array([known.get(whose, np.nan) for whose in rows(frame, "ticker", "session")], float)


def _among(value: float, others: list[float]) -> float:
    """The percentile of `value` among `others`; NaN without any."""
    below = sum(other < value for other in others) + others.count(value) / 2
    return 100 * below / len(others) if others else math.nan


def _when(row: pd.Series) -> str:
    if "reached" in row:
        return f"at {row['reached']}"
    return f"on {labels.short_day(dt.date.fromisoformat(row['slot']))}"
