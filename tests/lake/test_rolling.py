"""Small files are rolled up as they pile up, and nothing is lost or answered otherwise."""

import datetime as dt
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickerlake import bars
from tickerlake.exchange import XNYS
from tickerlake.lake import Run, placing, rolling
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource

FRIDAY = XNYS.session_on(dt.date(2026, 11, 20))
MINUTES = dt.timedelta(minutes=5)
FRAME = (
    bars.placed(SimulatedSource().bars("META", [FRIDAY], 5).assign(ticker="META"))
    .assign(bar_minutes=5, source="simulated")
    .assign(collected_at=lambda frame: frame["ts"] + MINUTES)
)


def collect(lake, first, last):
    """Stores the bars from `first` to `last`, each as it ends."""
    sink = ParquetSink(lake)
    for place in range(first, last):
        sink.write(bars.as_bars(FRAME.iloc[[place]]))


def files(lake):
    return Layout(lake).files(FRIDAY.date, FRIDAY.date)


def answers(lake):
    engine = DuckDBEngine(lake)
    return [run(engine, name).rows for name in ("bars", "hourly_high", "restatements", "sessions")]


def test_a_session_collected_bar_by_bar_has_fewer_than_four_files_at_any_time(tmp_path):
    count = 2 * rolling.FILES**2  # so that files that were rolled up are rolled up again
    for place in range(count):
        collect(tmp_path, place, place + 1)
        assert len(files(tmp_path)) < rolling.FILES

    found = run(DuckDBEngine(tmp_path), "bars").frame
    assert found["high"].tolist() == FRAME["high"].tolist()[:count]
    (records,) = DuckDBEngine(tmp_path).ask("SELECT count(*), count(DISTINCT collected_at) FROM records").rows
    assert records == (count, count)


def test_runs_of_a_day_are_rolled_up_and_those_of_another_day_are_not(tmp_path):
    sink = ParquetSink(tmp_path)
    for number in range(7):
        at = FRIDAY.close - dt.timedelta(hours=24 if number < 3 else 0, minutes=number)
        sink.log([Run("META", "XNYS", FRIDAY.dt, at, at, 5, number, 1, 0, 0, "answered", "yahoo", at)])

    days = sorted(path.name[:8] for path in Layout(tmp_path).runs())
    assert days == ["20261119"] * 3 + ["20261120"]


def test_files_that_are_large_foreign_or_damaged_are_left_alone(tmp_path, monkeypatch):
    collect(tmp_path, 0, 3)
    partition = Layout(tmp_path).partition(FRIDAY.dt)
    foreign = [
        partition / "0123.compact.parquet",
        partition / "delivered-by-firehose.parquet",
        partition / "20261120T150000Z-0123456789ab.parquet",  # with a column more
    ]
    table = pq.read_table(files(tmp_path)[0], partitioning=None)
    for path in foreign:
        pq.write_table(table.append_column("more", pa.array([1])) if path == foreign[2] else table, path)
    damaged = partition / "20261120T150000Z-ba9876543210.parquet"
    damaged.write_bytes(b"PAR1")

    collect(tmp_path, 3, 4)
    (rolled,) = set(files(tmp_path)) - {*foreign, damaged}
    monkeypatch.setattr(rolling, "SMALL", rolled.stat().st_size)
    collect(tmp_path, 4, 8)

    assert {*foreign, damaged, rolled} < set(files(tmp_path))
    assert len(files(tmp_path)) == 6


@pytest.mark.parametrize("step", ["place", "supersede", "_sync", "unlink"])
def test_a_run_that_dies_while_it_rolls_up_loses_nothing(tmp_path, monkeypatch, step):
    class Death(BaseException):
        pass

    def die(*_, **__):
        raise Death

    collect(tmp_path, 0, 3)
    with monkeypatch.context() as patched:
        if step == "unlink":
            unlink, left = placing.Path.unlink, iter([None] * 5)  # three of them are temporary files
            patched.setattr(
                placing.Path,
                "unlink",
                lambda path, **options: unlink(path, **options) if next(left, die) is None else die(),
            )
        else:
            patched.setattr(placing if step == "_sync" else rolling, step, die)
        with pytest.raises(Death):
            collect(tmp_path, 3, 4)
    interrupted = answers(tmp_path)
    collect(tmp_path, 4, 8)

    assert interrupted[0] == answers(tmp_path)[0][:4]
    assert len(run(DuckDBEngine(tmp_path), "bars").rows) == 8


def test_two_watchers_that_roll_up_the_same_files_do_not_double_the_records(tmp_path):
    collect(tmp_path, 0, 3)
    kept = {path: path.read_bytes() for path in files(tmp_path)}
    collect(tmp_path, 3, 4)
    for late in range(3):  # the other one was too late to remove them
        for path, content in kept.items():
            path.write_bytes(content)
        collect(tmp_path, 4 + late, 5 + late)

    (records,) = DuckDBEngine(tmp_path).ask("SELECT count(*) FROM records").rows
    assert records == (7,)


def test_a_roll_up_that_fails_is_a_warning_because_the_bars_are_stored(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rolling, "place", full)
    with caplog.at_level(logging.WARNING):
        collect(tmp_path, 0, 5)

    assert "could not put small files together: [Errno 28]" in caplog.text
    assert len(run(DuckDBEngine(tmp_path), "bars").rows) == 5
