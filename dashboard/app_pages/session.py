"""Session: one ticker's bars as candles with volume, its hourly highs, and every touch."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import labels
from dashboard.chrome import as_of, candles, controls, export, header, live, notes, one_ticker, url
from dashboard.data import figures
from dashboard.data.lake import Lake, coverage_until
from dashboard.data.session import OneSession, course, one_session
from tickerlake import exchange


def page() -> None:
    """Draw the page."""
    lake = as_of.current_lake()
    held = lake.sessions()
    # The controls are on the right, so that they come after the chart on a phone.
    left, right = st.columns([3.2, 1], gap="medium")
    chosen = one_ticker.choose(lake, held, right, left, by_key=True)
    if chosen is None:
        return
    hour = controls.hour(lake.exchange)
    with right:
        under = controls.other([dt.date.fromisoformat(session) for session in held["session"]], chosen.session.date)
    url.write()
    with left:
        every = live.interval(lake, [chosen.session.date])
        live.live(_board, every)(lake, chosen.session, chosen.ticker, hour, under, simulated=header.is_simulated(held))


def _board(
    lake: Lake, session: exchange.Session, ticker: str, hour: int | None, under: dt.date | None, *, simulated: bool
) -> None:
    """Figures, candles, volume, gaps, and the bars as a table."""
    now, date = lake.now(), session.date
    mine = one_session(lake, date, ticker)
    if mine is None:  # gone since the page asked which tickers there are
        return
    is_running = session.open <= now < session.close
    state = "running" if is_running else "early close" if session.early_close else "closed"
    st.markdown(f"## {labels.escape(ticker)}, {labels.day(date)}, {state}")
    _hour(mine.highs, hour, session.exchange)
    row = mine.daily.iloc[0]
    _figures(row, mine.hours)
    for note in mine.notes:
        st.info(labels.escape(f"{note}."), icon=":material/info:")
    beside = course(lake, under, ticker, row["first_price"]) if under else None
    candles.show(mine, session, hour=hour, under=beside, simulated=simulated)
    st.caption(_legend(mine, under))
    notes.midpoints(mine.daily)
    # A closed session with all its bars needs no query.
    if is_running or figures.incomplete(mine.daily, session, now):
        _gaps(lake, session, ticker, now)
    _changes(mine.changes, session.exchange)
    with st.expander(f"{labels.count(len(mine.bars), 'bar')} as a table", icon=":material/table:"):
        _table(mine.bars, ticker, session)


def _hour(highs: pd.DataFrame, hour: int | None, place: exchange.Exchange) -> None:
    """The hour that the visitor came for."""
    if hour is None:
        return
    mine = highs[highs["hour"] == hour]
    when = [labels.clock_time(moment, place) for moment in mine["ts"]]
    high = f"high {labels.price(mine['high'].iloc[0])} at {labels.listing(when)}" if when else "no bars"
    st.markdown(f"**{labels.hour_span(hour, place)}**: {high}")


def _figures(row: pd.Series, hours: pd.DataFrame) -> None:
    when = None
    if not hours.empty:
        peak = hours.loc[hours["high"].idxmax()]
        when = f"at {peak['reached']}, hour {peak['span']}"
    basis = f"from {labels.basis(has_open=row['has_open'])}"
    cells = (
        (
            f"Last, {labels.currency([row['ticker']])}",
            labels.price(row["last_price"]),
            labels.delta(row["change"]),
            basis,
        ),
        ("Open", labels.price(row["open"]) if row["has_open"] else "unknown", None, None),
        ("Session high", labels.price(row["high"]), None, when),
        ("Session low", labels.price(row["low"]), None, None),
        (
            "Volume",
            "unknown" if pd.isna(row["volume"]) else f"{row['volume']:,}",
            None,
            None if exchange.of(row["ticker"]).trades_pairs else "shares",
        ),
    )
    with st.container(horizontal=True, gap="medium"):
        for label, value, delta, description in cells:
            st.metric(label, value, delta, delta_description=description, width="content")


def _legend(mine: OneSession, under: dt.date | None) -> str:
    touches = labels.count(len(mine.highs), "touch", "touches")
    parts = [f"Lines mark the hourly highs, triangles the bars that reached them ({touches})."]
    if (mine.bars["open"].notna() & mine.bars["close"].notna()).any():
        parts.append("Hollow bars rose, filled bars fell.")
    if mine.hours["provisional"].any():
        parts.append("The running hour is provisional: dashed and pale.")
    if under:
        parts.append(f"The orange line is {labels.day(under)}, moved to the same open.")
    parts.append("Wheel and drag, or + and \N{MINUS SIGN} with Shift and the arrow keys, change the times shown.")
    parts.append("A double click, or 0, resets them.")
    return " ".join(parts)


def _gaps(lake: Lake, session: exchange.Session, ticker: str, now: dt.datetime) -> None:
    coverage = lake.query(
        "coverage", session.date, session.date, (ticker,), coverage_until(session.date, now, lake.exchange)
    )
    for row in coverage[coverage["missing"] > 0].to_dict("records"):
        st.caption(
            f":material/warning: Partial: {row['present']} of {row['expected']} {row['bar_minutes']}-minute bars; "
            f"missing {labels.escape(row['gaps'])} (exchange time)."
        )


def _changes(last: pd.DataFrame, place: exchange.Exchange) -> None:
    """The bars that the source changed later or no longer gives."""
    withdrawn = last[last["kind"] == "withdrawn"]
    if len(withdrawn):
        bars = [
            f"{labels.clock_time(bar.ts, place)} (high {labels.price(bar.old_high)})" for bar in withdrawn.itertuples()
        ]
        st.caption(
            f":material/block: Withdrawn: the source no longer gives {labels.count(len(bars), 'bar')}, "
            f"{labels.listing(bars)}. They do not count."
        )
    restated = last[last["kind"] != "withdrawn"]
    if len(restated):
        bars = [labels.clock_time(bar.ts, place) for bar in restated.itertuples()]
        st.caption(
            f":material/edit: Restated: the source changed {labels.count(len(bars), 'bar')} later, "
            f"{labels.listing(bars)}; see **Data quality**."
        )


def _table(bars: pd.DataFrame, ticker: str, session: exchange.Session) -> None:
    export.table(
        bars.assign(
            ts=bars["ts"].dt.strftime("%H:%M %Z"), collected_at=bars["collected_at"].dt.strftime("%Y-%m-%d %H:%M %Z")
        ),
        "bars",
        ticker,
        session.date,
        rows=bars,
        height=360,
        column_order=["ts", "open", "high", "low", "close", "volume", "source", "collected_at"],
        column_config={
            "ts": "Bar",
            "volume": st.column_config.NumberColumn("Volume", format="localized"),
            "source": "Source",
            "collected_at": "Collected",
            **{
                name: st.column_config.NumberColumn(name.capitalize(), format="%.4f")
                for name in ("open", "high", "low", "close")
            },
        },
        alt=f"Bars of {ticker}",
    )


page()
