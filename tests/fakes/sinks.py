"""A sink in memory, for tests that look at what was stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import pandas as pd

from tickerlake import bars
from tickerlake.actions import Split
from tickerlake.lake import Rejected, Run


class MemorySink:
    """Keeps every frame and every rejected record, in the order in which they came."""

    def __init__(self) -> None:
        self.frames: list[pd.DataFrame] = []
        self.rejected: list[Rejected] = []
        self.splits: list[Split] = []
        self.runs: list[Run] = []

    def check_sources(self, sources: Collection[str]) -> None:
        pass

    def write(self, frame: pd.DataFrame) -> Counter[str]:
        self.frames.append(bars.as_bars(frame))
        return Counter(frame["ticker"])

    def merge(self, frame: pd.DataFrame) -> int:
        return self.write(frame).total()

    def reports(self) -> list[Split]:
        return list(self.splits)

    def report_splits(self, splits: Sequence[Split], now, answered=None) -> int:
        self.splits += splits
        return len(splits)

    def withdraw(self, answered, session, bar_minutes, now) -> Counter[str]:
        return Counter()

    def log(self, runs: Sequence[Run]) -> None:
        self.runs += runs

    def reject(self, rejected: Sequence[Rejected]) -> None:
        self.rejected += rejected

    def tickers(self) -> dict[str, int]:
        """How many bars of each ticker were written."""
        return self.frame()["ticker"].value_counts().to_dict()

    def frame(self) -> pd.DataFrame:
        return pd.concat(self.frames, ignore_index=True) if self.frames else bars.empty()
