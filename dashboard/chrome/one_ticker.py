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


def choose(lake: Lake, held: pd.DataFrame, left: DeltaGenerator, right: DeltaGenerator) -> Choice | None:
    """Draw the controls in `left`. None if the lake lacks the session in the address; `right` then says so.

    `held` is the answer of `sessions`.
    """
    dates = [dt.date.fromisoformat(session) for session in held["session"]]
    with left:
        date = controls.session(dates)
        if date not in dates:
            url.write()
            with right:
                errors.no_session(date, dates, lake.now())
            return None
        daily = prices.daily(lake, date, date)
        tickers = daily["ticker"].tolist()
        ticker = controls.ticker(tickers, figures.first_choice(daily, lake.watchlist())[0])
    url.write()
    return Choice(exchange.session_on(date), ticker, tickers)
