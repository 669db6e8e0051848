"""Session: one ticker's bars as candles with their volume, the hourly highs on them, and every touch."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import clock, labels
from dashboard.charts.candles import candles, volumes
from dashboard.chrome import controls, errors, header, url
from dashboard.data import figures
from dashboard.data.lake import Lake
from tickerlake import exchange
from tickerlake.query.formats import to_csv


def page() -> None:
    """The whole page."""
    lake = errors.current_lake()
    held = lake.sessions()
    dates = [dt.date.fromisoformat(session) for session in held["session"]]
    left, right = st.columns([1, 3.2], gap="medium")
    with left:
        date = controls.session(dates)
        if date not in dates:
            url.write_url()
            with right:
                errors.no_session(date, dates, clock.now())
            return
        daily = figures.with_change(lake.ask("daily", date, date).frame)
        there = daily["ticker"].tolist()
        ticker = controls.ticker(there, figures.first_choice(daily)[0])
    url.write_url()
    with right:
        errors.live(_board, header.refresh_interval([date]))(
            lake, exchange.session_on(date), ticker, simulated=header.is_simulated(held)
        )


def _board(lake: Lake, session: exchange.Session, ticker: str, *, simulated: bool) -> None:
    """Figures, candles, volume and the bars as a table."""
    now = clock.now()
    palette = header.palette()
    # Of every ticker, as the page has asked already to know which there are.
    daily = figures.with_change(lake.ask("daily", session.date, session.date).frame)
    daily = daily[daily["ticker"] == ticker]
    highs = lake.ask("hourly_high", session.date, session.date, (ticker,)).frame
    all_bars = lake.ask("bars", session.date, session.date, (ticker,)).frame
    hours = figures.hourly(highs, daily, now)
    row = daily.iloc[0]
    # Stored at several sizes, the finest is drawn, as `daily` counts it.
    bars = all_bars[all_bars["bar_minutes"] == row["bar_minutes"]]
    is_running = session.open <= now < session.close
    state = "running" if is_running else "early close" if session.early_close else "closed"
    st.markdown(f"## {ticker}, {labels.day(session.date)}, {state}")
    _figures(row, hours)
    notes = [
        f"A line marks each hour's high, a triangle each bar that reached it ({labels.count(len(highs), 'touch')})."
        .replace("touchs", "touches"),
        "Hollow bars rose, filled bars fell.",
    ]  # fmt: skip
    if hours["provisional"].any():
        notes.append("The running hour's high is provisional: dashed.")
    marked = highs.merge(hours[["hour", "provisional"]], on="hour", how="left").assign(bar_minutes=row["bar_minutes"])
    st.altair_chart(
        candles(bars, marked, palette, session=session, simulated=simulated),
        width="stretch",
        key="candles",
        alt=f"Candles of {ticker}: open {row['open']}, high {row['high']}, low {row['low']}, last {row['close']}",
    )
    if bars["volume"].notna().any():
        st.altair_chart(
            volumes(bars, palette, session=session),
            width="stretch",
            key="volumes",
            alt=f"Volume of {ticker}: {row['volume']} shares in the session",
        )
    st.caption(" ".join(notes))
    _gaps(lake, session, ticker, now)
    with st.expander(f"The {labels.count(len(bars), 'bar')} as a table", icon=":material/table:"):
        _table(bars, ticker, session)


def _figures(row: pd.Series, hours: pd.DataFrame) -> None:
    peak = hours.loc[hours["high"].idxmax()]
    figures = (
        ("Last", labels.price(row["close"]), labels.delta(row["change"]), "from its open"),
        ("Open", labels.price(row["open"]), None, None),
        ("Day's high", labels.price(row["high"]), None, f"at {peak['reached']}, hour {peak['span']}"),
        ("Day's low", labels.price(row["low"]), None, None),
        ("Volume", "none given" if pd.isna(row["volume"]) else f"{row['volume']:,}", None, "shares"),
    )
    with st.container(horizontal=True, gap="medium"):
        for label, value, delta, description in figures:
            st.metric(label, value, delta, delta_description=description, width="content")


def _gaps(lake: Lake, session: exchange.Session, ticker: str, now: dt.datetime) -> None:
    coverage = lake.ask("coverage", session.date, session.date, (ticker,), lake.counted_until(session.date, now)).frame
    missing = coverage[coverage["missing"] > 0]
    for row in missing.to_dict("records"):
        st.caption(
            f":material/warning: Partial: {row['present']} of {row['expected']} {row['bar_minutes']}-minute bars; "
            f"missing {row['gaps']} in exchange time."
        )


def _table(bars: pd.DataFrame, ticker: str, session: exchange.Session) -> None:
    st.dataframe(
        bars.assign(
            ts=bars["ts"].dt.strftime("%H:%M %Z"), collected_at=bars["collected_at"].dt.strftime("%Y-%m-%d %H:%M %Z")
        ),
        hide_index=True,
        height=360,
        column_order=["ts", "open", "high", "low", "close", "volume", "source", "collected_at"],
        column_config={
            "ts": "Bar of",
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
    st.download_button(
        "Download CSV",
        to_csv(bars),
        file_name=f"bars-{ticker}-{session.date}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


page()
