"""Outlook: forecasts of the highs, against what happened, and how good they have been."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import access, labels
from dashboard.charts.outlook import against_chart, calibration_chart, fan_chart, skill_chart
from dashboard.chrome import as_of, export, header, live, notes, one_ticker
from dashboard.chrome.theme import palette
from dashboard.data import figures, outlook, prices
from dashboard.data.lake import Lake
from tickerlake import exchange
from tickerlake.forecast.samples import DIRECTION
from tickerlake.forecast.scores import BASELINE, ORDER
from tickerlake.forecast.verdict import Verdict, verdict

_MAKE = "Make some with `tickerlake forecast`, or back-test earlier sessions with `tickerlake forecast --first DATE`."
_LATER = "They appear here once the owner of the lake makes some."


def page() -> None:
    """Draw the page."""
    lake = as_of.current_lake()
    held = lake.sessions()
    # The controls are on the right, so that they come after the chart on a phone.
    left, right = st.columns([3.2, 1], gap="medium")
    chosen = one_ticker.choose(lake, held, right, left)
    if chosen is None:
        return
    # More tickers would make the page slow; the command and the query score all of them.
    scored = tuple(dict.fromkeys([chosen.ticker, *chosen.tickers]))[: figures.SHOWN_AT_FIRST]
    with left:
        every = live.interval(lake, [chosen.session.date])
        live.live(_board, every)(lake, chosen.session, chosen.ticker, scored, simulated=header.is_simulated(held))


def _board(lake: Lake, session: exchange.Session, ticker: str, scored: tuple[str, ...], *, simulated: bool) -> None:
    """The sentence, the session with its fan, and the scores."""
    st.markdown(f"## {labels.escape(ticker)}, {labels.day(session.date)}")
    forecasts = lake.query("forecasts", tickers=scored)
    if forecasts.empty:
        _none(lake, "The lake has no forecasts." if lake.as_of is None else "The lake had no forecasts then.")
        return
    judged = verdict(forecasts)
    if judged.sentence:
        st.markdown(f"**{labels.escape(judged.sentence)}**")
    rows = outlook.shown(forecasts, ticker, session, judged.champions)
    if rows.empty:
        _none(lake, f"No forecasts of {labels.escape(ticker)} in this session.")
    else:
        _session(lake, session, ticker, rows, simulated=simulated)
        daily = prices.daily(lake, session.date, session.date)
        notes.gaps(daily[daily["ticker"] == ticker], session, lake.now())
    _scores(lake, scored, forecasts, judged, simulated=simulated)
    st.caption("Not investment advice.")


def _none(lake: Lake, said: str) -> None:
    st.info(said, icon=":material/query_stats:")
    if lake.as_of is None:
        st.markdown(_LATER if access.is_read_only() else _MAKE)


def _session(lake: Lake, session: exchange.Session, ticker: str, rows: pd.DataFrame, *, simulated: bool) -> None:
    hours = rows["hour"].unique().tolist()
    now = lake.now()
    # After the close, the first forecast shows most.
    hour = hours[-1] if now < session.close else hours[0]
    chosen = (
        st.select_slider(
            "Forecast of",
            hours,
            hour,
            format_func=lambda each: labels.hour_start(each, lake.exchange),
            key="outlook hour",
        )
        if (len(hours) > 1)
        else hour
    )
    bars = lake.query("bars", session.date, session.date, (ticker,))
    bars = bars[bars["bar_minutes"] == bars["bar_minutes"].min()]
    currency = labels.currency([ticker])
    fan = outlook.fan(rows, chosen, session)
    export.chart(
        fan_chart(bars, fan, palette(), session=session, simulated=simulated),
        "forecast",
        ticker,
        session.date,
        key="fan",
        alt=f"{ticker}: the high from {labels.hour_start(chosen, lake.exchange)} on may be "
        f"{fan['q05'].iloc[-1]:.2f} to "
        f"{fan['q95'].iloc[-1]:.2f} {currency}",
    )
    direction = rows[(rows["hour"] == chosen) & (rows["target"] == DIRECTION)]
    kind = rows.loc[rows["hour"] == chosen, "kind"].iloc[0]
    made = "made live" if kind == "live" else "back-tested"
    odds = f" Closes above the last price: {100 * direction['probability'].iloc[0]:.0f} %." if len(direction) else ""
    st.caption(f"Bands hold the highest price still to come in 50 and in 90 of 100 cases; {made}.{odds}")
    against = outlook.against(rows, "next-hour-high")
    met = against.dropna(subset=["actual"])
    export.chart(
        against_chart(
            against,
            palette(),
            place=lake.exchange,
            currency=currency,
            what="Each hour's high: forecast and outcome",
            simulated=simulated,
        ),
        "forecasts-and-outcomes",
        ticker,
        session.date,
        key="against",
        alt=f"{(met['inside'] == 'inside').sum()} of {len(met)} hourly highs lie inside their 90 % band",
    )


def _scores(lake: Lake, scored: tuple[str, ...], forecasts: pd.DataFrame, judged: Verdict, *, simulated: bool) -> None:
    """Calibration, and skill over time."""
    scores = lake.query("forecast_scores", tickers=scored)
    if scores.empty:
        st.info("No forecast has an outcome yet.", icon=":material/hourglass:")
        return
    left, right = st.columns(2, gap="medium")
    calibrated = outlook.calibrated(scores, judged.champions)
    with left:
        export.chart(
            calibration_chart(calibrated, palette(), simulated=simulated),
            "calibration",
            key="calibration",
            alt="Share of outcomes below each quantile, against the quantile",
        )
    model = next((name for name in judged.champions.values() if name != BASELINE), ORDER[1])
    course = outlook.skill(forecasts, model)
    with right:
        if course.empty:
            st.caption("Skill over time shows after 20 sessions with scores.")
            return
        export.chart(
            skill_chart(course, palette(), model=model, simulated=simulated),
            "skill",
            model,
            key="skill",
            alt=f"How much better than usual the forecasts of {model} have been",
        )


page()
