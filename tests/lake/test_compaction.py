"""Compaction makes one file of many, and no query answers otherwise than before."""

import datetime as dt
import shutil
import threading

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.query.lakes import write_lake
from tickerlake.actions import Split
from tickerlake.errors import ConfigError
from tickerlake.exchange import XNYS
from tickerlake.lake import compaction, placing
from tickerlake.lake.compaction import compact, finished
from tickerlake.lake.layout import Layout
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

FRIDAY = XNYS.session_on(dt.date(2026, 11, 20))
SUNDAY = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
EVENING = FRIDAY.close + dt.timedelta(hours=2)
QUERIES = ("bars", "hourly_high", "daily", "restatements", "coverage", "tickers")


def record(minute=0, high=101.0, hours=0, *, ticker="META", source="yahoo", bar_minutes=5):
    """A record of the bar that starts so many minutes after the open, collected so many hours after the evening."""
    numbers = {"open": 100.0, "high": high, "low": 99.0, "close": 100.0, "volume": 5}
    return {
        "ticker": ticker,
        "ts": FRIDAY.open + dt.timedelta(minutes=minute),
        "bar_minutes": bar_minutes,
        "source": source,
        "collected_at": EVENING + dt.timedelta(hours=hours),
        **(numbers if high is not None else dict.fromkeys(numbers)),
    }


def lake_of(lake, *files):
    """A lake of one session, with a file for each list of records."""
    for records in files:
        write_lake(lake, records)
    return lake


def compacted(lake, session=FRIDAY.dt, now=SUNDAY):
    (done,) = compact(lake, [session], now)
    return done


def stored(lake):
    frame = pq.read_table(*Layout(lake).files(), partitioning=None).to_pandas()
    return [
        (row.ticker, row.ts.minute, None if pd.isna(row.high) else row.high, hours(row)) for row in frame.itertuples()
    ]


def hours(row):
    return (row.collected_at.tz_localize("UTC") - EVENING) / pd.Timedelta(hours=1)


def answers(lake, as_of=None):
    engine = DuckDBEngine(lake)
    return {name: run(engine, name, as_of=as_of, now=SUNDAY).rows for name in QUERIES}


def test_the_files_of_a_session_become_one_sorted_file(tmp_path):
    lake = lake_of(tmp_path, [record(10)], [record(5, ticker="AMZN"), record(5)], [record(0)])

    done = compacted(lake)

    assert (done.files, done.files_after, done.error) == (3, 1, "")
    assert done.size > done.size_after == Layout(lake).files()[0].stat().st_size
    assert stored(lake) == [
        ("AMZN", 35, 101.0, 0),
        ("META", 30, 101.0, 0),
        ("META", 35, 101.0, 0),
        ("META", 40, 101.0, 0),
    ]


def test_every_version_stays_and_repeats_between_the_first_and_the_last_go(tmp_path):
    lake = lake_of(
        tmp_path,
        [record(high=102.0, hours=1), record(high=101.0, hours=2), record(high=101.0, hours=3)],
        [record(high=101.0, hours=4), record(high=None, hours=5), record(high=102.0, hours=6)],
    )
    before = answers(lake), [answers(lake, EVENING + dt.timedelta(hours=hour)) for hour in (1, 2, 4, 5)]

    compacted(lake)

    assert [found[2:] for found in stored(lake)] == [(102.0, 1), (101.0, 2), (101.0, 4), (None, 5), (102.0, 6)]
    assert (answers(lake), [answers(lake, EVENING + dt.timedelta(hours=hour)) for hour in (1, 2, 4, 5)]) == before


def test_a_record_that_was_stored_twice_stays_once_with_its_first_and_last_time(tmp_path):
    one, two = record(hours=1), record(hours=2)
    lake = lake_of(tmp_path, [one, two, one], [two, two, one])

    compacted(lake)

    assert [found[3] for found in stored(lake)] == [1, 2]


def test_records_of_other_sources_and_sizes_are_other_bars(tmp_path):
    lake = lake_of(tmp_path, [record(), record(source="other"), record(bar_minutes=15), record(ticker="AMZN")])

    compacted(lake)

    assert len(stored(lake)) == 4


def test_compacting_again_does_nothing_and_new_records_are_taken_in(tmp_path):
    lake = lake_of(tmp_path, [record(0)], [record(5)])
    compacted(lake)
    before = {path: path.stat().st_mtime_ns for path in lake.rglob("*")}

    assert not compacted(lake).changed
    assert {path: path.stat().st_mtime_ns for path in lake.rglob("*")} == before

    write_lake(lake, [record(10, hours=3)])
    assert compacted(lake).files == 2
    assert len(stored(lake)) == 3


def test_a_session_is_left_alone_until_an_hour_after_its_close(tmp_path):
    lake = lake_of(tmp_path, [record(0)], [record(5)])
    soon = FRIDAY.close + dt.timedelta(minutes=59)

    assert finished(lake, soon) == []
    assert finished(lake, soon + dt.timedelta(minutes=1)) == [FRIDAY.dt]
    with pytest.raises(ConfigError, match="2026-11-20 may still be collected"):
        compacted(lake, now=soon)
    assert len(Layout(lake).files()) == 2


def test_bars_of_an_exchange_that_is_not_known_wait_until_the_date_is_over_everywhere(tmp_path):
    lake = lake_of(tmp_path, [record(0)])
    (file,) = Layout(lake).files()
    table = pq.read_table(file, partitioning=None)
    elsewhere = table.set_column(1, table.schema.field("exchange"), pa.array(["XASX"]))

    for bars in (elsewhere, pa.concat_tables([table, elsewhere])):
        pq.write_table(bars, file)
        assert finished(lake, SUNDAY - dt.timedelta(minutes=1)) == []
        assert finished(lake, SUNDAY) == [FRIDAY.dt]


def test_a_session_with_a_file_that_is_not_of_bars_is_left_as_it_is(tmp_path):
    lake = lake_of(tmp_path, [record(0)], [record(5)])
    foreign = Layout(lake).partition(FRIDAY.dt) / "foreign.parquet"
    for bad in (b"PAR1", None):
        if bad is None:
            pq.write_table(pa.table({"ticker": ["META"]}), foreign)
        else:
            foreign.write_bytes(bad)

        done = compacted(lake)

        assert (done.files, done.changed) == (3, False)
        assert FRIDAY.dt in done.error
        assert "\n" not in done.error


def test_a_compactor_whose_files_another_one_has_replaced_lists_again(tmp_path, monkeypatch):
    lake = lake_of(tmp_path, [record(0)], [record(5)])
    merge, others = compaction._merge, [lambda: compacted(lake)]

    def slow(*arguments):
        if others:
            others.pop()()
        return merge(*arguments)

    monkeypatch.setattr(compaction, "_merge", slow)
    assert compacted(lake).files_after == 1
    assert len(stored(lake)) == 2


@pytest.mark.parametrize("step", ["place", "_sync", "supersede", "unlink", "hours"])
def test_a_compactor_that_dies_at_any_step_loses_nothing(tmp_path, monkeypatch, step):
    lake = lake_of(tmp_path, [record(0)], [record(5)], [record(10)])
    before = answers(lake)

    class Death(BaseException):
        pass

    def die(*_, **__):
        raise Death

    with monkeypatch.context() as patched:
        if step == "unlink":
            calls = iter([None, None])  # dies once two files are gone
            unlink = compaction.Path.unlink
            patched.setattr(
                compaction.Path,
                "unlink",
                lambda path, **options: unlink(path, **options) if next(calls, die) is None else die(),
            )
        elif step == "hours":
            patched.setattr(compaction.hours, "target", die)
        elif step == "_sync":
            patched.setattr(placing, step, die)
        else:
            patched.setattr(compaction, step, die)
        with pytest.raises(Death):
            compacted(lake)

    assert answers(lake) == before
    assert compacted(lake).files_after == 1
    assert answers(lake) == before


def test_two_compactors_beside_a_writer_and_readers_lose_nothing(tmp_path):
    days = XNYS.sessions_between(dt.date(2026, 11, 16), FRIDAY.date)
    for shift in range(8):
        for day in days:
            moved = day.open - FRIDAY.open
            write_lake(
                tmp_path,
                [{**record(5 * shift + minute), "ts": record(5 * shift + minute)["ts"] + moved} for minute in (0, 60)],
            )
    expected = answers(tmp_path)
    wrong = []

    def work():
        try:
            list(compact(tmp_path, finished(tmp_path, SUNDAY), SUNDAY))
        except Exception as error:  # noqa: BLE001
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert answers(tmp_path) == expected
    work()

    assert not wrong
    assert answers(tmp_path) == expected
    assert len(Layout(tmp_path).files()) == len(days)


def test_settled_hours_answer_until_anything_else_is_stored(tmp_path):
    lake = lake_of(tmp_path, [record(0, 101.0), record(5, 102.0), record(10, 102.0), record(30, 90.0)])
    expected = highs(lake)
    compacted(lake)
    assert highs(lake) == expected == [(9, 102.0, 35, 1), (9, 102.0, 40, 2), (10, 90.0, 0, 1)]

    lie(lake)
    assert highs(lake) == [(9, 1.0, 35, 1), (9, 1.0, 40, 2), (10, 1.0, 0, 1)]
    assert highs(lake, as_of=EVENING) == highs(lake)

    write_lake(lake, [record(15, 103.0, hours=1)])
    assert highs(lake) == [(9, 103.0, 45, 1), (10, 90.0, 0, 1)]
    compacted(lake)
    assert highs(lake) == [(9, 103.0, 45, 1), (10, 90.0, 0, 1)]


@pytest.mark.parametrize(
    ("more", "as_of", "why"),
    [
        ([], EVENING - dt.timedelta(milliseconds=1), "not everything was known"),
        ([record(5, source="other")], None, "two sources"),
        ([record(0, bar_minutes=1)], None, "two sizes"),
        ([record(25, bar_minutes=15, ticker="META")], None, "a bar across two hours"),
        ("split", None, "a later split"),
    ],
)
def test_the_hours_of_a_ticker_that_needs_care_are_worked_out_from_its_bars(tmp_path, more, as_of, why):
    split = Split("META", dt.date(2026, 11, 21), 2.0, "yahoo", EVENING + dt.timedelta(days=1))
    early = record(0, 101.0, hours=-1)
    rows = [early, record(0, 102.0), record(0, 50.0, ticker="AMZN", hours=-1), *(more if more != "split" else [])]
    lake = write_lake(tmp_path, rows, [split] if more == "split" else [])
    expected = run(DuckDBEngine(lake), "hourly_high", as_of=as_of).rows
    compacted(lake)

    lie(lake)
    found = run(DuckDBEngine(lake), "hourly_high", as_of=as_of).rows

    amzn = [row for row in found if row[0] == "AMZN"]
    assert [row for row in found if row[0] == "META"] == [row for row in expected if row[0] == "META"], why
    assert [row[3] for row in amzn] == [50.0 if as_of else 1.0]


def test_without_the_folder_of_hours_queries_work_from_the_bars_and_compacting_restores_it(tmp_path):
    lake = lake_of(tmp_path, [record(0)], [record(5)])
    compacted(lake)
    expected, bars = answers(lake), Layout(lake).files()
    shutil.rmtree(Layout(lake).hours)

    assert answers(lake) == expected
    compacted(lake)
    assert Layout(lake).hours_of(FRIDAY.dt)
    assert Layout(lake).files() == bars


def highs(lake, **options):
    rows = run(DuckDBEngine(lake), "hourly_high", **options).rows
    return [(hour, high, ts.minute, touch) for _, _, hour, high, ts, touch in rows]


def lie(lake):
    """Makes the settled hours say that every high is 1, so that a test sees where an answer comes from."""
    (file,) = Layout(lake).hours_of(FRIDAY.dt)
    frame = pq.read_table(file, partitioning=None).to_pandas()
    pq.write_table(pa.Table.from_pandas(frame.assign(high=1.0), preserve_index=False), file)
