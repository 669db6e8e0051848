"""Charts by the numbers they are drawn from and the encodings that draw them."""

from __future__ import annotations

import datetime as dt
import tomllib
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from dashboard.charts import axes, candles, coverage, heat_map, lines, records, theme
from dashboard.charts.theme import DARK, LIGHT
from dashboard.data import figures
from tickerlake import exchange
from tickerlake.exchange import XNYS

CONFIG = Path(__file__).parents[2] / "dashboard" / ".streamlit" / "config.toml"
FRIDAY = exchange.XNYS.session_on(dt.date(2026, 11, 20))
COVERAGE = pd.DataFrame(
    {
        "ticker": ["A", "A", "B", "B", "C", "C"],
        "session": ["2026-11-25", "2026-11-27"] * 3,
        "expected": [78, 42] * 3,
        "present": [78, 42, 70, 0, 76, 0],
        "missing": [0, 0, 8, 42, 2, 42],
        "absent": [0, 0, 8, 0, 2, 42],
        "halted": [0, 0, 7, 0, 2, 0],
        "gaps": ["", "", "09:30-10:05", "09:30-12:55", "11:00-11:05", "09:30-12:55"],
        "early_close": [False, True] * 3,
    }
)
ROOM = "\N{NO-BREAK SPACE}"


def hours(**changed):
    """Two tickers in two hours. A rises from 100, its second high has two touches; B falls from 50 and still runs."""
    frame = pd.DataFrame(
        {
            "ticker": ["A", "A", "B", "B"],
            "session": "2026-11-20",
            "hour": [9, 10, 9, 10],
            "high": [101.0, 110.0, 50.0, 45.0],
            "ts": pd.to_datetime(["2026-11-20 09:30", "2026-11-20 10:05"] * 2).tz_localize(XNYS.zone),
            "slot": ["2026-11-20 09", "2026-11-20 10"] * 2,
            "change": [0.01, 0.1, 0.0, -0.1],
            "basis": "open",
            "touches": [1, 2, 1, 1],
            "reached": ["09:30 EST", "10:05 EST"] * 2,
            "span": ["09:30-10:00", "10:00-11:00"] * 2,
            "provisional": [False, False, False, True],
            "percentile": [100.0, 50.0, 10.0, float("nan")],
            "unusual": [True, False, False, False],
            "restated": [0, 2, 0, 0],
            "is_top": [False, True, True, False],
        }
    )
    return frame.assign(**changed)


def layers(chart, mark):
    """The layers with this mark, of a chart that keeps to Vega-Lite's schema."""
    return [layer for layer in _flat(chart.to_dict(validate=True)) if layer["mark"]["type"] == mark]


def _flat(spec):
    return [layer for part in spec["layer"] for layer in _flat(part)] if "layer" in spec else [spec]


def rows(chart, layer):
    spec = chart.to_dict()
    return pd.DataFrame(spec["datasets"][layer.get("data", spec.get("data"))["name"]])


def fields(layer):
    """What each channel shows: its field, or its constant."""
    return {
        channel: encoding.get("field", encoding.get("value", encoding.get("datum")))
        for channel, encoding in layer["encoding"].items()
        if channel != "tooltip"
    }


def values(chart, layer, *columns):
    return list(rows(chart, layer)[list(columns)].itertuples(index=False, name=None))


class TestHourlyLines:
    def drawn(self, scale="percent", frame=None, **more):
        return lines.hourly_lines(
            hours() if frame is None else frame, scale, LIGHT, place=XNYS, tickers=["A", "B"], **more
        )

    def test_each_point_is_an_hour_and_its_change(self):
        chart = self.drawn()
        (points,) = layers(chart, "point")
        assert {"x": "slot", "y": "change", "color": "ticker", "shape": "ticker"}.items() <= fields(points).items()
        assert values(chart, points, "ticker", "slot", "change") == [
            ("A", "2026-11-20 09", 0.01),
            ("A", "2026-11-20 10", 0.1),
            ("B", "2026-11-20 09", 0.0),
            ("B", "2026-11-20 10", -0.1),
        ]
        x, y = points["encoding"]["x"], points["encoding"]["y"]
        assert x["scale"]["domain"] == ["2026-11-20 09", "2026-11-20 10", ROOM]
        assert x["axis"]["labelExpr"].startswith("({'2026-11-20 09': '09:30', '2026-11-20 10': '10:00'})")
        assert x["title"] == "hour in New York (EST, UTC\N{MINUS SIGN}05:00)"
        assert y["scale"] == {"domain": pytest.approx([-0.112, 0.112]), "nice": False, "zero": False, "type": "linear"}
        assert y["title"] == "change from open"

    def test_prices_are_in_usd(self):
        chart = self.drawn("price", hours(high=[101.0, 110.0, 100.0, 90.0]))
        (points,) = layers(chart, "point")
        y = points["encoding"]["y"]
        assert (y["field"], y["title"], y["scale"]["type"]) == ("high", "USD", "linear")
        assert y["scale"]["domain"] == pytest.approx([90 - 1.2, 110 + 1.2])
        assert layers(chart, "rule") == []

    def test_prices_far_apart_are_on_a_logarithmic_scale_that_says_so(self):
        chart = self.drawn("price", hours(high=[101.0, 110.0, 50.0, 20.0]))
        (points,) = layers(chart, "point")
        y = points["encoding"]["y"]
        assert (y["title"], y["scale"]["type"]) == ("USD, logarithmic", "log")
        assert y["scale"]["domain"] == pytest.approx([20 * 0.94, 110 * 1.06])
        (names,) = layers(chart, "text")
        assert dict(values(chart, names, "ticker", "label_at")) == pytest.approx({"A": 110.0, "B": 20.0})

    def test_a_running_hour_is_dashed_and_hollow(self):
        chart = self.drawn()
        solid, dashed = layers(chart, "line")
        assert (solid["mark"]["strokeDash"], dashed["mark"]["strokeDash"]) == ([1, 0], axes.DASH)
        assert values(chart, solid, "ticker", "hour") == [("A", 9), ("A", 10), ("B", 9)]
        assert values(chart, dashed, "ticker", "hour") == [("B", 9), ("B", 10)]
        assert fields(solid)["y"] == fields(dashed)["y"] == "change"
        (points,) = layers(chart, "point")
        assert points["encoding"]["fill"]["condition"] == {"test": "datum.provisional", "value": LIGHT.paper}

    def test_the_line_of_no_change_is_at_zero(self):
        chart = self.drawn()
        (rule,) = layers(chart, "rule")
        assert (fields(rule), values(chart, rule, "change")) == ({"y": "change"}, [(0.0,)])

    def test_each_line_is_named_at_its_last_point(self):
        chart = self.drawn()
        (names,) = layers(chart, "text")
        assert {"x": "slot", "y": "label_at", "text": "ticker", "color": "ticker"}.items() <= fields(names).items()
        assert values(chart, names, "ticker", "slot", "label_at") == [
            ("A", "2026-11-20 10", 0.1),
            ("B", "2026-11-20 10", -0.1),
        ]

    def test_names_close_together_are_moved_apart_but_stay_on_the_chart(self):
        chart = self.drawn(frame=hours(change=[0.01, 0.1, 0.1, 0.1]))
        (names,) = layers(chart, "text")
        low, high = layers(chart, "point")[0]["encoding"]["y"]["scale"]["domain"]
        below, above = sorted(rows(chart, names)["label_at"])
        assert above - below == pytest.approx((high - low) * lines.LABEL_GAP / lines.HEIGHT)
        assert low <= below < above <= high

    def test_without_room_for_names_there_are_none(self):
        tickers = [f"T{number:02}" for number in range(lines.LABELS_FIT + 1)]
        frame = pd.concat([hours()[:1].assign(ticker=ticker) for ticker in tickers])
        assert layers(lines.hourly_lines(frame, "percent", LIGHT, place=XNYS, tickers=tickers), "text") == []

    def test_from_the_first_price_where_there_is_no_open(self):
        (points,) = layers(self.drawn(frame=hours(basis=["open", "open", "first price", "first price"])), "point")
        assert points["encoding"]["y"]["title"] == "change from first price"
        assert "change from first price" in {tip["title"] for tip in points["encoding"]["tooltip"]}

    def test_a_long_range_has_a_point_per_session_measured_from_the_first_open(self):
        daily = figures.with_change(
            pd.DataFrame(
                {
                    "ticker": ["A", "A", "B", "B"],
                    "session": ["2026-11-19", "2026-11-20"] * 2,
                    "open": [100.0, 150.0, 10.0, 9.0],
                    "high": [120.0, 160.0, 11.0, 9.5],
                    "low": [90.0, 140.0, 8.0, 7.0],
                    "close": [110.0, 155.0, 9.0, 8.0],
                }
            )
        )
        chart = self.drawn(frame=figures.per_session(daily), simulated=True)
        (points,) = layers(chart, "point")
        assert values(chart, points, "ticker", "slot", "change", "high") == [
            ("A", "2026-11-19", pytest.approx(0.2), 120.0),
            ("A", "2026-11-20", pytest.approx(0.6), 160.0),
            ("B", "2026-11-19", pytest.approx(0.1), 11.0),
            ("B", "2026-11-20", pytest.approx(-0.05), 9.5),
        ]
        assert chart.to_dict()["title"]["text"] == "SIMULATED · Session highs"
        x = points["encoding"]["x"]
        assert (x["title"], x["scale"]["domain"][:2]) == ("session", ["2026-11-19", "2026-11-20"])
        assert "'2026-11-19': '19 Nov'" in x["axis"]["labelExpr"]

    def test_the_hours_of_several_sessions_carry_each_date_once_and_both_offsets(self):
        frame = pd.concat(
            [
                hours(slot=[f"{day} 09", f"{day} 10"] * 2, ts=pd.Timestamp(f"{day} 09:30", tz=XNYS.zone))
                for day in ("2026-10-30", "2026-11-02")
            ]
        )
        x = layers(self.drawn(frame=frame), "point")[0]["encoding"]["x"]
        assert x["axis"]["labelExpr"].startswith("({'2026-10-30 09': '30 Oct', '2026-11-02 09': '2 Nov'})")
        assert x["title"].count("UTC") == 2


class TestSmallMultiple:
    def test_one_tickers_changes_on_the_shared_scale(self):
        bounds = lines.shared_bounds(hours(), "price")
        assert bounds == pytest.approx((-0.112, 0.112))
        chart = lines.small_multiple(
            hours(), "price", LIGHT, ticker="B", colour="#123456", bounds=bounds, simulated=True
        )
        (points,) = layers(chart, "point")
        assert (fields(points)["x"], fields(points)["y"]) == ("slot", "change")
        assert values(chart, points, "ticker", "change") == [("B", 0.0), ("B", -0.1)]
        assert points["encoding"]["y"]["scale"]["domain"] == pytest.approx([-0.112, 0.112])
        assert points["mark"]["color"] == "#123456"
        (dashed,) = [line for line in layers(chart, "line") if line["mark"]["strokeDash"] == axes.DASH]
        assert values(chart, dashed, "hour") == [(9,), (10,)]
        title = chart.to_dict()["title"]
        assert (title["text"], title["subtitle"]) == ("SIMULATED · B", "high 50.00, +0.00 %")


class TestHeatMap:
    def test_each_cell_shows_its_high_its_minute_and_its_ties_and_is_coloured_by_its_change(self):
        chart = heat_map.heat_map(hours(), "price", LIGHT, place=XNYS, heading="Hourly highs, USD", order=["A", "B"])
        (cells, frames), (text, below) = layers(chart, "rect"), layers(chart, "text")
        assert {"x": "slot", "y": "ticker", "color": "change"}.items() <= fields(cells).items()
        assert (fields(text)["text"], fields(below)["text"]) == ("label", "below")
        assert values(chart, cells, "ticker", "slot", "change", "label", "below", "strong") == [
            ("A", "2026-11-20 09", 0.01, "101.00", ":30 \N{BLACK UP-POINTING TRIANGLE}", False),
            ("A", "2026-11-20 10", 0.1, "110.00", ":05 \N{MULTIPLICATION SIGN}2 \N{LOWER RIGHT PENCIL}", True),
            ("B", "2026-11-20 09", 0.0, "50.00", ":30", False),
            ("B", "2026-11-20 10", -0.1, "45.00", ":05 …", True),
        ]
        assert frames["transform"] == [{"filter": "datum.is_top"}]
        colours = cells["encoding"]["color"]
        assert colours["scale"]["domain"] == [-0.1, 0, 0.1]
        assert colours["scale"]["range"] == [LIGHT.down, LIGHT.level, LIGHT.up]
        assert colours["title"] == "change from open"
        assert text["encoding"]["color"]["condition"] == {"test": "datum.strong", "value": LIGHT.on_strong}

    def test_text_and_colour_show_the_same_measure(self):
        changes = heat_map.heat_map(
            hours(), "percent", LIGHT, place=XNYS, heading="Hourly highs, USD", order=["A", "B"]
        )
        assert values(changes, layers(changes, "text")[0], "label") == [
            ("+1.00",),
            ("+10.00",),
            ("+0.00",),
            ("\N{MINUS SIGN}10.00",),
        ]
        chart = heat_map.heat_map(
            hours(), "percentile", LIGHT, place=XNYS, heading="Hourly highs, USD", order=["A", "B"]
        )
        (cells, _), (text, _) = layers(chart, "rect"), layers(chart, "text")
        assert values(chart, text, "label", "strong") == [
            ("100", True),
            ("50", False),
            ("10", True),
            ("\N{EN DASH}", False),
        ]
        assert (fields(cells)["color"], cells["encoding"]["color"]["scale"]["domain"]) == ("percentile", [0, 50, 100])

    def test_sessions_have_no_second_line_and_many_of_them_no_text(self):
        by_session = hours(slot=["2026-11-19", "2026-11-20"] * 2).drop(
            columns=["hour", "reached", "unusual", "restated"]
        )
        chart = heat_map.heat_map(by_session, "price", LIGHT, place=XNYS, heading="Hourly highs, USD", order=["A", "B"])
        assert values(chart, layers(chart, "text")[1], "below") == [("",)] * 4
        crowd = pd.concat([by_session.assign(slot=f"2026-10-{day:02}") for day in range(1, 14)])
        assert (
            layers(
                heat_map.heat_map(crowd, "price", LIGHT, place=XNYS, heading="Hourly highs, USD", order=["A", "B"]),
                "text",
            )
            == []
        )

    def test_rows_keep_their_order_and_their_height(self):
        frame = hours(high=[1101.0, 110.0, 50.0, 45.0])
        chart = heat_map.heat_map(
            frame, "price", LIGHT, place=XNYS, heading="Hourly highs, USD", order=["B", "A"], simulated=True
        )
        assert values(chart, layers(chart, "text")[0], "label")[0] == ("1101.00",)
        assert layers(chart, "rect")[0]["encoding"]["y"]["sort"] == ["B", "A"]
        assert chart.to_dict()["height"] == 2 * heat_map.ROW_HEIGHT + axes.AROUND_ROWS
        assert chart.to_dict()["title"]["text"] == "SIMULATED · Hourly highs, USD"


class TestCandles:
    BARS = pd.DataFrame(
        {
            "ticker": "META",
            "ts": pd.to_datetime(["2026-11-20 09:30", "2026-11-20 09:35", "2026-11-20 10:00"]).tz_localize(XNYS.zone),
            "bar_minutes": 5,
            "open": [100.0, 102.0, 101.0],
            "high": [103.0, 104.0, 102.0],
            "low": [99.0, 100.0, 98.0],
            "close": [102.0, 101.0, float("nan")],
            "volume": pd.array([1000, 2000, None], dtype="Int64"),
            "source": "yahoo",
        }
    )
    HIGHS = pd.DataFrame(
        {
            "hour": [9, 10, 10],
            "high": [104.0, 102.0, 102.0],
            "ts": pd.to_datetime(["2026-11-20 09:35", "2026-11-20 10:00", "2026-11-20 10:10"]).tz_localize(XNYS.zone),
            "touch": [1, 1, 2],
            "bar_minutes": 5,
            "provisional": [False, True, True],
        }
    )

    CHANGES = pd.DataFrame(
        {
            "ts": pd.to_datetime(["2026-11-20 09:30", "2026-11-20 09:40"]).tz_localize(XNYS.zone),
            "bar_minutes": 5,
            "kind": ["restated", "withdrawn"],
            "old_high": [105.0, 106.0],
            "old_low": [99.0, 101.0],
        }
    )

    def drawn(self, bars=BARS, **more):
        return candles.candles(bars, self.HIGHS, LIGHT, session=FRIDAY, **more)

    def test_a_body_spans_open_and_close_and_a_wick_low_and_high(self):
        chart = self.drawn()
        bodies, wicks = layers(chart, "rect")[0], layers(chart, "rule")[1]
        assert {"x": "left", "x2": "right", "y": "open", "y2": "close", "stroke": "side"}.items() <= fields(
            bodies
        ).items()
        assert values(chart, bodies, "left", "right", "open", "close", "side") == [
            (pytest.approx(570.7), pytest.approx(574.3), 100.0, 102.0, "rose"),
            (pytest.approx(575.7), pytest.approx(579.3), 102.0, 101.0, "fell"),
        ]
        assert bodies["encoding"]["fill"]["condition"] == {"test": "datum.side == 'rose'", "value": LIGHT.paper}
        assert {"x": "middle", "y": "low", "y2": "high"}.items() <= fields(wicks).items()
        assert values(chart, wicks, "middle", "low", "high", "side") == [
            (572.5, 99.0, 103.0, "rose"),
            (577.5, 100.0, 104.0, "fell"),
            (602.5, 98.0, 102.0, "unknown"),
        ]
        assert wicks["encoding"]["color"]["scale"]["range"] == [LIGHT.up, LIGHT.down, LIGHT.faint]

    def test_axes_span_the_session_and_its_prices(self):
        chart = self.drawn()
        bodies = layers(chart, "rect")[0]
        assert bodies["encoding"]["x"]["scale"]["domain"] == [9 * 60 + 30, 16 * 60]
        assert bodies["encoding"]["x"]["axis"]["values"] == [570, 600, 660, 720, 780, 840, 900, 960]
        assert bodies["encoding"]["y"]["scale"]["domain"] == pytest.approx([98 - 0.48, 104 + 0.48])
        assert chart.to_dict()["title"]["text"] == "META, 5-minute bars and hourly highs"

    def test_each_hourly_high_is_a_line_over_its_hour_dashed_if_provisional(self):
        chart = self.drawn(simulated=True)
        _, _, finished, running, _ = layers(chart, "rule")
        for rule, dash, row in ((finished, [1, 0], (570, 600, 104.0)), (running, axes.DASH, (600, 660, 102.0))):
            assert fields(rule) == {"x": "hour_left", "x2": "hour_right", "y": "high"}
            assert rule["mark"]["strokeDash"] == dash
            assert values(chart, rule, "hour_left", "hour_right", "high") == [row]
        (names,) = layers(chart, "text")
        assert (fields(names)["y"], fields(names)["text"]) == ("high", "high")
        assert values(chart, names, "high") == [(104.0,), (102.0,)]
        assert chart.to_dict()["title"]["text"].startswith("SIMULATED")

    def test_every_touch_is_marked_at_its_bar(self):
        chart = self.drawn()
        (touches,) = layers(chart, "point")
        assert (fields(touches)["x"], fields(touches)["y"]) == ("middle", "high")
        assert values(chart, touches, "middle", "high") == [(577.5, 104.0), (602.5, 102.0), (612.5, 102.0)]

    def test_bars_without_open_and_close_are_lines_only(self):
        bars = self.BARS.assign(open=float("nan"), close=float("nan"))
        assert [fields(rect)["x"] for rect in layers(self.drawn(bars), "rect")] == ["left", "left"]  # volume, pointer
        assert set(rows(self.drawn(bars), layers(self.drawn(bars), "rule")[1])["side"]) == {"unknown"}

    def test_volume_starts_at_zero_and_an_unknown_one_is_left_out(self):
        chart = self.drawn()
        _, bars, _ = layers(chart, "rect")
        assert {"x": "left", "x2": "right", "y": "volume", "y2": 0}.items() <= fields(bars).items()
        assert values(chart, bars, "at", "volume") == [("09:30 EST", 1000.0), ("09:35 EST", 2000.0)]
        assert bars["encoding"]["x"]["title"] == "New York (EST, UTC\N{MINUS SIGN}05:00)"
        without = self.drawn(self.BARS.assign(volume=pd.array([None] * 3, dtype="Int64")))
        assert len(layers(without, "rect")) == 2

    def test_the_bars_of_a_running_hour_are_pale(self):
        wicks = layers(self.drawn(), "rule")[1]
        assert values(self.drawn(), wicks, "opacity") == [(1.0,), (1.0,), (0.5,)]

    def test_a_column_has_one_tooltip_with_its_touch_and_its_change(self):
        chart = self.drawn(changes=self.CHANGES, split="10:1 split")
        pointer = layers(chart, "rect")[-1]
        assert fields(pointer) == {"x": "left", "x2": "right"}
        assert values(chart, pointer, "at", "left", "right", "note") == [
            ("09:30 EST", 570.0, 575.0, "restated, high was 105.00"),
            ("09:35 EST", 575.0, 580.0, "touch 1 of the hourly high"),
            ("09:40 EST", 580.0, 585.0, "withdrawn"),
            ("10:00 EST", 600.0, 605.0, "touch 1 of the hourly high"),
        ]
        signs, split = layers(chart, "text")[1:]
        assert values(chart, signs, "sign", "old_high") == [
            ("\N{LOWER RIGHT PENCIL}", 105.0),
            ("\N{MULTIPLICATION X}", 106.0),
        ]
        assert values(chart, split, "split") == [("10:1 split",)]

    def test_another_session_lies_underneath_and_fits(self):
        under = pd.DataFrame({"minute": [575.0, 580.0], "price": [90.0, 120.0]})
        chart = self.drawn(under=under)
        (line,) = layers(chart, "line")
        assert values(chart, line, "minute", "price") == [(575.0, 90.0), (580.0, 120.0)]
        assert line["encoding"]["y"]["scale"]["domain"] == pytest.approx([90 - 2.4, 120 + 2.4])
        wide = layers(self.drawn(reach=0.5), "rect")[0]["encoding"]["y"]["scale"]["domain"]
        assert wide == pytest.approx([98 - 23, 104 + 23])


def test_coverage_shows_a_state_with_its_own_sign_in_each_cell():
    chart = coverage.coverage_map(COVERAGE.set_axis(range(4, 10)), LIGHT, simulated=True)
    (cells,), (text,) = layers(chart, "rect"), layers(chart, "text")
    assert {"x": "session", "y": "ticker", "color": "state"}.items() <= fields(cells).items()
    assert {"x": "session", "y": "ticker", "text": "sign"}.items() <= fields(text).items()
    assert values(chart, cells, "ticker", "session", "state", "sign", "shown_gaps") == [
        ("A", "2026-11-25", "complete", "✓", "none"),
        ("A", "2026-11-27", "early close", "✓ ½", "none"),
        ("B", "2026-11-25", "partial", "\N{MINUS SIGN}8", "09:30-10:05"),
        ("B", "2026-11-27", "missing", "✕", "09:30-12:55"),
        ("C", "2026-11-25", "halted", "‖2", "11:00-11:05"),
        ("C", "2026-11-27", "none at source", "∅", "09:30-12:55"),
    ]
    colours = dict(zip(*(cells["encoding"]["color"]["scale"][key] for key in ("domain", "range")), strict=True))
    assert colours == {
        "complete": LIGHT.up_soft,
        "early close": LIGHT.early,
        "halted": LIGHT.level,
        "partial": LIGHT.warn,
        "none at source": LIGHT.faint,
        "missing": LIGHT.down,
    }
    spec = chart.to_dict()
    assert spec["params"][0]["select"]["fields"] == ["ticker", "session"]
    assert (spec["height"], spec["title"]["text"]) == (3 * 24 + axes.AROUND_ROWS + 60, "SIMULATED · Coverage")


def test_records_per_session_are_columns_oldest_first_and_of_all_exchanges_together():
    held = pd.DataFrame(
        {
            "session": ["2026-11-20", "2026-11-20", "2026-11-19"],
            "records": [158, 700, 780],
            "tickers": [2, 9, 10],
            "sources": ["yahoo", "broker, yahoo", "yahoo"],
        }
    )
    chart = records.records_per_session(held, LIGHT, simulated=True)
    (bars,) = layers(chart, "bar")
    assert fields(bars) == {"x": "session", "y": "records"}
    assert values(chart, bars, "session", "records", "tickers", "sources") == [
        ("2026-11-19", 780, 10, "yahoo"),
        ("2026-11-20", 858, 11, "broker, yahoo"),
    ]
    assert chart.to_dict()["title"]["text"] == "SIMULATED · Records per session"


def test_after_eight_tickers_colours_repeat_with_another_shape():
    tickers = [f"T{number}" for number in range(10)]
    pairs = list(
        zip(theme.colours(tickers, LIGHT).values(), theme.shape_scale(tickers).to_dict()["range"], strict=True)
    )
    assert pairs[0] == (LIGHT.categories[0], "circle")
    assert pairs[8] == (LIGHT.categories[0], "square")
    assert len(set(pairs)) == 10


def test_labels_are_spread_within_their_bounds():
    placed = lines.spread([10.0, 1.0, 1.1, 9.9, 1.0], 0.0, 10.0, 1.0)
    assert [placed.index(value) for value in sorted(placed)] == [1, 4, 2, 3, 0]
    assert min(after - before for before, after in pairwise(sorted(placed))) == pytest.approx(1.0, abs=0.02)
    assert (min(placed) >= 0, max(placed) <= 10) == (True, True)


def test_charts_and_theme_share_their_colours():
    config = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
    for name, palette in (("light", LIGHT), ("dark", DARK)):
        assert config[name]["chartCategoricalColors"] == list(palette.categories)
        assert config[name]["textColor"] == palette.ink
        assert config[name]["backgroundColor"] == palette.paper


@pytest.mark.parametrize(("rows", "renderer"), [(400, None), (900, "svg"), (3_100, None)])
def test_more_marks_than_streamlit_draws_as_svg_are_drawn_so_all_the_same_up_to_a_limit(rows, renderer):
    frame = pd.DataFrame({"n": range(rows)})
    inner = theme.Layers(data=frame, layer=[theme.layer(None, "rect")])
    spec = theme.Layers(layer=[inner, theme.layer(frame, "rule")]).to_dict()
    assert spec.get("usermeta", {}).get("embedOptions", {}).get("renderer") == renderer
    assert "usermeta" not in spec["layer"][0]


def test_nothing_is_requested_from_another_host():
    config = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    assert config["browser"]["gatherUsageStats"] is False
    assert "http" not in "".join(line for line in CONFIG.read_text().splitlines() if not line.startswith("#"))
