"""Data quality: missing bars, rejected records, restated bars, and the age of the data."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import access, labels
from dashboard.charts.coverage import CELL, coverage_map, states
from dashboard.chrome import as_of, cards, controls, export, header, live, url
from dashboard.chrome.theme import palette
from dashboard.data import rejected
from dashboard.data.figures import Figure
from dashboard.data.lake import Lake, coverage_until

WINDOWS = (5, 10, 20, 60)
"""How many sessions to look at."""
ROWS_SHOWN = 40


def page() -> None:
    """Draw the page."""
    lake = as_of.current_lake()
    held = lake.sessions()
    dates = [dt.date.fromisoformat(session) for session in held["session"]]
    controls.exchange(lake)
    url.write()
    window = st.segmented_control(
        "Window",
        WINDOWS,
        key="window",
        default=WINDOWS[1],
        required=True,
        format_func=lambda count: f"Last {count} sessions",
        bind="query-params",
    )
    first, last = _window(lake, dates, window)
    live.live(_coverage, live.interval(lake, [last]))(lake, first, last, simulated=header.is_simulated(held))
    _forgetting(lake)
    _suspected_splits(lake, first, last)
    left, right = st.columns(2, gap="large")
    with left:
        _restatements(lake, first, last)
    with right:
        _rejected(lake)
    _sources(lake, held)


def _window(lake: Lake, dates: list[dt.date], count: int) -> tuple[dt.date, dt.date]:
    """The last `count` sessions up to the newest one held, but none before the oldest one held."""
    sessions = lake.exchange.sessions_between(max(dates[-1], dates[0] - dt.timedelta(days=count * 2 + 10)), dates[0])
    return sessions[-min(count, len(sessions))].date, dates[0]


def _coverage(lake: Lake, first: dt.date, last: dt.date, *, simulated: bool) -> None:
    early = {session.dt for session in lake.exchange.sessions_between(first, last) if session.early_close}
    coverage = lake.query("coverage", first, last, now=coverage_until(last, lake.now(), lake.exchange))
    coverage = coverage.assign(early_close=coverage["session"].isin(early))
    coverage = coverage.assign(state=states(coverage))
    faulty = coverage[coverage["missing"] > 0]
    cards.figures(_coverage_figures(coverage, faulty))
    _coverage_map(coverage, faulty, simulated=simulated)
    if faulty.empty:
        st.success("No bars missing in these sessions.", icon=":material/check_circle:")
    else:
        _coverage_table(faulty)


def _coverage_figures(coverage: pd.DataFrame, faulty: pd.DataFrame) -> tuple[Figure, ...]:
    expected, present = int(coverage["expected"].sum()), int(coverage["present"].sum())
    return (
        Figure("Coverage", f"{present / expected:.2%}".replace("%", " %"), f"{present:,} of {expected:,} bars"),
        Figure("Complete", f"{len(coverage) - len(faulty):,}", f"of {len(coverage):,} ticker sessions"),
        Figure("Partial", f"{(faulty['present'] > 0).sum():,}", "some bars missing"),
        Figure("Missing", f"{(faulty['present'] == 0).sum():,}", "no bars"),
    )


def _coverage_map(coverage: pd.DataFrame, faulty: pd.DataFrame, *, simulated: bool) -> None:
    # One cell per ticker and session: the finest bar size.
    cells = coverage.sort_values("bar_minutes").drop_duplicates(["ticker", "session"])
    worst = cells.groupby("ticker")["missing"].sum().sort_values(ascending=False, kind="stable")
    shown = cells[cells["ticker"].isin(worst.index[:ROWS_SHOWN])].sort_values(["ticker", "session"])
    click = export.chart(
        coverage_map(shown, palette(), simulated=simulated),
        "coverage",
        cells["session"].min(),
        "to",
        cells["session"].max(),
        key="coverage",
        on_select="rerun",
        selection_mode=CELL,
        alt=f"Coverage by ticker and session: {len(coverage) - len(faulty)} complete, {len(faulty)} incomplete",
    )
    if not faulty.empty:
        st.caption("Click a cell to see its missing bars.")
    for picked in click["selection"].get(CELL, []):
        mine = (coverage["ticker"] == picked["ticker"]) & (coverage["session"] == picked["session"])
        for row in coverage[mine].to_dict("records"):
            _cell(row)
    if len(worst) > ROWS_SHOWN:
        st.caption(f"The {ROWS_SHOWN} of {len(worst)} tickers with the most missing bars. The table below has all.")


def _cell(row: dict[str, Any]) -> None:
    """A ticker's session at one bar size: how many bars there are, and which are missing."""
    text = (
        f"**{labels.escape(row['ticker'])}, {labels.day(dt.date.fromisoformat(row['session']))}**: "
        f"{row['present']} of {row['expected']} {row['bar_minutes']}-minute bars"
    )
    if row["missing"]:
        gaps = labels.escape(row["gaps"])
        source = f"; the source does not have {row['absent']} of the others" if row["absent"] else ""
        halted = f", {row['halted']} of them in a halt" if row["halted"] else ""
        st.warning(f"{text}{source}{halted}. Missing (start, exchange time): {gaps}", icon=":material/search:")
    else:
        st.success(f"{text}, none missing.", icon=":material/check_circle:")


def _coverage_table(faulty: pd.DataFrame) -> None:
    with st.expander(f"Gaps in {labels.count(len(faulty), 'ticker session')}", icon=":material/search:"):
        export.table(
            faulty.sort_values(["session", "ticker"], ascending=[False, True]),
            "gaps",
            faulty["session"].min(),
            "to",
            faulty["session"].max(),
            column_order=[
                *("ticker", "session", "state", "bar_minutes", "present", "expected"),
                *("missing", "absent", "halted", "gaps"),
            ],
            column_config={
                "ticker": "Ticker",
                "session": "Session",
                "state": "State",
                "bar_minutes": "Bar minutes",
                "present": "Bars",
                "expected": "Expected",
                "missing": "Missing",
                "absent": "Not at source",
                "halted": "Halted",
                "gaps": st.column_config.TextColumn("Missing bars (start, exchange time)", width="large"),
            },
            alt="Incomplete ticker sessions and their gaps",
        )


def _forgetting(lake: Lake) -> None:
    """When the vendor forgets what is missing, also from sessions that the page does not show."""
    if lake.as_of is None and (said := lake.forgetting()):
        more = access.for_owner(" Ask for them: `tickerlake repair`.")
        st.warning(f"In the whole lake, {labels.escape(said)}.{more}", icon=":material/hourglass_bottom:")


def _suspected_splits(lake: Lake, first: dt.date, last: dt.date) -> None:
    found = lake.query("suspected_splits", first, last)
    if found.empty:
        return
    st.header("Suspected splits", anchor=False)
    row = found.iloc[0]
    command = labels.code(f"tickerlake actions add {row['ticker']} {row['session']} {row['ratio']}")
    advice = (
        f" If it was one, add it: {command}. "
        "If the lake knows the split, earlier bars may not be adjusted; then add `--adjusted-from never`."
    )
    st.warning(
        f"Prices jump as after a split.{access.for_owner(advice)}",
        icon=":material/call_split:",
    )
    export.table(
        found,
        "suspected-splits",
        first,
        "to",
        last,
        column_config={
            "ticker": "Ticker",
            "session": "Session",
            "ratio": "Ratio",
            "jump": st.column_config.NumberColumn("Jump", format="%.4f"),
            "previous_session": "Session before",
            "previous_close": st.column_config.NumberColumn("Close before", format="%.4f"),
            "open": st.column_config.NumberColumn("Open", format="%.4f"),
            "known_ratio": "Known ratio",
        },
        alt="Jumps of the price that look like splits",
    )


def _restatements(lake: Lake, first: dt.date, last: dt.date) -> None:
    st.header("Restatements", anchor=False)
    st.caption(
        "Bars that the source changed later, or no longer gives. Queries use the latest numbers; a withdrawn bar does "
        "not count until it returns."
    )
    changed = lake.query("restatements", first, last)
    if changed.empty:
        st.success("No bars restated or withdrawn in these sessions.", icon=":material/check_circle:")
        return
    shown = changed.assign(
        ts=changed["ts"].dt.strftime("%Y-%m-%d %H:%M %Z"),
        high_change=(changed["new_high"] / changed["old_high"] - 1) * 100,
        new_collected=changed["new_collected"].dt.strftime("%Y-%m-%d %H:%M %Z"),
    )
    tickers = labels.escape(labels.listing(sorted(changed["ticker"].unique())))
    counts = changed["kind"].value_counts()
    kinds = [f"{counts[kind]:,} {kind}" for kind in ("restated", "withdrawn", "returned") if kind in counts]
    size = shown["high_change"].abs().max()
    st.markdown(
        f"**{labels.count(len(changed), 'change')}** to bars of {tickers}: {labels.listing(kinds)}"
        + ("." if pd.isna(size) else f"; the largest change of a high is {size:.2f} %.")
    )
    pairs = {
        f"{when}_{what}": st.column_config.NumberColumn(
            f"{what.capitalize()}, {when}", format="localized" if what == "volume" else "%.4f"
        )
        for what in ("high", "low", "close", "volume")
        for when in ("old", "new")
    }
    export.table(
        shown,
        "restatements",
        first,
        "to",
        last,
        rows=changed,
        column_order=["ticker", "ts", "kind", "high_change", *pairs, "bar_minutes", "source", "new_collected"],
        column_config={
            "ticker": "Ticker",
            "ts": "Bar",
            "high_change": st.column_config.NumberColumn("High change", format="%+.3f %%"),
            **pairs,
            "bar_minutes": "Bar minutes",
            "kind": "Change",
            "source": "Source",
            "new_collected": "Collected",
        },
        alt="Restated bars",
    )


def _rejected(lake: Lake) -> None:
    st.header("Rejected records", anchor=False)
    st.caption("Records that break a rule. They are kept as they came, and queries ignore them.")
    if not lake.is_local:
        st.info(
            "In the cloud, the collector logs rejected records and CloudWatch counts them. Records that did not fit "
            "the table are under `errors/bars/` in the bucket.",
            icon=":material/cloud:",
        )
        return
    found = rejected.read(lake.layout.rejected())
    if found.unreadable:
        lines = labels.count(found.unreadable, "line")
        st.warning(f"{lines} in the files of rejected records cannot be read.", icon=":material/warning:")
    if found.by_rule.empty:
        if not found.unreadable:
            st.success("No records rejected.", icon=":material/check_circle:")
        return
    export.table(
        found.by_rule,
        "rejected-by-rule",
        column_config={
            "rule": "Rule",
            "meaning": "Record",
            "source": "Source",
            "records": st.column_config.NumberColumn("Records", format="localized"),
        },
        alt="Rejected records by rule",
    )
    with st.expander(f"Latest {labels.count(len(found.latest), 'record')}", icon=":material/search:"):
        export.table(found.latest, "rejected", alt="Rejected records as they came")


def _sources(lake: Lake, held: pd.DataFrame) -> None:
    st.header("Sources and age", anchor=False)
    now = lake.now()
    rows = [
        {
            "Source": header.SOURCES.get(str(sources), str(sources)),
            "Sessions": len(group),
            "First": group["session"].min(),
            "Last": group["session"].max(),
            "Records": int(group["records"].sum()),
            "Newest bar": labels.instant(group["last_ts"].max(), lake.exchange),
            "Age": labels.age(group["last_ts"].max(), now),
        }
        for sources, group in held.groupby("sources")
    ]
    export.table(
        pd.DataFrame(rows),
        "sources",
        column_config={"Records": st.column_config.NumberColumn(format="localized")},
        alt="Sources and the age of their newest bars",
    )


page()
