"""Importing: read the records in files, check them against the rules, store them in a sink.

Records are kept as they are: tickers are upper-cased but not renamed, prices are not rounded, and a bar may lie off the
grid. A record that is unreadable or breaks a rule is rejected with its file and its position there.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tickerlake import bars, exchange
from tickerlake.errors import SinkError
from tickerlake.importers import recorded, tables
from tickerlake.importers.recorded import RecordedObject
from tickerlake.lake import Archive, Rejected
from tickerlake.lake.schema import parquet_schema
from tickerlake.lake.sql import reason
from tickerlake.record import BAR_MINUTES, COLUMNS, KEY, PRICES

SOURCE = "recorded"
DEFAULT_BAR_MINUTES = 5
"""Assumed if no ticker has two bars in a session: what the first version of this pipeline collected."""

UNREADABLE = "unreadable"
"""Rule id of text that is not a record, and of a record with a value that is not a number or a time."""
COLLECTED_IN_FUTURE = "collected-in-future"
"""Rule id of a record whose `collected_at` is later than the clock, give or take five minutes."""
SUPERSEDED = "superseded"
"""Rule id of a record that a later one with the same time of collection contradicts."""

_NUMBERS = ("open", "high", "low", "close", "volume", "bar_minutes")
_NUMERIC = (pa.float64(), pa.int64(), pa.null())
_TIMES = ("ts", "collected_at")
_BLANKS = {"", "nan", "none", "null"}
_MINUTES_A_DAY = 24 * 60
_CLOCKS_DIFFER = dt.timedelta(minutes=5)
_ROWS_PER_FRAME = 10_000
_REJECTED_PER_FILE = 10_000
_REJECTED = "rejected"
_SPILLED = pa.schema(
    [
        ("rule", pa.string()),
        ("name", pa.string()),
        ("position", pa.int64()),
        ("bar_minutes", pa.float64()),
        *(field.with_nullable(True) for field in parquet_schema(COLUMNS) if field.name not in ("bar_minutes", *_TIMES)),
        *((name, pa.timestamp("us", "UTC")) for name in _TIMES),
        ("dt", pa.string()),
    ]
)
_TEXTS = pa.schema([("text", pa.string())])


@dataclass
class ImportReport:
    """The result of an import. Every record read is stored, a duplicate, or rejected."""

    files: int = 0
    read: int = 0
    """Records, and pieces of text that are not records."""
    duplicate: int = 0
    """Bars equal to another of this import or to one that the sink holds."""
    stored_by_session: dict[str, int] = field(default_factory=dict)
    """New bars of each session, by `dt`. Sessions without any new bar are included."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Rejected records by rule id."""
    without_bars: list[str] = field(default_factory=list)
    """Files without a single record, each with what is in them instead."""

    @property
    def stored(self) -> int:
        """Bars that are new to the sink."""
        return sum(self.stored_by_session.values())

    def line(self) -> str:
        """For a person: `read 790 records from 14 files: 780 stored, 0 duplicate, 10 rejected (10 off-grid)`."""
        rules = ", ".join(f"{count} {rule}" for rule, count in sorted(self.rejected.items()))
        return (
            f"read {self.read} record{'s' * (self.read != 1)} from {self.files} file{'s' * (self.files != 1)}: "
            f"{self.stored} stored, {self.duplicate} duplicate, "
            f"{self.rejected.total()} rejected{f' ({rules})' if rules else ''}"
        )


def import_objects(
    objects: Iterable[RecordedObject],
    sink: Archive,
    timezone: dt.tzinfo = exchange.XNYS.zone,
    *,
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    on_object: Callable[[str], None] = lambda _name: None,
) -> ImportReport:
    """Reads `objects` in the given order and stores their bars in `sink`, one session at a time.

    A record with `bar_minutes` and `collected_at` is one of ours: a time without an offset is UTC, as in the lake's own
    files. In all other records it is in `timezone`. A record keeps its `source`, else it is `recorded`, and its
    `currency`, else it is the exchange's. Without `collected_at` a record counts as collected when its object was
    written. Importing again changes nothing.

    `on_object` is called with the name of each object that has been read. Raises ConfigError, before anything is
    stored, if the sink does not take these sources; SinkError if it fails, and what was stored before stays.
    """
    report = ImportReport()
    splits = {split.ticker for split in sink.reports()}
    sources, unknown, adjusted = set(), set(), [bars.empty()]
    with closing(_Spill()) as spill:
        for chunk in _chunks(objects, report, on_object):
            frame = _frame(chunk, timezone)
            report.read += len(frame)
            # A record from the future would be in force until then, whatever the source corrects meanwhile.
            future = frame["rule"].isna() & (frame["collected_at"] > clock() + _CLOCKS_DIFFER)
            frame.loc[future, "rule"] = COLLECTED_IN_FUTURE
            good = frame["rule"].isna()
            sources |= set(frame.loc[good, "source"].unique())
            unknown |= set(frame.loc[good & frame["bar_minutes"].isna(), "dt"].unique())
            spill.keep(frame, chunk["text"])
        sink.check_sources(sources)
        common = _common_steps(map(spill.read, sorted(unknown)))
        for session in spill.sessions():
            new, superseded = _without_repeats(spill.read(session), common)
            if len(superseded):
                spill.keep(superseded, spill.texts(session).take(superseded.index.to_numpy()))
            report.stored_by_session[session] = sink.merge(new)
            adjusted.append(new[new["ticker"].isin(splits)])
        if splits:
            sink.report_splits([], clock(), pd.concat(adjusted, ignore_index=True))
        rejected = spill.rejected()
        while some := list(islice(rejected, _REJECTED_PER_FILE)):
            sink.reject(some)
            report.rejected.update(record.rule for record in some)
    report.duplicate = report.read - report.rejected.total() - report.stored
    return report


class _Spill:
    """Records until they can be stored, in a temporary file that is gone when the process ends, however it ends."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        self._places: dict[str, list[int]] = {}
        """Where the batches of each session, and of the rejected records, begin in the file. Their texts follow."""

    def keep(self, records: pd.DataFrame, texts: Sequence[str] | pa.Array) -> None:
        """Adds records and their texts; those with a `rule` are rejected. SinkError if there is no room for them."""
        texts = pa.array(texts, pa.string())
        keys = records["dt"].mask(records["rule"].notna(), _REJECTED)
        try:
            for key, rows in records.groupby(keys).indices.items():
                own, own_texts = (records.take(rows), texts.take(rows)) if len(rows) < len(texts) else (records, texts)
                self._places.setdefault(str(key), []).append(self._file.seek(0, os.SEEK_END))
                columns = pa.Table.from_pandas(own, _SPILLED, preserve_index=False, nthreads=1)
                for table in (columns, pa.table([own_texts], _TEXTS)):
                    (batch,) = table.combine_chunks().to_batches()
                    self._file.write(batch.serialize())
            # Arrow's allocator keeps what it no longer needs, up to 50 MB here.
            pa.default_memory_pool().release_unused()
        except OSError as error:
            raise SinkError(
                f"cannot write to the folder for temporary files, {tempfile.gettempdir()}: {reason(error)}; "
                "free some space there, or name another folder with TMPDIR, and import again"
            ) from error

    def sessions(self) -> list[str]:
        """The session of each record that is not rejected, by `dt`, in order."""
        return sorted(self._places.keys() - {_REJECTED})

    def read(self, session: str) -> pd.DataFrame:
        """The records of a session, in the order in which they were read."""
        return pa.Table.from_batches(batch for batch, _ in self._batches(session)).to_pandas()

    def texts(self, session: str) -> pa.Array:
        """The texts of the records of a session."""
        return pa.chunked_array([text() for _, text in self._batches(session)]).combine_chunks()

    def rejected(self) -> Iterator[Rejected]:
        """The rejected records, in the order in which they were."""
        for batch, texts in self._batches(_REJECTED):
            for row, text in zip(batch.to_pandas().to_dict("records"), texts(), strict=True):
                yield _rejected(row, text.as_py())

    def close(self) -> None:
        """Gives the room back."""
        self._file.close()

    def _batches(self, key: str) -> Iterator[tuple[pa.RecordBatch, Callable[[], pa.Array]]]:
        for place in self._places.get(key, ()):
            self._file.seek(place)
            yield self._next(_SPILLED), lambda: self._next(_TEXTS).column(0)

    def _next(self, schema: pa.Schema) -> pa.RecordBatch:
        return pa.ipc.read_record_batch(pa.ipc.read_message(self._file), schema)


_Chunk = dict[str, Any]
"""Consecutive records as columns: `KEYS`, and for each the object's name and time, its position there and its text."""


def _chunks(
    objects: Iterable[RecordedObject], report: ImportReport, on_object: Callable[[str], None]
) -> Iterator[_Chunk]:
    """The records of all objects, some thousands at a time: a frame for each small object would be slow."""
    chunk = _empty_chunk()
    for item in objects:
        read = tables.read_parquet if tables.is_parquet(item.content) else recorded.read_records
        count, has_records, first = 0, False, ""
        for records in read(item.content):
            more = len(records.texts)
            own = {
                "name": [item.name] * more,
                "object_collected_at": [item.collected_at] * more,
                "position": range(count + 1, count + more + 1),
                "text": records.texts,
                "is_record": records.are_records,
            } | dict(zip(recorded.KEYS, records.columns, strict=True))
            count, has_records = count + more, has_records or any(records.are_records)
            if not has_records:
                first = first or next(iter(records.texts), "")
            is_table = isinstance(records.texts, pa.Array)
            if not is_table:
                for name, values in own.items():
                    chunk[name].extend(values)
            if len(chunk["name"]) >= _ROWS_PER_FRAME or (is_table and chunk["name"]):
                yield chunk
                chunk = _empty_chunk()
            if is_table:
                yield own
        if not has_records:
            report.without_bars.append(f"{item.name}: {' '.join(first.split()) or 'empty'}")
        report.files += 1
        on_object(item.name)
    yield chunk


def _empty_chunk() -> _Chunk:
    return {name: [] for name in ("name", "object_collected_at", "position", "text", "is_record", *recorded.KEYS)}


def _frame(chunk: _Chunk, timezone: dt.tzinfo) -> pd.DataFrame:
    """The record's columns and `dt`, with `bar_minutes` NaN if unknown; `rule` is the broken rule or None."""
    is_collected = _given(chunk["collected_at"])
    collected_at = recorded.read_times(chunk["collected_at"], dt.UTC)
    which, written = pd.factorize(np.array(chunk["object_collected_at"], dtype=object))
    written = pd.DatetimeIndex(written, dtype=collected_at.dtype)
    # DuckDB and Athena write the lake's timestamps in UTC without an offset.
    ours = _given(chunk["bar_minutes"]) & is_collected
    ts = recorded.read_times(chunk["ts"], dt.UTC)
    if not ours.all():
        ts = ts.where(ours, recorded.read_times(chunk["ts"], timezone))
    number = {name: _numbers(chunk[name]) for name in _NUMBERS}
    volume, bar_minutes = number["volume"], number["bar_minutes"]

    unreadable = (
        ~np.array(chunk["is_record"], dtype=bool)
        | np.isinf(number["open"])
        | np.isinf(number["close"])
        | ~(np.isnan(volume) | _whole(volume, 2**53))
        | ~(np.isnan(bar_minutes) | (_whole(bar_minutes, _MINUTES_A_DAY) & (bar_minutes > 0)))
        | (is_collected & collected_at.isna())
    )
    frame = pd.DataFrame(
        {
            "name": pd.Series(chunk["name"], dtype="str"),
            "position": chunk["position"],
            "ticker": _names(chunk["ticker"]).str.upper(),
            "ts": ts,
            **{name: number[name] for name in PRICES},
            "bar_minutes": bar_minutes,
            "volume": pd.Series(np.where(unreadable, np.nan, volume)).astype("Int64"),
            "currency": _names(chunk["currency"]),
            "source": _names(chunk["source"]).fillna(SOURCE),
            "collected_at": collected_at.where(collected_at.notna(), written[which]),
        }
    )
    frame = bars.placed(frame)
    # Another lake of ours knows which bars were withdrawn; in other files a record without prices is a fault.
    broken = bars.broken_rules(frame, collected=False)
    broken = broken.mask((broken == "missing-price") & ours & bars.withdrawals(frame), None)
    return frame.assign(rule=broken.mask(unreadable, UNREADABLE))


def _given(values: Sequence[Any] | pa.Array) -> np.ndarray:
    """Which of `values` are not missing."""
    codes, distinct = recorded.factorized(values)
    return np.array([*map(pd.notna, distinct), False])[codes]


def _names(values: Sequence[Any] | pa.Array) -> pd.Series:
    """Each of `values` as a name; there are few distinct ones."""
    codes, distinct = recorded.factorized(values)
    return pd.Series([*map(_name, distinct), None], dtype="str").take(codes).reset_index(drop=True)


def _name(value: object) -> str | None:
    """`value` as a name, without surrounding blanks; None if it cannot be one."""
    return (value.strip() or None) if isinstance(value, str) and value.isprintable() else None


def _numbers(values: Sequence[Any] | pa.Array) -> np.ndarray:
    if isinstance(values, pa.Array):
        if values.type in _NUMERIC:
            return values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        values = values.to_pylist()
    if {float, int, type(None)}.issuperset(map(type, values)):
        with suppress(OverflowError):  # an integer that no float can hold
            return np.array(values, dtype=float)
    return np.array([_number(value) for value in values], dtype=float)


def _number(value: object) -> float:
    """`value`, a number or its text, as a float: NaN for a blank, infinity for anything else."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _BLANKS):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.inf
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.inf


def _whole(values: np.ndarray, largest: int) -> np.ndarray:
    return (np.abs(values) <= largest) & (np.floor(values) == values)


_Steps = tuple[pd.Series, pd.Series, float]
"""The most common step between bars, in minutes: of each ticker and session, of each ticker, and of all."""


def _without_repeats(records: pd.DataFrame, common: _Steps) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A session's bars, each once for each time of collection, and the records that a later one contradicts."""
    records["bar_minutes"] = _bar_minutes(records, *common)
    moment = [*KEY, "collected_at"]
    # Most bars are there once: only the others are worth comparing.
    several = records[records.duplicated(moment, keep=False)]
    distinct = several.drop_duplicates([*moment, *PRICES, "volume"], keep="last")
    last = distinct.drop_duplicates(moment, keep="last")
    kept = records.drop(several.index.difference(last.index))
    return bars.as_bars(kept), distinct.drop(last.index).assign(rule=SUPERSEDED)


def _common_steps(sessions: Iterable[pd.DataFrame]) -> _Steps:
    """Counts the records in `sessions` without a length, and steps that are a bar length. The shorter wins a tie."""
    counts = pd.concat([_NO_STEPS, *map(_steps, sessions)])

    def most_common(by: list[str]) -> pd.Series:
        found = counts.groupby([*by, "minutes"])["count"].sum().reset_index()
        found = found.sort_values(["count", "minutes"], ascending=[False, True], kind="stable")
        return found.drop_duplicates(by).set_index(by)["minutes"] if by else found["minutes"]

    of_all = next(iter(most_common([])), DEFAULT_BAR_MINUTES)
    return most_common(["ticker", "dt"]), most_common(["ticker"]), of_all


_NO_STEPS = pd.DataFrame({"ticker": [], "dt": [], "minutes": [], "count": []}).astype({"ticker": "str", "dt": "str"})


def _steps(good: pd.DataFrame) -> pd.DataFrame:
    """How often each step between a ticker's bars occurs in a session."""
    starts = good.loc[good["bar_minutes"].isna(), ["ticker", "dt", "ts"]].drop_duplicates().sort_values("ts")
    steps = starts.assign(minutes=starts.groupby(["ticker", "dt"])["ts"].diff() / pd.Timedelta(minutes=1))
    steps = steps[steps["minutes"].isin(BAR_MINUTES)]
    return steps.groupby(["ticker", "dt", "minutes"]).size().rename("count").reset_index()


def _bar_minutes(good: pd.DataFrame, of_session: pd.Series, of_ticker: pd.Series, of_all: float) -> pd.Series:
    """The length of each bar: its own, else that of the first of the most common steps that is known."""
    if good["bar_minutes"].notna().all():
        return good["bar_minutes"].astype("int32")
    without = good.loc[good["bar_minutes"].isna(), ["ticker", "dt"]]
    steps = without.join(of_session, on=["ticker", "dt"])["minutes"].fillna(without["ticker"].map(of_ticker))
    return good["bar_minutes"].fillna(steps.fillna(of_all)).astype("int32")


def _rejected(row: dict[str, Any], text: str) -> Rejected:
    return Rejected(
        rule=row["rule"],
        record=text,
        collected_at=row["collected_at"].isoformat(),
        source=row["source"],
        ticker=row["ticker"] if isinstance(row["ticker"], str) else None,
        ts=row["ts"].isoformat() if not pd.isna(row["ts"]) else None,
        origin=row["name"],
        position=row["position"],
    )
