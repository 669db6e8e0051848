"""A vendor in memory whose answers a test changes from one run to the next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from tickerlake import bars
from tickerlake.errors import NoData
from tickerlake.exchange import Session
from tickerlake.sources.simulated import SimulatedSource


class Vendor:
    """Answers with one session's 5-minute bars, as `restate` and `leave_out` have changed them."""

    name = "yahoo"
    parallel = 1

    def __init__(self, session: Session, until: dt.datetime | None = None) -> None:
        frame = SimulatedSource().bars("META", [session], 5)
        self._bars = frame[frame["ts"] + pd.Timedelta(minutes=5) <= (until or session.close)]
        self._bars = self._bars.assign(open=100.0, high=100.5, low=99.5, close=100.0)
        self._left_out: set[int] = set()
        self.splits: list[tuple[dt.date, float]] = []

    def restate(self, bar: int, **numbers: float) -> pd.Timestamp:
        """Gives other numbers for the bar at this place of the session from now on; returns its start."""
        self._left_out.discard(bar)
        for name, value in numbers.items():
            self._bars.loc[self._bars.index[bar], name] = value
        return self._bars["ts"].iloc[bar]

    def leave_out(self, *places: int) -> None:
        """Gives no more bars at these places of the session."""
        self._left_out |= set(places)

    def actions(self, symbol: str, sessions: Sequence[Session]) -> list[tuple[dt.date, float]]:
        return self.splits

    def sessions_per_request(self, bar_minutes: int) -> int:
        return 1

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:
        return dt.datetime.min.replace(tzinfo=dt.UTC)

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        answer = self._bars.drop(self._bars.index[list(self._left_out)])
        if answer.empty:
            raise NoData(f"{symbol}: no bars")
        return answer

    def records(self, collected_at: dt.datetime) -> pd.DataFrame:
        """The answer as records that were collected at a moment."""
        frame = self.bars("META", [], 5).assign(
            ticker="META", bar_minutes=5, source=self.name, collected_at=pd.Timestamp(collected_at)
        )
        return bars.as_bars(bars.placed(frame).astype({"volume": "Int64"}))
