"""The specification of every chart, for a few rows each. `python -m tests.dashboard.specs` rewrites the files.

A change of a chart shows up in review as a change of its file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from dashboard.charts import candles, coverage, days, heat_map, high_hour, lines, outlook, records
from dashboard.charts.theme import DARK, LIGHT
from tests.dashboard.test_charts import COVERAGE, FRIDAY, TestCandles, hours
from tickerlake.exchange import XNYS

FOLDER = Path(__file__).parents[1] / "data" / "charts"
HELD = pd.DataFrame(
    {"session": ["2026-11-20", "2026-11-19"], "records": [858, 780], "tickers": [11, 10], "sources": "yahoo"}
)
BANDS = {"q05": [10.0, 10.1, 10.1], "q25": [10.0, 10.2, 10.2], "q50": [10.0, 10.3, 10.4], "q75": [10.0, 10.5, 10.7]}
FAN = pd.DataFrame({"minute": [600, 660, 960], **BANDS, "q95": [10.0, 10.9, 11.5]})
AGAINST = pd.DataFrame(
    {
        "hour": [10, 11, 12],
        "kind": ["live", "live", "back-tested"],
        **BANDS,
        "q95": [10.0, 10.9, 11.5],
        "actual": [9.9, 10.6, None],
        "inside": ["outside", "inside", "outside"],
    }
)
CALIBRATED = pd.DataFrame(
    {"target": ["day-high"] * 2, "level": [0.05, 0.95], "share": [0.06, 0.93], "forecasts": [100, 100]}
)
SKILL = pd.DataFrame(
    {
        "target": ["next-hour-high", "next-hour-high", "close-above"],
        "session": ["2026-11-19", "2026-11-20", "2026-11-20"],
        "skill": [0.05, 0.06, -0.01],
        "low": [0.01, 0.03, -0.02],
        "high": [0.09, 0.09, 0.0],
    }
)
SHARES = pd.DataFrame(
    {
        "ticker": "A",
        "hour": [9, 10],
        "span": ["09:30-10:00", "10:00-11:00"],
        "start": [570, 600],
        "end": [600, 660],
        "sessions": 60,
        "count": [50, 10],
        "ties": 0,
        "share": [0.8, 0.2],
        "least": [24, 12],
        "most": [36, 24],
        "chance": [0.5, 0.3],
        "chance_from": [0.4, 0.2],
        "chance_to": [0.6, 0.4],
        "rate": [2.7, 0.3],
        "chance_rate": [1.7, 0.5],
        "rate_from": [1.3, 0.3],
        "rate_to": [2.0, 0.7],
        "unusual": [True, False],
    }
)
COURSE = pd.DataFrame({"minute": [575, 580], "at": ["09:35", "09:40"], "change": [0.01, -0.02]})
SPREAD = pd.DataFrame(
    {"minute": [575, 580], "q05": -0.03, "q25": -0.02, "q50": 0.0, "q75": 0.02, "q95": 0.03, "sessions": 59}
)
CALENDAR = pd.DataFrame(
    {
        "session": ["2026-11-25", "2026-11-27", "2026-11-30"],
        "weekday": ["Wed", "Fri", "Mon"],
        "monday": ["2026-11-23", "2026-11-23", "2026-11-30"],
        "range": [0.02, 0.05, float("nan")],
        "change": [0.01, -0.01, float("nan")],
        "high": [10.0, 11.0, float("nan")],
        "early_close": [False, True, False],
        "state": ["partial", "early close", "missing"],
        "missing": [4, 0, 78],
        "restated": [0, 2, 0],
    }
)
DAYS = hours(slot=["2026-11-19", "2026-11-20"] * 2, provisional=False).drop(
    columns=["hour", "percentile", "unusual", "restated"]
)


def charts() -> dict[str, Any]:
    """Each chart by the name of its file."""
    both = {"tickers": ["A", "B"], "place": XNYS}
    return {
        "hourly-lines": lines.hourly_lines(hours(), "percent", LIGHT, **both),
        "hourly-lines-usd": lines.hourly_lines(hours(), "price", DARK, simulated=True, **both),
        "daily-lines": lines.hourly_lines(DAYS, "percent", LIGHT, **both),
        "small-multiple": lines.small_multiple(
            hours(), "price", LIGHT, ticker="B", colour="#123456", bounds=(-0.2, 0.2), simulated=True
        ),
        "heat-map": heat_map.heat_map(
            hours(), "price", LIGHT, place=XNYS, heading="Hourly highs, USD", order=["B", "A"]
        ),
        "heat-map-percentile": heat_map.heat_map(
            hours(), "percentile", DARK, place=XNYS, heading="Hourly highs, USD", order=["A", "B"]
        ),
        "candles": candles.candles(
            TestCandles.BARS, TestCandles.HIGHS, LIGHT, session=FRIDAY, hour=9, changes=TestCandles.CHANGES
        ),
        "fan": outlook.fan_chart(TestCandles.BARS, FAN, LIGHT, session=FRIDAY),
        "against": outlook.against_chart(
            AGAINST, LIGHT, place=XNYS, currency="USD", what="Each hour's high", simulated=True
        ),
        "calibration": outlook.calibration_chart(CALIBRATED, DARK),
        "skill": outlook.skill_chart(SKILL, LIGHT, model="har"),
        "high-hour": high_hour.histogram(SHARES, LIGHT, place=XNYS, extreme="high"),
        "high-hour-map": high_hour.hour_map(SHARES, DARK, place=XNYS, order=["A"], extreme="low", simulated=True),
        "one-clock": days.one_clock(COURSE, SPREAD, LIGHT, ticker="A", session=FRIDAY, basis="open", other=COURSE),
        "calendar": days.calendar(CALENDAR, LIGHT, ticker="A"),
        "coverage": coverage.coverage_map(COVERAGE, LIGHT),
        "records": records.records_per_session(HELD, LIGHT),
    }


def rendered() -> dict[str, str]:
    """What each file holds: specifications as JSON."""
    return {f"{name}.json": _json(chart) for name, chart in charts().items()}


def _json(chart: Any) -> str:
    spec = chart.to_dict(validate=True)
    # Altair names data by a hash of its bytes, which may differ between versions of pandas; the place is as good.
    for place, name in enumerate(sorted(spec["datasets"], key=lambda name: json.dumps(spec).index(name))):
        spec = json.loads(json.dumps(spec).replace(name, f"data-{place}"))
    spec.pop("$schema")
    spec.pop("config", None)
    return json.dumps(spec, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in rendered().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
