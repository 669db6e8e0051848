"""The SQL types of parameters and columns: how text becomes a value, how a value becomes SQL, CSV, pandas.

This is the only table of types. A header in queries/*.sql may declare any of them; what an engine calls them is
mapped here too. Everything that is none of these (arrays, rows, intervals) is read as text.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from tickerlake import exchange, symbols
from tickerlake.errors import ConfigError
from tickerlake.exchange import XNYS
from tickerlake.plan import parse_date

if TYPE_CHECKING:
    import pandas as pd

BASES = ("latest", "as-traded")
"""The bases that prices can be brought to: today's shares, or those of the session."""
PLACED_BY = ("ticker", "exchange")
"""The columns that tell a row's exchange; the first one that an answer has counts."""
_ZONED = re.compile(r"(\S+ \S+?)(?: ([A-Za-z]\S*)| ([+-]\S+))?")


class Type(NamedTuple):
    """One SQL type."""

    parse: Callable[[Any], Any]
    """Makes a parameter's value of what a person wrote; ValueError or ConfigError."""
    read: Callable[[Any], Any]
    """Makes a plain Python value of what an engine returned, text included."""
    dtype: str = "str"
    """The pandas type of a column."""
    expects: str = "text"
    """What to give, for messages."""


def read_timestamp(value: Any, zone: dt.tzinfo = XNYS.zone) -> dt.datetime:
    """A timestamp in the time zone of an exchange. Without a zone it is UTC, as the lake stores it."""
    if not isinstance(value, dt.datetime):
        value = _spelled(str(value))
    aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    try:
        return aware.astimezone(zone)
    except OverflowError:  # minus infinity
        return aware


@lru_cache(maxsize=4096)
def zone_of(column: str, value: Any) -> dt.tzinfo:
    """The time zone that people see the times of a row in, by its `value` in one of `PLACED_BY`; else New York's."""
    if column == "exchange":
        return exchange.EXCHANGES.get(value, XNYS).zone
    return exchange.of(value).zone if isinstance(value, str) and symbols.is_symbol(value) else XNYS.zone


def _spelled(text: str) -> dt.datetime:
    """The time that Trino or Athena wrote: `2026-11-20 14:30:00.000`, ` UTC`, ` Europe/Paris` or ` +01:00` after it."""
    match = _ZONED.fullmatch(text)
    moment, zone, offset = match.groups(default="") if match else (text, "", "")
    naive_or_not = dt.datetime.fromisoformat(moment + offset)
    return naive_or_not.replace(tzinfo=ZoneInfo(zone)) if zone else naive_or_not


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _whole(value: Any) -> int:
    whole = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != whole):
        raise ValueError
    return whole


def _number(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise ValueError
    return float(value)


def _truth(value: Any) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return known[str(value).lower()]


def _date(value: Any) -> str:
    if isinstance(value, dt.datetime):
        raise ConfigError(f"{value} has a time of day; pass a date")
    return (value if isinstance(value, dt.date) else parse_date(value)).isoformat()


def _moment(value: Any, zone: dt.tzinfo = XNYS.zone) -> str:
    """A moment as UTC text in milliseconds. Without an offset it is in `zone`; a date is the end of that day."""
    if isinstance(value, str) and ":" in value:
        value = dt.datetime.fromisoformat(value)
    if not isinstance(value, dt.datetime):
        day = value if isinstance(value, dt.date) else parse_date(value)
        value = dt.datetime.combine(day, dt.time(23, 59, 59, 999_999))
    utc = (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(dt.UTC)
    return utc.replace(tzinfo=None).isoformat(" ", "milliseconds")


def _list(value: Any) -> list[str]:
    """One text with commas, or several texts."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [_text(each) for each in value]


def _read_number(value: Any) -> float | None:
    number = float(value)
    return number if number == number else None  # noqa: PLR0124  # NaN; four times as fast as math.isnan


def _read_truth(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() == "true"


TYPES = {
    "varchar": Type(_text, str),
    "varchar list": Type(_list, str, expects="one text or several"),
    "date": Type(_date, str, expects="YYYY-MM-DD"),
    "integer": Type(_whole, int, "int64", "a whole number"),
    "bigint": Type(_whole, int, "Int64", "a whole number"),
    "double": Type(_number, _read_number, "float64", "a number"),
    "boolean": Type(_truth, _read_truth, "boolean", "true or false"),
    "timestamp": Type(
        _moment,
        read_timestamp,
        f"datetime64[us, {XNYS.zone.key}]",
        "a date, or a time such as 2026-11-20T12:00-05:00; the exchange's time if it has no offset",
    ),
}

_ENGINE_TYPES = {
    "tinyint": "integer",
    "smallint": "integer",
    "integer": "integer",
    "int": "integer",
    "utinyint": "integer",
    "usmallint": "integer",
    "uinteger": "bigint",
    "bigint": "bigint",
    "ubigint": "bigint",
    "hugeint": "bigint",
    "uhugeint": "bigint",
    "real": "double",
    "float": "double",
    "double": "double",
    "decimal": "double",
    "boolean": "boolean",
}


def named(engine_type: str) -> str:
    """The name in `TYPES` of what an engine calls a type: `TIMESTAMP WITH TIME ZONE` → `timestamp`."""
    name = engine_type.lower()
    if name.startswith("timestamp") and "[" not in name:
        return "timestamp"
    # decimal(38,2) and varchar(10), but neither integer[] nor array(integer).
    match = re.fullmatch(r"(\w+)(\([\d, ]*\))?", name)
    return _ENGINE_TYPES.get(match[1], "varchar") if match else "varchar"


def parse(name: str, type_: str, value: Any, zone: dt.tzinfo = XNYS.zone) -> Any:
    """The value of the parameter `name`: text, a number, a truth value or a list of texts. ConfigError.

    A time without an offset is in `zone`.
    """
    kind = TYPES[type_]
    if name == "basis" and value not in BASES:
        raise ConfigError(f"basis: {value!r} is not a basis; write {' or '.join(BASES)}")
    try:
        if name == "tickers" and isinstance(value, str) and value != "*":
            return list(symbols.parse_tickers(value))
        if type_ == "timestamp":
            return _moment(value, zone)
        return [each.upper() for each in kind.parse(value)] if name == "tickers" else kind.parse(value)
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ConfigError(f"{name}: {value!r} cannot be used; give {kind.expects}") from error


def read_rows(
    types: Sequence[str], rows: Sequence[Sequence[Any]], zones: Sequence[dt.tzinfo] | None = None
) -> list[tuple[Any, ...]]:
    """`rows` with plain Python values of these types; None for null. Times are in the zone of their row."""
    zones = zones or [XNYS.zone] * len(rows)
    columns = []
    for type_, values in zip(types, zip(*rows, strict=True), strict=bool(rows)):
        if type_ == "timestamp":
            moment = lru_cache(maxsize=None)(read_timestamp)  # bars of many tickers start at the same time
            columns.append(
                [None if value is None else moment(value, zone) for value, zone in zip(values, zones, strict=True)]
            )
        else:
            read = TYPES[type_].read
            columns.append([None if value is None else read(value) for value in values])
    return list(zip(*columns, strict=True))


def as_series(type_: str, values: Any, zone: dt.tzinfo = XNYS.zone) -> pd.Series:
    """Plain values, or a column that DuckDB made for pandas, as a pandas column of this type; times in `zone`."""
    import pandas as pd  # noqa: PLC0415  # an answer that is printed does not need it

    kind = TYPES[type_]
    if type_ == "timestamp":
        # By way of UTC: pandas does not make one column of summer and winter offsets.
        utc = pd.Series(pd.to_datetime(values, utc=True))
        return utc.astype("datetime64[us, UTC]").dt.tz_convert(zone)
    series = values if isinstance(values, pd.Series) else pd.Series(values, dtype=object)
    dtype = "Int64" if type_ == "integer" and series.isna().any() else kind.dtype
    try:
        return series.astype(dtype)
    except OverflowError:  # DuckDB's integers have up to 128 bits
        return series
