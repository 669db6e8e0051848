"""Where a lake keeps its files. No other module spells these paths.

<lake>/bars/dt=YYYY-MM-DD/*.parquet    bars, one partition per session, as Firehose lays them out in S3
<lake>/hours/dt=YYYY-MM-DD/*.parquet   the table settled_hours, made from compacted bars; may be deleted
<lake>/actions/*.parquet               splits
<lake>/runs/*.parquet                  what was asked of which source, and what came of it
<lake>/forecasts/*.parquet             forecasts
<lake>/models/boosted.json             what the machine-learned model has learned
<lake>/rejected/*.jsonl                rejected records, as they came
<lake>/alerts.json                     the alerts that were sent
<lake>/.incoming/                      files that are being written
<lake>/watch.log                       what the watcher says that the dashboard started
<lake>/.watching                       locked by the watcher that runs
<lake>/quarantine/…                    damaged files that `tickerlake repair` moved away, under their path in the lake
<lake>/tickerlake.toml                 the lake's watchlist
"""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tickerlake.errors import NoAccess

ABANDONED_AFTER = dt.timedelta(minutes=10)
"""A file in `.incoming` that nothing has written to for so long is left over from a killed run."""

_AT_ONCE = 100
"""The system lists a folder in pieces of at least so many names. If compaction replaces files between two pieces, the
list may have neither the old nor the new ones; so a longer list must be the same twice."""
_PARTITION = re.compile(r"dt=(\d{4}-\d\d-\d\d)", re.ASCII)


@dataclass(frozen=True)
class Fault:
    """A file or folder of the lake that cannot be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Layout:
    """The paths of the lake in `folder`. Listing a missing lake gives nothing; one that cannot be read, NoAccess."""

    folder: Path

    @property
    def bars(self) -> Path:
        """The folder of the partitions."""
        return self.folder / "bars"

    @property
    def hours(self) -> Path:
        """The folder of the table `settled_hours`."""
        return self.folder / "hours"

    @property
    def splits(self) -> Path:
        """The folder of the table `actions`."""
        return self.folder / "actions"

    @property
    def log(self) -> Path:
        """The folder of the table `runs`."""
        return self.folder / "runs"

    @property
    def forecast_folder(self) -> Path:
        """The folder of the table `forecasts`."""
        return self.folder / "forecasts"

    @property
    def model(self) -> Path:
        """The file of the machine-learned model."""
        return self.folder / "models" / "boosted.json"

    @property
    def config(self) -> Path:
        """The file that holds the watchlist."""
        return self.folder / "tickerlake.toml"

    @property
    def watching(self) -> Path:
        """The file that a watcher holds while it runs."""
        return self.folder / ".watching"

    @property
    def watch_log(self) -> Path:
        """What a watcher says that the dashboard started."""
        return self.folder / "watch.log"

    @property
    def sent(self) -> Path:
        """The file that says which alerts were sent."""
        return self.folder / "alerts.json"

    @property
    def incoming(self) -> Path:
        """Where a file is written before it is renamed into place."""
        return self.folder / ".incoming"

    @property
    def rejections(self) -> Path:
        """The folder of rejected records."""
        return self.folder / "rejected"

    @property
    def quarantine(self) -> Path:
        """The folder of damaged files that `tickerlake repair` moved away."""
        return self.folder / "quarantine"

    def partition(self, session: dt.date | str) -> Path:
        """The folder of one session's bars."""
        return self.bars / f"dt={session}"

    def sessions(self) -> list[str]:
        """The `dt` of every partition, oldest first. A folder whose date does not exist is a stray."""
        return sorted(filter(None, map(_session, _entries(self.bars))))

    def files(self, first: dt.date | None = None, last: dt.date | None = None) -> list[Path]:
        """The Parquet files of the sessions from `first` to `last`, oldest session first."""
        return self.scan(first, last)[0]

    def scan(self, first: dt.date | None = None, last: dt.date | None = None) -> tuple[list[Path], list[Fault]]:
        """`files`, and what in these sessions is not listed: folders that cannot be, and links that lead nowhere."""
        low, high = str(first or ""), str(last or "9999-12-31")
        files, faults = [], []
        for folder in (self.partition(session) for session in self.sessions() if low <= session <= high):
            try:
                entries = _entries(folder)
            except NoAccess as error:
                faults.append(Fault(folder, str(error.__cause__)))
                continue
            for entry in entries:
                if _is_data(entry, ".parquet"):
                    files.append(Path(entry.path))
                elif entry.name.endswith(".parquet") and not entry.name.startswith("."):
                    faults.append(Fault(Path(entry.path), "it is not a file, or a link that leads to none"))
        return files, faults

    def hours_of(self, session: dt.date | str) -> list[Path]:
        """The Parquet files of the table `settled_hours` for one session."""
        entries = _entries(self.hours / f"dt={session}")
        return [Path(entry.path) for entry in entries if _is_data(entry, ".parquet")]

    def actions(self) -> list[Path]:
        """The Parquet files of splits."""
        return [Path(entry.path) for entry in _entries(self.splits) if _is_data(entry, ".parquet")]

    def runs(self, since: dt.datetime | dt.date | None = None) -> list[Path]:
        """The Parquet files of the table `runs`, oldest first; with `since`, only those with a run from then on.

        The name of a file begins with the time of its latest run.
        """
        low = f"{since:%Y%m%dT%H%M%SZ}" if since else ""
        return [Path(entry.path) for entry in _entries(self.log) if _is_data(entry, ".parquet") and entry.name >= low]

    def forecasts(self) -> list[Path]:
        """The Parquet files of forecasts, oldest first."""
        return [Path(entry.path) for entry in _entries(self.forecast_folder) if _is_data(entry, ".parquet")]

    def rejected(self) -> list[Path]:
        """The files of rejected records, oldest first."""
        return [Path(entry.path) for entry in _entries(self.rejections) if _is_data(entry, ".jsonl")]

    def strays(self) -> list[Path]:
        """What lies under `bars/` and is neither a partition nor a Parquet file in one. Hidden files do not count."""
        found = []
        for entry in _entries(self.bars):
            inside = [each for each in _entries(Path(entry.path)) if not _is_data(each, ".parquet")]
            found += inside if _session(entry) else [entry]
        return [Path(entry.path) for entry in found if not entry.name.startswith(".")]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    entries = _listed(folder)
    while len(entries) > _AT_ONCE:
        before, entries = entries, _listed(folder)
        if [entry.name for entry in before] == [entry.name for entry in entries]:
            break
    return entries


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise NoAccess(f"cannot list {folder}: {error.strerror}; allow reading it, or name another lake") from error


def _session(entry: os.DirEntry[str]) -> str | None:
    """The `dt` of a partition's folder; None for anything else."""
    match = _PARTITION.fullmatch(entry.name)
    try:
        return str(dt.date.fromisoformat(match[1])) if match and entry.is_dir() else None
    except (ValueError, OSError):  # no such day, or a link that leads in circles
        return None


def _is_data(entry: os.DirEntry[str], ending: str) -> bool:
    try:
        return entry.name.endswith(ending) and not entry.name.startswith(".") and entry.is_file()
    except OSError:  # a link that leads in circles
        return False
