"""The files of a local lake, and the runs that filled it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st

from dashboard import labels
from tickerlake.exchange import Exchange

_RUN_COLUMNS = (
    *("collected", "source", "sessions", "span", "tickers"),
    *("bars", "stored", "withdrawn", "rejected", "outcome"),
)


def read(files: list[Path]) -> pd.DataFrame:
    """One row per Parquet file: `session`, `records`, `bytes`.

    Cached until a file changes. A file that cannot be read has no row; a banner names it.
    """
    found = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # compaction may have replaced it
            found.append((str(path), path.stat().st_size, path.stat().st_mtime_ns))
    return _read(tuple(found))


def runs(asked: pd.DataFrame, most: int, place: Exchange) -> pd.DataFrame:
    """One row for each of the latest `most` runs, latest first: what it asked for and what came of it.

    `asked` is the answer of `runs`; times are those of `place`.
    """
    latest = asked[["collected_at", "source"]].drop_duplicates().sort_values(["collected_at", "source"]).tail(most)
    rows = [
        {
            "collected": labels.instant(group["collected_at"].iloc[0], place),
            "source": group["source"].iloc[0],
            "sessions": group["session"].nunique(),
            "span": " to ".join(sorted({group["session"].min(), group["session"].max()})),
            "tickers": group["ticker"].nunique(),
            **{name: int(group[name].sum()) for name in ("bars", "stored", "withdrawn", "rejected")},
            "outcome": ", ".join(f"{count:,} {outcome}" for outcome, count in group["outcome"].value_counts().items()),
        }
        for _, group in asked.merge(latest).groupby(["collected_at", "source"])
    ]
    return pd.DataFrame(rows[::-1], columns=_RUN_COLUMNS)


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
        rows.append({"session": session, "records": records, "bytes": size})
    return pd.DataFrame(rows, columns=["session", "records", "bytes"])
