"""Sinks take bars: Parquet files of a local lake, or a Firehose stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rejected:
    """A record that broke a rule and was rejected: kept as it came, never in the table."""

    rule: str
    """Id of the rule, from `bars.RULES` or of the reader that could not make a record of it."""
    record: str
    """The record as it came."""
    collected_at: str
    """When it was collected, ISO 8601 UTC."""
    source: str
    ticker: str | None = None
    ts: str | None = None
    """Start of the bar, ISO 8601 UTC, where it could be read."""
    origin: str | None = None
    """The file it came from."""
    position: int | None = None
    """Which record of that file it was, from 1."""

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for a line of JSON."""
        return asdict(self)


class Sink(Protocol):
    """Anything that keeps bars and the rejected records."""

    def write(self, frame: pd.DataFrame) -> int:
        """Stores the bars of one session (see `bars.as_bars`); how many were new. SinkError."""

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keeps records that broke a rule, for a person to look at. SinkError."""
