"""Data quality: what is there and what is missing, what was rejected, what changed, how old it is."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import streamlit as st

from dashboard import clock, labels
from dashboard.charts.coverage import CELL, coverage_map, states
from dashboard.chrome import cards, errors, header
from dashboard.data import rejected
from dashboard.data.lake import Lake
from tickerlake import exchange

WINDOWS = (5, 10, 20, 60)
ROWS_SHOWN = 40


def page() -> None:
    """The whole page."""
    lake = errors.current_lake()
    held = lake.sessions()
    dates = [dt.date.fromisoformat(session) for session in held["session"]]
    simulated = header.is_simulated(held)
    window = st.segmented_control(
        "Window",
        WINDOWS,
        key="window",
        default=WINDOWS[1],
        required=True,
        format_func=lambda count: f"last {count} sessions",
        bind="query-params",
    )
    span = _window(dates, window)
    errors.live(_coverage, header.refresh_interval([span[1]]))(lake, span, simulated=simulated)
    left, right = st.columns(2, gap="large")
    with left:
        _restatements(lake, span)
    with right:
        _rejected(lake)
    _sources(held)


def _window(dates: list[dt.date], count: int) -> tuple[dt.date, dt.date]:
    """The last `count` sessions of the exchange up to the newest held, none before the oldest held."""
    back = exchange.sessions_between(max(dates[-1], dates[0] - dt.timedelta(days=count * 2 + 10)), dates[0])
    return back[-min(count, len(back))].date, dates[0]


def _coverage(lake: Lake, span: tuple[dt.date, dt.date], *, simulated: bool) -> None:
    now = clock.now()
    first, last = span
    early = {session.dt for session in exchange.sessions_between(first, last) if session.early_close}
    coverage = lake.ask("coverage", first, last, now=lake.counted_until(last, now)).frame
    coverage = coverage.assign(early_close=coverage["session"].isin(early))
    coverage = coverage.assign(state=states(coverage))
    faulty = coverage[coverage["missing"] > 0]
    complete = len(coverage) - len(faulty)
    expected, present = int(coverage["expected"].sum()), int(coverage["present"].sum())
    cards.figures(
        (
            cards.Figure("Bars there", f"{present / expected:.2%}".replace("%", " %"), f"{present:,} of {expected:,}"),
            cards.Figure("Complete", f"{complete:,}", f"of {len(coverage):,} ticker sessions"),
            cards.Figure("Partial", f"{(faulty['present'] > 0).sum():,}", "some bars missing"),
            cards.Figure("Missing", f"{(faulty['present'] == 0).sum():,}", "no bar at all"),
        )
    )
    # One bar size a cell: the finest that the ticker has that day.
    cells = coverage.sort_values("bar_minutes").drop_duplicates(["ticker", "session"])
    worst = cells.groupby("ticker")["missing"].sum().sort_values(ascending=False, kind="stable")
    shown = sorted(worst.index[:ROWS_SHOWN])
    click = st.altair_chart(
        coverage_map(
            cells[cells["ticker"].isin(shown)].sort_values(["ticker", "session"]), header.palette(), simulated=simulated
        ),
        width="stretch",
        key="coverage",
        on_select="rerun",
        selection_mode=CELL,
        alt=f"Coverage by ticker and session: {complete} complete, {len(faulty)} incomplete",
    )
    if not faulty.empty:
        st.caption("Click a cell to see which bars it lacks.")
    for picked in click["selection"].get(CELL, []):
        _gaps_of(coverage[(coverage["ticker"] == picked["ticker"]) & (coverage["session"] == picked["session"])])
    if len(worst) > ROWS_SHOWN:
        st.caption(
            f"The {ROWS_SHOWN} of {len(worst)} tickers with most bars missing; all incomplete ones are listed below."
        )
    if faulty.empty:
        st.success("No bar is missing in these sessions.", icon=":material/check_circle:")
        return
    with st.expander(f"The gaps of {labels.count(len(faulty), 'incomplete ticker session')}", icon=":material/search:"):
        st.dataframe(
            faulty.drop(columns=["early_close"]).sort_values(["session", "ticker"], ascending=[False, True]),
            hide_index=True,
            column_order=["ticker", "session", "state", "bar_minutes", "present", "expected", "missing", "gaps"],
            column_config={
                "ticker": "Ticker",
                "session": "Session",
                "state": "State",
                "bar_minutes": "Bar, minutes",
                "present": "Bars",
                "expected": "Expected",
                "missing": "Missing",
                "gaps": st.column_config.TextColumn("Starts missing, exchange time", width="large"),
            },
            alt="Incomplete ticker sessions and their gaps",
        )


def _gaps_of(rows: pd.DataFrame) -> None:
    """What is there of one ticker's session, and the bars that are missing; a row for each bar size."""
    for row in rows.to_dict("records"):
        told = (
            f"**{row['ticker']}, {labels.day(dt.date.fromisoformat(row['session']))}**: "
            f"{row['present']} of {labels.count(row['expected'], 'bar')} of {row['bar_minutes']} minutes"
        )
        if row["missing"]:
            st.warning(f"{told}. Missing, by their start in exchange time: {row['gaps']}", icon=":material/search:")
        else:
            st.success(f"{told}; none is missing.", icon=":material/check_circle:")


def _restatements(lake: Lake, span: tuple[dt.date, dt.date]) -> None:
    st.header("Restatements", anchor=False)
    st.caption("Bars that the vendor later gave other numbers for. The numbers collected last count.")
    changed = lake.ask("restatements", *span).frame
    if changed.empty:
        st.success("No bar of these sessions has changed.", icon=":material/check_circle:")
        return
    shown = changed.assign(
        ts=changed["ts"].dt.strftime("%Y-%m-%d %H:%M %Z"),
        high_change=(changed["last_high"] / changed["first_high"] - 1) * 100,
        last_collected=changed["last_collected"].dt.strftime("%Y-%m-%d %H:%M %Z"),
    )
    largest = shown["high_change"].abs().max()
    st.markdown(
        f"**{labels.count(len(changed), 'bar')}** of {labels.listing(sorted(changed['ticker'].unique()))} changed; "
        f"the largest change of a high is {largest:.2f} %."
    )
    pairs = {
        f"{when}_{what}": st.column_config.NumberColumn(
            f"{what.capitalize()}, {when}", format="localized" if what == "volume" else "%.4f"
        )
        for what in ("high", "low", "close", "volume")
        for when in ("first", "last")
    }
    st.dataframe(
        shown,
        hide_index=True,
        column_order=["ticker", "ts", "high_change", *pairs, "bar_minutes", "versions", "last_collected"],
        column_config={
            "ticker": "Ticker",
            "ts": "Bar of",
            "high_change": st.column_config.NumberColumn("High changed by", format="%+.3f %%"),
            **pairs,
            "bar_minutes": "Bar, minutes",
            "versions": "Versions",
            "last_collected": "Last collected",
        },
        alt="Bars stored again with other numbers",
    )


def _rejected(lake: Lake) -> None:
    st.header("Rejected", anchor=False)
    st.caption("Records that broke a rule. They are kept as they came, and never counted.")
    if not lake.is_local:
        st.info(
            "In the cloud the collector's log tells each, and the stack's dashboard in CloudWatch counts them. "
            "What did not fit the table lies under `errors/bars/` in the bucket.",
            icon=":material/cloud:",
        )
        return
    by_rule, records = rejected.read(lake.files("rejected"))
    if by_rule.empty:
        st.success("No record was rejected.", icon=":material/check_circle:")
        return
    st.dataframe(
        by_rule,
        hide_index=True,
        column_config={
            "rule": "Rule",
            "a record that": "A record that",
            "source": "Source",
            "records": st.column_config.NumberColumn("Records", format="localized"),
        },
        alt="Rejected records, by rule",
    )
    with st.expander(
        f"The latest {min(int(by_rule['records'].sum()), rejected.SHOWN)} of them", icon=":material/search:"
    ):
        st.dataframe(records, hide_index=True, alt="Rejected records, as they came")


def _sources(held: pd.DataFrame) -> None:
    st.header("Sources and age", anchor=False)
    now = clock.now()
    rows = [
        {
            "Source": header.SOURCES.get(sources, sources),
            "Mark in the records": sources,
            "Sessions": len(group),
            "First": group["session"].min(),
            "Last": group["session"].max(),
            "Records": int(group["records"].sum()),
            "Newest bar": labels.instant(group["last_ts"].max()),
            "Age": labels.age(group["last_ts"].max(), now),
        }
        for sources, group in held.groupby("sources")
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={"Records": st.column_config.NumberColumn(format="localized")},
        alt="Sources in use and the age of their newest bar",
    )


page()
