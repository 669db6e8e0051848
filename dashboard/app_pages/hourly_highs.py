"""Hourly highs: each ticker's highest price in every hour of a session, or of a span of sessions."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import clock, labels
from dashboard.charts.axes import Scale, shared_bounds
from dashboard.charts.heat_map import heat_map
from dashboard.charts.lines import LABELS_FIT, hourly_lines, small_multiple
from dashboard.charts.theme import Palette, colours
from dashboard.chrome import cards, controls, errors, header, url
from dashboard.data import figures
from dashboard.data.lake import Lake
from tickerlake import exchange
from tickerlake.errors import QueryFailed
from tickerlake.query.formats import to_csv
from tickerlake.query.runner import EVERY_TICKER

# Sessions up to which a span is drawn by the hour, and beyond which by the day.
HOURS_SHOWN = 10
MULTIPLES_SHOWN = 24
ROWS_SHOWN = 60
VIEWS = ("Lines", "Heat map", "Small multiples", "Table")


def page() -> None:
    """The whole page."""
    lake = errors.current_lake()
    held_frame = lake.sessions()
    held = [dt.date.fromisoformat(session) for session in held_frame["session"]]
    simulated = header.is_simulated(held_frame)
    top = st.container()
    st.space("xsmall")
    left, right = st.columns([1, 3.2], gap="medium")
    with left:
        span = controls.span(held)
        inside = [date for date in held if span.first <= date <= span.last]
        if not inside:
            url.write_url()
            with right:
                errors.no_session(span.last, held, clock.now())
            return
        tickers = _tickers(lake, span)
        scale = controls.scale()
    url.write_url()
    every = header.refresh_interval([span.last])
    # The chart first, into its place below: the browser takes longest to draw it.
    with right:
        if tickers.unknown:
            st.warning(
                f"The lake holds no bars of {labels.listing(tickers.unknown)} in these sessions.",
                icon=":material/search_off:",
            )
        if tickers.chosen:
            errors.live(_board, every)(lake, span, tickers.chosen, scale, simulated=simulated)
        else:
            st.info("Choose a ticker to see its hourly highs.", icon=":material/touch_app:")
    with top:
        if span.is_one_session:
            errors.live(_summary, every)(lake, span, tickers.chosen)
        else:
            errors.live(_summary_of_span, every)(lake, span, sorted(inside), tickers.chosen)


def _tickers(lake: Lake, span: controls.Span) -> controls.Tickers:
    if span.is_one_session:
        daily = _daily(lake, span)
        return controls.tickers(daily["ticker"].tolist(), figures.first_choice(daily))
    there = lake.ask("tickers", span.first, span.last).frame["ticker"].tolist()
    watched = sorted(set(figures.WATCHLIST).intersection(there))
    return controls.tickers(there, watched or there[: figures.SHOWN_AT_FIRST])


def _daily(lake: Lake, span: controls.Span, tickers: tuple[str, ...] = (EVERY_TICKER,)) -> pd.DataFrame:
    """The answer of `daily` with `change`."""
    return figures.with_change(lake.ask("daily", span.first, span.last, tickers).frame)


def _summary(lake: Lake, span: controls.Span, chosen: list[str]) -> None:
    """What happened, in a sentence and four cards."""
    now = clock.now()
    session = exchange.session_on(span.first)
    daily = _daily(lake, span)
    mine = daily[daily["ticker"].isin(chosen)]
    is_running = session.open <= now < session.close
    state = "running" if is_running else "early close" if session.early_close else "closed"
    st.markdown(f"## {labels.day(session.date)}, {state}")
    if mine.empty:
        return
    try:
        highs = lake.ask("hourly_high", span.first, span.last, tuple(sorted(chosen))).frame
    except QueryFailed:
        return  # told below, where the chart would stand
    found = figures.movers(mine, highs)
    st.markdown(figures.headline(found, running=is_running))
    _notes(daily, mine, session, now, is_running=is_running)
    if not found:
        return
    cards.show(found, cards.hours())


def _summary_of_span(lake: Lake, span: controls.Span, held: list[dt.date], chosen: list[str]) -> None:
    """The same of the sessions `held`, oldest first, as if they were one."""
    first, last = held[0], held[-1]
    st.markdown(f"## {labels.day(first)} to {labels.day(last)}: {labels.count(len(held), 'session')}")
    if not chosen:
        return
    daily = _daily(lake, span, tuple(sorted(chosen)))
    found = figures.movers(figures.over_span(daily), daily, by="session")
    running = exchange.running(clock.now())
    st.markdown(figures.headline(found, running=running is not None and running.date == last, since=first))
    if found:
        cards.show(found, cards.sessions([dt.date.fromisoformat(each) for each in sorted(daily["session"].unique())]))


def _notes(
    daily: pd.DataFrame, mine: pd.DataFrame, session: exchange.Session, now: dt.datetime, *, is_running: bool
) -> None:
    """What to know before reading the numbers: a running hour, holes, tickers left out."""
    if is_running:
        newest = (mine["last_ts"] + pd.to_timedelta(mine["bar_minutes"], unit="m")).max()
        st.caption(
            f"The session runs until {labels.clock_time(session.close)}. Bars up to {labels.clock_time(newest)} are "
            "in; the running hour is provisional, drawn dashed and hollow."
        )
    holes = figures.incomplete(mine, session, now)
    if holes:
        st.caption(
            f":material/warning: Partial: {labels.listing(holes)} "
            f"{'has' if len(holes) == 1 else 'have'} fewer bars than the session; **Data quality** shows the gaps."
        )
    if len(daily) > len(mine):
        st.caption(f"Showing {len(mine)} of {labels.count(len(daily), 'ticker')} that the lake holds of this session.")


def _board(lake: Lake, span: controls.Span, chosen: list[str], scale: Scale, *, simulated: bool) -> None:
    """The charts and the table."""
    now = clock.now()
    tickers = tuple(sorted(chosen))
    palette = header.palette()
    # Of one session the rest of the page has asked for all tickers; of a long span they would be many.
    daily = _daily(lake, span) if span.is_one_session else _daily(lake, span, tickers)
    daily = daily[daily["ticker"].isin(tickers)]
    highs = lake.ask("hourly_high", span.first, span.last, tickers).frame
    hours = figures.hourly(highs, daily, now)
    by_hour = daily["session"].nunique() <= HOURS_SHOWN
    drawn = hours if by_hour else figures.per_session(daily)
    lines, heat, multiples, table = controls.views(VIEWS)
    if lines.open:
        with lines:
            st.altair_chart(
                hourly_lines(drawn, scale, palette, tickers=tickers, simulated=simulated),
                width="stretch",
                key="lines",
                alt=_in_words(daily),
            )
            if len(tickers) > LABELS_FIT:
                st.caption("Too many lines to name: point at one to read its ticker, or choose fewer.")
    if heat.open:
        with heat:
            _heat_maps(hours, daily, palette, simulated=simulated)
    if multiples.open:
        with multiples:
            _small_multiples(drawn, tickers, palette, simulated=simulated)
    if table.open:
        with table:
            _table(highs, span)


def _heat_maps(hours: pd.DataFrame, daily: pd.DataFrame, palette: Palette, *, simulated: bool) -> None:
    """The heat map of the last session on the page: more hours than one session's leave no room for prices."""
    session = daily["session"].max()
    last = daily[daily["session"] == session]
    order = last.sort_values("change", ascending=False)["ticker"].tolist()
    left_out = max(len(order) - ROWS_SHOWN, 0)
    if left_out:
        order = order[: ROWS_SHOWN // 2] + order[-ROWS_SHOWN // 2 :]
    mine = hours[(hours["session"] == session) & hours["ticker"].isin(order)]
    opens = last.set_index("ticker")["open"]
    st.altair_chart(
        heat_map(
            mine.assign(change=mine["high"] / mine["ticker"].map(opens) - 1), palette, order=order, simulated=simulated
        ),
        width="stretch",
        key="heat",
        alt=_in_words(last),
    )
    st.caption(
        f"{labels.day(dt.date.fromisoformat(session))}; best ticker first. {labels.TIMES}2 means that two bars "
        "reached the high, … that the hour is still running."
        + (f" {left_out} tickers between the best and the worst are left out." if left_out else "")
    )


def _small_multiples(drawn: pd.DataFrame, tickers: tuple[str, ...], palette: Palette, *, simulated: bool) -> None:
    colour = colours(tickers, palette)
    bounds = shared_bounds(drawn)
    with st.grid(min_column_width=165):
        for ticker in tickers[:MULTIPLES_SHOWN]:
            st.altair_chart(
                small_multiple(
                    drawn, palette, ticker=ticker, colour=colour[ticker], bounds=bounds, simulated=simulated
                ),
                width="stretch",
                key=f"multiple {ticker}",
                alt=f"Hourly highs of {ticker} against its open",
            )
    if len(tickers) > MULTIPLES_SHOWN:
        st.caption(f"The first {MULTIPLES_SHOWN} of {len(tickers)} tickers; choose fewer to see others.")


def _table(highs: pd.DataFrame, span: controls.Span) -> None:
    """The rows of the query, and the same as CSV."""
    st.dataframe(
        highs.assign(hour=highs["hour"].map(labels.hour_span), ts=highs["ts"].dt.strftime("%Y-%m-%d %H:%M %Z")),
        hide_index=True,
        height=min(36 * (len(highs) + 1), 440),
        column_config={
            "ticker": "Ticker",
            "session": "Session",
            "hour": "Hour",
            "high": st.column_config.NumberColumn("High, USD", format="%.4f"),
            "ts": st.column_config.TextColumn("Reached by the bar of", help="Start of the bar, in exchange time"),
            "touch": st.column_config.NumberColumn("Touch", help="1 is the hour's first bar that reached its high"),
        },
        alt="Hourly highs, one row for each bar that reached one",
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
    """What the chart shows, for people who cannot see it."""
    last = daily[daily["session"] == daily["session"].max()]
    told = [f"{ticker} {labels.change(change)}" for ticker, change in zip(last["ticker"], last["change"], strict=True)]
    return f"Hourly highs; from the open to the last price: {labels.listing(told, 30)}"


page()
