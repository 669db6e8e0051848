"""Who watches a lake, seen from other processes."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from tickerlake.lake.presence import Watcher, running, watching

ROOT = Path(__file__).parents[2]
NOW = dt.datetime(2026, 11, 20, 14, 31, tzinfo=dt.UTC)
HOLD = """
import datetime as dt, sys
from pathlib import Path
from tickerlake.lake.presence import watching
with watching(Path(sys.argv[1]), dt.datetime.fromisoformat(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "lake" / ".watching"


def test_a_watcher_is_seen_until_its_process_is_killed(file):
    assert running(file) is None
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, file, NOW.isoformat()],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()

    assert running(file) == Watcher(process.pid, NOW.isoformat())
    with watching(file, NOW) as other:
        assert other.line() == f"process {process.pid}, since Fri 09:31 EST"
    process.kill()
    process.communicate()

    assert running(file) is None
    with watching(file, NOW) as other:
        assert other is None


def test_a_file_that_says_nothing_or_cannot_be_written_stops_nobody(file, tmp_path):
    file.parent.mkdir()
    file.write_text("[1]")
    with watching(file, NOW) as other:
        assert other is None
        assert running(file).since == NOW.isoformat()
    (tmp_path / "file").touch()
    with watching(tmp_path / "file" / ".watching", NOW) as other:
        assert other is None
