"""Rolls up small files as they pile up, so that a lake stays quick to query on the day it is collected.

A lake that is collected every five minutes gets 78 files a session, and a query pays for each of them. So whoever adds
a file puts the small ones together once there are several. This is not compaction, which waits until a session is over
and removes repeats: every record stays, and only files that a sink of ours wrote are touched.

It is as safe: the new file is on disk before any is removed, only files listed before are removed, records may be there
twice meanwhile, and the new name is made from those of the files that it replaces (see `compaction`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tickerlake.lake.layout import Layout
from tickerlake.lake.placing import place, supersede
from tickerlake.lake.schema import write_table

FILES = 4
"""Small files that are put together."""
SMALL = 2_000_000
"""Bytes from which on a file is left alone, so that a large session is not written over and over."""
_OURS = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}\.parquet", re.ASCII)


def roll_up(layout: Layout, files: Sequence[Path], schema: pa.Schema) -> None:
    """Makes one file of the small ones among `files`, the files of one table and day, if there are `FILES` of them.

    Files with another schema are left alone. Raises OSError.
    """
    tables = {path: table for path in _small(files) if (table := _read(path)) is not None}
    alike = {path: table for path, table in tables.items() if table.schema.equals(schema)}
    if len(alike) < FILES:
        return
    names = sorted(path.name for path in alike)
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    # A name begins with the time of the newest record.
    target = files[0].parent / f"{names[-1].partition('-')[0]}-{digest}.parquet"
    # Two watchers may have put the same files together. Without this, their records would double each time.
    distinct = pa.concat_tables(alike.values()).group_by(schema.names).aggregate([]).sort_by(schema.names[0])
    place(layout, target, lambda path: write_table(distinct.cast(schema), path))
    supersede(alike, target)


def _small(files: Sequence[Path]) -> list[Path]:
    """Those of `files` that a sink wrote and that are small; none if they are too few."""
    found = []
    for path in files:
        with suppress(FileNotFoundError):  # another run has put it together
            if _OURS.fullmatch(path.name) and path.stat().st_size < SMALL:
                found.append(path)
    return found if len(found) >= FILES else []


def _read(path: Path) -> pa.Table | None:
    """The rows of a file; None if it is damaged or gone."""
    with suppress(pa.ArrowException, ValueError, OSError):
        return pq.read_table(path, partitioning=None)
    return None
