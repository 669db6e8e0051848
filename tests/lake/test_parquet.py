import datetime as dt
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickerlake import bars, exchange, record
from tickerlake.collect import collect
from tickerlake.errors import ConfigError, SinkError
from tickerlake.lake import Rejected, parquet
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import SCHEMA, ParquetSink, sources_held
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource

ROOT = Path(__file__).parents[2]
FRIDAY = exchange.XNYS.session_on(dt.date(2026, 11, 20))
LATER = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def fill(lake, *, now=LATER, tickers=("META", "AMZN"), seed=7, days=(FRIDAY,)):
    return collect(SimulatedSource(seed), ParquetSink(lake), list(days), tickers, 5, lambda: now)


def files(lake):
    """The files of bars and of whatever is no table."""
    return sorted(path for path in lake.rglob("*") if path.is_file() and path.parent != Layout(lake).log)


def test_a_run_writes_one_file_per_session_in_its_partition(tmp_path):
    days = exchange.XNYS.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 20))

    fill(tmp_path, days=days)

    assert [path.parent.name for path in files(tmp_path)] == ["dt=2026-11-18", "dt=2026-11-19", "dt=2026-11-20"]


def test_a_file_has_the_records_schema_and_the_exact_prices_and_times(tmp_path):
    fill(tmp_path)
    (file,) = files(tmp_path)

    table = pq.read_table(file, partitioning=None)

    assert table.schema.equals(SCHEMA)
    assert [field.name for field in table.schema] == [column.name for column in record.COLUMNS]
    expected = SimulatedSource().bars("META", [FRIDAY], 5)
    stored = table.to_pandas().query("ticker == 'META'").reset_index(drop=True)
    assert stored["high"].tolist() == expected["high"].tolist()
    assert stored["ts"].tolist() == expected["ts"].dt.tz_localize(None).tolist()


def test_collecting_the_same_bars_again_writes_nothing(tmp_path):
    fill(tmp_path)
    before = files(tmp_path)

    (report,) = fill(tmp_path, now=LATER + dt.timedelta(hours=1))

    assert (report.bars, report.stored) == (156, 0)
    assert files(tmp_path) == before


def test_a_restatement_is_stored_beside_the_old_record_and_queries_return_it(tmp_path):
    fill(tmp_path, seed=1)
    (report,) = fill(tmp_path, seed=2, now=LATER + dt.timedelta(hours=1))

    found = run(DuckDBEngine(tmp_path), "bars").frame

    assert report.stored == 156
    assert len(files(tmp_path)) == 2
    assert len(found) == 156
    assert (
        found.query("ticker == 'META'")["high"].tolist()
        == SimulatedSource(2).bars("META", [FRIDAY], 5)["high"].tolist()
    )


def test_a_reverted_restatement_is_stored_again(tmp_path):
    for hour, seed in enumerate([1, 2, 1]):
        (report,) = fill(tmp_path, seed=seed, now=LATER + dt.timedelta(hours=hour))
        assert report.stored == 156

    found = run(DuckDBEngine(tmp_path), "bars", tickers=["META"]).frame
    assert found["high"].tolist() == SimulatedSource(1).bars("META", [FRIDAY], 5)["high"].tolist()


def test_a_later_run_adds_only_new_bars(tmp_path):
    fill(tmp_path, now=FRIDAY.open + dt.timedelta(minutes=31))
    (report,) = fill(tmp_path, now=FRIDAY.open + dt.timedelta(minutes=46))

    assert report.stored == 2 * 3
    assert len(run(DuckDBEngine(tmp_path), "bars").frame) == 2 * 9


def test_null_volume_and_zero_volume_stay_different(tmp_path):
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

def counted(function, left):
    def call(*args, **kwargs):
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

for step, lake in enumerate(sys.argv[1:]):
    child = os.fork()  # so that the imports are paid for once
    if child == 0:
        left = iter(range(step))
        pq.write_table = counted(pq.write_table, left)
        os.fsync = counted(os.fsync, left)
        pathlib.Path.replace = counted(pathlib.Path.replace, left)
        fill(pathlib.Path(lake), days=exchange.XNYS.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 20)))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
STEPS = 10
"""Each file takes three: write, force to disk, rename. The last file is the record of the run."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A lake with the first of three sessions, and copies whose runs were killed one step later each."""
    folder = tmp_path_factory.mktemp("killed")
    fill(folder / "before", days=exchange.XNYS.sessions_between(dt.date(2026, 11, 16), dt.date(2026, 11, 18)))
    lakes = [shutil.copytree(folder / "before", folder / str(step)) for step in range(STEPS)]
    runs = subprocess.run([sys.executable, "-c", DYING, *lakes], cwd=ROOT, check=True, capture_output=True, text=True)
    return folder / "before", list(zip(lakes, map(int, runs.stdout.split()), strict=True))


@pytest.mark.parametrize("step", range(STEPS))
def test_a_run_killed_at_any_step_loses_nothing_and_the_next_run_completes_it(step, killed):
    before, runs = killed
    lake, code = runs[step]

    assert code == (-signal.SIGKILL if step < STEPS - 1 else 0)
    for path in files(before):
        assert (lake / path.relative_to(before)).read_bytes() == path.read_bytes()
    assert len(run(DuckDBEngine(lake), "bars").frame) == (3 + min(step, 6) // 3) * 156
    fill(lake, days=exchange.XNYS.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 20)))
    assert len(run(DuckDBEngine(lake), "bars").frame) == 5 * 156


def test_leftovers_of_killed_runs_are_removed_and_files_of_running_ones_are_not(tmp_path):
    incoming = tmp_path / ".incoming"
    incoming.mkdir()
    old, fresh = incoming / "old.parquet", incoming / "fresh.parquet"
    for path in (old, fresh):
        path.write_text("half")
    now = dt.datetime.now(dt.UTC).timestamp()
    os.utime(old, (now - 660, now - 660))
    os.utime(fresh, (now - 540, now - 540))
    (incoming / "renamed by another run").symlink_to("nowhere")

    fill(tmp_path)

    assert (old.exists(), fresh.exists()) == (False, True)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (
            errno.ENOSPC,
            "No space left on device; nothing of this file was stored; free some space, then run this again",
        ),
        (errno.EROFS, "Read-only file system; nothing of this file was stored; name a folder that can be written to"),
    ],
)
def test_a_disk_that_takes_no_more_is_one_line_and_what_is_stored_stays_whole(number, says, tmp_path, monkeypatch):
    fill(tmp_path)
    (file,) = files(tmp_path)
    content = file.read_bytes()

    def write(table, path, **options):
        Path(path).write_bytes(content[:100])
        raise OSError(number, "Error writing bytes to file")

    monkeypatch.setattr(pq, "write_table", write)
    with pytest.raises(SinkError, match=f"cannot write .*: {says}$"):
        fill(tmp_path, seed=8)

    assert [path for path in tmp_path.rglob("*.parquet") if path.parent.name != "runs"] == [file]
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "bars").write_text("a file where a folder should be")

    with pytest.raises(SinkError, match="cannot write .*nothing of this file was stored"):
        fill(tmp_path)


def place(lake, table, *, session="2026-11-20", name="foreign.parquet", **options):
    """Writes `table` into a partition, as another program might."""
    folder = lake / "bars" / f"dt={session}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / name, **options)


def test_a_damaged_file_of_the_session_is_named_and_new_bars_are_stored_beside_it(tmp_path, caplog):
    folder = tmp_path / "bars" / "dt=2026-11-20"
    folder.mkdir(parents=True)
    (folder / "broken.parquet").write_text("this is not Parquet")

    (report,) = fill(tmp_path)

    assert report.stored == 156
    (warning,) = caplog.messages
    assert re.search(r"^skipped .*broken\.parquet: .*; move it to quarantine: tickerlake repair --lake ", warning)
    assert (folder / "broken.parquet").read_text() == "this is not Parquet"


def test_a_session_that_cannot_be_listed_is_not_collected(tmp_path, monkeypatch):
    fill(tmp_path)
    scan = os.scandir

    def refuse(folder):
        if str(folder).endswith("dt=2026-11-20"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(SinkError, match="cannot list .*dt=2026-11-20: .*Permission denied.*; allow reading it"):
        fill(tmp_path)


def test_a_file_that_is_replaced_while_it_is_read_is_listed_again(tmp_path, monkeypatch):
    fill(tmp_path)
    (file,) = files(tmp_path)
    read = parquet._read

    def replaced(path, tickers):
        if path.exists() and path.name == file.name:
            path.rename(path.with_name("compacted.parquet"))
        return read(path, tickers)

    monkeypatch.setattr(parquet, "_read", replaced)
    (report,) = fill(tmp_path)

    assert report.stored == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda bars: pa.table({"price": [1.5]}), "it has no column ticker, exchange, ts, hour"),
        (lambda bars: bars.drop_columns(["collected_at"]), "it has no column collected_at"),
        (
            lambda bars: bars.set_column(bars.schema.get_field_index("high"), "high", pa.array(["x"] * 78)),
            "Failed to parse string",
        ),
        (
            lambda bars: bars.set_column(bars.schema.get_field_index("ts"), "ts", pa.nulls(78, pa.timestamp("us"))),
            "null",
        ),
    ],
    ids=["another table", "a missing column", "text", "nulls"],
)
def test_a_foreign_file_of_the_session_is_named_and_new_bars_are_stored_beside_it(change, reason, tmp_path, caplog):
    fill(tmp_path / "other", tickers=("META",))
    (file,) = files(tmp_path / "other")
    place(tmp_path / "lake", change(pq.read_table(file, partitioning=None)))

    (report,) = fill(tmp_path / "lake")

    assert report.stored == 156
    assert re.search(rf"^skipped .*foreign\.parquet: .*{reason}", caplog.text, re.MULTILINE | re.DOTALL) or (
        "foreign.parquet" in caplog.text and reason in caplog.text
    )


def test_bad_files_of_other_sessions_do_not_stop_a_run(tmp_path):
    place(tmp_path, pa.table({"price": [1.5]}), session="2026-11-19")
    (tmp_path / "bars" / "dt=2026-11-19" / "broken.parquet").write_text("this is not Parquet")
    (tmp_path / "bars" / "dt=2026-13-45").mkdir()

    (report,) = fill(tmp_path)

    assert report.stored == 156


def test_columns_are_read_by_name_and_types_are_converted(tmp_path):
    fill(tmp_path / "other")
    (file,) = files(tmp_path / "other")
    table = pq.read_table(file, partitioning=None).to_pandas().assign(extra=1)
    for column in ("ts", "collected_at"):
        table[column] = table[column].dt.tz_localize("UTC").dt.as_unit("ns")
    table = pa.Table.from_pandas(table[sorted(table.columns, reverse=True)])
    place(tmp_path / "lake", table, write_statistics=False)

    (report,) = fill(tmp_path / "lake")

    assert (report.bars, report.stored) == (156, 0)


def frame(source, session=FRIDAY):
    made = bars.placed(SimulatedSource().bars("META", [session], 5).assign(ticker="META"))
    return bars.as_bars(made.assign(bar_minutes=5, source=source, collected_at=pd.Timestamp(LATER)))


@pytest.mark.parametrize(
    ("held", "coming"), [("simulated", "yahoo"), ("yahoo", "simulated"), ("recorded", "simulated")]
)
def test_simulated_and_real_bars_cannot_share_a_lake(held, coming, tmp_path):
    ParquetSink(tmp_path).write(frame(held))
    before = files(tmp_path)

    with pytest.raises(ConfigError, match=rf"holds {held}, the new bars are {coming}; name another folder"):
        ParquetSink(tmp_path).write(frame(coming, exchange.XNYS.session_on(dt.date(2026, 11, 19))))
    assert files(tmp_path) == before


def test_simulated_and_real_bars_cannot_come_together(tmp_path):
    with pytest.raises(ConfigError, match="holds nothing, the new bars are simulated, yahoo"):
        ParquetSink(tmp_path).write(pd.concat([frame("simulated"), frame("yahoo")], ignore_index=True))
    assert files(tmp_path) == []


def test_one_sink_refuses_the_second_kind_of_bars(tmp_path):
    sink = ParquetSink(tmp_path)
    sink.write(frame("yahoo"))
    sink.write(frame("recorded"))

    with pytest.raises(ConfigError, match="cannot share a lake"):
        sink.write(frame("simulated"))


@pytest.mark.parametrize("options", [{}, {"write_statistics": False}], ids=["statistics", "no statistics"])
def test_the_sources_of_a_lake_are_read_from_its_files(options, tmp_path):
    assert sources_held(tmp_path / "nowhere") == set()
    for number, sources in enumerate((["yahoo"], ["a", "simulated", "z"], ["recorded", None])):
        place(tmp_path, pa.table({"x": [1] * len(sources), "source": sources}), name=f"{number}.parquet", **options)

    assert sources_held(tmp_path) == {"yahoo", "a", "simulated", "z", "recorded"}


def test_a_write_takes_exactly_one_session(tmp_path):
    with pytest.raises(ValueError, match="one session at a time"):
        ParquetSink(tmp_path).write(bars.empty())


def test_rejected_records_are_kept_once_and_as_they_came(tmp_path):
    rejected = [Rejected("off-grid", '{"high": 1}', "2026-11-22T00:00:00+00:00", "yahoo", "META")]

    for _ in range(2):
        ParquetSink(tmp_path).reject(rejected)
    ParquetSink(tmp_path).reject([])

    (file,) = files(tmp_path)
    assert file.parent.name == "rejected"
    assert [json.loads(line)["record"] for line in file.read_text().splitlines()] == ['{"high": 1}']


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"high": None}, "missing-price"), ({"low": 1e9}, "high-below-low"), ({"dt": "2026-11-19"}, "outside-session")],
)
def test_a_bar_that_breaks_a_rule_cannot_be_written(change, rule, tmp_path):
    with pytest.raises(ValueError, match=rf"1 bars break a rule, the first {rule}"):
        ParquetSink(tmp_path).write(bars.as_bars(frame("yahoo").head(1).assign(**change)))
    assert files(tmp_path) == []
