"""What a lake need not keep for ever: rejected records and runs, and a file for each run.

Bars, splits and forecasts are never deleted.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import duckdb

from tickerlake.errors import SinkError
from tickerlake.lake.layout import Layout
from tickerlake.lake.placing import place, supersede
from tickerlake.lake.sql import quoted, reason, table
from tickerlake.record import RUNS

REJECTED_DAYS = 90
RUNS_DAYS = 800
"""How long rejected records and runs are kept. No vendor serves intraday bars of two years ago again."""
_TIME = re.compile(r"(\d{8})T\d{6}Z-", re.ASCII)


def tidy(lake: Path, now: dt.datetime) -> list[str]:
    """Removes rejected records and runs that are too old, and makes one file of the runs of each earlier day.

    Returns a line for each of these that there was to do. Goes by the times in the names of files; other files are left
    alone. SinkError. As in compaction, the new file is on disk before the old ones are removed, so rows may be there
    twice for a moment, or until the next time if this run is killed.
    """
    layout = Layout(lake)
    try:
        lines = [
            _pruned("rejected records", layout.rejected(), now - dt.timedelta(days=REJECTED_DAYS), REJECTED_DAYS),
            _pruned("runs", layout.runs(), now - dt.timedelta(days=RUNS_DAYS), RUNS_DAYS),
            _merged(layout, f"{now:%Y%m%d}"),
        ]
    except (duckdb.Error, OSError) as error:
        raise SinkError(f"cannot tidy {lake}: {reason(error)}; what is left stays as it is") from error
    return [line for line in lines if line]


def _pruned(what: str, files: Sequence[Path], before: dt.datetime, days: int) -> str:
    old = [path for path in files if _day(path) and _day(path) < f"{before:%Y%m%d}"]
    for path in old:
        path.unlink(missing_ok=True)
    return f"removed {len(old)} files of {what} over {days} days old" if old else ""


def _merged(layout: Layout, today: str) -> str:
    before = after = 0
    for day, files in groupby(layout.runs(), key=_day):
        listed = list(files)
        if "" < day < today and len(listed) > 1:
            _merge(layout, listed)
            before, after = before + len(listed), after + 1
    return f"runs of earlier days: {before} files → {after}" if before else ""


def _merge(layout: Layout, listed: Sequence[Path]) -> None:
    digest = hashlib.sha256("\n".join(path.name for path in listed).encode()).hexdigest()[:12]
    # Watchers look for runs by the time in the name, which is that of the latest run.
    target = layout.log / f"{listed[-1].name.partition('-')[0]}-{digest}.parquet"
    rows = f"SELECT DISTINCT * FROM ({table(RUNS, listed)}) ORDER BY collected_at, ticker, session"  # noqa: S608
    with duckdb.connect() as connection:
        place(layout, target, lambda path: connection.execute(f"COPY ({rows}) TO {quoted(path)} (USE_TMP_FILE false)"))
    supersede(listed, target)


def _day(file: Path) -> str:
    """The day in the name of `file`, `YYYYMMDD`; empty if there is none."""
    match = _TIME.match(file.name)
    return match[1] if match else ""
