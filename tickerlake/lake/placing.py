"""Writes a file of a lake whole or not at all, and removes those that it replaces."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
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


def supersede(paths: Iterable[Path], by: Path) -> None:
    """Removes `paths`, all but `by`, which holds what they do. Raises OSError."""
    _sync(by.parent)
    for path in paths:
        if path != by:
            path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Forces the names in `folder` to disk, so that no crash brings back less than was there."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(incoming: Path) -> None:
    """Removes what killed runs left behind. Younger files may belong to a run that is still writing."""
    oldest = dt.datetime.now(dt.UTC).timestamp() - ABANDONED_AFTER.total_seconds()
    for path in incoming.iterdir():
        with suppress(FileNotFoundError):  # another run has renamed or removed it
            if path.stat().st_mtime < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
