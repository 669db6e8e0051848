from __future__ import annotations

import datetime as dt
import functools
import re
from pathlib import Path

import pytest
import streamlit as st
from streamlit import config
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest, app_test, local_script_runner

from dashboard import access, clock
from dashboard.pages import PAGES
from tests.dashboard import lakes
from tickerlake.watchlist import DEFAULT as WATCHLIST

APP = Path(__file__).parents[2] / "dashboard" / "app.py"


def _wait(runner, timeout):
    runner._script_thread.join(timeout)
    if not runner.script_stopped():
        runner.request_stop()
        raise TimeoutError(f"the script did not end within {timeout} s")


# As in dashboard/.streamlit/config.toml, which no AppTest reads; together a quarter of the time.
for option in ("runner.magicEnabled", "runner.postScriptGC", "browser.gatherUsageStats"):
    config.set_option(option, False)
# Each AppTest looks for components in every installed package, which takes longer than to draw the page, compiles the
# scripts again, which a server does once, and looks every millisecond whether they have ended.
manifest_scanner.scan_component_manifests = list
app_test.ScriptCache = local_script_runner.ScriptCache = functools.cache(app_test.ScriptCache)
local_script_runner.require_widgets_deltas = _wait


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    lake = lakes.fill(tmp_path_factory.mktemp("simulated"), dt.date(2026, 11, 18), source="simulated")
    return lakes.forecast(lake, "META")


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    return lakes.fill(tmp_path_factory.mktemp("real"), dt.date(2026, 11, 16))


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    return lakes.fill(tmp_path_factory.mktemp("running"), dt.date(2026, 11, 19), now=lakes.MIDDAY)


@pytest.fixture(scope="session")
def faulty(tmp_path_factory):
    lake = lakes.fill(tmp_path_factory.mktemp("faulty"), dt.date(2026, 11, 18), change=lakes.with_faults)
    later = lakes.EVENING + dt.timedelta(hours=1)
    lakes.fill(lake, dt.date(2026, 11, 19), tickers=["NFLX"], now=later, change=lakes.restated)
    return lakes.forecast(lake, "SNAP", now=later)


@pytest.fixture(scope="session")
def without_open(tmp_path_factory):
    return lakes.forecast(lakes.import_without_open(tmp_path_factory.mktemp("without-open")), "META")


@pytest.fixture(scope="session")
def crowded(tmp_path_factory):
    tickers = [*WATCHLIST, *(f"S{number:03}" for number in range(70 - len(WATCHLIST)))]
    return lakes.fill(tmp_path_factory.mktemp("crowded"), tickers=tickers)


@pytest.fixture
def app(monkeypatch, tmp_path):
    """Opens the dashboard on a lake: `app(lake, page="session", now=…, ticker="META")`, with parameters of the URL."""
    monkeypatch.chdir(tmp_path)
    for variable in ("LAKE_ENGINE", "LAKE_DIR", clock.VARIABLE):
        monkeypatch.delenv(variable, raising=False)

    def opened(lake, page=PAGES[0].name, *, now=lakes.EVENING, environment=None, user=None, **parameters):
        monkeypatch.setenv("LAKE_DIR", str(lake))
        monkeypatch.setenv(access.VARIABLE, "0")
        for variable, value in (environment or {}).items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(clock, "now", lambda: now)
        at = AppTest.from_file(APP, default_timeout=20)
        at.switch_page(f"app_pages/{page}.py")
        at.query_params.update(parameters)
        if user is not None:
            at.user = user
        at.run()
        assert not at.exception, at.exception[0].message
        return at

    yield opened
    st.cache_resource.clear()


def text(at):
    """The text of the page, as a visitor reads it: Markdown's escapes are resolved."""
    kinds = (at.title, at.header, at.markdown, at.caption, at.info, at.warning, at.error, at.success)
    words = [element.value for kind in kinds for element in kind]
    words += [f"{m.label} {m.value} {m.delta}" for m in at.metric]
    words += [element.proto.body for element in at.get("badge")] if at.get("badge") else []
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", "\n".join(words)).replace("\N{WORD JOINER}", "")
