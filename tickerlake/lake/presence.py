"""Whether a watcher runs on a local lake: it holds a lock on the file `.watching`, which ends with its process."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tickerlake.exchange import XNYS

_TRIES = 5
_PAUSE = 0.05


class Watcher(NamedTuple):
    """A running watcher."""

    process: int
    """Its process id; 0 if it has not said yet."""
    since: str
    """When it started, ISO 8601."""

    def line(self) -> str:
        """`process 4711, since Fri 09:31 EST`."""
        since = dt.datetime.fromisoformat(self.since).astimezone(XNYS.zone) if self.since else None
        return f"process {self.process}" + (f", since {since:%a %H:%M %Z}" if since else "")


def running(file: Path) -> Watcher | None:
    """The watcher that holds `file`, which is `Layout.watching`; None without one."""
    try:
        with file.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _read(handle.read())
    except OSError:
        pass
    return None


@contextmanager
def watching(file: Path, now: dt.datetime) -> Generator[Watcher | None]:
    """Holds `file` while the block runs. Gives the other watcher if one holds it already, else None.

    Where the file cannot be written there is no lock: nothing can be collected there either, and the run says so.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = file.open("a+")
    except OSError:
        yield None
        return
    with handle:
        if not _locked(handle.fileno()):
            handle.seek(0)
            yield _read(handle.read())
            return
        handle.truncate(0)
        handle.write(json.dumps({"process": os.getpid(), "since": now.isoformat()}))
        handle.flush()
        yield None


def _locked(handle: int) -> bool:
    # `running` holds the lock for a moment.
    for attempt in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if attempt + 1 < _TRIES:
            time.sleep(_PAUSE)
    return False


def _read(text: str) -> Watcher:
    try:
        said = json.loads(text)
        dt.datetime.fromisoformat(said["since"])
        return Watcher(int(said["process"]), said["since"])
    except (ValueError, KeyError, TypeError):
        return Watcher(0, "")
