"""Sources give bars. Each vendor is a module of this folder, named in `SOURCES`, or of an installed package.

Such a package declares its class as an entry point, and what the table `[vendor.NAME]` of a lake's tickerlake.toml says
comes to the class as keyword arguments:

    [project.entry-points."tickerlake.sources"]
    example = "example_package:ExampleSource"
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tickerlake import watchlist
from tickerlake.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from tickerlake.exchange import Session

BAR_COLUMNS = ("ts", "open", "high", "low", "close", "volume")

GROUP = "tickerlake.sources"
"""The group of entry points that other packages declare their sources in."""

SOURCES = {
    "yahoo": "tickerlake.sources.yahoo:YahooSource",
    "alpaca": "tickerlake.sources.alpaca:AlpacaSource",
    "file": "tickerlake.sources.file:FileSource",
    "simulated": "tickerlake.sources.simulated:SimulatedSource",
}
"""Our own sources by name, as `module:class`."""


class Source(Protocol):
    """Gives the bars of one ticker in consecutive sessions.

    A class that takes keyword arguments from tickerlake.toml lists their names in `options` and checks their values.
    """

    name: str
    """Value of the column `source` in its bars."""
    parallel: int
    """How many tickers may be requested at the same time."""

    def sessions_per_request(self, bar_minutes: int) -> int:
        """How many sessions fit in one request."""

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:
        """The earliest bar start that is still available at `now`."""

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions` with the columns `BAR_COLUMNS`, as the source gives them. SourceError.

        A source that states the currency of an instrument adds the column `currency`; otherwise it is the exchange's.
        """

    def actions(self, symbol: str, sessions: Sequence[Session]) -> list[tuple[dt.date, float]]:
        """The splits of `symbol` in `sessions`, as ex-date and ratio, out of the answers that `bars` got."""


def open_source(name: str, config: Path | None = None, **arguments: Any) -> Source:
    """The source called `name`, with its table in the tickerlake.toml at `config`. Raises ConfigError.

    `arguments` go to its class as well. Its module is imported here, because yfinance takes a second to load.
    """
    found = _entry_points()
    if name not in found:
        raise ConfigError(f"unknown source {name!r}; use one of {', '.join(found)}")
    try:
        source = found[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"source {name!r} ({found[name].value}) cannot be loaded: {error}; reinstall it") from error
    options = watchlist.vendor(config, name) if config else {}
    allowed: Collection[str] = getattr(source, "options", ())
    if unknown := sorted(options.keys() - set(allowed)):
        has = f"it has {', '.join(allowed)}" if allowed else "it has no options"
        raise ConfigError(f"{config}: [vendor.{name}] has an unknown option {unknown[0]!r}; {has}")
    return source(**options, **arguments)


def _entry_points() -> Mapping[str, metadata.EntryPoint]:
    """Every source. One of ours cannot be replaced, since its name marks bars that the lake holds."""
    found = {name: metadata.EntryPoint(name, value, GROUP) for name, value in SOURCES.items()}
    for each in metadata.entry_points(group=GROUP):
        found.setdefault(each.name, each)
    return found
