"""What a lake forgets, and when."""

import datetime as dt
from dataclasses import replace

from tickerlake.lake import Rejected, Run
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.lake.retention import REJECTED_DAYS, RUNS_DAYS, tidy
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
RUN = Run("META", "XNYS", "2026-11-20", NOW, NOW, 5, 78, 78, 0, 0, "answered", "yahoo", NOW)


def asked(lake, *, days=0, minutes=0):
    ParquetSink(lake).log([replace(RUN, collected_at=NOW - dt.timedelta(days=days, minutes=minutes))])


def rejected(lake, days):
    ParquetSink(lake).reject([Rejected("off-grid", "{}", str(NOW - dt.timedelta(days=days)), "yahoo")])


def test_the_runs_of_earlier_days_share_a_file_and_answer_as_before(tmp_path):
    for days in (0, 1, 2):
        for minutes in (0, 5, 10):
            asked(tmp_path, days=days, minutes=minutes)
    before = run(DuckDBEngine(tmp_path), "runs").rows

    assert tidy(tmp_path, NOW) == ["runs of earlier days: 6 files → 2"]

    assert run(DuckDBEngine(tmp_path), "runs").rows == before
    assert len(before) == 9
    names = [path.name for path in Layout(tmp_path).runs()]
    assert [name[:16] for name in names[:2]] == ["20261120T120000Z", "20261121T120000Z"]
    assert len(names) == 5
    assert tidy(tmp_path, NOW) == []


def test_a_merge_that_dies_before_it_removes_the_old_files_shows_no_run_twice(tmp_path, monkeypatch):
    for minutes in (0, 5):
        asked(tmp_path, days=1, minutes=minutes)
    with monkeypatch.context() as patched:
        patched.setattr("tickerlake.lake.retention.Path.unlink", lambda *_, **__: None)
        tidy(tmp_path, NOW)

    assert len(Layout(tmp_path).runs()) == 3
    assert len(run(DuckDBEngine(tmp_path), "runs").rows) == 2
    tidy(tmp_path, NOW)
    assert len(Layout(tmp_path).runs()) == 1


def test_only_what_is_too_old_is_removed(tmp_path):
    for days in (REJECTED_DAYS, REJECTED_DAYS + 1):
        rejected(tmp_path, days)
    for days in (RUNS_DAYS, RUNS_DAYS + 1):
        asked(tmp_path, days=days)
    (Layout(tmp_path).rejections / "mine.jsonl").write_text("{}\n")

    assert tidy(tmp_path, NOW) == [
        "removed 1 files of rejected records over 90 days old",
        "removed 1 files of runs over 800 days old",
    ]
    assert len(Layout(tmp_path).rejected()) == 2
    assert len(Layout(tmp_path).runs()) == 1
