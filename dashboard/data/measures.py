"""How hourly highs compare: with a price, and with the same hours of earlier sessions. Pure functions of frames."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

import pandas as pd

from dashboard import labels

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
    frame = frame.merge(daily[["ticker", "session", "first_price"]], on=["ticker", "session"])
    return frame.assign(value=frame["high"] / frame["first_price"] - 1).drop(columns=["high", "first_price"])


def ranges(bars: pd.DataFrame, daily: pd.DataFrame) -> pd.DataFrame:
    """The range of each hour over the session's first price, in the shape of `over_open`. `bars` answers `bars`."""
    frame = bars.merge(
        daily[["ticker", "session", "bar_minutes", "first_price"]], on=["ticker", "session", "bar_minutes"]
    )
    hour = frame["ts"].dt.hour.rename("hour")
    hours = frame.groupby(["ticker", "session", hour]).agg(
        high=("high", "max"), low=("low", "min"), first_price=("first_price", "first")
    )
    return ((hours["high"] - hours["low"]) / hours["first_price"]).rename("value").reset_index()


def against(now: pd.DataFrame, past: pd.DataFrame) -> pd.DataFrame:
    """Each row of `now` among the rows of `past` with the same ticker and hour.

    Adds `percentile` (share of them that are lower, ties counted half, from 0 to 100), `usual` (their median), `past`
    (how many there are) and `unusual` (greater than every one of at least `LEAST`).
    """
    pairs = now.reset_index().merge(past, on=["ticker", "hour"], suffixes=("", "_past"))
    below = (pairs["value_past"] < pairs["value"]) + (pairs["value_past"] == pairs["value"]) / 2
    by_row = pairs.assign(below=below).groupby("index")
    found = now.assign(
        percentile=by_row["below"].mean() * 100,
        usual=by_row["value_past"].median(),
        past=by_row["below"].count(),
    )
    found["past"] = found["past"].fillna(0).astype("int64")
    return found.assign(unusual=(found["past"] >= LEAST) & (found["percentile"] == 100))


def joined(hours: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """`hours` with the columns that `against` adds; hours that were not compared have none of them."""
    frame = hours.merge(compared.drop(columns="value"), on=["ticker", "session", "hour"], how="left")
    return frame.assign(unusual=frame["unusual"].fillna(value=False).astype(bool))


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
    tops = hours.groupby("ticker")["high"].idxmax().tolist()
    return hours.assign(is_top=hours.index.isin(tops))


def with_restated(hours: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """`hours` with `restated`: how many bars of the hour the source changed or withdrew. `changes`: `restatements`."""
    bars = set(zip(changes["ticker"], changes["session"], changes["ts"], strict=True))
    found = Counter((ticker, session, ts.hour) for ticker, session, ts in bars)
    places = zip(hours["ticker"], hours["session"], hours["hour"], strict=True)
    return hours.assign(restated=[found[place] for place in places])


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


def _when(row: pd.Series) -> str:
    if "reached" in row:
        return f"at {row['reached']}"
    return f"on {labels.short_day(dt.date.fromisoformat(row['slot']))}"
