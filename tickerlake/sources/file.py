"""Bars from files: a folder of vendor exports in CSV or Parquet, described in the lake's tickerlake.toml.

[vendor.file]
folder = "/data/exports"            # every *.csv, *.csv.gz and *.parquet in it, and in folders within
name = "broker"                     # what the lake calls the source; by default file
bar_minutes = 5
time_zone = "America/New_York"      # of times without an offset; by default UTC
time_format = "%m/%d/%Y %H:%M"      # by default ISO 8601
stamped = "end"                     # whether a time is the start of a bar, the default, or its end

[vendor.file.columns]               # by default each column is called as in the lake
ticker = "Symbol"                   # without such a column, the file's name up to the first dot
ts = "Date"
"""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import available_timezones

import duckdb
import pandas as pd

from tickerlake import exchange, symbols
from tickerlake.errors import ConfigError, NoData, Unavailable
from tickerlake.exchange import Session
from tickerlake.lake.sql import quoted, reason
from tickerlake.record import BAR_MINUTES
from tickerlake.sources import BAR_COLUMNS, SOURCES

SUFFIXES = (".csv", ".csv.gz", ".parquet")
STAMPED = ("start", "end")

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PRICES = ("open", "high", "low", "close")
_OFFSET = r"([zZ]|[+-]\d\d(:?\d\d)?)$"


class FileSource:
    """Bars of files that a vendor exported. The arguments are the options of `[vendor.file]`. Raises ConfigError."""

    name = "file"
    parallel = 1
    options = ("folder", "name", "bar_minutes", "time_zone", "time_format", "stamped", "columns")

    def __init__(
        self,
        folder: str = "",
        name: str = "file",
        bar_minutes: int = 5,
        time_zone: str = "UTC",
        time_format: str = "",
        stamped: str = "start",
        columns: Mapping[str, str] | None = None,
    ) -> None:
        columns, allowed = columns or {}, ("ticker", *BAR_COLUMNS, "currency")
        if not (isinstance(folder, str) and Path(folder).is_absolute() and Path(folder).is_dir()):
            raise _unusable("folder", folder, "the absolute path of a folder")
        if not (isinstance(name, str) and _NAME.fullmatch(name)) or (name != self.name and name in SOURCES):
            raise _unusable("name", name, "letters, digits, '.', '_' and '-', and not the name of another source")
        if bar_minutes not in BAR_MINUTES:
            raise _unusable("bar_minutes", bar_minutes, f"one of {', '.join(map(str, BAR_MINUTES))}")
        if not (isinstance(time_zone, str) and time_zone in available_timezones()):
            raise _unusable("time_zone", time_zone, "a name such as America/New_York")
        if not isinstance(time_format, str):
            raise _unusable("time_format", time_format, "a text such as %m/%d/%Y %H:%M")
        if stamped not in STAMPED:
            raise _unusable("stamped", stamped, f"one of {', '.join(STAMPED)}")
        if not (isinstance(columns, Mapping) and all(isinstance(each, str) for each in columns.values())):
            raise _unusable("columns", columns, 'a table of names, such as ts = "Date"')
        if unknown := sorted(columns.keys() - set(allowed)):
            raise _unusable("columns", unknown[0], f"named {', '.join(allowed)}")
        self.name = name
        self._folder, self._bar_minutes, self._zone = Path(folder), bar_minutes, time_zone
        self._format, self._ends = time_format, stamped == "end"
        self._columns = {column: columns.get(column, column) for column in allowed}
        self._lock = threading.Lock()
        self._window: tuple[tuple[dt.datetime, dt.datetime], pd.DataFrame] | None = None

    def sessions_per_request(self, bar_minutes: int) -> int:
        """A week: the files are read once for each window. Raises ConfigError for another size than the files have."""
        if bar_minutes != self._bar_minutes:
            raise ConfigError(
                f"the files hold {self._bar_minutes}-minute bars by [vendor.file], not {bar_minutes}-minute bars; "
                f"add --bar-minutes {self._bar_minutes}, or correct bar_minutes"
            )
        return 5

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:  # noqa: ARG002
        """No limit."""
        return dt.datetime.min.replace(tzinfo=dt.UTC)

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:  # noqa: ARG002
        """The bars of `symbol` in `sessions`; earlier ones also under the symbol of that day.

        A price that is no number is null, and so is a time that cannot be read: the rules reject both. Raises
        Unavailable for a file that cannot be read, and NoData.
        """
        window = (sessions[0].open, sessions[-1].close)
        with self._lock:
            if self._window is None or self._window[0] != window:
                self._window = (window, self._read(*window))
            frame = self._window[1]
        found = frame[frame["ticker"].isin(symbols.names(symbol))]
        traded_at = exchange.of(symbol)
        traded = [
            ticker == symbol or pd.isna(ts) or ticker == symbols.as_traded(symbol, traded_at.date_at(ts))
            for ticker, ts in zip(found["ticker"], found["ts"], strict=True)
        ]
        found = found.loc[traded].reset_index(drop=True)
        if found.empty:
            raise NoData(f"{symbol}: no file in {self._folder} has bars between {window[0]} and {window[1]}")
        return found[[*BAR_COLUMNS, *(["currency"] if found["currency"].notna().any() else [])]]

    def actions(self, symbol: str, sessions: Sequence[Session]) -> list[tuple[dt.date, float]]:  # noqa: ARG002
        """None: add splits with `tickerlake actions add`."""
        return []

    def _read(self, first: dt.datetime, last: dt.datetime) -> pd.DataFrame:
        """The rows of all tickers that start from `first` until `last`, and those without a readable time."""
        files = sorted(path for path in self._folder.rglob("*") if path.name.lower().endswith(SUFFIXES))
        if not files:
            raise Unavailable(f"{self._folder} has no file that ends in {', '.join(SUFFIXES)}; export some")
        parts = []
        for path in files:
            try:
                with duckdb.connect() as connection:
                    connection.execute("SET TimeZone = 'UTC'")
                    text = f"FROM ({self._rows(connection, path)}) WHERE (ts >= $first AND ts < $last) OR ts IS NULL"
                    rows = connection.execute(text, {"first": first, "last": last}).to_arrow_table().to_pandas()
            except duckdb.Error as error:
                raise Unavailable(f"cannot read {path}: {reason(error)}; mend the file or move it away") from error
            if len(rows) and rows["ts"].isna().all():
                raise Unavailable(f"cannot read the times of {path}; set time_format under [vendor.file]")
            parts.append(rows)
        frame = pd.concat(parts, ignore_index=True)
        frame["ts"] = frame["ts"].astype("datetime64[us, UTC]")
        frame["volume"] = frame["volume"].astype("Int64")
        return frame

    def _rows(self, connection: duckdb.DuckDBPyConnection, path: Path) -> str:
        """The SQL of the file's rows under the lake's names."""
        is_parquet = path.name.lower().endswith(".parquet")
        # Values of a CSV file stay text until each is converted, so that one bad value spoils no other.
        call = "read_parquet({})" if is_parquet else "read_csv({}, header = true, all_varchar = true)"
        table = call.format(quoted(path))
        kinds = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {table}").fetchall()}
        if missing := [self._columns[name] for name in ("ts", *_PRICES) if self._columns[name] not in kinds]:
            raise ConfigError(
                f"{path} has no column {missing[0]!r}; it has {', '.join(kinds)}: name them under [vendor.file.columns]"
            )
        held = {name: _identifier(given) for name, given in self._columns.items() if given in kinds}
        ticker = held.get("ticker", quoted(path.name.partition(".")[0]))
        volume = f"TRY_CAST({held['volume']} AS BIGINT)" if "volume" in held else "NULL::BIGINT"
        prices = ", ".join(f"TRY_CAST({held[name]} AS DOUBLE) AS {name}" for name in _PRICES)
        ts = self._instant(held["ts"], kinds[self._columns["ts"]])
        shift = f" - INTERVAL {self._bar_minutes} MINUTE" if self._ends else ""
        currency = f"nullif(trim({held['currency']}::VARCHAR), '')" if "currency" in held else "NULL::VARCHAR"
        return (
            f"SELECT upper({ticker}) AS ticker, {ts}{shift} AS ts, {prices}, {volume} AS volume, "  # noqa: S608
            f"{currency} AS currency FROM {table}"
        )

    def _instant(self, column: str, kind: str) -> str:
        """The SQL of a column of times of the type `kind` as instants."""
        zone = quoted(self._zone)
        if kind == "TIMESTAMP WITH TIME ZONE":
            return column
        if kind.startswith("TIMESTAMP"):
            return f"timezone({zone}, {column}::TIMESTAMP)"
        if self._format:
            return f"timezone({zone}, try_strptime({column}, {quoted(self._format)}))"
        return (
            f"CASE WHEN regexp_matches({column}, {quoted(_OFFSET)}) THEN TRY_CAST({column} AS TIMESTAMPTZ) "
            f"ELSE timezone({zone}, TRY_CAST({column} AS TIMESTAMP)) END"
        )


def _unusable(option: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"[vendor.file] {option} is {value!r}; it must be {allowed}")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
