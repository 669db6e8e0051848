"""Hourly highs: each ticker's highest price in every hour, for one session or a range."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import labels
from dashboard.charts.axes import Scale
from dashboard.charts.heat_map import heat_map
from dashboard.charts.lines import LABELS_FIT, hourly_lines, shared_bounds, small_multiple
from dashboard.charts.theme import colours
from dashboard.chrome import as_of, cards, controls, errors, header, live, url
from dashboard.chrome.theme import palette
from dashboard.data import figures, prices
from dashboard.data.lake import ALL, Lake
from tickerlake import exchange
from tickerlake.errors import QueryFailed
from tickerlake.query.formats import to_csv

HOURS_SHOWN = 10
"""Most sessions in a range that is drawn by the hour; longer ones are drawn by the session."""
MULTIPLES_SHOWN = 24
ROWS_SHOWN = 60
VIEWS = ("Lines", "Heat map", "Small multiples", "Table")


def page() -> None:
    """Draw the page."""
    lake = as_of.current_lake()
    sessions = lake.sessions()
    held = [dt.date.fromisoformat(session) for session in sessions["session"]]
    top = st.container()
    st.space("xsmall")
    left, right = st.columns([1, 3.2], gap="medium")
    with left:
        span = controls.span(held)
        inside = [date for date in held if span.first <= date <= span.last]
        if not inside:
            url.write()
            with right:
                errors.no_session(span.last, held, lake.now())
            return
        tickers = _tickers(lake, span)
        scale = controls.scale()
    url.write()
    every = live.interval(lake, [span.last])
    # The chart comes before the cards above it: it takes the browser longest.
    with right:
        if tickers.unknown:
            unknown = labels.escape(labels.listing(tickers.unknown))
            st.warning(f"No bars of {unknown} in these sessions.", icon=":material/search_off:")
        if tickers.chosen:
            simulated = header.is_simulated(sessions)
            live.live(_board, every)(lake, span, tickers.chosen, scale, simulated=simulated)
        else:
            st.info("Choose a ticker to see its hourly highs.", icon=":material/touch_app:")
    with top:
        if span.is_one_session:
            live.live(_session_summary, every)(lake, span, tickers.chosen)
        else:
            live.live(_range_summary, every)(lake, span, sorted(inside), tickers.chosen)


def _tickers(lake: Lake, span: controls.Span) -> controls.Tickers:
    if span.is_one_session:
        daily = prices.daily(lake, span.first, span.last)
        return controls.tickers(daily["ticker"].tolist(), figures.first_choice(daily, lake.watchlist()))
    held = lake.query("tickers", span.first, span.last)["ticker"].tolist()
    watched = sorted(set(lake.watchlist()).intersection(held))
    return controls.tickers(held, watched or held[: figures.SHOWN_AT_FIRST])


def _session_summary(lake: Lake, span: controls.Span, chosen: list[str]) -> None:
    """The session in a sentence and four cards."""
    now = lake.now()
    session = exchange.session_on(span.first)
    daily = prices.daily(lake, span.first, span.last)
    mine = daily[daily["ticker"].isin(chosen)]
    is_running = session.open <= now < session.close
    state = "running" if is_running else "early close" if session.early_close else "closed"
    st.markdown(f"## {labels.day(session.date)}, {state}")
    if mine.empty:
        return
    try:
        highs, _ = lake.hourly_high(span.first, span.last, tuple(sorted(chosen)))
    except QueryFailed:
        return  # shown below, in the chart's place
    found = figures.movers(mine, highs)
    st.markdown(labels.escape(figures.headline(found, running=is_running)))
    _notes(daily, mine, session, now)
    if found:
        cards.movers(found, cards.hours())


def _range_summary(lake: Lake, span: controls.Span, held: list[dt.date], chosen: list[str]) -> None:
    """The range in a sentence and four cards; `held` are its sessions, oldest first."""
    first, last = held[0], held[-1]
    st.markdown(f"## {labels.day(first)} to {labels.day(last)}: {labels.count(len(held), 'session')}")
    if not chosen:
        return
    daily = prices.daily(lake, span.first, span.last, tuple(sorted(chosen)))
    found = figures.movers(figures.over_range(daily), daily, by="session")
    running = exchange.running(lake.now())
    is_running = running is not None and running.date == last
    st.markdown(labels.escape(figures.headline(found, running=is_running, since=first)))
    _midpoint_note(daily)
    if found:
        dates = [dt.date.fromisoformat(session) for session in sorted(daily["session"].unique())]
        cards.movers(found, cards.sessions(dates))


def _notes(daily: pd.DataFrame, mine: pd.DataFrame, session: exchange.Session, now: dt.datetime) -> None:
    """What to know before reading the numbers: a running hour, estimated prices, gaps, tickers not shown."""
    if session.open <= now < session.close:
        newest = (mine["last_ts"] + pd.to_timedelta(mine["bar_minutes"], unit="m")).max()
        st.caption(
            f"The session runs until {labels.clock_time(session.close)}. Bars are in up to "
            f"{labels.clock_time(newest)}. The running hour is provisional: dashed and hollow."
        )
    _midpoint_note(mine)
    if gaps := figures.incomplete(mine, session, now):
        names = labels.escape(labels.listing(gaps))
        verb = "has" if len(gaps) == 1 else "have"
        st.caption(f":material/warning: Partial: {names} {verb} bars missing; see **Data quality**.")
    if len(daily) > len(mine):
        st.caption(f"Showing {len(mine)} of {labels.count(len(daily), 'ticker')} in this session.")


def _midpoint_note(daily: pd.DataFrame) -> None:
    if note := figures.midpoint_note(daily):
        st.caption(f":material/info: {labels.escape(note)}")


def _board(lake: Lake, span: controls.Span, chosen: list[str], scale: Scale, *, simulated: bool) -> None:
    """The charts and the table."""
    tickers = tuple(sorted(chosen))
    # For one session the rest of the page has queried all tickers; for a range that could be many.
    daily = prices.daily(lake, span.first, span.last, ALL if span.is_one_session else tickers)
    daily = daily[daily["ticker"].isin(tickers)]
    highs, notes = lake.hourly_high(span.first, span.last, tickers)
    for note in notes:
        st.info(labels.escape(f"{note}."), icon=":material/info:")
    if highs.empty:
        return
    hours = figures.hourly(highs, daily, lake.now())
    drawn = hours if daily["session"].nunique() <= HOURS_SHOWN else figures.per_session(daily)
    lines, heat, multiples, table = controls.views(VIEWS)
    if lines.open:
        with lines:
            chart = hourly_lines(drawn, scale, palette(), tickers=tickers, simulated=simulated)
            st.altair_chart(chart, width="stretch", key="lines", alt=_in_words(daily))
            if len(tickers) > LABELS_FIT:
                st.caption("Too many lines to label. Point at a line to see its ticker, or choose fewer tickers.")
    if heat.open:
        with heat:
            _heat_map(lake, highs, daily, simulated=simulated)
    if multiples.open:
        with multiples:
            _small_multiples(drawn, tickers, simulated=simulated)
    if table.open:
        with table:
            _table(highs, span)


def _heat_map(lake: Lake, highs: pd.DataFrame, daily: pd.DataFrame, *, simulated: bool) -> None:
    """The heat map of the last session: the hours of several leave no room for prices."""
    session = daily["session"].max()
    last = daily[daily["session"] == session]
    order = last.sort_values("change", ascending=False)["ticker"].tolist()
    left_out = max(len(order) - ROWS_SHOWN, 0)
    if left_out:
        order = order[: ROWS_SHOWN // 2] + order[-ROWS_SHOWN // 2 :]
    shown = highs[(highs["session"] == session) & highs["ticker"].isin(order)]
    chart = heat_map(figures.hourly(shown, last, lake.now()), palette(), order=order, simulated=simulated)
    st.altair_chart(chart, width="stretch", key="heat", alt=_in_words(last))
    st.caption(
        f"{labels.day(dt.date.fromisoformat(session))}, best ticker first. {labels.TIMES}2: two bars reached the "
        "high. An ellipsis marks a running hour."
        + (f" {left_out} tickers between the best and the worst are not shown." if left_out else "")
    )


def _small_multiples(drawn: pd.DataFrame, tickers: tuple[str, ...], *, simulated: bool) -> None:
    colour = colours(tickers, palette())
    bounds = shared_bounds(drawn)
    with st.grid(min_column_width=165):
        for ticker in tickers[:MULTIPLES_SHOWN]:
            chart = small_multiple(
                drawn, palette(), ticker=ticker, colour=colour[ticker], bounds=bounds, simulated=simulated
            )
            st.altair_chart(chart, width="stretch", key=f"multiple {ticker}", alt=f"Hourly highs of {ticker}")
    if len(tickers) > MULTIPLES_SHOWN:
        st.caption(f"The first {MULTIPLES_SHOWN} of {len(tickers)} tickers. Choose fewer to see others.")


def _table(highs: pd.DataFrame, span: controls.Span) -> None:
    """The answer of `hourly_high`, also as CSV."""
    st.dataframe(
        highs.assign(hour=highs["hour"].map(labels.hour_span), ts=highs["ts"].dt.strftime("%Y-%m-%d %H:%M %Z")),
        hide_index=True,
        height=min(36 * (len(highs) + 1), 440),
        column_config={
            "ticker": "Ticker",
            "session": "Session",
            "hour": "Hour",
            "high": st.column_config.NumberColumn("High, USD", format="%.4f"),
            "ts": st.column_config.TextColumn("Touched at", help="Start of the bar, exchange time"),
            "touch": st.column_config.NumberColumn("Touch", help="1 for the first bar that reached the hourly high"),
        },
        alt="Hourly highs, one row per touch",
    )
    days = str(span.first) if span.is_one_session else f"{span.first}-to-{span.last}"
    st.download_button(
        "Download CSV",
        to_csv(highs),
        file_name=f"hourly-high-{days}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _in_words(daily: pd.DataFrame) -> str:
    """The chart in words, for people who cannot see it."""
    last = daily[daily["session"] == daily["session"].max()]
    changes = [f"{ticker} {labels.change(value)}" for ticker, value in zip(last["ticker"], last["change"], strict=True)]
    return f"Hourly highs. Change in the last session: {labels.listing(changes, 30)}"


page()
