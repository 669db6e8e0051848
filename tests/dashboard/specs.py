"""The specification of every chart, for a few rows each. `python -m tests.dashboard.specs` rewrites the files.

A change of a chart shows up in review as a change of its file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from dashboard.charts import candles, coverage, heat_map, lines, records
from dashboard.charts.sparkline import sparkline
from dashboard.charts.theme import DARK, LIGHT
from tests.dashboard.test_charts import FRIDAY, TestCandles, hours

FOLDER = Path(__file__).parents[1] / "data" / "charts"
COVERAGE = pd.DataFrame(
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
HELD = pd.DataFrame(
    {"session": ["2026-11-20", "2026-11-19"], "records": [858, 780], "tickers": [11, 10], "sources": "yahoo"}
)
DAYS = hours(slot=["2026-11-19", "2026-11-20"] * 2, provisional=False).drop(columns="hour")


def charts() -> dict[str, Any]:
    """Each chart by the name of its file."""
    both = {"tickers": ["A", "B"]}
    return {
        "hourly-lines": lines.hourly_lines(hours(), "percent", LIGHT, **both),
        "hourly-lines-usd": lines.hourly_lines(hours(), "usd", DARK, simulated=True, **both),
        "daily-lines": lines.hourly_lines(DAYS, "percent", LIGHT, **both),
        "small-multiple": lines.small_multiple(
            hours(), LIGHT, ticker="B", colour="#123456", bounds=(-0.2, 0.2), simulated=True
        ),
        "heat-map": heat_map.heat_map(hours(), LIGHT, order=["B", "A"]),
        "candles": candles.candles(TestCandles.BARS, TestCandles.HIGHS, LIGHT, session=FRIDAY),
        "volumes": candles.volumes(TestCandles.BARS, LIGHT, session=FRIDAY),
        "coverage": coverage.coverage_map(COVERAGE, LIGHT),
        "records": records.records_per_session(HELD, LIGHT),
    }


def rendered() -> dict[str, str]:
    """What each file holds: specifications as JSON, sparklines as SVG."""
    found = {f"{name}.json": _json(chart) for name, chart in charts().items()}
    found["sparkline.svg"] = sparkline([1.0, 3.0, 2.0], "#0072B2") + "\n"
    found["sparkline-bars.svg"] = sparkline([1.0, -3.0, 2.0], "#0072B2", bars=True) + "\n"
    return found


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
