import datetime as dt
import subprocess
import sys

import pytest

from tickerlake.errors import NoAccess
from tickerlake.lake import layout as layout_module
from tickerlake.lake.layout import Layout


@pytest.fixture
def lake(tmp_path):
    """Two sessions of bars, and one of everything that does not belong under `bars/`."""
    layout = Layout(tmp_path)
    for name in ("dt=2026-11-20/b", "dt=2026-11-20/a", "dt=2026-11-19/c", "dt=2026-13-45/x", "dt=foo/x", "old/x"):
        file = layout.bars / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    partition = layout.partition("2026-11-20")
    (partition / "folder.parquet").mkdir()
    (partition / "dangling.parquet").symlink_to("nowhere")
    (partition / ".hidden.parquet").touch()
    (partition / "notes.txt").touch()
    (layout.bars / "dt=2026-11-18").touch()
    return layout


def names(paths):
    return [path.name for path in paths]


def test_only_real_dates_are_sessions(lake):
    assert lake.sessions() == ["2026-11-19", "2026-11-20"]


def test_files_are_regular_parquet_files_oldest_session_first(lake):
    assert names(lake.files()) == ["c.parquet", "a.parquet", "b.parquet"]


def test_files_are_limited_to_the_sessions_asked_for(lake):
    assert names(lake.files(last=dt.date(2026, 11, 19))) == ["c.parquet"]
    assert names(lake.files(first=dt.date(2026, 11, 20))) == ["a.parquet", "b.parquet"]
    assert lake.files(dt.date(2026, 11, 21), dt.date(2026, 11, 30)) == []


def test_everything_else_under_bars_is_a_stray_unless_it_is_hidden(lake):
    assert sorted(names(lake.strays())) == [
        "dangling.parquet", "dt=2026-11-18", "dt=2026-13-45", "dt=foo", "folder.parquet", "notes.txt", "old",
    ]  # fmt: skip


def test_rejected_records_are_listed_without_hidden_files(lake):
    lake.rejections.mkdir()
    for name in ("b.jsonl", "a.jsonl", ".c.jsonl", "readme.txt"):
        (lake.rejections / name).touch()

    assert names(lake.rejected()) == ["a.jsonl", "b.jsonl"]


def test_a_missing_lake_is_empty(tmp_path):
    layout = Layout(tmp_path / "nowhere")

    assert (layout.sessions(), layout.files(), layout.strays(), layout.rejected()) == ([], [], [], [])


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_an_empty_lake(lake, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(NoAccess, match=r"cannot list .*bars: Permission denied"):
        lake.files()


def test_the_layout_loads_without_pandas_and_pyarrow():
    program = "import sys, tickerlake.lake.layout; print({'pandas', 'pyarrow', 'numpy'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "set()\n"


def test_a_long_list_that_was_torn_by_a_compaction_is_taken_again(tmp_path, monkeypatch):
    layout = Layout(tmp_path)
    folder = layout.partition("2026-11-20")
    folder.mkdir(parents=True)
    for number in range(150):
        (folder / f"{number:03}.parquet").touch()
    lists = iter([slice(0, 120), slice(0, None), slice(0, None)])
    listed = layout_module._listed
    monkeypatch.setattr(
        layout_module, "_listed", lambda path: listed(path)[next(lists)] if path == folder else listed(path)
    )

    assert len(layout.files()) == 150
