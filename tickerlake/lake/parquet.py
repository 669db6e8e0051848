"""A lake of Parquet files on this machine. `layout` says where they are.

A file is written to `.incoming` and renamed into place. Readers see whole files only, and a killed run leaves nothing
that a query would read.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pandas.util import hash_pandas_object

from tickerlake import bars, basis
from tickerlake.actions import Split, unknown
from tickerlake.errors import ConfigError, SinkError
from tickerlake.exchange import Session
from tickerlake.lake import Rejected, Run
from tickerlake.lake.layout import Fault, Layout
from tickerlake.lake.placing import place
from tickerlake.lake.rolling import roll_up
from tickerlake.lake.runs import SCHEMA as RUNS
from tickerlake.lake.runs import runs_table
from tickerlake.lake.schema import parquet_schema, write_table
from tickerlake.lake.splits import read_splits, splits_table
from tickerlake.lake.sql import reason
from tickerlake.lake.withdrawals import after, withdrawn
from tickerlake.record import COLUMNS, FORECASTS, KEY, KNOWLEDGE, PRICES

SCHEMA = parquet_schema(COLUMNS)
"""The columns of a file. The partition `dt` is in the name of its folder."""

SIMULATED = "simulated"
# pyarrow raises a plain ValueError for nulls in a column that allows none.
_READ_ERRORS = (pa.ArrowException, ValueError, OSError)
_NEXT_STEPS = {
    errno.ENOSPC: "free some space, then run this again",
    errno.EDQUOT: "free some space, then run this again",
    errno.EROFS: "name a folder that can be written to",
    errno.EACCES: "allow writing there, or name another folder",
}

_log = logging.getLogger(__name__)


class ParquetSink:
    """Stores bars in the folder `lake`, which the first write creates."""

    def __init__(self, lake: Path) -> None:
        self._layout = Layout(lake)
        self._allowed: set[str] = set()
        """Sources that have passed the check, so that files are not read again for each session."""
        self._warned: set[Fault] = set()

    def check_sources(self, sources: Collection[str]) -> None:
        """Refuses to mix simulated and real bars in one lake. Unreadable files are skipped. ConfigError."""
        coming = set(sources)
        if coming <= self._allowed:
            return
        held = sources_held(self._layout.folder)
        if SIMULATED in held | coming and held | coming != {SIMULATED}:
            raise ConfigError(
                f"simulated and real bars cannot share a lake: {str(self._layout.folder)!r} holds "
                f"{', '.join(sorted(held)) or 'nothing'}, the new bars are {', '.join(sorted(coming))}; "
                "name another folder with --lake"
            )
        self._allowed |= coming

    def write(self, frame: pd.DataFrame) -> Counter[str]:
        """Stores one session's freshly collected bars in one file; returns how many of each ticker are new.

        Only a bar that differs from its record in force is stored, beside that record, and becomes the one in force:
        if the clock was set back, it is stamped just after the record that it replaces. Raises ConfigError as
        `check_sources`, SinkError if the session cannot be listed or the new file cannot be written, ValueError for a
        frame that does not hold exactly one session or breaks a rule.
        """
        session = self._checked(frame)
        distinct = frame.drop_duplicates()  # one answer may hold the same row twice
        stored = self._stored(session, frame["ticker"].unique())
        return self._append(session, distinct if stored.empty else _after(_changed(stored, distinct)))

    def merge(self, frame: pd.DataFrame) -> int:
        """Stores one session's records from elsewhere, which keep their `collected_at`; returns how many are new.

        Of consecutive records of a bar with the same numbers only the first and the last are stored, so a later import
        of something in between still leaves the right record in force. Raises as `write`.
        """
        session = self._checked(frame)
        return self._append(session, _turning_points(self._stored(session, frame["ticker"].unique()), frame)).total()

    def withdraw(self, answered: pd.DataFrame, session: Session, bar_minutes: int, now: dt.datetime) -> Counter[str]:
        """Stores a record for each bar that is `withdrawn`; returns how many of each ticker."""
        stored = bars.empty() if answered.empty else self._stored(session.dt, answered["ticker"].unique())
        if stored.empty:
            return Counter()
        in_force = _in_force(stored).dropna(subset=["high"])
        return self._append(session.dt, withdrawn(in_force, answered, session, bar_minutes, now))

    def reports(self) -> list[Split]:
        """Every report of a split. SinkError."""
        try:
            return read_splits(self._layout.actions())
        except _READ_ERRORS as error:
            raise SinkError(f"cannot read the splits in {self._layout.splits}: {error}; move the file away") from error

    def report_splits(self, splits: Sequence[Split], now: dt.datetime, answered: pd.DataFrame | None = None) -> int:
        """Stores the splits that the lake does not know yet, or knows otherwise; returns how many. SinkError.

        Also stores from when on a source has adjusted its prices, if the bars of the lake show it: those of `answered`,
        which have just been stored, are compared with what was stored before. Where they contradict what was known, or
        the split is new, all its earlier bars are compared.
        """
        reports = self.reports()
        new = unknown(splits, reports)
        reports += new
        if not reports:
            return 0
        ex_dates = {split.ticker: split.ex_date.isoformat() for split in sorted(reports, key=attrgetter("ex_date"))}
        again = bars.empty() if answered is None else answered
        again = again[again["dt"] < again["ticker"].map(lambda ticker: ex_dates.get(ticker, ""))]
        tickers = {split.ticker for split in new}
        if len(again):
            histories = self._histories(again["dt"].unique(), again["ticker"].unique(), again)
            tickers |= {split.ticker for split in basis.learned(histories, reports, now)}
        learned: list[Split] = []
        if tickers:
            last = max(ex_dates[ticker] for ticker in tickers)
            sessions = [session for session in self._layout.sessions() if session < last]
            learned = basis.learned(self._histories(sessions, tickers, again), reports, now)
        # What was learned of a report that is new says all that the report does.
        covered = {replace(split, adjusted_from=None) for split in learned}
        rows = [split for split in new if replace(split, adjusted_from=None) not in covered] + learned
        if rows:
            digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:12]
            target = self._layout.splits / f"{_compact(max(split.collected_at for split in rows))}-{digest}.parquet"
            table = splits_table(rows)
            self._place(target, lambda path: write_table(table, path))
        return len(new)

    def _checked(self, frame: pd.DataFrame) -> str:
        """The session of `frame`, which must be a single one of valid bars that this lake takes."""
        sessions = frame["dt"].unique()
        if len(sessions) != 1:
            raise ValueError(f"a sink takes one session at a time, not {list(sessions)}")
        broken = bars.broken_rules(frame[~bars.withdrawals(frame)], collected=False).dropna()
        if len(broken):
            raise ValueError(f"{len(broken)} bars break a rule, the first {broken.iloc[0]}; reject them instead")
        self.check_sources(frame["source"].unique())
        return sessions[0]

    def _append(self, session: str, new: pd.DataFrame) -> Counter[str]:
        if new.empty:
            return Counter()
        new = bars.as_bars(new).sort_values([*KEY, *KNOWLEDGE], kind="stable")
        table = pa.Table.from_pandas(_naive(new), schema=SCHEMA, preserve_index=False)
        name = f"{_compact(new['collected_at'].max())}-{_digest(new)}.parquet"
        target = self._layout.partition(session) / name
        self._place(target, lambda path: write_table(table, path))
        day = dt.date.fromisoformat(session)
        self._roll_up(self._layout.files(day, day), SCHEMA)
        return Counter(new["ticker"].value_counts().to_dict())

    def log(self, runs: Sequence[Run]) -> None:
        """Stores `runs` in one file."""
        if not runs:
            return
        digest = hashlib.sha256(repr(runs).encode()).hexdigest()[:12]
        latest = max(run.collected_at for run in runs)
        target = self._layout.log / f"{_compact(latest)}-{digest}.parquet"
        table = runs_table(runs)
        self._place(target, lambda path: write_table(table, path))
        # Runs go by the day in the name of their file.
        day = target.name.partition("T")[0]
        self._roll_up([path for path in self._layout.runs(latest.date()) if path.name.startswith(day)], RUNS)

    def store_forecasts(self, forecasts: pd.DataFrame) -> None:
        """Stores forecasts, a frame with the columns of `record.FORECASTS` and aware times, in one file. SinkError."""
        if forecasts.empty:
            return
        times = [column.name for column in FORECASTS if column.type == "timestamp"]
        naive = forecasts.assign(**{name: forecasts[name].dt.tz_convert("UTC").dt.tz_localize(None) for name in times})
        table = pa.Table.from_pandas(naive, schema=parquet_schema(FORECASTS), preserve_index=False)
        target = self._layout.forecast_folder / f"{_compact(forecasts['made_at'].max())}-{_digest(naive)}.parquet"
        self._place(target, lambda path: write_table(table, path))

    def store_model(self, text: str) -> None:
        """Keeps what the machine-learned model has learned, for the next run. SinkError."""
        self._place(self._layout.model, lambda path: path.write_text(text, encoding="utf-8"))

    def store_told(self, text: str) -> None:
        """Keeps which alerts were sent, for the next run. SinkError."""
        self._place(self._layout.sent, lambda path: path.write_text(text, encoding="utf-8"))

    def reject(self, rejected: Sequence[Rejected]) -> None:
        """Keeps `rejected` as JSON lines in one file. Rejecting the same records again changes nothing."""
        if not rejected:
            return
        lines = "".join(json.dumps(record.as_dict(), ensure_ascii=False) + "\n" for record in rejected)
        collected = _compact(dt.datetime.fromisoformat(max(record.collected_at for record in rejected)))
        name = f"{collected}-{hashlib.sha256(lines.encode()).hexdigest()[:12]}.jsonl"
        self._place(self._layout.rejections / name, lambda path: path.write_text(lines, encoding="utf-8"))

    def _stored(self, session: str, tickers: Collection[str]) -> pd.DataFrame:
        """The records of `tickers` in one session.

        A damaged file is skipped with a warning: its bars are collected once more.
        """
        day = dt.date.fromisoformat(session)
        files, faults = self._layout.scan(day, day)
        if unlisted := next((fault for fault in faults if fault.path == self._layout.partition(session)), None):
            raise SinkError(f"cannot list {unlisted.path}: {unlisted.reason}; allow reading it")
        tables = []
        for file in files:
            try:
                tables.append(_read(file, tickers))
            except FileNotFoundError:  # replaced by another process: list again
                return self._stored(session, tickers)
            except _READ_ERRORS as error:
                faults.append(Fault(file, reason(error)))
        for fault in faults:
            if fault not in self._warned:
                self._warned.add(fault)
                _log.warning(
                    "skipped %s: %s; move it to quarantine: tickerlake repair --lake %s",
                    fault.path, fault.reason, self._layout.folder,
                )  # fmt: skip
        if not tables:
            return bars.empty()
        frame = pa.concat_tables(tables).to_pandas().assign(dt=session)
        for column in ("ts", "collected_at"):
            frame[column] = frame[column].dt.tz_localize("UTC")
        return bars.as_bars(frame)

    def _histories(self, sessions: Collection[str], tickers: Collection[str], answered: pd.DataFrame) -> pd.DataFrame:
        """All records of `tickers` in `sessions`, and the bars of `answered` that repeat the numbers in force."""
        held = pd.concat([bars.empty(), *(self._stored(session, tickers) for session in sessions)], ignore_index=True)
        latest = held.groupby(list(KEY))["collected_at"].max().rename("latest").reset_index()
        repeats = answered[answered["ticker"].isin(tickers)].merge(latest, on=list(KEY))
        repeats = repeats[repeats["latest"] < repeats["collected_at"]]
        return pd.concat([held, repeats[held.columns]], ignore_index=True)

    def _roll_up(self, files: Sequence[Path], schema: pa.Schema) -> None:
        try:
            roll_up(self._layout, files, schema)
        except (OSError, pa.ArrowException) as error:  # what was to be stored is
            _log.warning("could not put small files together: %s; the next run tries again", reason(error))

    def _place(self, target: Path, write: Callable[[Path], object]) -> None:
        try:
            place(self._layout, target, write)
        except (OSError, pa.ArrowException) as error:
            number = getattr(error, "errno", None)
            why, next_step = (
                os.strerror(number) if number else str(error),
                _NEXT_STEPS.get(number or 0, "run this again"),
            )
            raise SinkError(f"cannot write {target}: {why}; nothing of this file was stored; {next_step}") from error


def sources_held(lake: Path) -> set[str]:
    """The sources of the bars in the lake. A missing lake holds none; unreadable and foreign files are skipped."""
    held: set[str] = set()
    for file in Layout(lake).files():
        with suppress(*_READ_ERRORS):
            held |= _sources(file)
    return held


def _sources(file: Path) -> set[str]:
    """The sources in one file: from its statistics if they name a single one, else from its column."""
    with pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        if "source" not in names:
            return set()
        found: set[str | None] = set()
        for group in range(parquet.metadata.num_row_groups):
            span = _span(parquet, group, "source")
            if span is None or span[0] != span[1]:
                found |= set(parquet.read(columns=["source"])["source"].unique().to_pylist())
                break
            found.add(span[0])
    return {source for source in found if source is not None}


def _span(parquet: pq.ParquetFile, group: int, name: str) -> tuple[str, str] | None:
    """The least and the greatest text of a column in a row group, if the file says so."""
    columns = parquet.metadata.row_group(group)
    statistics = next(
        columns.column(index).statistics
        for index in range(columns.num_columns)
        if columns.column(index).path_in_schema == name
    )
    return (statistics.min, statistics.max) if statistics is not None and statistics.has_min_max else None


def _read(file: Path, tickers: Collection[str]) -> pa.Table:
    """The records of `tickers` in `file`, columns by name. One of `_READ_ERRORS` if it is not a file of bars."""
    with pq.ParquetFile(file) as parquet:
        missing = [name for name in SCHEMA.names if name not in parquet.schema_arrow.names]
        if missing:
            raise ValueError(f"it has no column {', '.join(missing)}")
        spans = {group: _span(parquet, group, "ticker") for group in range(parquet.num_row_groups)}
        first, last = min(tickers), max(tickers)
        groups = [group for group, span in spans.items() if span is None or (span[0] <= last and first <= span[1])]
        table = parquet.read_row_groups(groups, columns=SCHEMA.names).cast(SCHEMA)
        return table.filter(pc.field("ticker").isin(list(tickers)))


def _in_force(stored: pd.DataFrame) -> pd.DataFrame:
    """The record in force of each bar."""
    ordered = stored.sort_values([*KEY, *KNOWLEDGE], kind="stable", na_position="first")
    return ordered.drop_duplicates(list(KEY), keep="last")


def _changed(stored: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """The rows of `fresh` that differ from their record in force; `collected_at_before` is when that was collected."""
    numbers = [*PRICES, "volume"]
    held = _in_force(stored)[[*KEY, *numbers, "collected_at"]]
    both = fresh.merge(held, on=list(KEY), how="left", suffixes=("", "_before"), indicator=True)
    same = _same(both[numbers], both[[f"{name}_before" for name in numbers]])
    return both[~(same & (both["_merge"] == "both"))]


def _after(changed: pd.DataFrame) -> pd.DataFrame:
    """`changed`, stamped so that each row comes after the record it replaces."""
    return changed.assign(collected_at=after(changed["collected_at_before"], changed["collected_at"]))


def _same(new: pd.DataFrame, old: pd.DataFrame) -> pd.Series:
    """For each row, whether the columns of both frames, in order, hold the same; two nulls are the same number."""
    same = pd.Series(True, index=new.index)
    for (_, one), (_, other) in zip(new.items(), old.items(), strict=True):
        same &= ((one == other) | (one.isna() & other.isna())).fillna(False).astype(bool)
    return same


def _turning_points(stored: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """The rows of `fresh` that begin or end a run of records with the same numbers, and are not stored yet."""
    both = pd.concat([stored.assign(fresh=False), fresh.assign(fresh=True)], ignore_index=True)
    both = both.sort_values([*KEY, "collected_at", "fresh"], kind="stable", ignore_index=True)
    values = both[[*KEY, *PRICES, "volume"]]
    begins = ~_same(values, values.shift())
    once = begins | (both["collected_at"] != both["collected_at"].shift())
    both, begins = both[once], begins[once]
    run = begins.cumsum()
    ends = run != run.shift(-1)
    return both[both["fresh"] & (begins | ends)].drop(columns="fresh")


def _naive(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{column: frame[column].dt.tz_localize(None) for column in ("ts", "collected_at")})


def _digest(frame: pd.DataFrame) -> str:
    rows = hash_pandas_object(frame, index=False)  # ty: ignore[not-callable]  pandas hides its type
    return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()[:12]


def _compact(moment: dt.datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")
