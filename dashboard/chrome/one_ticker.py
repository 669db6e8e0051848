"""The choice of one session and one of its tickers, for pages that show a single ticker."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import pandas as pd
from streamlit.delta_generator import DeltaGenerator

from dashboard.chrome import controls, errors, url
from dashboard.data import figures, prices
from dashboard.data.lake import Lake
from tickerlake import exchange


class Choice(NamedTuple):
    """A session, the ticker to show, and every ticker in the session."""

    session: exchange.Session
    ticker: str
    tickers: list[str]


def choose(
    lake: Lake, held: pd.DataFrame, side: DeltaGenerator, main: DeltaGenerator, *, by_key: bool = False
) -> Choice | None:
    """Draw the controls in `side`. None if the lake lacks the session in the address; `main` then says so.

    `held` is the answer of `sessions`. With `by_key` the arrow keys step through sessions and tickers.
    """
    dates = [dt.date.fromisoformat(session) for session in held["session"]]
    with side:
        controls.exchange(lake)
        date = controls.session(dates, by_key=by_key)
        if date not in dates:
            url.write()
            with main:
                errors.no_session(lake, date, dates)
            return None
        daily = prices.daily(lake, date, date)
        tickers = daily["ticker"].tolist()
        ticker = controls.ticker(tickers, figures.first_choice(daily, lake.watchlist())[0], by_key=by_key)
    url.write()
    return Choice(lake.exchange.session_on(date), ticker, tickers)
