"""The collect control: asks Yahoo for bars when a visitor presses a button, never while a page renders."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard import clock, labels
from dashboard.data import collection
from dashboard.data.collection import Job
from dashboard.data.lake import Lake, current
from tickerlake import exchange, symbols, watchlist
from tickerlake.errors import NotAsked, TickerlakeError
from tickerlake.exchange import Session
from tickerlake.plan import plan

_LOOK_AGAIN = dt.timedelta(seconds=0.7)


def offered() -> bool:
    """Whether this dashboard can collect: only into a lake on this machine."""
    return current().is_local


def control(lake: Lake) -> None:
    """The button and what it opens: which sessions, which tickers, into which lake."""
    if not lake.is_local:
        return
    opened = st.popover("Collect", icon=":material/download:", width="content", key="collect", on_change="rerun")
    if not opened.open:
        return
    with opened:
        job = collection.desk().job
        if job is not None and job.is_running:
            st.markdown("A collection is running; its progress is on the page.")
            return
        now = clock.now()
        st.markdown("Ask Yahoo for bars of 5 minutes.")
        what = st.radio("Which sessions", list(_choices(now)), key="collect what")
        first = last = exchange.last_finished(now).date
        if what == "A range":
            picked = st.date_input(
                "From and to",
                (exchange.exchange_date(now) - dt.timedelta(days=7), exchange.exchange_date(now)),
                min_value=exchange.exchange_date(now) - dt.timedelta(days=58),
                max_value=exchange.exchange_date(now),
                key="collect range",
                help="Yahoo serves bars of 5 minutes for about 60 days.",
            )
            if not isinstance(picked, tuple) or len(picked) != 2:
                st.caption("Choose the last day, too.")
                return
            first, last = picked
        text = st.text_input("Tickers", ", ".join(_known(lake)), key="collect tickers", help="Separated by commas")
        target = collection.destination(lake)
        if target != lake.settings.lake:
            st.warning(
                f"This lake is simulated, and real bars are never mixed in: they go into `{target}/`.",
                icon=":material/call_split:",
            )
        else:
            st.caption(f"Into the lake `{target}/`. What it holds already stays.")
        # No primary button: Streamlit writes white on the accent colour, too faint on the dark theme's.
        st.button(
            "Start",
            icon=":material/play_arrow:",
            key="collect start",
            width="stretch",
            on_click=_begin,
            args=(target, what, first, last, text),
        )
        if refusal := st.session_state.pop("collect refusal", None):
            st.error(refusal)


def progress(lake: Lake) -> None:
    """How far a collection is, or what came of the last one; nothing where there was none."""
    job = collection.desk().job
    if job is None or not lake.is_local:
        return
    if job.is_running:
        st.fragment(_running, run_every=_LOOK_AGAIN)(job)
    elif st.session_state.get("dismissed") != job.started:
        _report(job, lake)


def _begin(target: Path, what: str, first: dt.date, last: dt.date, text: str) -> None:
    """Starts what the control asks for, and closes it; or leaves it open with the reason why not."""
    try:
        collection.start(
            target,
            _sessions(what, first, last),
            symbols.parse_tickers(text),
            collection.open_source(),
            clock.now,
        )
    except TickerlakeError as error:
        st.session_state["collect refusal"] = str(error)
    else:
        st.session_state["collect"] = False


def _running(job: Job) -> None:
    if not job.is_running:
        st.rerun()
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.progress(
            min(job.answered / job.asked, 1.0),
            f"Collecting {_days(job.wanted)} from Yahoo: {job.answered} of {job.asked} answers"
            + (f", last {job.latest}" if job.latest else ""),
        )
        if st.button("Stop", icon=":material/stop:", key="collect stop", disabled=job.stop.is_set()):
            job.stopped_by_person = True
            job.stop.set()


def _report(job: Job, lake: Lake) -> None:
    """What came of it, plainly: bars, tickers, failures by reason, and where it all is."""
    stored, tickers = sum(r.stored for r in job.reports), max((r.tickers for r in job.reports), default=0)
    failed = [failure for report in job.reports for failure in report.failures]
    failures = Counter(failure.reason for failure in failed)
    unasked = sorted({failure.ticker for failure in failed if failure.reason == NotAsked.reason})
    was_stopped = job.stopped_by_person and bool(unasked)
    rejected = sum(report.rejected.total() for report in job.reports)
    parts = [f"{labels.count(stored, 'new bar')} of {labels.count(tickers, 'ticker')}, {_days(job.wanted)}"]
    if rejected:
        parts.append(f"{labels.count(rejected, 'record')} rejected")
    if was_stopped:
        parts.append(f"stopped before {labels.listing(unasked)} had been asked; what had come is stored")
    elif failures:
        parts.append("failed: " + ", ".join(f"{count} {reason}" for reason, count in failures.most_common()))
    with st.container(border=True):
        if job.error:
            st.error(job.error, icon=":material/error:")
        elif failures:
            st.warning("Collected " + "; ".join(parts) + ".", icon=":material/warning:")
        else:
            st.success("Collected " + "; ".join(parts) + ".", icon=":material/check_circle:")
        if failures and not was_stopped:
            messages = dict.fromkeys(failure.message for failure in failed)
            with st.expander("Why", icon=":material/help:"):
                st.code("\n".join(list(messages)[:20]), language=None, wrap_lines=True)
        with st.container(horizontal=True):
            if stored and job.target != lake.settings.lake:
                st.button(f"Show {job.target}/", key="turn to", on_click=_turn_to, args=(job,))
            st.button("Close", key="dismiss", on_click=_dismiss, args=(job,))


def _turn_to(job: Job) -> None:
    st.session_state["lake"] = job.target
    st.session_state["dismissed"] = job.started


def _dismiss(job: Job) -> None:
    st.session_state["dismissed"] = job.started


def _choices(now: dt.datetime) -> Sequence[str]:
    running = exchange.running(now)
    return [*(["Today so far"] if running else []), "The last finished session", "A range"]


def _sessions(what: str, first: dt.date, last: dt.date) -> list[Session]:
    """The sessions of a choice. ConfigError as `plan`."""
    if what == "A range":
        return plan(clock.now(), first=first, last=last)
    return plan(clock.now(), session="today" if what == "Today so far" else "last")


def _known(lake: Lake) -> Sequence[str]:
    """The tickers to offer: the lake's own where it is real and they are few, else the watchlist."""
    try:
        held = lake.ask("tickers").frame["ticker"].tolist()
    except TickerlakeError:  # the page tells it
        return watchlist.DEFAULT
    return held if len(held) <= 40 else watchlist.DEFAULT


def _days(wanted: list[Session]) -> str:
    first, last = wanted[0].date, wanted[-1].date
    return labels.day(first) if first == last else f"{labels.day(first)} to {labels.day(last)}"
