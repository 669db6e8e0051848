"""Where the lake is and which engine reads it: a handful of environment variables, read once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from functions.collector.errors import ConfigError

ENGINES = ("duckdb", "athena")


def _setting(variable: str, default: Any, comment: str) -> Any:
    return field(default=default, metadata={"variable": variable, "comment": comment})


@dataclass(frozen=True)
class Settings:
    """Which engine reads which lake."""

    engine: str = _setting("LAKE_ENGINE", "duckdb", "`duckdb` reads a folder on this machine, `athena` the lake in S3")
    lake: Path = _setting("LAKE_DIR", Path("lake"), "duckdb: the folder of the lake")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings that `environment` makes. ConfigError for a value that is not allowed."""
        given = {
            item.name: environment[item.metadata["variable"]]
            for item in fields(cls)
            if environment.get(item.metadata["variable"])
        }
        settings = cls(**{**given, **({"lake": Path(given["lake"])} if "lake" in given else {})})
        if settings.engine not in ENGINES:
            raise ConfigError(f"LAKE_ENGINE is {settings.engine!r}; it is one of {', '.join(ENGINES)}")
        return settings


SETTINGS = tuple((item.metadata["variable"], item.default, item.metadata["comment"]) for item in fields(Settings))
"""Each setting's variable, default and meaning, for the README and its test."""
