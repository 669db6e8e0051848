"""Lakes written for a test from plain records, through the sink that people's own lakes are written by."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tickerlake import bars, exchange, record
from tickerlake.actions import Split
from tickerlake.lake import Run
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import SCHEMA, ParquetSink
from tickerlake.lake.splits import splits_table

ANSWERS = Path(__file__).parents[1] / "data" / "answers"
CASES = sorted(path.name for path in ANSWERS.iterdir() if path.is_dir())


def read_records(case: str) -> list[dict[str, Any]]:
    """The records of an answer case, as they were delivered, repeats and all."""
    with (ANSWERS / case / "records.csv").open(encoding="utf-8") as file:
        return [
            {
                **row,
                "ts": dt.datetime.fromisoformat(row["ts"]),
                "bar_minutes": int(row["bar_minutes"]),
                "volume": int(row["volume"]) if row["volume"] else None,
                "collected_at": dt.datetime.fromisoformat(row["collected_at"]),
                **{price: float(row[price]) if row[price] else None for price in record.PRICES},
            }
            for row in csv.DictReader(file)
        ]


def read_splits(case: str) -> list[Split]:
    """The splits of an answer case."""
    path = ANSWERS / case / "actions.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return [
            Split(
                ticker=row["ticker"],
                ex_date=dt.date.fromisoformat(row["ex_date"]),
                ratio=float(row["ratio"]),
                source=row["source"],
                collected_at=dt.datetime.fromisoformat(row["collected_at"]),
                adjusted_from=dt.datetime.fromisoformat(row["adjusted_from"]) if row["adjusted_from"] else None,
            )
            for row in csv.DictReader(file)
        ]


def read_runs(case: str) -> list[Run]:
    """What was asked of the vendor in an answer case."""
    path = ANSWERS / case / "asked.csv"
    if not path.exists():
        return []
    times, counts = ("since", "until", "collected_at"), ("bar_minutes", "bars", "stored", "withdrawn", "rejected")
    with path.open(encoding="utf-8") as file:
        return [
            Run(
                **row
                | {"exchange": exchange.of(row["ticker"]).code}
                | {name: dt.datetime.fromisoformat(row[name]).astimezone(dt.UTC) for name in times}
                | {name: int(row[name]) for name in counts}
            )
            for row in csv.DictReader(file)
        ]


def read_forecasts(case: str) -> pd.DataFrame | None:
    """The forecasts of an answer case, as they were stored."""
    path = ANSWERS / case / "made.csv"
    if not path.exists():
        return None
    frame = pd.read_csv(path, dtype={"version": "int32", "hour": "int32"})
    times = [column.name for column in record.FORECASTS if column.type == "timestamp"]
    return frame.assign(**{name: pd.to_datetime(frame[name], utc=True).dt.as_unit("us") for name in times})


def write_case(lake: Path, case: str) -> Path:
    """Writes the lake of an answer case."""
    return write_lake(lake, read_records(case), read_splits(case), read_runs(case), read_forecasts(case))


def write_lake(
    lake: Path,
    records: Iterable[dict[str, Any]],
    splits: Sequence[Split] = (),
    runs: Sequence[Run] = (),
    forecasts: pd.DataFrame | None = None,
) -> Path:
    """Writes `records` one file a session, every repeat included, as Firehose would deliver them; and the rest."""
    ParquetSink(lake).log(runs)
    if forecasts is not None:
        ParquetSink(lake).store_forecasts(forecasts)
    if splits:
        Layout(lake).splits.mkdir(parents=True, exist_ok=True)
        pq.write_table(splits_table(splits), Layout(lake).splits / "splits.parquet")
    frame = pd.DataFrame(records)
    for column in ("ts", "collected_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True).dt.as_unit("us")
    frame = bars.placed(frame)
    frame["volume"] = frame["volume"].astype("Int64")
    for partition, inside in bars.as_bars(frame).groupby("dt"):
        naive = inside.assign(**{name: inside[name].dt.tz_localize(None) for name in ("ts", "collected_at")})
        folder = lake / "bars" / f"dt={partition}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            pa.Table.from_pandas(naive, schema=SCHEMA, preserve_index=False),
            folder / f"{len(list(folder.iterdir()))}.parquet",
        )
    return lake
