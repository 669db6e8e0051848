"""Engines run a query's text on a lake: DuckDB over a folder, Athena over S3, Trino over either.

Each module of this folder is one engine and has `open_engine(settings)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import pandas as pd

from tickerlake.errors import NoAccess
from tickerlake.settings import Settings


class Result(NamedTuple):
    """What a query gave, and what it took."""

    frame: pd.DataFrame
    seconds: float
    """From asking to having the rows, seconds."""
    bytes_scanned: int | None = None
    """What the engine bills by, where it bills."""
    query_id: str | None = None
    """The engine's own id of the run, where it has one."""


class Engine(Protocol):
    """Anything that runs SQL on a lake that has the table `bars`."""

    name: str
    lake: str
    """The lake, as a person would name it."""

    def run(self, sql: str, parameters: Mapping[str, Any]) -> Result:
        """Runs `sql` with `%(name)s` parameters (text or lists of text); timestamps come as naive UTC.

        Raises LakeEmpty where there is no table to read, QueryFailed where the engine refuses.
        """


def open_engine(settings: Settings) -> Engine:
    """The engine that `settings` name. NoAccess where its driver is not installed."""
    # Each engine is imported when it is chosen: reading a local lake needs nothing of AWS.
    try:
        module = importlib.import_module(f"tickerlake.query.engines.{settings.engine}")
    except ModuleNotFoundError as error:
        if str(error.name).startswith("tickerlake"):
            raise
        raise NoAccess(
            f"LAKE_ENGINE={settings.engine} needs the package {error.name}; install it: pip install {error.name}"
        ) from error
    return module.open_engine(settings)
