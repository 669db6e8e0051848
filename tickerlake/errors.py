"""Every failure that Tickerlake names, as one tree.

    TickerlakeError
    ├── ConfigError        an argument or a setting cannot be used
    │   └── NoAccess         nobody gets at the lake with these settings or credentials
    ├── SourceError        a source gave no bars
    │   ├── RateLimited      it refuses to answer for now: the run stops
    │   ├── Unavailable      it cannot be reached, or answers with something that is no answer
    │   ├── NoData           it has no bars of this ticker in this window
    │   ├── WrongInstrument  the symbol is not an equity
    │   └── NotAsked         the run had been stopped before its turn came
    ├── SinkError          bars could not be stored; `undelivered` says how many
    ├── QueryFailed        an engine could not run a query
    ├── LakeEmpty          the lake holds no bars at all
    └── CollectFailed      (functions/collector/handler.py) tickers gave no bars; the others were delivered

A message says what happened, the value, what is allowed and the next step, in one line.
"""

from __future__ import annotations

from typing import ClassVar


class TickerlakeError(Exception):
    """A failure that a person is told about in one line, without a traceback."""


class ConfigError(TickerlakeError):
    """An argument or a setting cannot be used."""


class NoAccess(ConfigError):
    """Nobody gets at the lake with these settings or credentials, whatever is asked."""


class SourceError(TickerlakeError):
    """A source gave no bars. `reason` is the short id that reports and metrics count by."""

    reason: ClassVar[str] = "source-error"


class RateLimited(SourceError):
    """The source refuses to answer for now. Asking again only prolongs it."""

    reason = "rate-limited"


class Unavailable(SourceError):
    """The source cannot be reached, or what it answered is no answer."""

    reason = "unavailable"


class NoData(SourceError):
    """The source has no bars of this ticker in this window."""

    reason = "no-data"


class WrongInstrument(SourceError):
    """The symbol names something that is not an equity, such as a fund that took over a name."""

    reason = "wrong-instrument"


class NotAsked(SourceError):
    """The run had been stopped, by a rate limit, by hand or by its time, before this ticker's turn came."""

    reason = "not-asked"


class SinkError(TickerlakeError):
    """Bars could not be stored."""

    def __init__(self, message: str, undelivered: int = 0) -> None:
        super().__init__(message)
        self.undelivered = undelivered


class QueryFailed(TickerlakeError):
    """An engine could not run a query. `query_id` is the engine's own id, where it gave one."""

    def __init__(self, message: str, query_id: str | None = None) -> None:
        super().__init__(message)
        self.query_id = query_id


class LakeEmpty(TickerlakeError):
    """The lake holds no bars at all."""
