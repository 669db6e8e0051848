"""Hourly highs: each ticker's highest price in every hour of a session, or of a span of sessions."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import charts, clock, header, market, picking, problems, wording
from dashboard.lake import Lake
from functions.collector import sessions
from queries.formats import to_csv
from queries.runner import EVERY_TICKER

# Sessions up to which a span is drawn by the hour, and beyond which by the day.
HOURS_SHOWN = 10
MULTIPLES_SHOWN = 24
ROWS_SHOWN = 60
VIEWS = ("Lines", "Heat map", "Small multiples", "Table")


def page() -> None:
    """The whole page."""
    lake = problems.current_lake()
    held_frame = lake.sessions()
    held = [dt.date.fromisoformat(session) for session in held_frame["session"]]
    simulated = header.is_simulated(held_frame)
    top = st.container()
    st.space("xsmall")
    left, right = st.columns([1, 3.2], gap="medium")
    with left:
        span = picking.span(held)
        inside = [date for date in held if span.first <= date <= span.last]
        if not inside:
            picking.write_url()
            with right:
                problems.tell_no_session(span.last, held, clock.now())
            return
        tickers = _tickers(lake, span)
        scale = picking.scale()
    picking.write_url()
    every = header.refresh_interval([span.last])
    # The chart first, into its place below: the browser takes longest to draw it.
    with right:
        if tickers.unknown:
            st.warning(
                f"The lake holds no bars of {wording.listing(tickers.unknown)} in these sessions.",
                icon=":material/search_off:",
            )
        if tickers.chosen:
            problems.live(_board, every)(lake, span, tickers.chosen, scale, simulated=simulated)
        else:
            st.info("Choose a ticker to see its hourly highs.", icon=":material/touch_app:")
    with top:
        if span.is_one_session:
            problems.live(_summary, every)(lake, span, tickers.chosen)
        else:
            st.markdown(
                f"## {wording.day(span.first)} to {wording.day(span.last)}: {wording.count(len(inside), 'session')}"
            )


def _tickers(lake: Lake, span: picking.Span) -> picking.Tickers:
    if span.is_one_session:
        daily = _daily(lake, span)
        return picking.tickers(daily["ticker"].tolist(), market.first_choice(daily))
    there = lake.ask("tickers", span.first, span.last).frame["ticker"].tolist()
    return picking.tickers(there, [t for t in market.WATCHLIST if t in there] or there[: market.SHOWN_AT_FIRST])


def _daily(lake: Lake, span: picking.Span, tickers: tuple[str, ...] = (EVERY_TICKER,)) -> pd.DataFrame:
    """The answer of `daily` with `change`."""
    return market.with_change(lake.ask("daily", span.first, span.last, tickers).frame)


def _summary(lake: Lake, span: picking.Span, chosen: list[str]) -> None:
    """What happened, in a sentence and four cards."""
    now = clock.now()
    session = sessions.session_on(span.first)
    daily = _daily(lake, span)
    mine = daily[daily["ticker"].isin(chosen)]
    is_running = session.open <= now < session.close
    state = "running" if is_running else "early close" if session.early_close else "closed"
    st.markdown(f"## {wording.day(session.date)}, {state}")
    if mine.empty:
        return
    highs = lake.ask("hourly_high", span.first, span.last, tuple(sorted(chosen))).frame
    found = market.movers(mine, highs)
    st.markdown(market.headline(found, running=is_running))
    _notes(daily, mine, session, now, is_running=is_running)
    if not found:
        return
    cards = st.columns(4 if len(found) > 1 else 1, gap="small")
    with cards[0]:
        _mover_card("Best", found[0])
    if len(found) > 1:
        with cards[1]:
            _mover_card("Worst", found[-1])
        with cards[2]:
            _breadth_card(found)
        with cards[3]:
            _hour_card(found)


def _notes(
    daily: pd.DataFrame, mine: pd.DataFrame, session: sessions.Session, now: dt.datetime, *, is_running: bool
) -> None:
    """What to know before reading the numbers: a running hour, holes, tickers left out."""
    if is_running:
        newest = (mine["last_ts"] + pd.to_timedelta(mine["bar_minutes"], unit="m")).max()
        st.caption(
            f"The session runs until {wording.clock_time(session.close)}. Bars up to {wording.clock_time(newest)} are "
            "in; the running hour is provisional, drawn dashed and hollow."
        )
    holes = market.incomplete(mine, session, now)
    if holes:
        st.caption(
            f":material/warning: Partial: {wording.listing(holes)} "
            f"{'has' if len(holes) == 1 else 'have'} fewer bars than the session; **Data quality** shows the gaps."
        )
    if len(daily) > len(mine):
        st.caption(f"Showing {len(mine)} of {wording.count(len(daily), 'ticker')} that the lake holds of this session.")


def _mover_card(label: str, mover: market.Mover) -> None:
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.metric(
            f"{label}: {mover.ticker}",
            f"{wording.price(mover.close)} USD",
            wording.delta(mover.change),
            delta_description="from its open",
        )
        palette = header.palette()
        st.image(
            charts.sparkline(mover.highs, palette.up if mover.change > 0 else palette.down),
            width="stretch",
            alt=f"Hourly highs of {mover.ticker}",
        )
        st.caption(
            f"Day's high **{wording.price(mover.high)}** in {wording.hour_span(mover.high_hour)}, "
            f"low **{wording.price(mover.low)}**"
        )


def _breadth_card(found: list[market.Mover]) -> None:
    """How the tickers stand against their opens."""
    risen = sum(mover.change > 0 for mover in found)
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.metric(
            "Above their open",
            f"{risen} of {len(found)}",
            wording.delta(sum(mover.change for mover in found) / len(found)),
            delta_description="on average",
        )
        st.image(
            charts.sparkline([mover.change for mover in found], header.palette().faint, bars=True),
            width="stretch",
            alt="Change of each ticker from its open, best first",
        )
        st.caption(f"From {found[0].ticker} (best) to {found[-1].ticker} (worst)")


def _hour_card(found: list[market.Mover]) -> None:
    """The hour in which most tickers had their day's high."""
    counts = market.high_hours(found)
    hour = max(counts, key=counts.__getitem__)
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.metric(
            "Hour of the day's highs",
            wording.hour_span(hour),
            f"{counts[hour]} of {len(found)}",
            delta_color="off",
            delta_arrow="off",
            delta_description="tickers",
        )
        st.image(
            charts.sparkline([counts[each] for each in wording.HOURS], header.palette().faint, bars=True),
            width="stretch",
            alt="Day's highs by hour",
        )
        st.caption("Day's highs by hour, 09:30 to 16:00")


def _board(lake: Lake, span: picking.Span, chosen: list[str], scale: charts.Scale, *, simulated: bool) -> None:
    """The charts and the table."""
    now = clock.now()
    tickers = tuple(sorted(chosen))
    palette = header.palette()
    # Of one session the rest of the page has asked for all tickers; of a long span they would be many.
    daily = _daily(lake, span) if span.is_one_session else _daily(lake, span, tickers)
    daily = daily[daily["ticker"].isin(tickers)]
    highs = lake.ask("hourly_high", span.first, span.last, tickers).frame
    hours = market.hourly(highs, daily, now)
    by_hour = daily["session"].nunique() <= HOURS_SHOWN
    drawn = hours if by_hour else market.per_session(daily)
    lines, heat, multiples, table = st.tabs(VIEWS, key="view", on_change="rerun", bind="query-params")
    if lines.open:
        with lines:
            st.altair_chart(
                charts.hourly_lines(drawn, scale, palette, tickers=tickers, simulated=simulated),
                width="stretch",
                key="lines",
                alt=_in_words(daily),
            )
            if len(tickers) > charts.LABELS_FIT:
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


def _heat_maps(hours: pd.DataFrame, daily: pd.DataFrame, palette: charts.Palette, *, simulated: bool) -> None:
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
        charts.heat_map(
            mine.assign(change=mine["high"] / mine["ticker"].map(opens) - 1), palette, order=order, simulated=simulated
        ),
        width="stretch",
        key="heat",
        alt=_in_words(last),
    )
    st.caption(
        f"{wording.day(dt.date.fromisoformat(session))}; best ticker first. {wording.TIMES}2 means that two bars "
        "reached the high, … that the hour is still running."
        + (f" {left_out} tickers between the best and the worst are left out." if left_out else "")
    )


def _small_multiples(
    drawn: pd.DataFrame, tickers: tuple[str, ...], palette: charts.Palette, *, simulated: bool
) -> None:
    colour = charts.colours(tickers, palette)
    bounds = charts.shared_bounds(drawn)
    with st.container(horizontal=True, gap="medium"):
        for ticker in tickers[:MULTIPLES_SHOWN]:
            st.altair_chart(
                charts.small_multiple(
                    drawn, palette, ticker=ticker, colour=colour[ticker], bounds=bounds, simulated=simulated
                ),
                width=250,
                key=f"multiple {ticker}",
                alt=f"Hourly highs of {ticker} against its open",
            )
    if len(tickers) > MULTIPLES_SHOWN:
        st.caption(f"The first {MULTIPLES_SHOWN} of {len(tickers)} tickers; choose fewer to see others.")


def _table(highs: pd.DataFrame, span: picking.Span) -> None:
    """The rows of the query, and the same as CSV."""
    st.dataframe(
        highs.assign(hour=highs["hour"].map(wording.hour_span), ts=highs["ts"].dt.strftime("%Y-%m-%d %H:%M %Z")),
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
    told = [f"{ticker} {wording.change(change)}" for ticker, change in zip(last["ticker"], last["change"], strict=True)]
    return f"Hourly highs; from the open to the last price: {wording.listing(told, 30)}"


page()
