"""Writes a file of a lake whole or not at all."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from tickerlake.lake.layout import ABANDONED_AFTER, Layout

T = TypeVar("T")


def place(layout: Layout, target: Path, write: Callable[[Path], T]) -> T:
    """Has `write` write a file in `.incoming`, forces it to disk and renames it to `target`. Raises OSError.

    Returns what `write` does.
    """
    incoming = layout.incoming
    incoming.mkdir(parents=True, exist_ok=True)
    _sweep(incoming)
    handle, name = tempfile.mkstemp(dir=incoming, suffix=target.suffix)
    temporary = Path(name)
    try:
        written = write(temporary)
        os.fsync(handle)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
        return written
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def _sweep(incoming: Path) -> None:
    """Removes what killed runs left behind. Younger files may belong to a run that is still writing."""
    oldest = dt.datetime.now(dt.UTC).timestamp() - ABANDONED_AFTER.total_seconds()
    for path in incoming.iterdir():
        with suppress(FileNotFoundError):  # another run has renamed or removed it
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
