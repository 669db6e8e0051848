"""Each page in each state, without a browser: what a visitor reads, never a traceback."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st

from dashboard.chrome import header, live, login
from dashboard.data import lake as reading
from dashboard.data import rejected
from dashboard.pages import PAGES
from tests.dashboard import lakes
from tests.dashboard.conftest import text
from tests.query.lakes import write_case
from tickerlake.collect import collect
from tickerlake.errors import NoAccess, QueryFailed
from tickerlake.exchange import XNYS
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import Settings, load, open_engine, run

ROOT = Path(__file__).parents[2]
NAMES = [page.name for page in PAGES]
SUNDAY = dt.datetime(2026, 11, 22, 15, 0, tzinfo=dt.UTC)
BEFORE_THE_OPEN = dt.datetime(2026, 11, 23, 13, 0, tzinfo=dt.UTC)


STARTING = """
import asyncio, json, sys, threading
from dashboard import app

def loaded():
    return [name for name in ("altair", "pandas", "duckdb", "exchange_calendars") if name in sys.modules]

async def start():
    before = loaded()
    async with app.warmed(app.app):
        for thread in threading.enumerate():
            if thread.name == "warm":
                thread.join()
        print(json.dumps([before, loaded()]))

asyncio.run(start())
"""


def specs(at):
    return [json.loads(chart.proto.spec) for chart in at.get("vega_lite_chart")]


class TestTheServer:
    def started(self, environment):
        command = [sys.executable, "-c", STARTING]
        run = subprocess.run(
            command, check=True, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
        )
        assert "Traceback" not in run.stderr
        return json.loads(run.stdout)

    def test_answers_first_and_then_loads_what_pages_need_before_anybody_visits(self, real):
        before, after = self.started({"LAKE_DIR": str(real)})
        assert before == []
        # The exchange's calendar is loaded when it is asked, and no chart of a session past asks it.
        assert after == ["altair", "pandas", "duckdb"]

    def test_starts_whatever_the_settings_are(self):
        assert self.started({"LAKE_ENGINE": "spark"})[0] == []


def test_a_demonstration_says_that_its_prices_are_invented(app, real):
    assert "Invented." in text(app(real, environment={header.NOTICE: "Invented."}))


def test_settings_that_cannot_be_used_are_told_by_name(app, real):
    at = app(real, environment={"LAKE_ENGINE": "spark"})
    assert [element.value for element in at.header] == ["Invalid settings"]
    assert "LAKE_ENGINE is 'spark'" in text(at)


UNREACHABLE = QueryFailed("Athena cannot be reached: could not connect to the endpoint; check the network", "id-1")
LOCKED = NoAccess("no credentials: Unable to locate credentials; log in to AWS, or set AWS_PROFILE")


@pytest.mark.parametrize(
    ("page", "error", "heading"),
    [*((page, UNREACHABLE, "Query failed") for page in NAMES), (NAMES[0], LOCKED, "Cannot open the lake")],
)
def test_an_engine_that_fails_is_told_once_and_in_its_own_words(app, real, page, monkeypatch, error, heading):
    class Broken:
        name, lake = "athena", "tickerlake"

        def run(self, sql, parameters, limit=None, **_):
            raise error

    reading._engine.clear()
    monkeypatch.setattr(reading, "open_engine", lambda _: Broken())
    at = app(real, page, environment={"LAKE_ENGINE": "athena"})
    assert [element.value for element in at.header] == [heading]
    assert text(at).count(str(error)) == 1
    assert "Lake tickerlake: unavailable" in text(at)
    assert ("Query id: id-1" in text(at)) == isinstance(error, QueryFailed)
    assert "Start over" not in [button.label for button in at.button]


@pytest.mark.parametrize("page", ["hourly_highs", "session", "data_quality"])
def test_one_query_that_fails_is_told_in_its_place(app, real, page, monkeypatch):
    good = open_engine(Settings(lake=real))

    class Limited:
        name, lake, sources = "duckdb", str(real), good.sources

        def run(self, sql, parameters, limit=None, **_):
            if load("hourly_high").sql == sql or load("coverage").sql == sql:
                raise QueryFailed("the query would scan too much; ask for fewer sessions")
            return good.run(sql, parameters)

    reading._engine.clear()
    st.cache_data.clear()
    monkeypatch.setattr(reading, "open_engine", lambda _: Limited())
    words = text(app(real, page))
    assert words.count("the query would scan too much") == 1
    assert "Source: Yahoo Finance" in words


@pytest.mark.parametrize(
    ("page", "most", "asked"),
    [
        ("hourly_highs", 500_000, []),
        ("hourly_highs", 0, ["daily", "hourly_high", "daily", "restatements"]),
        ("session", 500_000, []),
        ("session", 0, ["daily", "hourly_high", "bars", "restatements"]),
    ],
)
def test_another_session_of_a_small_lake_needs_no_query_of_a_large_one_those_of_itself_and_the_sessions_before(
    app, real, monkeypatch, page, most, asked
):
    monkeypatch.setattr(reading, "_MUCH", most)
    monkeypatch.setattr(reading, "_TOO_MUCH", most)
    st.cache_data.clear()
    at = app(real, page)
    found = []
    monkeypatch.setattr(reading, "run", lambda *given, **more: (found.append(given[1]), run(*given, **more))[1])
    next(button for button in at.button if button.label == "Earlier").click().run()
    assert found == asked
    assert "Thu 19 Nov 2026" in text(at)


def test_the_last_session_is_summed_up_by_the_highs_that_the_map_shows(app, real):
    at = app(real)
    lake = open_engine(Settings(lake=real))
    opens = run(lake, "daily", first=lakes.FRIDAY).frame.set_index("ticker")["open"]
    highs = run(lake, "hourly_high", first=lakes.FRIDAY).frame
    change = highs["high"] / highs["ticker"].map(opens) - 1
    best = highs.loc[change.idxmax()]
    assert "Fri 20 Nov 2026, closed" in text(at)
    assert f"{best['ticker']} leads: {best['high']:,.2f} at {best['ts']:%H:%M} EST, +{change.max():.2%}".replace(
        "%", " %"
    ) in text(at)
    assert "Too few earlier sessions to say what is unusual: it takes 5." in text(at)
    (spec,) = specs(at)
    assert spec["layer"][0]["encoding"]["y"]["sort"][0] == best["ticker"]


@pytest.mark.parametrize(
    ("choices", "heading", "axis"),
    [
        ({}, "Hourly highs, USD", "change from open"),
        ({"from": "close"}, "Hourly highs, USD", "change from previous close"),
        ({"measure": "change", "from": "usual"}, "Hourly highs, change", "change from usual day"),
        ({"measure": "unusual"}, "Hourly highs over the open, percentile", "percentile"),
        ({"measure": "range"}, "Hourly ranges, percentile", "percentile"),
    ],
)
def test_one_measure_is_shown_and_named(app, real, choices, heading, axis):
    (spec,) = specs(app(real, **choices))
    assert (spec["title"]["text"], spec["layer"][0]["encoding"]["color"]["title"]) == (heading, axis)


def test_a_previous_close_that_is_not_in_the_lake_is_told(app, tmp_path):
    lake = lakes.fill(tmp_path / "lake", tickers=["META"])
    lakes.fill(lake, dt.date(2026, 11, 17), dt.date(2026, 11, 17), tickers=["META"])
    at = app(lake, **{"from": "close"})
    assert "The session before Fri 20 Nov 2026 is not in the lake." in text(at)
    assert specs(at)[0]["layer"][0]["encoding"]["color"]["title"] == "change from open"


def test_the_hour_in_the_address_is_marked_on_the_page_session(app, real):
    at = app(real, "session", ticker="META", hour="10")
    assert "META, Fri 20 Nov 2026, closed" in text(at)
    assert re.search(r"\*\*10:00.11:00\*\*: high \d+\.\d\d at 1\d:\d\d EST", text(at))
    assert "hour=20 in the address is not an hour of a session" in text(app(real, "session", hour="20"))


def test_a_running_session_is_provisional(app, running):
    at = app(running, now=lakes.MIDDAY)
    assert "Fri 20 Nov 2026, running" in text(at)
    assert "Bars are in up to 13:20 EST. The running hour is provisional" in text(at)
    assert " … " not in text(at)
    assert "Partial" not in text(at)


def test_only_a_session_that_is_running_is_looked_at_again(monkeypatch, app, running):
    lake = reading.Lake(Settings(lake=running))
    app(running, now=lakes.MIDDAY)
    assert live.interval(lake, [lakes.FRIDAY]) == live.REFRESH
    assert live.interval(lake, [dt.date(2026, 11, 19)]) is None
    assert live.interval(replace(lake, as_of=lakes.MIDDAY), [lakes.FRIDAY]) is None
    app(running, now=lakes.EVENING)
    assert live.interval(lake, [lakes.FRIDAY]) is None


class TestAsOf:
    def test_a_button_leads_back_to_now(self, app, faulty):
        at = app(faulty, "data_quality", now=SUNDAY, as_of="2026-11-20T18:30")
        assert "6 restated" not in text(at)
        next(button for button in at.button if button.label == "Show now").click().run()
        assert "6 restated" in text(at)
        assert "as_of" not in at.query_params

    def test_a_moment_in_the_session_shows_the_session_as_it_ran(self, app, running, real):
        then = text(app(running, now=SUNDAY, as_of="2026-11-20T13:23"))
        assert "Fri 20 Nov 2026, running" in then
        assert "Bars are in up to 13:20 EST." in then
        words = text(app(real, now=SUNDAY, as_of="2026-11-20T13:23"))
        assert "held no bars as of 2026-11-20 18:23:00 UTC" in words

    @pytest.mark.parametrize(
        ("moment", "said"),
        [
            ("noon", "as_of: 'noon' is not a date; write YYYY-MM-DD"),
            ("2026-13-40T12:00", "as_of: '2026-13-40T12:00' cannot be used; give a date, or a time such as"),
            ("0001-01-01T00:00+14:00", "as_of"),
            ("2026-11-24T12:00", "as_of=2026-11-24T12:00 in the address is in the future"),
        ],
    )
    def test_a_moment_that_cannot_be_is_refused_in_one_line(self, app, real, moment, said):
        words = text(app(real, as_of=moment))
        assert said in words
        assert words.count("as_of") == 1


def test_a_jump_that_looks_like_a_split_comes_with_the_command_that_adds_it(app, tmp_path):
    lake = write_case(tmp_path / "jump", "suspected_splits")

    at = app(lake, "data_quality", now=dt.datetime(2026, 12, 1, 15, tzinfo=dt.UTC))

    assert "Suspected splits" in text(at)
    assert "`tickerlake actions add AMZN 2026-11-27 20:1`" in text(at)


def test_long_bars_and_withdrawn_bars_are_explained(app, tmp_path):
    lake = tmp_path / "long"
    source = lakes.Invented("yahoo")
    collect(source, ParquetSink(lake), [XNYS.session_on(lakes.FRIDAY)], ["META"], 60, lambda: lakes.EVENING)
    for page in ("hourly_highs", "session"):
        words = text(app(lake, page))
        assert "META in 2026-11-20 has only 60-minute bars; hourly_high needs bars within one clock hour." in words

    lake = lakes.fill(tmp_path / "withdrawn", tickers=["META"])
    later = lakes.EVENING + dt.timedelta(hours=1)
    lakes.fill(lake, tickers=["META"], now=later, change=lambda _, bars: bars[bars.index != 20])
    assert "1 withdrawn." in text(app(lake, "data_quality", now=SUNDAY))
    words = text(app(lake, "session", now=SUNDAY))
    assert "Withdrawn: the source no longer gives 1 bar, 11:10 EST (high" in words
    assert "Withdrawn" not in text(app(lake, "session", now=SUNDAY, as_of="2026-11-20T18:30"))


@pytest.mark.parametrize("page", ["hourly_highs", "session"])
class TestADayWithoutBars:
    def test_a_holiday_is_named(self, app, real, page):
        at = app(real, page, session="2026-09-07")
        assert "No session on Monday, 7 Sep 2026: exchange holiday." in text(at)
        assert "Nearest sessions in the lake: Mon 16 Nov 2026." in text(at)

    def test_a_weekend_is_named(self, app, real, page):
        words = text(app(real, page, now=SUNDAY, session="2026-11-22"))
        assert "No session on Sunday, 22 Nov 2026: weekend." in words

    def test_before_the_open_the_time_of_it_is_text(self, app, real, page):
        at = app(real, page, now=BEFORE_THE_OPEN, session="2026-11-23")
        assert "The session of Mon 23 Nov 2026 opens at 09:30 EST (EST, UTC\N{MINUS SIGN}05:00)" in text(at)
        assert "Closed, opens today 09:30 EST" in text(at)

    def test_a_session_that_nobody_collected_can_be_collected(self, app, real, page):
        words = text(app(real, page, session="2026-11-13"))
        assert "The session of Fri 13 Nov 2026 has not been collected." in words
        assert "**Collect**" in words

    def test_a_date_that_is_none_is_refused_with_a_way_back(self, app, real, page):
        at = app(real, page, session="yesterday")
        assert "session=yesterday in the address is not a date" in text(at)
        next(button for button in at.button if button.label == "Start over").click().run()
        assert not at.exception
        assert "Fri 20 Nov 2026" in text(at)


class TestSomethingIsMissing:
    def test_a_ticker_without_bars_in_the_session_is_told_and_the_others_drawn(self, app, faulty):
        at = app(faulty, session="2026-11-19", tickers="META,OKTA")
        assert "No bars of OKTA in these sessions." in text(at)
        assert at.multiselect[0].value == ["META"]

    def test_a_ticker_that_is_no_symbol_is_refused(self, app, real):
        assert "is not a symbol" in text(app(real, tickers="<script>"))

    def test_an_unknown_ticker_of_the_page_session_is_told_with_those_there_are(self, app, real):
        words = text(app(real, "session", ticker="XXXX"))
        assert "no bars of XXXX in this session; it has AMZN, BYND" in words

    def test_no_ticker_at_all_asks_for_one(self, app, real):
        at = app(real)
        at.multiselect[0].set_value([]).run()
        assert not at.exception
        assert "Choose a ticker to see its hourly highs." in text(at)


class TestChoices:
    def test_they_go_into_the_url_and_come_back_from_it(self, app, real):
        at = app(real)
        at.selectbox(key="pick session").set_value(dt.date(2026, 11, 18)).run()
        at.multiselect[0].set_value(["META", "AMZN"]).run()
        assert at.query_params["session"] == "2026-11-18"
        assert at.query_params["tickers"] == "META,AMZN"
        again = app(real, session="2026-11-18", tickers="META,AMZN")
        assert "Wed 18 Nov 2026, closed" in text(again)
        assert again.multiselect[0].value == ["META", "AMZN"]

    @pytest.mark.parametrize(
        ("choice", "said"),
        [
            ({"view": "Pie"}, "view=Pie in the address is not one of Heat map, Lines, Small multiples, Table"),
            ({"measure": "eur"}, "measure=eur in the address is not one of high, change, unusual, range"),
            ({"from": "noon"}, "from=noon in the address is not one of open, close, usual"),
        ],
    )
    def test_what_the_url_asks_for_and_there_is_not_is_text(self, app, real, choice, said):
        assert said in text(app(real, **choice))

    def test_a_second_click_that_comes_with_the_url_of_before_keeps_the_first(self, app, real):
        at = app(real, tickers="AMZN,META,NFLX")
        at.multiselect[0].set_value(["META", "NFLX"]).run()
        at.query_params["tickers"] = "AMZN,META,NFLX"
        at.selectbox(key="pick measure").set_value("change").run()
        assert at.multiselect[0].value == ["META", "NFLX"]
        assert at.query_params["tickers"] == "META,NFLX"

    def test_the_newest_session_is_followed_until_one_is_chosen(self, app, real):
        assert "session" not in app(real).query_params

    def test_they_go_with_the_visitor_to_the_next_page(self, app, real):
        at = app(real)
        at.selectbox(key="pick session").set_value(dt.date(2026, 11, 18)).run()
        at.switch_page("app_pages/session.py").run()
        assert "Wed 18 Nov 2026, closed" in text(at)

    def test_earlier_and_later_step_through_the_sessions(self, app, real):
        at = app(real)
        next(button for button in at.button if button.label == "Earlier").click().run()
        assert "Thu 19 Nov 2026, closed" in text(at)
        next(button for button in at.button if button.label == "Later").click().run()
        assert "Fri 20 Nov 2026, closed" in text(at)

    def test_a_range_is_drawn_over_its_sessions(self, app, real):
        at = app(real, session="2026-11-16", to="2026-11-20", tickers="META", view="Lines")
        assert "Mon 16 Nov 2026 to Fri 20 Nov 2026: 5 sessions" in text(at)
        assert "USD" in json.dumps(specs(at)[0])

    def test_a_range_is_told_in_a_sentence_and_drawn_by_the_session(self, app, real):
        at = app(real, session="2026-11-16", to="2026-11-20", tickers="META")
        daily = run(open_engine(Settings(lake=real)), "daily", tickers=["META"]).frame
        top = daily.loc[daily["high"].idxmax()]
        change = f"{top['high'] / daily['open'].iloc[0] - 1:+.2%}".replace("%", " %")
        day = dt.date.fromisoformat(top["session"])
        assert f"META leads: {top['high']:.2f} on {day.day} Nov, {change} from its first open." in text(at)
        assert specs(at)[0]["title"]["text"] == "Session highs, USD"

    def test_a_range_without_a_ticker_asks_for_one(self, app, real):
        at = app(real, session="2026-11-16", to="2026-11-20", tickers="")
        assert "Choose a ticker to see its hourly highs." in text(at)

    def test_a_range_the_wrong_way_round_is_refused(self, app, real):
        assert "swap them" in text(app(real, session="2026-11-20", to="2026-11-16"))


class TestTheLogin:
    def test_where_one_is_configured_no_page_shows_before_it(self, app, real, monkeypatch):
        monkeypatch.setattr(login, "find_spec", lambda _: True)
        at = app(real, user={"is_logged_in": False})
        assert [button.label for button in at.button] == ["Log in"]
        assert "Log in to see this lake" in text(at)
        assert "NFLX" not in text(at)
        monkeypatch.setattr(login, "find_spec", lambda _: None)
        at.run()
        assert not at.button
        assert "pip install 'streamlit[auth]'" in text(at)

    def test_after_it_the_page_shows_and_offers_to_log_out(self, app, real):
        assert "log out" in {button.key for button in app(real, user={"is_logged_in": True}).button}
        assert "log out" not in {button.key for button in app(real).button}


def test_many_tickers_begin_with_twelve_that_can_be_read(app, crowded):
    at = app(crowded)
    assert len(at.multiselect[0].value) == 12
    assert len(at.multiselect[0].options) == 70
    assert "Showing 12 of 70 tickers in this session." in text(at)


class TestDataQuality:
    def test_rejected_records_are_counted_by_rule(self, faulty):
        found = rejected.read(Layout(faulty).rejected())
        counts = dict(zip(found.by_rule["rule"], found.by_rule["records"], strict=True))
        assert counts == {"high-below-low": 4, "missing-price": 1}
        assert (len(found.latest), found.unreadable) == (5, 0)

    def test_lines_that_cannot_be_read_are_skipped_and_counted(self, app, tmp_path):
        lake = lakes.fill(tmp_path / "lake", change=lakes.with_faults)
        (file,) = Layout(lake).rejected()
        file.write_bytes(b'{"rule": "high-bel\n[1]\n\xff\n' + file.read_bytes() + b'{"rule": 3, "ticker": {"a": []}}\n')
        words = text(app(lake, "data_quality"))
        assert "3 lines in the files of rejected records cannot be read." in words
        found = rejected.read(Layout(lake).rejected())
        assert dict(zip(found.by_rule["rule"], found.by_rule["records"], strict=True)) == {
            "high-below-low": 4,
            "missing-price": 1,
            "3": 1,
        }

    def test_it_says_when_the_vendor_forgets_what_is_missing(self, app, tmp_path, real):
        lake = shutil.copytree(real, tmp_path / "lake")
        shutil.rmtree(Layout(lake).partition("2026-11-17"))
        said = "In the whole lake, 858 bars of 1 session are missing; yahoo forgets 2026-11-17 in 55 days."
        assert said in text(app(lake, "data_quality"))


class TestPipeline:
    def test_the_runs_are_told_latest_first_with_what_they_rejected(self, app, faulty):
        runs = app(faulty, "pipeline").dataframe[0].value
        assert runs["collected"].str.slice(16, 21).tolist() == ["19:00", "18:00"]
        assert runs["bars"].tolist() == [156, 2455]
        assert runs["stored"].tolist() == [6, 2455]
        assert runs["rejected"].tolist() == [0, 5]

    def test_a_run_that_found_nothing_new_is_among_them(self, app, tmp_path):
        lake = lakes.fill(tmp_path / "lake", tickers=["META"])
        lakes.fill(lake, tickers=["META"], now=lakes.EVENING + dt.timedelta(hours=1))
        runs = app(lake, "pipeline").dataframe[0].value
        assert runs[["bars", "stored", "outcome"]].to_numpy().tolist() == [
            [78, 0, "1 answered"],
            [78, 78, "1 answered"],
        ]

    def test_settings_show_where_they_come_from_but_no_secret(self, app, real):
        at = app(real, "pipeline", environment={"LAKE_PASSWORD": "hunter2"})
        rows = at.dataframe[1].value.set_index("Variable")
        assert rows.loc["LAKE_DIR", ["Value", "From"]].tolist() == [str(real), "LAKE_DIR"]
        assert rows.loc["LAKE_PORT", ["Value", "From"]].tolist() == ["8080", "default"]
        assert rows.loc["LAKE_PASSWORD", "Value"] == "•••"
        assert "hunter2" not in rows.to_csv()


VIEWS = [
    ("hourly_highs", {"view": "Lines"}),
    ("hourly_highs", {"measure": "unusual"}),
    ("hourly_highs", {"measure": "range"}),
    ("hourly_highs", {"view": "Heat map"}),
    ("hourly_highs", {"view": "Small multiples"}),
    ("hourly_highs", {"view": "Table"}),
    ("hourly_highs", {"session": "2026-11-19", "to": "2026-11-20"}),
    ("session", {"ticker": lakes.HOSTILE}),
    ("session", {"ticker": "META", "other": "2026-11-19"}),
    ("across_days", {}),
    ("across_days", {"compare": "One clock", "ticker": lakes.HOSTILE, "other": "2026-11-19"}),
    ("across_days", {"compare": "Calendar", "ticker": lakes.HOSTILE}),
    ("across_days", {"compare": "Side by side", "ticker": "META"}),
]


class TestALakeWithoutOpens:
    @pytest.mark.parametrize(("page", "choices"), VIEWS)
    def test_every_chart_has_numbers_and_no_name_is_interpreted(self, app, without_open, page, choices):
        at = app(without_open, page, **choices)
        for spec in specs(at):
            assert "NaN" not in json.dumps({name: part for name, part in spec.items() if name != "datasets"})
        assert not re.search(r"(?<!\\)\[/RED\]", "".join(element.value for element in (*at.markdown, *at.caption)))

    def test_changes_are_from_the_midpoint_of_the_first_bar_to_that_of_the_last_and_the_page_says_so(
        self, app, without_open
    ):
        at = app(without_open, tickers="META")
        bars = run(open_engine(Settings(lake=without_open)), "bars", first=lakes.FRIDAY, tickers=["META"]).frame
        top = bars.loc[bars["high"].idxmax()]
        change = top["high"] / ((bars["high"] + bars["low"]) / 2).iloc[0] - 1
        assert f"{change:+.2%} from its first price.".replace("%", " %") in text(at)
        assert "No open or close in these bars: changes are from the session's first known price" in text(at)
        colour = specs(at)[0]["layer"][0]["encoding"]["color"]
        assert colour["title"] == "change from first price"
        assert all(math.isfinite(bound) for bound in colour["scale"]["domain"])

    def test_the_session_page_draws_lines_instead_of_candles(self, app, without_open):
        at = app(without_open, "session", ticker="META")
        assert "Open unknown" in text(at)
        assert "Hollow" not in text(at)
        marks = [layer["mark"]["type"] for layer in specs(at)[0]["layer"][0]["layer"]]
        assert set(marks) == {"rule", "text", "point"}


def test_a_heat_map_of_many_tickers_shows_the_best_and_the_worst(app, crowded):
    tickers = ",".join(app(crowded).multiselect[0].options)
    at = app(crowded, tickers=tickers, view="Heat map")
    assert "10 tickers between the first and the last are not shown." in text(at)
