"""The files of a local lake, and the runs that filled it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pandas as pd

from dashboard import labels
from tickerlake.exchange import Exchange

_RUN_COLUMNS = (
    *("collected", "source", "sessions", "span", "tickers"),
    *("bars", "stored", "withdrawn", "rejected", "outcome"),
)


def sizes(files: list[Path]) -> list[int]:
    """How many bytes each file has."""
    found = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # compaction may have replaced it
            found.append(path.stat().st_size)
    return found


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
