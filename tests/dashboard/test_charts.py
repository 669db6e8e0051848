"""The charts by their specification, and the numbers that they are drawn from."""

from __future__ import annotations

import datetime as dt
import tomllib
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from dashboard import labels
from dashboard.charts.axes import DASH
from dashboard.charts.candles import candles, volumes
from dashboard.charts.coverage import coverage_map
from dashboard.charts.heat_map import ROW_HEIGHT, heat_map
from dashboard.charts.lines import LABEL_GAP, LINES_HEIGHT, hourly_lines, spread
from dashboard.charts.sparkline import sparkline
from dashboard.charts.theme import DARK, LIGHT
from dashboard.chrome import cards
from dashboard.data import figures
from tests.dashboard import lakes
from tickerlake import exchange
from tickerlake.query import Settings, open_engine, run

CONFIG = Path(__file__).parents[2] / "dashboard" / ".streamlit" / "config.toml"
FRIDAY = exchange.session_on(lakes.FRIDAY)


class Numbers:
    """The answers that the charts of one session are made of."""

    def __init__(self, lake, now, first=lakes.FRIDAY):
        engine = open_engine(Settings(lake=lake))
        span = {"first": first, "last": lakes.FRIDAY}
        self.highs = run(engine, "hourly_high", **span).frame
        self.daily = figures.with_change(run(engine, "daily", **span).frame)
        self.bars = run(engine, "bars", **span, tickers=["META"]).frame
        self.coverage = run(engine, "coverage", **span, now=now).frame.assign(early_close=False)
        self.hours = figures.hourly(self.highs, self.daily, now)
        self.tickers = sorted(self.daily["ticker"])


@pytest.fixture(scope="module")
def finished(real):
    return Numbers(real, lakes.EVENING)


@pytest.fixture(scope="module")
def unfinished(running):
    return Numbers(running, lakes.MIDDAY)


def layers(chart, mark):
    return [layer for layer in chart.to_dict(validate=True)["layer"] if layer["mark"]["type"] == mark]


def rows(chart, layer):
    spec = chart.to_dict()
    return spec["datasets"][layer.get("data", spec.get("data"))["name"]]


class TestLines:
    def test_a_line_for_each_ticker_over_the_hours_of_the_session(self, finished):
        chart = hourly_lines(finished.hours, "percent", LIGHT, tickers=finished.tickers)
        (line,) = layers(chart, "line")
        drawn = pd.DataFrame(rows(chart, line))
        assert drawn.groupby("ticker")["slot"].nunique().eq(7).all()
        assert drawn["ticker"].nunique() == 11
        assert line["encoding"]["y"]["field"] == "change"
        assert line["encoding"]["x"]["title"] == "hour in New York (EST, UTC\N{MINUS SIGN}05:00)"

    def test_prices_far_apart_are_drawn_on_a_log_scale_that_says_so(self, finished):
        chart = hourly_lines(finished.hours, "usd", LIGHT, tickers=finished.tickers)
        (line,) = layers(chart, "line")
        assert line["encoding"]["y"]["field"] == "high"
        assert line["encoding"]["y"]["scale"]["type"] == "log"
        assert line["encoding"]["y"]["title"] == "USD, logarithmic"

    def test_an_hour_that_still_runs_is_dashed_and_hollow(self, unfinished):
        chart = hourly_lines(unfinished.hours, "percent", LIGHT, tickers=unfinished.tickers)
        full, dashed = layers(chart, "line")
        assert dashed["mark"]["strokeDash"] == DASH
        assert {row["hour"] for row in rows(chart, full)} == {9, 10, 11, 12}
        assert {row["hour"] for row in rows(chart, dashed)} == {12, 13}
        (points,) = layers(chart, "point")
        assert points["encoding"]["fill"]["condition"]["test"] == "datum.provisional"
        assert points["encoding"]["fill"]["condition"]["value"] == LIGHT.paper

    def test_every_line_is_named_at_its_end_and_no_name_covers_another(self, finished):
        chart = hourly_lines(finished.hours, "percent", LIGHT, tickers=finished.tickers)
        (names,) = layers(chart, "text")
        at = sorted(row["label_at"] for row in rows(chart, names))
        low, high = (
            names["encoding"]["y"].get("scale", {}).get("domain")
            or layers(chart, "line")[0]["encoding"]["y"]["scale"]["domain"]
        )
        gap = (high - low) * LABEL_GAP / LINES_HEIGHT
        assert min(after - before for before, after in pairwise(at)) > gap * 0.98

    def test_colour_never_stands_alone(self, finished):
        chart = hourly_lines(finished.hours, "percent", LIGHT, tickers=finished.tickers)
        (points,) = layers(chart, "point")
        colours = points["encoding"]["color"]["scale"]["range"]
        shapes = points["encoding"]["shape"]["scale"]["range"]
        assert len(set(zip(colours, shapes, strict=True))) == len(finished.tickers)

    def test_a_long_span_has_one_point_a_session(self, real):
        numbers = Numbers(real, lakes.EVENING, first=dt.date(2026, 11, 16))
        chart = hourly_lines(figures.per_session(numbers.daily), "usd", LIGHT, tickers=numbers.tickers, simulated=True)
        (line,) = layers(chart, "line")
        assert {row["slot"] for row in rows(chart, line)} == {f"2026-11-{day}" for day in range(16, 21)}
        assert chart.to_dict()["title"]["text"] == "SIMULATED · Day's highs"


class TestHeatMap:
    def test_each_cell_is_labelled_with_its_price(self, finished):
        chart = heat_map(finished.hours, LIGHT, order=finished.tickers)
        (text,) = layers(chart, "text")
        cells = rows(chart, text)
        assert len(cells) == 77
        assert all(cell["label"].startswith(f"{cell['high']:.2f}") for cell in cells)

    def test_a_tie_says_how_many_bars_reached_the_high(self, finished):
        chart = heat_map(finished.hours, LIGHT, order=finished.tickers)
        ties = [cell for cell in rows(chart, layers(chart, "text")[0]) if cell["touches"] > 1]
        assert ties
        assert all(cell["label"].endswith(f"\N{MULTIPLICATION SIGN}{cell['touches']}") for cell in ties)

    def test_the_running_hour_has_a_mark(self, unfinished):
        chart = heat_map(unfinished.hours, LIGHT, order=unfinished.tickers)
        cells = rows(chart, layers(chart, "text")[0])
        assert {cell["hour"] for cell in cells if cell["label"].endswith("…")} == {13}

    def test_five_hundred_rows_keep_their_height(self, crowded):
        numbers = Numbers(crowded, lakes.EVENING)
        chart = heat_map(numbers.hours, LIGHT, order=numbers.tickers)
        assert chart.to_dict()["height"] >= 500 * ROW_HEIGHT


class TestCandles:
    def drawn(self, numbers, **more):
        highs = numbers.highs[numbers.highs["ticker"] == "META"].assign(bar_minutes=5)
        provisional = numbers.hours[numbers.hours["ticker"] == "META"][["hour", "provisional"]]
        return candles(numbers.bars, highs.merge(provisional, on="hour"), LIGHT, session=FRIDAY, **more), highs

    def test_the_axis_is_the_session_and_has_no_closed_hours(self, finished):
        chart, _ = self.drawn(finished)
        (bodies,) = layers(chart, "rect")
        assert bodies["encoding"]["x"]["scale"]["domain"] == [9 * 60 + 30, 16 * 60]
        assert len(rows(chart, bodies)) == 78

    def test_every_touch_is_marked(self, finished):
        chart, highs = self.drawn(finished)
        (touches,) = layers(chart, "point")
        assert len(rows(chart, touches)) == len(highs)

    def test_bars_that_rose_are_hollow(self, finished):
        chart, _ = self.drawn(finished)
        fill = layers(chart, "rect")[0]["encoding"]["fill"]
        assert fill["condition"] == {"test": "datum.side == 'rose'", "value": LIGHT.paper}

    def test_the_running_hours_high_is_dashed(self, unfinished):
        chart, _ = self.drawn(unfinished, simulated=True)
        dashed = [rule for rule in layers(chart, "rule") if rule["mark"].get("strokeDash") == DASH]
        assert [row["hour"] for row in rows(chart, dashed[0])] == [13]
        assert chart.to_dict()["title"]["text"].startswith("SIMULATED")

    def test_a_volume_that_was_not_given_is_no_bar(self, finished):
        bars = finished.bars.assign(volume=finished.bars["volume"].mask(finished.bars.index < 10))
        chart = volumes(bars, LIGHT, session=FRIDAY).to_dict()
        assert len(chart["datasets"][chart["data"]["name"]]) == 68


class TestCoverage:
    def test_each_state_has_a_sign_of_its_own(self):
        frame = pd.DataFrame(
            {
                "ticker": ["A", "A", "B", "B"],
                "session": ["2026-11-25", "2026-11-27"] * 2,
                "expected": [78, 42, 78, 42],
                "present": [78, 42, 70, 0],
                "missing": [0, 0, 8, 42],
                "gaps": ["", "", "09:30-10:05", "09:30-12:55"],
                "early_close": [False, True, False, True],
            }
        )
        chart = coverage_map(frame, LIGHT)
        cells = rows(chart, layers(chart, "text")[0])
        assert [(cell["state"], cell["sign"]) for cell in cells] == [
            ("complete", "✓"),
            ("early close", "✓ ½"),
            ("partial", "\N{MINUS SIGN}8"),
            ("missing", "✕"),
        ]


class TestNumbers:
    def test_movers_are_ranked_by_their_change_from_the_open(self, finished):
        found = figures.movers(finished.daily, finished.hours)
        assert [found[0].ticker, found[-1].ticker] == ["PINS", "BYND"]
        assert found[0].high == max(found[0].highs)
        assert len(found) == 11
        assert {mover.high_slot for mover in found} <= set(labels.HOURS)

    def test_several_sessions_count_from_the_first_open_to_the_last_price(self):
        nothing = float("nan")
        daily = pd.DataFrame(
            [
                ("A", "2026-11-19", nothing, 12.0, 9.0, 11.0),
                ("A", "2026-11-20", 11.5, 13.0, 11.0, 12.65),
                ("B", "2026-11-20", 21.0, 22.0, 15.0, nothing),
                ("B", "2026-11-19", 20.0, 23.0, 19.0, 19.0),
                ("C", "2026-11-19", nothing, 2.0, 1.0, nothing),
            ],
            columns=["ticker", "session", "open", "high", "low", "close"],
        )
        found = figures.movers(figures.over_span(daily), daily.sort_values(["ticker", "session"]), by="session")
        assert [(mover.ticker, mover.high_slot, mover.low) for mover in found] == [
            ("A", "2026-11-20", 9.0),
            ("B", "2026-11-19", 15.0),
        ]
        assert [mover.change for mover in found] == pytest.approx([0.1, -0.05])
        assert found[1].highs == [23.0, 22.0]
        assert figures.headline(found, running=False, since=dt.date(2026, 11, 19)) == (
            "1 of 2 tickers closed above their first open since 19 Nov 2026. A led with +10.00 %, "
            "B trailed with \N{MINUS SIGN}5.00 %."
        )
        assert figures.headline(found[:1], running=True, since=dt.date(2026, 11, 19)) == (
            "A stands +10.00 % from its first open since 19 Nov 2026."
        )

    def test_a_ticker_without_an_open_is_no_mover(self, finished):
        daily = figures.with_change(finished.daily.assign(open=float("nan")))
        assert figures.movers(daily, finished.hours) == []
        assert figures.headline([], running=False) == "No ticker has an open and a last price in this session."

    def test_sessions_of_two_years_are_told_with_their_year(self):
        dates = [dt.date(2025, 12, 31), dt.date(2026, 1, 2)]
        assert list(cards.sessions(dates).names.values()) == ["31 Dec 2025", "2 Jan 2026"]
        assert list(cards.sessions(dates[1:]).names.values()) == ["2 Jan"]

    def test_the_first_choice_is_the_watchlist_and_then_the_movers(self):
        daily = pd.DataFrame({"ticker": [*"ABCDE", "META"], "change": [0.01, -0.09, 0.0, 0.05, 0.02, 0.0]})
        assert figures.first_choice(daily, count=3) == ["B", "D", "META"]
        assert figures.first_choice(daily, count=6) == daily["ticker"].tolist()

    def test_a_full_hour_of_a_running_session_is_not_provisional(self, unfinished):
        assert set(unfinished.hours.loc[unfinished.hours["provisional"], "hour"]) == {13}

    def test_labels_are_spread_within_their_bounds(self):
        placed = spread([1.0, 1.0, 1.1, 9.9, 10.0], 0.0, 10.0, 1.0)
        assert placed == sorted(placed)
        assert min(b - a for a, b in pairwise(placed)) == pytest.approx(1.0, abs=0.02)
        assert placed[0] >= 0
        assert placed[-1] <= 10


def test_a_sparkline_is_a_picture_with_a_point_for_each_value():
    line = ET.fromstring(sparkline([1.0, 3.0, 2.0], "#0072B2"))
    assert len(line[0].attrib["points"].split()) == 3
    bars = ET.fromstring(sparkline([2, 0, -1], "#0072B2", bars=True))
    assert [float(bar.attrib["height"]) > 1 for bar in bars] == [True, False, True]


def test_charts_and_theme_share_their_colours():
    theme = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
    for name, palette in (("light", LIGHT), ("dark", DARK)):
        assert theme[name]["chartCategoricalColors"] == list(palette.categories)
        assert theme[name]["textColor"] == palette.ink
        assert theme[name]["backgroundColor"] == palette.paper


def test_nothing_is_asked_of_another_host():
    config = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    assert config["browser"]["gatherUsageStats"] is False
    assert "http" not in "".join(line for line in CONFIG.read_text().splitlines() if not line.startswith("#"))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(20, "just now"), (60, "1 minute ago"), (7300, "2 hours ago"), (86_400 * 3, "3 days ago")],
)
def test_an_age_has_one_unit(seconds, said):
    assert labels.age(lakes.EVENING - dt.timedelta(seconds=seconds), lakes.EVENING) == said


def test_summer_and_winter_have_their_own_offset():
    assert (
        labels.instant(dt.datetime(2026, 7, 1, 14, tzinfo=dt.UTC))
        == "Wed 1 Jul 2026 10:00 (EDT, UTC\N{MINUS SIGN}04:00)"
    )
    assert (
        labels.instant(dt.datetime(2026, 12, 1, 14, tzinfo=dt.UTC))
        == "Tue 1 Dec 2026 09:00 (EST, UTC\N{MINUS SIGN}05:00)"
    )


def test_an_early_close_is_announced():
    assert labels.market(dt.datetime(2026, 11, 27, 16, tzinfo=dt.UTC)) == "Open until 13:00 EST (early close)"
