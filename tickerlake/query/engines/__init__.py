"""Engines run SQL on a lake: DuckDB over a folder, Athena over S3, Trino over either.

Each module of this folder is one engine and has `open_engine(settings)`.
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tickerlake.errors import NoAccess
from tickerlake.query.answer import Answer
from tickerlake.settings import Settings


class Engine(Protocol):
    """Runs SQL on a lake. Safe to share between threads."""

    name: str
    lake: str
    """The lake's name in messages."""

    @property
    def sources(self) -> Sequence[str]:
        """The sources in order of preference: of several that have a bar, the first one counts."""

    def run(
        self, sql: str, parameters: Mapping[str, Any], limit: int | None = None, *, columns: bool = False
    ) -> Answer:
        """Runs the trusted text `sql` with `%(name)s` parameters: text, numbers, truth values, lists of text.

        Reads the tables `bars`, `actions` and `runs` as stored. Returns at most `limit` rows. `columns` says that the
        answer's frame is wanted, not its rows: an engine that can then fetches whole columns. Raises LakeEmpty if there
        is no table, NoAccess or QueryFailed if the engine refuses.
        """

    def ask(self, sql: str, limit: int | None = None, *, columns: bool = False) -> Answer:
        """Runs a user's SQL over `bars` (each bar in force, once), `records` (all, as stored), `actions` and `runs`.

        Raises ConfigError unless it is one statement that only reads; otherwise as `run` does.
        """

    def simulated(self, first: dt.date | None, last: dt.date | None) -> bool:
        """True if the bars of these sessions are simulated. The lake never mixes them with real ones."""

    def may_hold_long_bars(self, first: str, last: str) -> bool:
        """True if it is worth looking for bars longer than half an hour in these sessions.

        False too if only a query could tell.
        """


def open_engine(settings: Settings) -> Engine:
    """The engine that `settings` choose. NoAccess if its driver is not installed."""
    # Imported when chosen: reading a local lake needs none of the AWS packages.
    try:
        module = importlib.import_module(f"tickerlake.query.engines.{settings.engine}")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("tickerlake"):
            raise
        raise NoAccess(
            f"LAKE_ENGINE={settings.engine} needs the package {error.name}; install it: pip install {error.name}"
        ) from error
    return module.open_engine(settings)
