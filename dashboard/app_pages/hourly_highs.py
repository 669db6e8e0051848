"""Hourly highs: each ticker's highest price in every hour, and whether that is unusual."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import labels
from dashboard.charts.axes import RESTATED
from dashboard.charts.heat_map import CELL, TEXTS_FIT, UNUSUAL, heat_map
from dashboard.charts.lines import LABELS_FIT, hourly_lines, shared_bounds, small_multiple
from dashboard.charts.theme import colours
from dashboard.chrome import as_of, controls, errors, export, header, live, notes, url
from dashboard.chrome.theme import palette
from dashboard.data import figures, measures, prices
from dashboard.data.compared import Question, compared
from dashboard.data.lake import Lake
from dashboard.data.measures import Measure
from tickerlake import exchange

HOURS_SHOWN = 10
"""Most sessions in a range that is drawn by the hour; longer ones are drawn by the session."""
MULTIPLES_SHOWN = 24
ROWS_SHOWN = 60
VIEWS = ("Heat map", "Lines", "Small multiples", "Table")
_GO = "open a cell"


def page() -> None:
    """Draw the page."""
    lake = as_of.current_lake()
    sessions = lake.sessions()
    held = [dt.date.fromisoformat(session) for session in sessions["session"]]
    # The controls are on the right, so that they come after the map on a phone.
    left, right = st.columns([3.2, 1], gap="medium")
    with right:
        controls.exchange(lake)
        span = controls.span(held)
        inside = [date for date in held if span.first <= date <= span.last]
        if not inside:
            url.write()
            with left:
                errors.no_session(lake, span.last, held)
            return
        tickers = _tickers(lake, span, len(inside))
        measure = controls.measure(
            sorted({labels.currency([ticker]) for ticker in tickers.chosen}), one_session=span.is_one_session
        )
        origin = controls.origin() if span.is_one_session and measure.scale != "percentile" else "open"
    url.write()
    with left.container(gap="xsmall"):
        if tickers.unknown:
            unknown = labels.escape(labels.listing(tickers.unknown))
            st.warning(f"No bars of {unknown} in these sessions.", icon=":material/search_off:")
        if not tickers.chosen:
            st.info("Choose a ticker to see its hourly highs.", icon=":material/touch_app:")
            return
        simulated = header.is_simulated(sessions)
        past = tuple(date for date in held if date < span.first)[: measures.PAST]
        board = live.live(_session if span.is_one_session else _range, live.interval(lake, [span.last]))
        board(lake, span, past, tuple(sorted(tickers.chosen)), measure, origin, simulated=simulated)


def _tickers(lake: Lake, span: controls.Span, sessions: int) -> controls.Tickers:
    if span.is_one_session:
        daily = prices.daily(lake, span.first, span.last)
        first_choice = figures.first_choice(daily, lake.watchlist())
        return controls.tickers(daily["ticker"].tolist(), first_choice, sessions=sessions)
    held = lake.query("tickers", span.first, span.last)["ticker"].tolist()
    watched = sorted(set(lake.watchlist()).intersection(held))
    return controls.tickers(held, watched or held[: figures.SHOWN_AT_FIRST], sessions=sessions)


def _session(
    lake: Lake,
    span: controls.Span,
    past: tuple[dt.date, ...],
    tickers: tuple[str, ...],
    measure: Measure,
    origin: measures.Origin,
    *,
    simulated: bool,
) -> None:
    """One session: what happened in words, and the views."""
    if st.session_state.pop(_GO, None):
        st.switch_page("app_pages/session.py", query_params=url.recall())
    now, session = lake.now(), lake.exchange.session_on(span.first)
    is_running = session.open <= now < session.close
    state = "running" if is_running else "early close" if session.early_close else "closed"
    st.markdown(f"## {labels.day(session.date)}, {state}")
    if origin == "close" and past and len(lake.exchange.sessions_between(past[0], span.first)) > 2:
        st.info(f"The session before {labels.day(span.first)} is not in the lake.", icon=":material/info:")
        origin = "open"
    question = Question(span.first, past, tickers, measure == measures.MEASURES["range"], origin)
    hours, left_out, today = compared(lake, question, is_running=is_running)
    st.markdown(labels.escape(f"{measures.words(hours, measure.scale)} {measures.unusual(today, hours)}"))
    for note in left_out:
        st.info(labels.escape(f"{note}."), icon=":material/info:")
    if not hours.empty:
        _views(lake, hours, span, tickers, measure, simulated=simulated)
    daily = prices.daily(lake, span.first, span.last)
    _notes(daily, daily[daily["ticker"].isin(tickers)], session, now)


def _range(
    lake: Lake,
    span: controls.Span,
    past: tuple[dt.date, ...],  # noqa: ARG001  # nothing is compared with earlier sessions
    tickers: tuple[str, ...],
    measure: Measure,
    origin: measures.Origin,  # noqa: ARG001  # always the first open
    *,
    simulated: bool,
) -> None:
    """A range of sessions: what happened in words, and the views."""
    daily = prices.daily(lake, span.first, span.last, tickers)
    held = [dt.date.fromisoformat(session) for session in sorted(daily["session"].unique())]
    count = labels.count(len(held), "session")
    st.markdown(f"## {labels.day(held[0])} to {labels.day(held[-1])}: {count}" if held else "## No sessions")
    by_session = measures.with_top(figures.per_session(daily))
    st.markdown(labels.escape(measures.words(by_session, measure.scale)))
    hours = by_session
    if len(held) <= HOURS_SHOWN:
        highs, left_out = lake.hourly_high(span.first, span.last, tickers)
        for note in left_out:
            st.info(labels.escape(f"{note}."), icon=":material/info:")
        hours = figures.hourly(highs, daily, lake.now(), lake.exchange)
    _views(lake, hours, span, tickers, measure, simulated=simulated, by_session=by_session)
    notes.midpoints(daily)


def _notes(daily: pd.DataFrame, mine: pd.DataFrame, session: exchange.Session, now: dt.datetime) -> None:
    """What to know about the numbers: a running hour, estimated prices, gaps, tickers not shown."""
    if session.open <= now < session.close and not mine.empty:
        newest = (mine["last_ts"] + pd.to_timedelta(mine["bar_minutes"], unit="m")).max()
        st.caption(
            f"The session runs until {labels.clock_time(session.close, session.exchange)}. Bars are in up to "
            f"{labels.clock_time(newest, session.exchange)}. The running hour is provisional."
        )
    notes.midpoints(mine)
    notes.gaps(mine, session, now)
    if len(daily) > len(mine):
        st.caption(f"Showing {len(mine)} of {labels.count(len(daily), 'ticker')} in this session.")


def _views(
    lake: Lake,
    hours: pd.DataFrame,
    span: controls.Span,
    tickers: tuple[str, ...],
    measure: Measure,
    *,
    simulated: bool,
    by_session: pd.DataFrame | None = None,
) -> None:
    """The charts and the table. In a range the heat map shows sessions, because hours leave no room for prices."""
    place = lake.exchange
    heat, lines, multiples, table = controls.views(VIEWS)
    if heat.open:
        with heat:
            _heat_map(hours if by_session is None else by_session, place, span, measure, simulated=simulated)
    if lines.open:
        with lines:
            chart = hourly_lines(hours, measure.scale, palette(), place=place, tickers=tickers, simulated=simulated)
            export.chart(chart, "hourly-highs", span, key="lines", alt=_in_words(hours, measure))
            if len(tickers) > LABELS_FIT:
                st.caption("Too many lines to label. Point at a line to see its ticker, or choose fewer tickers.")
    if multiples.open:
        with multiples:
            _small_multiples(hours, span, tickers, measure, simulated=simulated)
    if table.open:
        with table:
            _table(lake.hourly_high(span.first, span.last, tickers)[0], place, span)


def _heat_map(
    hours: pd.DataFrame, place: exchange.Exchange, span: controls.Span, measure: Measure, *, simulated: bool
) -> None:
    order = measures.ranked(hours, measure.scale)
    left_out = max(len(order) - ROWS_SHOWN, 0)
    if left_out:
        order = order[: ROWS_SHOWN // 2] + order[-ROWS_SHOWN // 2 :]
    shown = hours[hours["ticker"].isin(order)]
    by_hour = "hour" in hours
    heading = measure.title if by_hour else measure.title.replace("Hourly", "Session")
    with st.container(key="cells"):  # see keys.js
        export.chart(
            heat_map(shown, measure.scale, palette(), order=order, place=place, heading=heading, simulated=simulated),
            "hourly-highs",
            span,
            key="heat",
            alt=_in_words(hours, measure),
            on_select=_open_cell,
            selection_mode=CELL,
        )
    st.caption(
        (
            (
                f"Under each value: the minute that reached the hour's high; {labels.TIMES}2: two bars did. "
                f"{UNUSUAL} above every earlier session shown; {RESTATED} bars restated or withdrawn. "
                if shown["slot"].nunique() <= TEXTS_FIT
                else "Point at a cell to see its value. "
            )
            + "A frame marks the day's high. Click a cell, or press Enter on it, to open its hour."
            if by_hour
            else "A frame marks each ticker's greatest high."
        )
        + (f" {left_out} tickers between the first and the last are not shown." if left_out else "")
    )


def _open_cell() -> None:
    for cell in st.session_state["heat"]["selection"].get(CELL, []):
        if " " in cell["slot"]:  # a session of a range has no hour
            session, hour = cell["slot"].split()
            url.choose(ticker=cell["ticker"], session=session, hour=str(int(hour)))
            st.session_state[_GO] = True


def _small_multiples(
    hours: pd.DataFrame, span: controls.Span, tickers: tuple[str, ...], measure: Measure, *, simulated: bool
) -> None:
    colour = colours(tickers, palette())
    bounds = shared_bounds(hours, measure.scale)
    shown = [ticker for ticker in tickers if ticker in set(hours["ticker"])]
    with st.grid(min_column_width=165):
        for ticker in shown[:MULTIPLES_SHOWN]:
            chart = small_multiple(
                hours,
                measure.scale,
                palette(),
                ticker=ticker,
                colour=colour[ticker],
                bounds=bounds,
                simulated=simulated,
            )
            export.chart(chart, "hourly-highs", ticker, span, key=f"multiple {ticker}", alt=f"Hourly highs of {ticker}")
    if len(shown) > MULTIPLES_SHOWN:
        st.caption(f"The first {MULTIPLES_SHOWN} of {len(shown)} tickers. Choose fewer to see others.")


def _table(highs: pd.DataFrame, place: exchange.Exchange, span: controls.Span) -> None:
    """The answer of `hourly_high`."""
    export.table(
        highs.assign(
            hour=highs["hour"].map(lambda hour: labels.hour_span(hour, place)),
            ts=highs["ts"].dt.strftime("%Y-%m-%d %H:%M %Z"),
        ),
        "hourly-high",
        span,
        rows=highs,
        height=min(36 * (len(highs) + 1), 440),
        column_config={
            "ticker": "Ticker",
            "session": "Session",
            "hour": "Hour",
            "high": st.column_config.NumberColumn(f"High, {labels.currency(highs['ticker'])}", format="%.4f"),
            "ts": st.column_config.TextColumn("Touched at", help="Start of the bar, exchange time"),
            "touch": st.column_config.NumberColumn("Touch", help="1 for the first bar that reached the hourly high"),
        },
        alt="Hourly highs, one row per touch",
    )


def _in_words(hours: pd.DataFrame, measure: Measure) -> str:
    """The chart in words, for people who cannot see it."""
    column, order = measures.ranking_column(measure.scale), measures.ranked(hours, measure.scale)
    greatest = hours.groupby("ticker")[column].max()
    values = [
        f"{ticker} {greatest[ticker]:.0f}" if column == "percentile" else f"{ticker} {labels.change(greatest[ticker])}"
        for ticker in order
    ]
    return f"{measure.title}. Greatest of each ticker: {labels.listing(values, 30)}"


page()
