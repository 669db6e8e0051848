"""The errors of Tickerlake, as one tree.

    TickerlakeError
    ├── ConfigError        an argument or a setting cannot be used
    │   └── NoAccess         the lake cannot be opened with these settings or credentials
    ├── SourceError        a source gave no bars
    │   ├── RateLimited      it refuses further requests for now; the run stops
    │   ├── Unavailable      it cannot be reached, or its answer makes no sense
    │   ├── NoData           it has no bars of this ticker in this window
    │   ├── WrongInstrument  the symbol is not an equity
    │   └── NotAsked         the run stopped before this ticker's turn
    ├── SinkError          bars could not be stored; `undelivered` says how many
    ├── QueryFailed        an engine could not run a query
    │   └── OutOfMemory      it needs more memory than the engine may take
    ├── LakeEmpty          the lake holds no bars at all
    └── CollectFailed      (functions/collector/handler.py) some tickers gave no bars; the others were delivered

A message is one line: what happened, the value, what is allowed, the next step.
"""

from __future__ import annotations

from typing import ClassVar


class TickerlakeError(Exception):
    """A failure that users see as one line, without a traceback."""


class ConfigError(TickerlakeError):
    """An argument or a setting cannot be used."""


class NoAccess(ConfigError):
    """The lake cannot be opened with these settings or credentials, whichever query is asked."""


class SourceError(TickerlakeError):
    """A source gave no bars. `reason` is the short id that reports and metrics count by."""

    reason: ClassVar[str] = "source-error"


class RateLimited(SourceError):
    """The source refuses further requests for now. Asking again only prolongs it."""

    reason = "rate-limited"


class Unavailable(SourceError):
    """The source cannot be reached, or its answer makes no sense."""

    reason = "unavailable"


class NoData(SourceError):
    """The source has no bars of this ticker in this window."""

    reason = "no-data"


class WrongInstrument(SourceError):
    """The symbol is not an equity, such as a fund that took over an abandoned symbol."""

    reason = "wrong-instrument"


class NotAsked(SourceError):
    """The run stopped before this ticker's turn: a rate limit, an interrupt, or no time left."""

    reason = "not-asked"


class SinkError(TickerlakeError):
    """Bars could not be stored. `undelivered` is how many."""

    def __init__(self, message: str, undelivered: int = 0) -> None:
        super().__init__(message)
        self.undelivered = undelivered


class QueryFailed(TickerlakeError):
    """An engine could not run a query. `query_id` is the engine's id of the query, if it gave one."""

    def __init__(self, message: str, query_id: str | None = None) -> None:
        super().__init__(message)
        self.query_id = query_id


class OutOfMemory(QueryFailed):
    """The query needs more memory than the engine may take; a part of the tickers needs less."""


class LakeEmpty(TickerlakeError):
    """The lake holds no bars at all."""
