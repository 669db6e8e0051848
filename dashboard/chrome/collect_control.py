"""The collect control. It queries Yahoo only when a visitor presses Start, never while a page renders."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from dashboard import access, clock, labels
from dashboard.chrome import alert_control, refusal, watchlist_control
from dashboard.data import collection, news
from dashboard.data.collection import Job
from dashboard.data.lake import Lake, current
from tickerlake import exchange, symbols
from tickerlake.errors import NotAsked, TickerlakeError
from tickerlake.exchange import Exchange, Session
from tickerlake.plan import plan

TODAY, LAST, RANGE = "Today so far", "Last finished session", "Range"
_SERVED = dt.timedelta(days=58)
"""Yahoo serves 5-minute bars for about 60 days."""
_PROGRESS = dt.timedelta(seconds=0.7)
_MESSAGES_SHOWN = 20
_SIMULATED_SESSIONS = 5


class Request(NamedTuple):
    """Which sessions to collect; the dates count for a range."""

    kind: str
    first: dt.date
    last: dt.date


def offered() -> bool:
    """Whether visitors may collect: into a local lake, unless they may only look."""
    return current().is_local and not access.is_read_only()


def control(lake: Lake) -> None:
    """The button and its popover: which sessions, which tickers, into which lake."""
    if not offered():
        return
    opened = st.popover("Collect", icon=":material/download:", width="content", key="collect", on_change="rerun")
    if not opened.open:
        return
    with opened:
        if access.is_on_this_machine():
            _watcher(lake)
            watchlist_control.edit(lake)
            alert_control.rules(lake)
            alert_control.permission()
            st.divider()
        job = collection.desk().job
        if job is not None and job.is_running:
            st.markdown("A collection is running. Its progress is on the page.")
            return
        st.markdown("Collect 5-minute bars from Yahoo.")
        if request := _sessions(clock.now(), _places(lake)):
            _start_form(lake, request)


def fill(lake: Lake) -> None:
    """For an empty lake, two buttons: collect the last session, or simulate a week in a lake beside it."""
    job = collection.desk().job
    if job is not None and job.is_running:
        return
    try:
        tickers = ", ".join(lake.watchlist())
    except TickerlakeError as error:
        st.error(labels.escape(str(error)))
        return
    today = lake.exchange.date_at(clock.now())
    with st.container(horizontal=True):
        st.button(
            "Collect now",
            icon=":material/download:",
            key="fill collect",
            on_click=_start,
            args=(lake.settings.lake, Request(LAST, today, today), tickers),
        )
        st.button("Simulate", icon=":material/science:", key="fill simulate", on_click=_simulate, args=(lake, tickers))
    refusal.show("collect")


def progress(lake: Lake) -> None:
    """The progress of a running collection, or the result of the last one."""
    job = collection.desk().job
    if job is None or not offered():
        return
    if job.is_running:
        st.fragment(_running, run_every=_PROGRESS)(job)
    elif st.session_state.get("dismissed") != job.started:
        _result(job, lake)


def _watcher(lake: Lake) -> None:
    """Whether a watcher runs on the lake for real bars, and the button that starts or stops it."""
    target = collection.destination(lake)
    found = news.watcher(target)
    if found is None:
        st.markdown("No watcher runs. It would collect each bar when it ends.")
        st.button(
            "Watch",
            icon=":material/visibility:",
            key="watch start",
            width="stretch",
            on_click=news.start_watcher,
            args=(target,),
            help=f"Starts `tickerlake watch` on {labels.escape(f'{target}/')}; it goes on without the dashboard.",
        )
    else:
        st.markdown(f"A watcher runs: {labels.escape(found.line())}.")
        st.button(
            "Stop watching",
            icon=":material/visibility_off:",
            key="watch stop",
            width="stretch",
            on_click=news.stop_watcher,
            args=(target,),
        )
    if said := news.last_words(target):
        st.code(said, language=None, wrap_lines=True)


def _places(lake: Lake) -> Sequence[Exchange]:
    """The exchanges of the tickers in the form: those typed or, at first, the watchlist."""
    try:
        text = st.session_state.get("collect tickers") or ",".join(lake.watchlist())
        return exchange.all_of(symbols.parse_tickers(text)) or (lake.exchange,)
    except TickerlakeError:  # the form shows it
        return (lake.exchange,)


def _sessions(now: dt.datetime, places: Sequence[Exchange]) -> Request | None:
    """The sessions chosen; None while a range has no last day."""
    kinds = [LAST, RANGE]
    if any(place.running(now) for place in places):
        kinds.insert(0, TODAY)
    kind = st.radio("Sessions", kinds, key="collect what")
    today = max(place.date_at(now) for place in places)
    if kind != RANGE:
        return Request(kind, today, today)
    picked = st.date_input(
        "From and to",
        (today - dt.timedelta(days=7), today),
        min_value=today - _SERVED,
        max_value=today,
        key="collect range",
        help="Yahoo serves 5-minute bars for about 60 days.",
    )
    if isinstance(picked, tuple) and len(picked) == 2:
        return Request(kind, *picked)
    st.caption("Choose the last day as well.")
    return None


def _start_form(lake: Lake, request: Request) -> None:
    """Tickers, target, and the button that starts."""
    try:
        watched = ", ".join(lake.watchlist())
    except TickerlakeError as error:
        st.error(labels.escape(str(error)))
        return
    if "collect tickers" not in st.session_state:
        st.session_state["collect tickers"] = watched
    st.text_input("Tickers", key="collect tickers", help="Separated by commas")
    target = collection.destination(lake)
    name = labels.escape(f"{target}/")
    if target != lake.settings.lake:
        st.warning(f"This lake holds simulated prices. Real bars go into {name}.", icon=":material/call_split:")
    else:
        st.caption(f"Bars are added to the lake {name}.")
    # Not a primary button: white on the dark theme's accent colour has too little contrast.
    st.button(
        "Start",
        icon=":material/play_arrow:",
        key="collect start",
        width="stretch",
        # Read when it is pressed: the field may have changed since the page was drawn.
        on_click=lambda: _start(target, request, st.session_state["collect tickers"]),
    )
    refusal.show("collect")


def _start(target: Path, request: Request, text: str) -> None:
    """Start collecting and close the popover; or leave it open with the reason why not."""
    now = clock.now()
    with refusal.kept("collect"):
        tickers = symbols.parse_tickers(text)
        places = exchange.all_of(tickers)
        sessions = {
            TODAY: lambda: plan(now, places, session="today"),
            LAST: lambda: plan(now, places),
            RANGE: lambda: plan(now, places, first=request.first, last=request.last),
        }[request.kind]()
        collection.start(target, sessions, tickers, collection.open_source(target), clock.now)
        st.session_state["collect"] = False


def _simulate(lake: Lake, text: str) -> None:
    """Start simulating and turn to the simulated lake; or leave the reason why not."""
    now = clock.now()
    target = lake.settings.lake.with_name(f"{lake.settings.lake.name}-simulated")
    with refusal.kept("collect"):
        tickers = symbols.parse_tickers(text)
        places = exchange.all_of(tickers)
        sessions = [session for place in places for session in place.last_sessions(now, _SIMULATED_SESSIONS)]
        collection.start(target, sorted(sessions), tickers, collection.simulation(), clock.now)
        st.session_state["lake"] = target


def _running(job: Job) -> None:
    if not job.is_running:
        st.rerun()
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.progress(
            min(job.answered / job.requests, 1.0),
            f"{'Simulating' if job.is_simulated else 'Collecting'} {_days(job.sessions)}"
            f"{'' if job.is_simulated else ' from Yahoo'}: {job.answered} of {job.requests} answers"
            + (f", last {labels.escape(job.latest)}" if job.latest else ""),
        )
        if st.button("Stop", icon=":material/stop:", key="collect stop", disabled=job.stop.is_set()):
            job.stopped_by_visitor = True
            job.stop.set()


def _result(job: Job, lake: Lake) -> None:
    """What was stored, what was rejected, what failed and why."""
    failures = [failure for report in job.reports for failure in report.failures]
    with st.container(border=True):
        if job.error:
            st.error(labels.escape(job.error), icon=":material/error:")
        elif failures:
            st.warning(_summary(job), icon=":material/warning:")
        else:
            st.success(_summary(job), icon=":material/check_circle:")
        if failures and not _was_stopped(job):
            messages = dict.fromkeys(failure.message for failure in failures)
            with st.expander("Details", icon=":material/help:"):
                st.code("\n".join(list(messages)[:_MESSAGES_SHOWN]), language=None, wrap_lines=True)
        with st.container(horizontal=True):
            if any(report.stored for report in job.reports) and job.target != lake.settings.lake:
                st.button(f"Show {labels.escape(f'{job.target}/')}", key="turn to", on_click=_switch, args=(job,))
            st.button("Close", key="dismiss", on_click=_dismiss, args=(job,))


def _summary(job: Job) -> str:
    """`Collected 858 new bars of 11 tickers, Fri 20 Nov 2026.`, with rejected records and failures."""
    stored = sum(report.stored for report in job.reports)
    tickers = max((report.tickers for report in job.reports), default=0)
    rejected = sum(report.rejected.total() for report in job.reports)
    failures = [failure for report in job.reports for failure in report.failures]
    parts = [f"{labels.count(stored, 'new bar')} of {labels.count(tickers, 'ticker')}, {_days(job.sessions)}"]
    if rejected:
        parts.append(f"{labels.count(rejected, 'record')} rejected")
    if _was_stopped(job):
        left = sorted({failure.ticker for failure in failures if failure.reason == NotAsked.reason})
        parts.append(f"stopped before {labels.escape(labels.listing(left))}")
    elif failures:
        reasons = Counter(failure.reason for failure in failures).most_common()
        parts.append("failed: " + ", ".join(f"{count} {reason}" for reason, count in reasons))
    return f"{'Simulated' if job.is_simulated else 'Collected'} {'; '.join(parts)}."


def _was_stopped(job: Job) -> bool:
    return job.stopped_by_visitor and any(
        failure.reason == NotAsked.reason for report in job.reports for failure in report.failures
    )


def _switch(job: Job) -> None:
    st.session_state["lake"] = job.target
    _dismiss(job)


def _dismiss(job: Job) -> None:
    st.session_state["dismissed"] = job.started


def _days(sessions: list[Session]) -> str:
    first, last = sessions[0].date, sessions[-1].date
    return labels.day(first) if first == last else f"{labels.day(first)} to {labels.day(last)}"
