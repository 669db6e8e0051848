"""Every page in every state of the lake: what it says, what it does not, and that it is drawn from numbers alone."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from types import MappingProxyType
from typing import NamedTuple

import pytest
import streamlit as st

from dashboard import access
from dashboard.data import cloud, collection
from dashboard.data import lake as reading
from dashboard.pages import PAGES
from tests.dashboard import lakes
from tests.dashboard.conftest import text
from tickerlake.collect import Failure, SessionReport
from tickerlake.exchange import XNYS
from tickerlake.lake.layout import Layout
from tickerlake.query import Settings, open_engine

NAMES = [page.name for page in PAGES]
SUNDAY = dt.datetime(2026, 11, 22, 15, 0, tzinfo=dt.UTC)
WEDNESDAY = dt.datetime(2026, 11, 25, 15, 0, tzinfo=dt.UTC)
MINUS = "\N{MINUS SIGN}"
EVERYWHERE = "every page"
CONTROLS = ("collect", "watch", "alert", "notify", "fill", "pick watchlist")
"""How the keys of controls that change something begin."""
NOTHING = MappingProxyType({})


class State(NamedTuple):
    """A state of the lake: how it is brought about, and what each page says then."""

    lake: str
    """The fixture that makes it."""
    says: dict[str, str | tuple[str, ...]]
    never: tuple[str, ...] = ()
    now: dt.datetime = lakes.EVENING
    choices: dict[str, str] = NOTHING
    environment: dict[str, str] = NOTHING
    titles: str = ""
    """How the title of each chart begins."""
    is_offered: bool = True
    """Whether the page has controls that change something."""


STATES = {
    "real": State(
        "real",
        {
            EVERYWHERE: (
                "Source: Yahoo Finance",
                f"Newest bar 2 hours ago: 20 Nov 15:55 EST (UTC{MINUS}05:00)",
                "Closed, opens Mon 23 Nov 09:30 EST",
            ),
            "hourly_highs": " leads: ",
            "session": "AMZN, Fri 20 Nov 2026, closed",
            "across_days": "too few to tell a habit from chance",
            "outlook": "The lake has no forecasts.",
            "data_quality": (
                "No bars missing in these sessions.",
                "No bars restated or withdrawn in these sessions.",
                "No records rejected.",
            ),
            "pipeline": ("Sessions 5", "Records 4,290"),
        },
        never=("imulated", "SIMULATED", "Stale", "Partial:", "As of ", "No open or close"),
    ),
    "empty": State("nothing", {EVERYWHERE: ("The lake is empty", "tickerlake collect", "Collect the last session")}),
    "partial": State(
        "faulty",
        {
            "hourly_highs": "Partial: SNAP has bars missing",
            "session": "Partial: 66 of 78 5-minute bars; missing 12:00-12:55",
            "across_days": "Partial: SNAP has bars missing",
            "outlook": "Partial: SNAP has bars missing",
            "data_quality": (
                "Complete 27 of 33 ticker sessions",
                "Partial 5 some bars missing",
                "Missing 1 no bars",
                "**6 changes** to bars of NFLX: 6 restated; the largest change of a high is 0.40 %.",
            ),
            "pipeline": "Records 2,461",
        },
        choices={"ticker": "SNAP", "compare": "One clock"},
    ),
    "stale": State(
        "real", {EVERYWHERE: ("Stale: 2 sessions behind", "Open until 16:00 EST", "No watcher runs")}, now=WEDNESDAY
    ),
    "imported": State(
        "without_open",
        {
            EVERYWHERE: "Source: imported records",
            "hourly_highs": "No open or close in these bars",
            "session": "No open or close in these bars",
            "across_days": ("No open or close in these bars", "from the first price: higher than in"),
            "outlook": "Bands hold the highest price still to come",
            "data_quality": "Coverage 100.00 %",
            "pipeline": "Imports are not runs.",
        },
        never=("Yahoo Finance", "from the open", "change from open"),
        choices={"ticker": "META", "compare": "One clock"},
    ),
    "simulated": State(
        "simulated",
        {EVERYWHERE: "Simulated prices, for demonstration only."},
        never=("Yahoo Finance",),
        choices={"ticker": "META"},
        titles="SIMULATED · ",
    ),
    "as of": State(
        "faulty",
        {
            EVERYWHERE: f"As of Fri 20 Nov 2026 18:30 (EST, UTC{MINUS}05:00): what the lake knew then.",
            "session": "NFLX, Fri 20 Nov 2026, closed",
            "outlook": "The lake had no forecasts then.",
            "data_quality": "No bars restated or withdrawn in these sessions.",
            "pipeline": ("Records 2,455", "in 5 files now"),
        },
        never=("Restated: ", "No watcher runs", "tickerlake forecast"),
        now=SUNDAY,
        choices={"as_of": "2026-11-20T18:30", "ticker": "NFLX"},
    ),
    "damaged": State("damaged", {EVERYWHERE: ("Some bars are left out:", "x.parquet")}),
    "read-only": State(
        "damaged",
        {
            EVERYWHERE: ("No watcher runs", "Open until 16:00 EST", "Some bars are left out:"),
            "outlook": "They appear here once the owner of the lake makes some.",
        },
        never=("tickerlake ", "Parquet file"),
        now=lakes.MIDDAY,
        environment={access.VARIABLE: "1"},
        is_offered=False,
    ),
    "refused": State("refused", {EVERYWHERE: ("failed: 10 not-asked, 1 rate-limited", "HTTP 429")}),
    "athena": State(
        "athena",
        {
            EVERYWHERE: "Source: Yahoo Finance",
            "data_quality": "CloudWatch counts them",
            "pipeline": "Records to Firehose 858 today",
        },
        never=("Collect the last session",),
        environment={"LAKE_ENGINE": "athena"},
        is_offered=False,
    ),
}


@pytest.fixture
def nothing(tmp_path):
    return tmp_path / "nothing"


@pytest.fixture
def damaged(running, tmp_path):
    lake = shutil.copytree(running, tmp_path / "damaged")
    (Layout(lake).partition(Layout(lake).sessions()[0]) / "x.parquet").write_text("damaged")
    return lake


@pytest.fixture
def refused(real):
    session = XNYS.session_on(lakes.FRIDAY)
    failures = [Failure("META", "rate-limited", "META: Yahoo answers no more for now (HTTP 429)")]
    failures += [Failure(f"T{number}", "not-asked", "not asked") for number in range(10)]
    job = collection.Job(real, [session], ("META",), lakes.EVENING, reports=[SessionReport(session, failures=failures)])
    collection.desk().job = job
    return real


@pytest.fixture
def athena(real, monkeypatch):
    """Athena's engine, which answers as the local one does."""
    local = open_engine(Settings(lake=real))

    class Athena:
        name, lake, sources = "athena", "tickerlake", local.sources
        run, may_hold_long_bars = staticmethod(local.run), staticmethod(local.may_hold_long_bars)

    reading._engine.clear()
    monkeypatch.setattr(reading, "open_engine", lambda _: Athena())
    report = cloud.Report(lakes.EVENING, XNYS, [cloud.Figure("Records to Firehose", "858", "today")])
    monkeypatch.setattr(cloud, "today", lambda *_: report)
    yield real
    st.cache_data.clear()


@pytest.mark.parametrize("page", NAMES)
@pytest.mark.parametrize("state", STATES)
def test_every_page_tells_every_state(app, request, monkeypatch, state, page):
    case = STATES[state]
    monkeypatch.setattr(collection, "open_source", lambda _: pytest.fail("a page asked a vendor"))
    monkeypatch.setattr(access, "is_on_this_machine", lambda: True)
    lake = request.getfixturevalue(case.lake)

    at = app(lake, page, now=case.now, environment=case.environment, **case.choices)

    specs = [chart.proto.spec for chart in at.get("vega_lite_chart")]
    words = "\n".join([text(at), *(block.value for block in at.code)])
    for expected in (case.says.get(EVERYWHERE, ()), case.says.get(page, ())):
        for said in [expected] if isinstance(expected, str) else expected:
            assert said in words
    for other in case.never:
        assert other not in words + "".join(specs)
    assert all(json.loads(spec)["title"]["text"].startswith(case.titles) for spec in specs)
    assert "NaN" not in "".join(specs)
    assert specs or state == "empty" or "no forecasts" in words
    keys = {str(widget.key) for kind in (at.button, at.multiselect, at.text_input) for widget in kind}
    offered = {key for key in keys if key.startswith(CONTROLS)} | {"collect"}.intersection(at.session_state)
    assert bool(offered) == case.is_offered
