"""Objects recorded from earlier deployments, compared with the hourly highs that Athena gave their owners.

The recordings may not be redistributed, so they are kept outside the repository; without them these tests are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tickerlake.importers.importing import ImportReport, import_objects
from tickerlake.importers.recorded import local_objects
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

SETS = Path(__file__).parents[2].parent / "shared" / "data" / "recorded"
if not SETS.is_dir():
    pytest.skip("the recorded objects are not at ../shared/data/recorded", allow_module_level=True)

FULL = "2020-12-01-5m"
GAP = "2020-05-14-1m-feed-gap"
DUPLICATES = "2021-05-11-5m-duplicates"
STRAY = "2022-05-02-5m-stray-bars"
CELL = ["ticker", "hour"]


def hourly_high(lake: Path) -> pd.DataFrame:
    """The bars that reach the hourly high of each cell: `ticker hour high ts touch`, `ts` in exchange time."""
    highs = run(DuckDBEngine(lake), "hourly_high").frame.astype({"hour": "int32"})
    highs["ts"] = highs["ts"].dt.tz_localize(None)
    return highs[[*CELL, "high", "ts", "touch"]].sort_values([*CELL, "ts"], ignore_index=True)


def stored(lake: Path) -> pd.DataFrame:
    files = sorted(lake.glob("bars/*/*.parquet"))
    return pd.concat([pq.read_table(file, partitioning=None).to_pandas() for file in files], ignore_index=True)


def published(name: str) -> pd.DataFrame:
    """The owner's result, under our names; the time of a cell without its offset."""
    names = {"name": "ticker", "stock": "ticker", "company": "ticker"}
    names |= {"hourly_high": "high", "highest_price": "high", "datetime": "ts"}
    frame = pd.read_csv(SETS / name / "results.csv").rename(columns=str.lower).rename(columns=names)
    if "ts" in frame:
        frame["ts"] = pd.to_datetime(frame["ts"].str[:19]).astype("datetime64[us]")
    frame = frame.astype({"hour": "int32"})
    return frame.sort_values([*CELL, *({"ts"} & {*frame})]).reset_index(drop=True)


Imported = tuple[Path, ImportReport]


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> dict[str, Imported]:
    """The lake and the report of each set."""
    lakes = {name: tmp_path_factory.mktemp(name) for name in (FULL, GAP, DUPLICATES, STRAY)}
    return {
        name: (lake, import_objects(local_objects([SETS / name / "objects"]), ParquetSink(lake)))
        for name, lake in lakes.items()
    }


@pytest.mark.parametrize(
    ("name", "line", "bar_minutes"),
    [
        (FULL, "read 780 records from 1 file: 780 stored, 0 duplicate, 0 rejected", 5),
        (GAP, "read 3844 records from 3 files: 3844 stored, 0 duplicate, 0 rejected", 1),
        # 46 bars twice in one file; 47 in both files, whose first and last records are kept.
        (DUPLICATES, "read 873 records from 2 files: 827 stored, 46 duplicate, 0 rejected", 5),
        (
            STRAY,
            "read 790 records from 14 files: 780 stored, 0 duplicate, 10 rejected (10 outside-session)",
            5,
        ),
    ],
)
def test_every_record_is_accounted_for(imported, name, line, bar_minutes):
    lake, report = imported[name]

    assert report.line() == line
    assert set(stored(lake)["bar_minutes"]) == {bar_minutes}
    assert set(report.stored_by_session) == {name[:10]}


@pytest.mark.parametrize(("name", "rows"), [(FULL, 72), (GAP, 87), (DUPLICATES, 73)])
def test_the_hourly_highs_equal_the_published_ones_row_for_row(imported, name, rows):
    highs, expected = hourly_high(imported[name][0]), published(name)

    assert len(highs) == rows
    pd.testing.assert_frame_equal(highs[[*CELL, "high", "ts"]], expected[[*CELL, "high", "ts"]], check_exact=True)


def test_ties_are_kept_and_numbered_from_the_earliest(imported):
    highs = hourly_high(imported[FULL][0])

    ties = highs[highs["touch"] > 1]
    assert list(zip(ties["ticker"], ties["hour"], strict=True)) == [("BYND", 13), ("TTD", 11)]
    assert len(highs) - len(ties) == 70


def test_stray_bars_are_rejected_and_the_seventy_cells_equal_the_published_ones(imported):
    lake, _ = imported[STRAY]
    (file,) = (lake / "rejected").iterdir()
    strays = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert {(stray["rule"], stray["ts"]) for stray in strays} == {("outside-session", "2022-05-23T20:00:00+00:00")}
    assert len({stray["ticker"] for stray in strays}) == 10

    highs, expected = hourly_high(lake), published(STRAY)
    cells = highs.loc[highs["touch"] == 1, [*CELL, "high"]].reset_index(drop=True)
    assert len(cells) == 70
    pd.testing.assert_frame_equal(cells, expected.loc[expected["hour"] < 16, cells.columns].reset_index(drop=True))


def test_the_gap_of_the_feed_shows_in_the_coverage_report(imported):
    coverage = run(DuckDBEngine(imported[GAP][0]), "coverage").frame

    assert len(coverage) == 10
    assert coverage["present"].sum() == 3844
    assert set(coverage["bar_minutes"]) == {1}
    assert set(coverage["expected"]) == {390}
    gaps = coverage.set_index("ticker")["gaps"].to_dict()
    assert gaps.pop("OKTA") == "09:57-09:59, 12:27, 12:37-12:39, 12:46, 12:54"
    assert gaps.pop("SHOP") == "09:57-09:59, 12:38-12:39, 12:48"
    assert gaps.pop("TTD") == "09:57-09:59, 12:38-12:39, 14:38"
    assert set(gaps.values()) == {"09:57-09:59, 12:38-12:39"}


def test_the_figures_that_were_published_for_the_first_of_december_come_out(imported):
    highs = hourly_high(imported[FULL][0])
    highs["at"] = highs["ts"].dt.strftime("%H:%M")

    def cells(ticker: str, count: int) -> list[tuple[int, float, str]]:
        mine = highs[highs["ticker"] == ticker].head(count)
        return list(zip(mine["hour"], mine["high"].round(2), mine["at"], strict=True))

    # BYND at 10 was 139.15499877929688, which was published as 139.15.
    assert cells("BYND", 8) == [
        (9, 140.91, "09:40"),
        (10, 139.15, "10:00"),
        (11, 138.50, "11:25"),
        (12, 138.72, "12:30"),
        (13, 138.88, "13:40"),
        (13, 138.88, "13:45"),
        (14, 138.67, "14:05"),
        (15, 137.89, "15:35"),
    ]
    assert cells("DDOG", 2) == [(9, 98.80, "09:30"), (10, 96.88, "10:00")]
    assert highs.groupby("ticker")["high"].max().round(2).to_dict() == {
        "BYND": 140.91,
        "DDOG": 98.80,
        "FB": 289.30,
        "NFLX": 509.47,
        "OKTA": 244.27,
        "PINS": 71.10,
        "SHOP": 1087.73,
        "SNAP": 45.20,
        "SQ": 212.95,
        "TTD": 905.00,
    }


def test_importing_a_set_again_stores_nothing(imported):
    for name, (lake, first) in imported.items():
        again = import_objects(local_objects([SETS / name / "objects"]), ParquetSink(lake))

        assert (again.stored, again.duplicate) == (0, first.stored + first.duplicate)
        assert again.rejected == first.rejected
