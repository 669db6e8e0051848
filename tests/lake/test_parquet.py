"""The local lake: whole files or none, nothing twice, nothing lost."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tickerlake import bars, exchange, record
from tickerlake.collect import collect
from tickerlake.errors import SinkError
from tickerlake.lake import Rejected
from tickerlake.lake.parquet import SCHEMA, ParquetSink, sources_held
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource

ROOT = Path(__file__).parents[2]
FRIDAY = exchange.session_on(dt.date(2026, 11, 20))
LATER = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def fill(lake, *, now=LATER, tickers=("META", "AMZN"), seed=7, days=(FRIDAY,)):
    return collect(SimulatedSource(seed), ParquetSink(lake), list(days), tickers, 5, lambda: now)


def files(lake):
    return sorted(path for path in lake.rglob("*") if path.is_file())


def test_a_run_writes_one_file_a_session_in_its_partition(tmp_path):
    days = exchange.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 20))

    fill(tmp_path, days=days)

    assert [path.parent.name for path in files(tmp_path)] == ["dt=2026-11-18", "dt=2026-11-19", "dt=2026-11-20"]


def test_the_schema_is_that_of_the_record_and_prices_and_times_come_back_exactly(tmp_path):
    fill(tmp_path)
    (file,) = files(tmp_path)

    table = pq.read_table(file, partitioning=None)

    assert table.schema.equals(SCHEMA)
    assert [field.name for field in table.schema] == [column.name for column in record.COLUMNS]
    expected = SimulatedSource().bars("META", [FRIDAY], 5)
    mine = table.to_pandas().query("ticker == 'META'").reset_index(drop=True)
    assert mine["high"].tolist() == expected["high"].tolist()
    assert mine["ts"].tolist() == expected["ts"].dt.tz_localize(None).tolist()


def test_collecting_again_what_has_not_changed_writes_nothing(tmp_path):
    fill(tmp_path)
    before = files(tmp_path)

    (report,) = fill(tmp_path, now=LATER + dt.timedelta(hours=1))

    assert (report.bars, report.stored) == (156, 0)
    assert files(tmp_path) == before


def test_a_restatement_is_stored_beside_the_old_record_and_queries_give_the_new(tmp_path):
    fill(tmp_path, seed=1)
    (report,) = fill(tmp_path, seed=2, now=LATER + dt.timedelta(hours=1))

    frame = run(DuckDBEngine(tmp_path), "bars").frame

    assert report.stored == 156
    assert len(files(tmp_path)) == 2
    assert len(frame) == 156
    assert (
        frame.query("ticker == 'META'")["high"].tolist()
        == SimulatedSource(2).bars("META", [FRIDAY], 5)["high"].tolist()
    )


def test_a_restatement_that_is_taken_back_is_stored_again(tmp_path):
    for hour, seed in enumerate([1, 2, 1]):
        (report,) = fill(tmp_path, seed=seed, now=LATER + dt.timedelta(hours=hour))
        assert report.stored == 156

    frame = run(DuckDBEngine(tmp_path), "bars", tickers=["META"]).frame
    assert frame["high"].tolist() == SimulatedSource(1).bars("META", [FRIDAY], 5)["high"].tolist()


def test_a_later_run_adds_only_the_bars_that_are_new(tmp_path):
    fill(tmp_path, now=FRIDAY.open + dt.timedelta(minutes=31))
    (report,) = fill(tmp_path, now=FRIDAY.open + dt.timedelta(minutes=46))

    assert report.stored == 2 * 3
    assert len(run(DuckDBEngine(tmp_path), "bars").frame) == 2 * 9


def test_null_and_zero_volume_are_told_apart(tmp_path):
    class Volumes(SimulatedSource):
        def bars(self, symbol, window, bar_minutes):
            frame = super().bars(symbol, window, bar_minutes).head(2)
            return frame.assign(volume=pd.array([None, 0], dtype="Int64"))

    collect(Volumes(), ParquetSink(tmp_path), [FRIDAY], ["META"], 5, lambda: LATER)

    assert run(DuckDBEngine(tmp_path), "bars").frame["volume"].tolist() == [pd.NA, 0]


DYING = """
import os, pathlib, signal, sys
import pyarrow.parquet as pq
from tickerlake import exchange
from tests.lake.test_parquet import dt, fill

left = iter(range(int(sys.argv[2])))

def counted(function):
    def call(*args, **kwargs):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

pq.write_table = counted(pq.write_table)
os.fsync = counted(os.fsync)
pathlib.Path.replace = counted(pathlib.Path.replace)
fill(pathlib.Path(sys.argv[1]), days=exchange.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 20)))
"""


@pytest.mark.parametrize("step", range(7))
def test_a_run_killed_at_any_point_loses_nothing_stored_and_the_next_completes_it(step, tmp_path):
    # Each file is written, forced to disk and renamed: three steps. The first of the three sessions is held already.
    fill(tmp_path, days=exchange.sessions_between(dt.date(2026, 11, 16), dt.date(2026, 11, 18)))
    held = {path: path.read_bytes() for path in files(tmp_path)}

    killed = subprocess.run([sys.executable, "-c", DYING, str(tmp_path), str(step)], cwd=ROOT, check=False)

    assert killed.returncode == (-signal.SIGKILL if step < 6 else 0)
    assert {path: path.read_bytes() for path in held} == held
    assert len(run(DuckDBEngine(tmp_path), "bars").frame) == (3 + step // 3) * 156
    fill(tmp_path, days=exchange.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 20)))
    assert len(run(DuckDBEngine(tmp_path), "bars").frame) == 5 * 156


def test_what_a_killed_run_left_is_swept_away_later_and_a_running_one_left_alone(tmp_path):
    incoming = tmp_path / ".incoming"
    incoming.mkdir()
    old, fresh = incoming / "old.parquet", incoming / "fresh.parquet"
    for path in (old, fresh):
        path.write_text("half")
    os.utime(old, (0, 0))

    fill(tmp_path)

    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "bars").write_text("a file where a folder should be")

    with pytest.raises(SinkError, match="cannot write .*nothing of this file was stored"):
        fill(tmp_path)


def test_a_damaged_file_is_named_with_what_to_do(tmp_path):
    folder = tmp_path / "bars" / "dt=2026-11-20"
    folder.mkdir(parents=True)
    (folder / "broken.parquet").write_text("this is no parquet")

    with pytest.raises(SinkError, match="move the damaged file out"):
        fill(tmp_path)
    with pytest.raises(SinkError, match=r"broken\.parquet"):
        sources_held(tmp_path)


def test_more_than_one_session_in_a_write_is_a_mistake_of_the_caller(tmp_path):
    with pytest.raises(ValueError, match="one session at a time"):
        ParquetSink(tmp_path).write(bars.empty())


def test_rejected_records_are_kept_as_they_came_and_once(tmp_path):
    rejected = [Rejected("off-grid", '{"high": 1}', "2026-11-22T00:00:00+00:00", "yahoo", "META")]

    for _ in range(2):
        ParquetSink(tmp_path).reject(rejected)
    ParquetSink(tmp_path).reject([])

    (file,) = files(tmp_path)
    assert file.parent.name == "rejected"
    assert [json.loads(line)["record"] for line in file.read_text().splitlines()] == ['{"high": 1}']


def test_the_sources_of_a_lake_are_told_from_its_files(tmp_path):
    assert sources_held(tmp_path / "nowhere") == set()
    fill(tmp_path)
    assert sources_held(tmp_path) == {"simulated"}


def test_a_row_without_a_high_can_never_be_written(tmp_path):
    frame = SimulatedSource().bars("META", [FRIDAY], 5).head(1)
    record = frame.assign(
        ticker="META", bar_minutes=5, source="simulated", collected_at=pd.Timestamp(LATER), dt=FRIDAY.dt, high=None
    )

    with pytest.raises(ValueError, match="high"):
        ParquetSink(tmp_path).write(bars.as_bars(record))
    assert not (tmp_path / "bars").exists()
