"""Settings from environment variables, read once and checked all together."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from tickerlake.errors import ConfigError

ENGINES = ("duckdb", "athena", "trino")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
"""AWS's own variables for the region, in order. boto3 reads only the second; every other AWS tool reads the first."""


class Setting(NamedTuple):
    """One setting: its field, its environment variable, its value, where the value comes from, what it means."""

    name: str
    variable: str
    default: Any
    comment: str
    secret: bool
    value: Any = None
    origin: str = "default"
    """`default`, or the name of the environment variable."""


def one_of(*choices: str) -> Callable[[str], str]:
    """Parser that accepts only `choices`."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"is {text!r}; it must be one of {', '.join(choices)}")
        return text

    return parse


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"is {text!r}; it must be a whole number from {least} to {most}")
        return int(text)

    return parse


def switch(text: str) -> bool:
    """Parser of 0 and 1."""
    return one_of("0", "1")(text) == "1"


def plain_name(text: str) -> str:
    """Parser of names that are safe in SQL and URLs."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", text):
        raise ValueError(f"is {text!r}; use letters, digits, '.', '_' and '-' only")
    return text


def setting(
    variable: str,
    parse: Callable[[str], Any],
    comment: str,
    default: Any = MISSING,
    *,
    fallbacks: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """Dataclass field read from `variable`, else from the first of `fallbacks` that is set, else `default`.

    `parse` turns the text into a value and raises ValueError or ConfigError. Without a default, the variable is
    required.
    """
    metadata = {"variables": (variable, *fallbacks), "parse": parse, "comment": comment}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True)
class EnvironmentSettings:
    """Base of a frozen dataclass whose fields are made by `setting`."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The settings in `environment`, by default this process's. ConfigError lists every fault."""
        return cls(**{item.name: item.value for item in cls.explain(environment)})

    @classmethod
    def explain(cls, environment: Mapping[str, str] | None = None) -> tuple[Setting, ...]:
        """Every setting with its value and where that comes from. Blank variables count as unset. ConfigError."""
        environment = os.environ if environment is None else environment
        faults: list[str] = []
        found: list[Setting] = []
        for item in cls.describe():
            metadata = cls.__dataclass_fields__[item.name].metadata
            variable = next((name for name in metadata["variables"] if environment.get(name, "").strip()), None)
            if variable is None:
                if item.default is MISSING:
                    faults.append(f"{item.variable} is not set; it is {item.comment}")
                found.append(item._replace(value=item.default))
                continue
            try:
                found.append(item._replace(value=metadata["parse"](environment[variable].strip()), origin=variable))
            except ConfigError as error:
                faults.append(f"{variable}: {error}")
            except ValueError as error:
                faults.append(f"{variable} {error}")
        if faults:
            raise ConfigError("; ".join(faults))
        return tuple(found)

    @classmethod
    def describe(cls) -> tuple[Setting, ...]:
        """Every setting without a value, for tables in help and documentation."""
        return tuple(
            Setting(item.name, item.metadata["variables"][0], item.default, item.metadata["comment"], not item.repr)
            for item in fields(cls)
        )


@dataclass(frozen=True)
class Settings(EnvironmentSettings):
    """Which engine reads which lake."""

    engine: str = setting(
        "LAKE_ENGINE",
        one_of(*ENGINES),
        "duckdb for a local folder, athena for the lake in S3, trino for your own cluster",
        "duckdb",
    )
    lake: Path = setting("LAKE_DIR", Path, "duckdb: folder of the lake", Path("lake"))
    region: str = setting(
        "LAKE_REGION",
        plain_name,
        "athena: AWS region; else AWS_REGION, AWS_DEFAULT_REGION or your AWS profile",
        "",
        fallbacks=REGION_VARIABLES,
    )
    database: str = setting(
        "LAKE_DATABASE", plain_name, "athena and trino: database (Trino's schema) of the table", "tickerlake"
    )
    workgroup: str = setting("LAKE_WORKGROUP", plain_name, "athena: workgroup, whose limits apply", "tickerlake")
    reuse_minutes: int = setting(
        "LAKE_REUSE_MINUTES", whole_number(0, 10_080), "athena: reuse results up to this age; 0 for never", 1
    )
    timeout_seconds: int = setting(
        "LAKE_TIMEOUT_SECONDS", whole_number(1, 65_535), "athena and trino: cancel a query after this long", 120
    )
    host: str = setting("LAKE_HOST", plain_name, "trino: host of the coordinator", "localhost")
    port: int = setting("LAKE_PORT", whole_number(1, 65_535), "trino: port of the coordinator", 8080)
    catalog: str = setting("LAKE_CATALOG", plain_name, "trino: catalog of the table", "hive")
    user: str = setting("LAKE_USER", plain_name, "trino: user", "tickerlake")
    password: str = setting("LAKE_PASSWORD", str, "trino: password; setting it turns TLS on", "", secret=True)
    tls: bool = setting(
        "LAKE_TLS", switch, "trino: 1 for TLS, with the authorities of certifi or REQUESTS_CA_BUNDLE", False
    )

    alert_urls: str = setting(
        "LAKE_ALERT_URLS", str, "watch: where alerts go, Apprise URLs separated by spaces", "", secret=True
    )

    def on(self, lake: Path | None) -> Self:
        """The settings for the local lake in the folder `lake`; these settings if it is None."""
        return self if lake is None else replace(self, engine="duckdb", lake=lake)


SETTINGS = Settings.describe()
"""Every setting, for the README."""
