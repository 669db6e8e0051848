import datetime as dt
import os

import pandas as pd
import pytest

from tests.query.lakes import read_records, write_lake
from tickerlake.lake.faults import all_faults, faults_in, quarantine
from tickerlake.lake.layout import Fault, Layout
from tickerlake.query import run
from tickerlake.query.engines import duckdb as engines
from tickerlake.query.engines.duckdb import DuckDBEngine

COUNT = "SELECT dt, count(*) AS bars FROM bars GROUP BY dt ORDER BY dt"
FIRST, SECOND = "2026-11-25", "2026-11-27"


@pytest.fixture
def layout(tmp_path):
    """Two sessions, one file each."""
    return Layout(write_lake(tmp_path / "lake", read_records("early_close")))


def damage(layout, session=SECOND):
    """Overwrites a data page; the footer, with the schema and the statistics, stays whole."""
    (path,) = layout.files(dt.date.fromisoformat(session), dt.date.fromisoformat(session))
    content = bytearray(path.read_bytes())
    content[4:400] = b"?" * 396
    path.write_bytes(content)
    return path


def test_a_good_lake_has_no_faults(layout):
    assert all_faults(layout) == []
    assert DuckDBEngine(layout.folder).ask(COUNT).notes == ()


def test_a_damaged_page_is_skipped_with_a_note_and_the_rest_is_answered(layout):
    before = DuckDBEngine(layout.folder).ask(COUNT).rows
    path = damage(layout)
    engine = DuckDBEngine(layout.folder)

    found = engine.ask(COUNT)

    assert found.rows == before[:1]
    (note,) = found.notes
    assert note.startswith(f"skipped {path}: ")
    assert note.endswith("; move it to quarantine: tickerlake repair")
    assert [fault.path for fault in engine.faults()] == [path]


def test_a_query_of_other_sessions_never_opens_the_damaged_file(layout):
    damage(layout)

    assert run(DuckDBEngine(layout.folder), "hourly_high", first=FIRST, last=FIRST).notes == ()


def test_a_damaged_file_is_looked_for_once_until_it_changes(layout, monkeypatch):
    path = damage(layout)
    engine = DuckDBEngine(layout.folder)
    searches = []
    monkeypatch.setattr(engines, "faults_in", lambda *args: searches.append(args) or faults_in(*args))

    for _ in range(3):
        assert len(engine.ask(COUNT).notes) == 1
    assert len(searches) == 4  # one a table
    whole = layout.files()[0].read_bytes()
    path.write_bytes(whole)
    assert engine.ask(COUNT).notes == ()


def test_good_files_are_not_searched(layout, monkeypatch):
    monkeypatch.setattr(engines, "faults_in", lambda *_: pytest.fail("looked for faults without a failure"))

    assert len(DuckDBEngine(layout.folder).ask(COUNT)) == 2


def test_a_folder_that_cannot_be_listed_is_noted_and_not_silently_skipped(layout, monkeypatch):
    scan = os.scandir

    def refuse(folder):
        if str(folder).endswith(SECOND):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr("os.scandir", refuse)
    found = DuckDBEngine(layout.folder).ask(COUNT)

    assert [row[0] for row in found.rows] == [FIRST]
    assert found.notes[0].startswith(f"skipped {layout.partition(SECOND)}: ")
    assert quarantine(layout)[0][1] is None


def test_links_that_lead_nowhere_and_folders_named_like_files_are_noted(layout):
    partition = layout.partition(FIRST)
    (partition / "dangling.parquet").symlink_to("nowhere")
    (partition / "circle.parquet").symlink_to("circle.parquet")
    (partition / "folder.parquet").mkdir()

    found = DuckDBEngine(layout.folder).ask(COUNT)

    assert len(found) == 2
    assert len(found.notes) == 3


def test_columns_are_read_by_name_and_converted(layout):
    path = layout.files()[0]
    frame = pd.read_parquet(path, partitioning=None)
    before = DuckDBEngine(layout.folder).ask("SELECT * FROM bars ORDER BY ticker, ts").rows
    frame = frame[frame.columns[::-1]].assign(extra=1, high=frame["high"].astype(str), hour=frame["hour"].astype(float))
    frame.to_parquet(path, index=False)

    assert DuckDBEngine(layout.folder).ask("SELECT * FROM bars ORDER BY ticker, ts").rows == before


def test_a_file_that_is_replaced_underneath_a_query_is_listed_again(layout, monkeypatch):
    engine = DuckDBEngine(layout.folder)
    before = engine.ask(COUNT).rows
    scan = Layout.scan
    moves = iter(range(3))

    def listed(self, *span):
        files, faults = scan(self, *span)
        if next(moves, None) is not None:
            for path in files:
                path.rename(path.with_name(f"{path.stem}x.parquet"))
        return files, faults

    monkeypatch.setattr(Layout, "scan", listed)

    assert engine.ask(COUNT).rows == before


def test_a_damaged_file_of_splits_is_skipped_with_a_note(layout):
    layout.splits.mkdir()
    (layout.splits / "x.parquet").write_text("damaged")

    found = DuckDBEngine(layout.folder).ask(COUNT)

    assert len(found) == 2
    assert "actions/x.parquet" in found.notes[0]


def test_quarantine_moves_what_is_damaged_keeps_its_path_and_deletes_nothing(layout):
    path = damage(layout)
    content = path.read_bytes()
    for folder in (layout.splits, layout.log):
        folder.mkdir()
        (folder / "x.parquet").write_text("damaged")
    (layout.partition(FIRST) / "folder.parquet").mkdir()

    moved = quarantine(layout)

    assert len(moved) == 4
    target = layout.quarantine / path.relative_to(layout.folder)
    assert target in [place for _, place in moved]
    assert target.read_bytes() == content
    assert (all_faults(layout), quarantine(layout)) == ([], [])
    assert DuckDBEngine(layout.folder).ask(COUNT).notes == ()
    path.write_text("damaged again")
    assert [place.name for _, place in quarantine(layout) if place] == [f"{path.name}.1"]
    assert target.read_bytes() == content


def test_a_file_without_a_value_that_every_row_has_is_a_fault(layout):
    path = layout.files()[0]
    pd.read_parquet(path, partitioning=None).assign(ticker=None).to_parquet(path, index=False)

    (fault,) = all_faults(layout)

    assert fault == Fault(path, "13 of its rows lack a value that every row must have")


def test_conflict_copies_of_a_synchronised_folder_count_nothing_twice_and_half_ones_are_noted(layout):
    engine = DuckDBEngine(layout.folder)
    before = run(engine, "bars").rows
    (path,) = layout.files(dt.date.fromisoformat(SECOND), dt.date.fromisoformat(SECOND))
    copy = path.with_name("bars (conflicted copy 2026-11-27).parquet")
    copy.write_bytes(path.read_bytes())
    (layout.folder / "tickerlake (conflicted copy).toml").write_text("tickers = 5")
    path.with_name(f".{path.name}.icloud").touch()  # a file that is only in the cloud

    found = run(engine, "bars")
    assert (found.rows, found.notes) == (before, ())

    copy.write_bytes(path.read_bytes()[:-50])
    found = run(engine, "bars")
    (note,) = found.notes
    assert found.rows == before
    assert note.startswith(f"skipped {copy}: ")


def test_a_file_that_vanishes_and_comes_back_is_read_again_and_nothing_is_lost(layout):
    engine = DuckDBEngine(layout.folder)
    before = run(engine, "bars").rows
    (path,) = layout.files(dt.date.fromisoformat(SECOND), dt.date.fromisoformat(SECOND))
    away = path.rename(layout.folder / "away")

    assert {row[1] for row in run(engine, "bars").rows} == {FIRST}

    away.rename(path)
    assert run(engine, "bars").rows == before
