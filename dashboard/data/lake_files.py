"""The files of a local lake, and the runs that wrote them."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st

from dashboard import labels

_COLLECTED = re.compile(r"(\d{8}T\d{6}Z)-")


def read(files: list[Path]) -> pd.DataFrame:
    """One row per Parquet file: `session`, `collected` (UTC, null if its name has no time), `records`, `bytes`.

    Cached until a file changes. A file that cannot be read has no row; a banner names it.
    """
    found = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # compaction may have replaced it
            found.append((str(path), path.stat().st_size, path.stat().st_mtime_ns))
    return _read(tuple(found))


def runs(files: pd.DataFrame, rejected: list[Path]) -> pd.DataFrame:
    """One row per run, latest first: when it collected, what it stored, how many records it rejected."""
    counts: Counter[dt.datetime] = Counter()
    for path in rejected:
        if moment := _collected(path.name):
            counts[moment] += _lines(str(path), path.stat().st_mtime_ns)
    rows = [
        {
            "collected": labels.instant(moment),
            "sessions": group["session"].nunique(),
            "span": " to ".join(sorted({*group["session"].iloc[:1], *group["session"].iloc[-1:]})),
            "records": int(group["records"].sum()),
            "size": labels.size(int(group["bytes"].sum())),
            "rejected": counts[moment],
        }
        for moment in sorted(set(files["collected"].dropna()) | set(counts))
        for group in [files[files["collected"] == moment]]
    ]
    return pd.DataFrame(rows[::-1], columns=["collected", "sessions", "span", "records", "size", "rejected"])


@st.cache_data(max_entries=4, show_spinner=False)
def _read(files: tuple[tuple[str, int, int], ...]) -> pd.DataFrame:
    rows = []
    for name, size, _ in files:
        path = Path(name)
        try:
            records = pq.read_metadata(path).num_rows
        except (pa.ArrowException, OSError):
            continue
        session = path.parent.name.removeprefix("dt=")
        rows.append({"session": session, "collected": _collected(path.name), "records": records, "bytes": size})
    return pd.DataFrame(rows, columns=["session", "collected", "records", "bytes"])


@st.cache_data(max_entries=512, show_spinner=False)
def _lines(name: str, modified: int) -> int:  # noqa: ARG001  # part of the cache key
    with Path(name).open("rb") as lines:
        return sum(1 for _ in lines)


def _collected(name: str) -> dt.datetime | None:
    """The time of collection, with which our file names begin; None for any other name."""
    match = _COLLECTED.match(name)
    try:
        return dt.datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC) if match else None
    except ValueError:
        return None
