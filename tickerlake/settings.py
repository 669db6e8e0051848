"""Where the lake is and which engine reads it: a handful of environment variables, read once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from tickerlake.errors import ConfigError

ENGINES = ("duckdb", "athena", "trino")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def _setting(variable: str, default: Any, comment: str, *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"variable": variable, "comment": comment})


@dataclass(frozen=True)
class Settings:
    """Which engine reads which lake."""

    engine: str = _setting(
        "LAKE_ENGINE", "duckdb", "duckdb reads a folder, athena the lake in S3, trino your own cluster"
    )
    lake: Path = _setting("LAKE_DIR", Path("lake"), "duckdb: the folder of the lake")
    region: str = _setting("LAKE_REGION", "", "athena: AWS region; by default the one of your AWS configuration")
    database: str = _setting("LAKE_DATABASE", "tickerlake", "athena and trino: database (Trino's schema) of the table")
    workgroup: str = _setting("LAKE_WORKGROUP", "tickerlake", "athena: workgroup, whose limits hold")
    reuse_minutes: int = _setting("LAKE_REUSE_MINUTES", 1, "athena: age up to which a result is reused, 0 for never")
    timeout_seconds: int = _setting("LAKE_TIMEOUT_SECONDS", 120, "athena and trino: a query is cancelled after this")
    host: str = _setting("LAKE_HOST", "localhost", "trino: host of the coordinator")
    port: int = _setting("LAKE_PORT", 8080, "trino: port of the coordinator")
    catalog: str = _setting("LAKE_CATALOG", "hive", "trino: catalog of the table")
    user: str = _setting("LAKE_USER", "tickerlake", "trino: user")
    password: str = _setting("LAKE_PASSWORD", "", "trino: password, which switches TLS on", secret=True)
    tls: bool = _setting(
        "LAKE_TLS", False, "trino: 1 for TLS; the authorities are those of certifi, or of REQUESTS_CA_BUNDLE"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings that `environment` makes. ConfigError, listing every fault, for values that cannot be used."""
        faults: list[str] = []
        given: dict[str, Any] = {}
        for item in fields(cls):
            text = environment.get(item.metadata["variable"], "").strip()
            if text:
                try:
                    given[item.name] = _parse(item.name, text, item.default)
                except ValueError as error:
                    faults.append(f"{item.metadata['variable']} {error}")
        if faults:
            raise ConfigError("; ".join(faults))
        return cls(**given)


def _parse(name: str, text: str, default: Any) -> Any:
    """The value that `text` spells, of the type of `default`. ValueError says what is allowed."""
    if name == "engine" and text not in ENGINES:
        raise ValueError(f"is {text!r}; it is one of {', '.join(ENGINES)}")
    if isinstance(default, bool):
        if text not in ("0", "1"):
            raise ValueError(f"is {text!r}; it is 0 or 1")
        return text == "1"
    if isinstance(default, int):
        least, most = (0, 10_080) if name == "reuse_minutes" else (1, 65_535)
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"is {text!r}; it is a whole number from {least} to {most}")
        return int(text)
    if name in ("region", "database", "workgroup", "catalog", "host", "user") and not _NAME.fullmatch(text):
        raise ValueError(f"is {text!r}; it is made of letters, digits, '.', '_' and '-'")
    return Path(text) if isinstance(default, Path) else text


class Setting(NamedTuple):
    """One setting: the field of `Settings`, its environment variable, its default, and what it means."""

    name: str
    variable: str
    default: Any
    comment: str
    secret: bool


SETTINGS = tuple(
    Setting(item.name, item.metadata["variable"], item.default, item.metadata["comment"], not item.repr)
    for item in fields(Settings)
)
"""Every setting, for `tickerlake query --settings` and the README."""
