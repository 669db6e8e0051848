"""Across days: when the high comes, and one ticker's sessions on one clock, in a calendar, and side by side."""

from __future__ import annotations

import datetime as dt

import streamlit as st

from dashboard import labels
from dashboard.charts.coverage import states
from dashboard.charts.days import CELL, calendar, one_clock
from dashboard.charts.high_hour import histogram, hour_map
from dashboard.chrome import as_of, candles, controls, errors, export, header, live, notes, url
from dashboard.chrome.theme import palette
from dashboard.data import days, figures, high_hour, prices
from dashboard.data.lake import Lake, coverage_until
from dashboard.data.session import OneSession, one_session

VIEWS = ("When the high comes", "One clock", "Calendar", "Side by side")
_GO = "open a session"


def page() -> None:
    """Draw the page."""
    lake = as_of.current_lake()
    held = lake.sessions()
    dates = [dt.date.fromisoformat(session) for session in held["session"]]
    # The controls are on the right, so that they come after the chart on a phone.
    left, right = st.columns([3.2, 1], gap="medium")
    with left:
        tabs = dict(zip(VIEWS, controls.views(VIEWS, "compare"), strict=True))
    with right:
        controls.exchange(lake)
        date = controls.session(dates)
        if date not in dates:
            url.write()
            with left:
                errors.no_session(lake, date, dates)
            return
        inside = controls.window(dates, date) if not tabs[VIEWS[3]].open else [date]
        daily = prices.daily(lake, date, date)
        first_choice = figures.first_choice(daily, lake.watchlist())
        several = tabs[VIEWS[0]].open
        held_today = daily["ticker"].tolist()
        tickers = controls.tickers(held_today, first_choice, sessions=len(inside)).chosen if several else []
        ticker = "" if several else controls.ticker(held_today, first_choice[0])
        other = None
        if tabs[VIEWS[1]].open or tabs[VIEWS[3]].open:
            other = controls.other(dates, date, required=bool(tabs[VIEWS[3]].open))
    url.write()
    simulated = header.is_simulated(held)
    for name, draw in zip(VIEWS[1:], (_one_clock, _calendar, _side_by_side), strict=True):
        if tabs[name].open:
            with tabs[name]:
                live.live(draw, live.interval(lake, [date]))(lake, ticker, inside, other, simulated=simulated)
    if several:
        with tabs[VIEWS[0]]:
            live.live(_high_hour, None)(lake, tuple(sorted(tickers)), inside, simulated=simulated)


def _high_hour(lake: Lake, tickers: tuple[str, ...], inside: list[dt.date], *, simulated: bool) -> None:
    """How often each hour held the day's high and low, in words, for all tickers, and for each."""
    if not tickers:
        st.info("Choose a ticker to see when its high comes.", icon=":material/touch_app:")
        return
    answer = lake.query("high_hour", inside[-1], inside[0], tickers)
    if answer.empty:
        st.info("No bars that lie within one clock hour in these sessions.", icon=":material/info:")
        return
    shares = high_hour.compared(answer, lake.exchange)
    shares = shares.assign(unusual=high_hour.unusual(shares))
    st.markdown(f"**{labels.escape(high_hour.words(shares))}**")
    pooled = high_hour.POOLED if high_hour.POOLED in set(shares["ticker"]) else shares["ticker"].iloc[0]
    order = list(dict.fromkeys(shares["ticker"]))
    for column, extreme in zip(st.columns(2, gap="medium"), high_hour.EXTREMES, strict=True):
        mine = shares[shares["extreme"] == extreme]
        best = mine.loc[mine["odds"].idxmin()]
        with column:
            export.chart(
                histogram(
                    mine[mine["ticker"] == pooled], palette(), place=lake.exchange, extreme=extreme, simulated=simulated
                ),
                extreme,
                "by-hour",
                inside[-1],
                "to",
                inside[0],
                key=f"shares {extreme}",
                alt=f"Share of the day's {extreme}s in each hour, with what chance gives",
            )
            export.chart(
                hour_map(mine, palette(), place=lake.exchange, order=order, extreme=extreme, simulated=simulated),
                extreme,
                "by-hour-and-ticker",
                inside[-1],
                "to",
                inside[0],
                key=f"map {extreme}",
                alt=f"Furthest from chance: {best['ticker']}, {best['span']}, {best['count']} of {best['sessions']}",
            )
    st.caption(
        "Chance is a random walk that moves as much in each hour as the ticker did; the grey band and, where there is "
        "room, the second line of each cell hold 95 of 100 such walks. A frame marks what chance does not explain, "
        "given how many cells "
        f"there are. Tickers move together, so {high_hour.POOLED.lower()} count as one."
    )


def _one_clock(lake: Lake, ticker: str, inside: list[dt.date], other: dt.date | None, *, simulated: bool) -> None:
    """The session over the median and the bands of the sessions before it."""
    session = lake.exchange.session_on(inside[0])
    wanted = [*inside, *([other] if other else [])]
    first, last = min(wanted), max(wanted)
    daily = prices.daily(lake, first, last, (ticker,))
    courses = days.courses(lake.query("bars", first, last, (ticker,)), daily)
    mine = courses[courses["session"] == session.dt]
    past = courses[courses["session"].isin([date.isoformat() for date in inside[1:]])]
    beside = courses[courses["session"] == other.isoformat()] if other else None
    basis = labels.basis(has_open=bool(daily["has_open"].all()))
    stands = days.place(mine, past, basis)
    st.markdown(f"**{labels.escape(ticker)}, {labels.day(session.date)}.** {stands}")
    export.chart(
        one_clock(
            mine,
            days.bands(past),
            palette(),
            ticker=ticker,
            session=session,
            basis=basis,
            other=beside,
            simulated=simulated,
        ),
        "one-clock",
        ticker,
        session.date,
        key="one clock",
        alt=f"{ticker} on {labels.day(session.date)}. {stands}",
    )
    beside_it = f" The orange line is {labels.day(other)}." if other else ""
    before = past["session"].nunique()
    bands = f"Bands hold 50 and 90 of 100 of the {before} sessions before; the dashed line is their median."
    st.caption((bands if before > 1 else "The dashed line is the session before." if before else "") + beside_it)
    shown = daily[daily["session"] == session.dt]
    notes.midpoints(shown)
    notes.gaps(shown, session, lake.now())


def _calendar(lake: Lake, ticker: str, inside: list[dt.date], _: dt.date | None, *, simulated: bool) -> None:
    """Each session's range, half days, gaps and restatements."""
    if st.session_state.pop(_GO, None):
        st.switch_page("app_pages/session.py", query_params=url.recall())
    first, last = inside[-1], inside[0]
    coverage = lake.query("coverage", first, last, (ticker,), coverage_until(last, lake.now(), lake.exchange))
    frame = days.calendar(
        lake.exchange.sessions_between(first, last),
        prices.daily(lake, first, last, (ticker,)),
        coverage.assign(state=states(coverage.assign(early_close=False))),
        lake.query("restatements", first, last, (ticker,)),
    )
    widest = frame.loc[frame["range"].idxmax()]
    said = f"{labels.day(dt.date.fromisoformat(widest['session']))} has the widest range, {widest['range']:.1%}"
    st.markdown(labels.escape(f"{ticker}: {said}.".replace("%", " %")))
    with st.container(key="cells"):  # see keys.js
        export.chart(
            calendar(frame, palette(), ticker=ticker, simulated=simulated),
            "calendar",
            ticker,
            first,
            "to",
            last,
            key="calendar",
            alt=f"{ticker}: {said}",
            on_select=_open_session,
            selection_mode=CELL,
        )
    st.caption(
        "½ half day, \N{MINUS SIGN}4 bars missing, ✕ no bars, ✎ bars restated or withdrawn. Click a day to open it."
    )


def _side_by_side(lake: Lake, ticker: str, inside: list[dt.date], other: dt.date | None, *, simulated: bool) -> None:
    """Two sessions in candles, their prices on scales that span the same share."""
    if other is None:
        st.info("The lake has no other session.", icon=":material/info:")
        return
    shown = [(date, one_session(lake, date, ticker)) for date in sorted((inside[0], other))]
    reach = max((_range(mine) for _, mine in shown if mine), default=0.0) * 1.16
    for column, (date, mine) in zip(st.columns(2, gap="medium"), shown, strict=True):
        with column:
            if mine is None:
                st.info(f"No bars of {labels.escape(ticker)} on {labels.day(date)}.", icon=":material/info:")
                continue
            row = mine.daily.iloc[0]
            st.markdown(
                f"**{labels.day(date)}**: {labels.change(row['change'])}, high {labels.price(row['high'])}, "
                f"range {labels.change(_range(mine)).removeprefix('+')}"
            )
            session = lake.exchange.session_on(date)
            candles.show(mine, session, key=f"zoom {date}", reach=reach, simulated=simulated)
            notes.midpoints(mine.daily)
            notes.gaps(mine.daily, session, lake.now())
    st.caption("Both scales span the same share of the price, so that a move of one percent is as high on both.")


def _range(mine: OneSession) -> float:
    """From low to high, as a share of the high."""
    row = mine.daily.iloc[0]
    return float((row["high"] - row["low"]) / row["high"])


def _open_session() -> None:
    for cell in st.session_state["calendar"]["selection"].get(CELL, []):
        url.choose(session=cell["session"], to=None, hour=None)
        st.session_state[_GO] = True


page()
