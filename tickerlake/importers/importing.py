"""Importing: read the objects of an earlier deployment, hold their records against the rules, hand them to a sink.

Records are kept as they are: names are upper-cased but not renamed, prices are not rounded, and a bar need not
lie on the grid. A record that cannot be read or breaks a rule is rejected with its object and its place there.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tickerlake import bars, exchange
from tickerlake.importers import recorded
from tickerlake.importers.recorded import RecordedObject
from tickerlake.lake import Rejected, Sink
from tickerlake.record import BAR_MINUTES, KEY, PRICES

SOURCE = "recorded"
USUAL_BAR_MINUTES = 5
"""What is assumed where no ticker has two bars in a session: the size the pipeline has collected from the start."""

UNREADABLE = "unreadable"
"""Rule id of text that is no record, and of a record that gives something else than a number or a time."""
SUPERSEDED = "superseded"
"""Rule id of a record that a later one, collected at the same time, contradicts."""

_NUMBERS = ("open", "high", "low", "close", "volume", "bar_minutes")
_NOTHING = {"", "nan", "none", "null"}
_MINUTES_A_DAY = 24 * 60
_ROWS_AT_ONCE = 100_000


@dataclass
class ImportReport:
    """What came of an import: every record read was stored, a duplicate, or rejected."""

    objects: int = 0
    read: int = 0
    """Records, and pieces of text that are none."""
    duplicate: int = 0
    """Bars that said the same as another of this import or as the one the sink held."""
    stored_by_session: dict[str, int] = field(default_factory=dict)
    """For each session with bars that keep the rules, by `dt`, how many of them were new to the sink."""
    rejected: Counter[str] = field(default_factory=Counter)
    """How many records broke each rule, by rule id."""

    @property
    def stored(self) -> int:
        """Bars that were new to the sink."""
        return sum(self.stored_by_session.values())

    def line(self) -> str:
        """For a person: `read 790 records of 14 objects: 780 stored, 0 duplicate, 10 rejected (10 off-grid)`."""
        rules = ", ".join(f"{count} {rule}" for rule, count in sorted(self.rejected.items()))
        return (
            f"read {self.read} records of {self.objects} objects: {self.stored} stored, {self.duplicate} duplicate, "
            f"{self.rejected.total()} rejected{f' ({rules})' if rules else ''}"
        )


def import_objects(
    objects: Iterable[RecordedObject],
    sink: Sink,
    timezone: dt.tzinfo = exchange.EXCHANGE_TIME,
    *,
    on_object: Callable[[str], None] = lambda _name: None,
    before_storing: Callable[[set[str]], None] = lambda _sources: None,
) -> ImportReport:
    """Reads `objects` in the order they were written and stores their bars in `sink`, a session at a time.

    Our own records (they give `bar_minutes` and `collected_at`) keep their source and are in UTC; all others are
    `recorded`, and their times without an offset in `timezone`. Importing again stores nothing anew.

    `on_object` hears the name of each object once it is read, and `before_storing` the sources of all bars before
    the first is stored: what it raises ends the import with the sink untouched. Raises SinkError when the sink
    fails; what it took before stays.
    """
    report = ImportReport()
    frames = []
    for chunk in _chunks(objects, report, on_object):
        frames.append(_frame(chunk, timezone))
        report.read += len(chunk)
    frame = pd.concat(frames, ignore_index=True)
    good = frame[frame["rule"].isna()].copy()
    good["bar_minutes"] = _bar_minutes(good)

    said = [*KEY, "collected_at", *PRICES, "volume", "source"]
    distinct = good[~good.duplicated(said, keep="last")]
    contradicted = distinct.duplicated([*KEY, "collected_at"], keep="last")
    before_storing(set(distinct["source"]))
    for session, of_session in distinct[~contradicted].groupby("dt"):
        report.stored_by_session[str(session)] = sink.write(bars.as_bars(of_session))

    frame.loc[contradicted.index[contradicted], "rule"] = SUPERSEDED
    rejected = frame[frame["rule"].notna()]
    sink.reject([_rejected(row) for row in rejected.to_dict("records")])
    report.rejected.update(rejected["rule"])
    report.duplicate = report.read - len(rejected) - report.stored
    return report


def _chunks(
    objects: Iterable[RecordedObject], report: ImportReport, on_object: Callable[[str], None]
) -> Iterator[pd.DataFrame]:
    """The records of all objects, in frames of so many rows that a small object does not cost a frame of its own."""
    nothing = (None,) * len(recorded.KEYS)
    columns = ["name", "position", "text", "object_collected_at", "is_record", *recorded.KEYS]
    rows: list[tuple[Any, ...]] = []
    for item in objects:
        for position, (text, said) in enumerate(recorded.read_records(item.content), start=1):
            rows.append((item.name, position, text, item.collected_at, said is not None, *(said or nothing)))
        report.objects += 1
        on_object(item.name)
        if len(rows) >= _ROWS_AT_ONCE:
            yield pd.DataFrame(rows, columns=columns, dtype=object)
            rows = []
    yield pd.DataFrame(rows, columns=columns, dtype=object)


def _frame(chunk: pd.DataFrame, timezone: dt.tzinfo) -> pd.DataFrame:
    """The columns of the record and `dt`, `bar_minutes` NaN where not given; the `rule` that is broken, or None."""
    # In UTC even without an offset: that is how DuckDB and Athena write the timestamps of the lake.
    ours = (chunk["bar_minutes"].notna() & chunk["collected_at"].notna()).to_numpy(dtype=bool)
    ts = recorded.read_times(chunk["ts"], timezone).where(~ours, recorded.read_times(chunk["ts"].where(ours), dt.UTC))
    collected_at = recorded.read_times(chunk["collected_at"], dt.UTC)
    number = {name: np.array([_number(value) for value in chunk[name]], dtype=float) for name in _NUMBERS}
    volume, bar_minutes = number["volume"], number["bar_minutes"]

    unreadable = (
        ~chunk["is_record"].to_numpy(dtype=bool)
        | np.isinf(number["open"])
        | np.isinf(number["close"])
        | ~(np.isnan(volume) | _whole(volume, 2**53))
        | ~(np.isnan(bar_minutes) | (_whole(bar_minutes, _MINUTES_A_DAY) & (bar_minutes > 0)))
        | (chunk["collected_at"].notna().to_numpy(dtype=bool) & collected_at.isna())
    )
    frame = pd.DataFrame(
        {
            "name": chunk["name"].astype("str"),
            "position": chunk["position"].astype(int),
            "text": chunk["text"].astype("str"),
            "ticker": pd.Series([word and word.upper() for word in map(_word, chunk["ticker"])], dtype="str"),
            "ts": ts,
            **{name: number[name] for name in PRICES},
            "bar_minutes": bar_minutes,
            "volume": pd.Series(np.where(unreadable, np.nan, volume)).astype("Int64"),
            "source": pd.Series([_word(value) for value in chunk["source"].where(ours)], dtype="str").fillna(SOURCE),
            "collected_at": collected_at.where(
                collected_at.notna(), pd.DatetimeIndex(chunk["object_collected_at"], dtype=collected_at.dtype)
            ),
        }
    )
    frame["dt"] = bars.session_dates(frame["ts"])
    return frame.assign(rule=bars.broken_rules(frame, collected=False).mask(unreadable, UNREADABLE))


def _word(value: object) -> str | None:
    """`value` without the blanks around it; None for what no name is made of."""
    return (value.strip() or None) if isinstance(value, str) and value.isprintable() else None


def _number(value: object) -> float:
    """`value`, or the text of it, as a float: NaN for nothing, infinite for what is no number."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.inf
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.inf


def _whole(values: np.ndarray, largest: int) -> np.ndarray:
    return (np.abs(values) <= largest) & (np.floor(values) == values)


def _bar_minutes(good: pd.DataFrame) -> pd.Series:
    """The size of each bar: its own, or else the most common step between the ticker's bars in that session.

    Where there is no such step, the ticker's most common one counts, then that of all, then the usual size.
    Only steps of a size that bars have count; of equally common ones the shorter does.
    """
    starts = good.loc[good["bar_minutes"].isna(), ["ticker", "dt", "ts"]].drop_duplicates().sort_values("ts")
    steps = starts.assign(minutes=starts.groupby(["ticker", "dt"])["ts"].diff() / pd.Timedelta(minutes=1))
    steps = steps[steps["minutes"].isin(BAR_MINUTES)]

    def most_common(by: list[str]) -> pd.Series:
        counts = steps.groupby([*by, "minutes"]).size().rename("count").reset_index()
        counts = counts.sort_values(["count", "minutes"], ascending=[False, True], kind="stable")
        return counts.drop_duplicates(by).set_index(by)["minutes"] if by else counts["minutes"]

    of_session = good[["ticker", "dt"]].join(most_common(["ticker", "dt"]), on=["ticker", "dt"])["minutes"]
    of_ticker = good["ticker"].map(most_common(["ticker"]))
    of_all = next(iter(most_common([])), USUAL_BAR_MINUTES)
    return good["bar_minutes"].fillna(of_session).fillna(of_ticker).fillna(of_all).astype("int32")


def _rejected(row: dict[str, Any]) -> Rejected:
    return Rejected(
        rule=row["rule"],
        record=row["text"],
        collected_at=row["collected_at"].isoformat(),
        source=row["source"],
        ticker=row["ticker"] if isinstance(row["ticker"], str) else None,
        ts=row["ts"].isoformat() if not pd.isna(row["ts"]) else None,
        origin=row["name"],
        position=row["position"],
    )
