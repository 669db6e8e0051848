"""What the Lambda function is told by its environment, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from tickerlake import symbols, watchlist
from tickerlake.errors import ConfigError
from tickerlake.record import BAR_MINUTES

LOOK_BACK_MINUTES = 30
LONGEST_LOOK_BACK_MINUTES = 24 * 60


@dataclass(frozen=True)
class Settings:
    """The settings of the function: `COLLECTOR_STREAM` and, with defaults, `COLLECTOR_…` for each other field."""

    stream: str
    """Name of the Firehose stream."""
    tickers: tuple[str, ...] = watchlist.DEFAULT
    """What is collected when an event names no tickers."""
    bar_minutes: int = 5
    look_back_minutes: int = LOOK_BACK_MINUTES
    """A run within a session collects the bars that ended at most this long ago."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings that `environment` makes. ConfigError, listing every fault, for values that cannot be used."""

        def text(variable: str, default: object) -> str:
            return environment.get(variable, "").strip() or str(default)

        faults = []
        stream = text("COLLECTOR_STREAM", "")
        if not stream:
            faults.append("COLLECTOR_STREAM is missing; it is the name of the Firehose stream")
        tickers: tuple[str, ...] = ()
        try:
            tickers = symbols.parse_tickers(text("COLLECTOR_TICKERS", ",".join(watchlist.DEFAULT)))
        except ConfigError as error:
            faults.append(f"COLLECTOR_TICKERS: {error}")
        minutes = text("COLLECTOR_BAR_MINUTES", cls.bar_minutes)
        if minutes not in map(str, BAR_MINUTES):
            faults.append(f"COLLECTOR_BAR_MINUTES is {minutes!r}; it is one of {', '.join(map(str, BAR_MINUTES))}")
        look_back = text("COLLECTOR_LOOK_BACK_MINUTES", cls.look_back_minutes)
        if not (look_back.isascii() and look_back.isdigit() and 1 <= int(look_back) <= LONGEST_LOOK_BACK_MINUTES):
            faults.append(
                f"COLLECTOR_LOOK_BACK_MINUTES is {look_back!r}; "
                f"it is a whole number from 1 to {LONGEST_LOOK_BACK_MINUTES}"
            )
        if faults:
            raise ConfigError("; ".join(faults))
        return cls(stream, tickers, int(minutes), int(look_back))
