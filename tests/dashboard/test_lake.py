"""What the pages read from a local lake: files, runs, and prices where opens are missing."""

from __future__ import annotations

import datetime as dt
import json

import pandas as pd
import pytest
import streamlit as st

from dashboard.data import lake_files, prices, rejected
from dashboard.data.lake import Lake
from tests.query.lakes import write_lake
from tickerlake.exchange import XNYS
from tickerlake.lake import Run
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import Settings

EVENING = dt.datetime(2026, 11, 20, 23, 0, tzinfo=dt.UTC)
DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")


@pytest.fixture(autouse=True)
def _nothing_cached():
    st.cache_data.clear()
    yield
    st.cache_resource.clear()


def record(ticker, day, hour, low, high, **prices):
    return {
        "ticker": ticker,
        "ts": dt.datetime.fromisoformat(f"{day}T{hour}:00:00+00:00"),
        "bar_minutes": 60,
        "open": None,
        "high": high,
        "low": low,
        "close": None,
        "volume": 1,
        "source": "recorded",
        "collected_at": EVENING,
        **prices,
    }


def asked(lake, monkeypatch):
    """The questions that reach the lake from now on."""
    questions = []
    query = Lake.query
    monkeypatch.setattr(Lake, "query", lambda self, *question: questions.append(question) or query(self, *question))
    return questions


def test_without_opens_the_bars_of_the_first_and_last_session_give_the_prices(tmp_path, monkeypatch):
    days = [dt.date.fromisoformat(day) for day in DAYS]
    records = [record("A", day, hour, 9.0, 11.0 + n) for n, day in enumerate(DAYS) for hour in (15, 16)]
    records += [record("B", day, 15, 9.0, 11.0, open=10.0, close=10.5) for day in DAYS[:2]]
    records += [record("B", DAYS[2], 15, 9.0, 11.0, open=10.0)]
    lake = Lake(Settings(lake=write_lake(tmp_path / "lake", records)))
    questions = asked(lake, monkeypatch)

    frame = prices.daily(lake, days[0], days[2]).set_index(["ticker", "session"])

    assert frame["last_price"].to_dict() == pytest.approx(
        {
            ("A", DAYS[0]): 10.0,
            ("A", DAYS[1]): float("nan"),
            ("A", DAYS[2]): 11.0,
            ("B", DAYS[0]): 10.5,
            ("B", DAYS[1]): 10.5,
            ("B", DAYS[2]): 10.0,
        },
        nan_ok=True,
    )
    assert [question for question in questions if question[0] == "bars"] == [
        ("bars", days[0], days[0], ("A",)),
        ("bars", days[2], days[2], ("A", "B")),
    ]


def test_an_answer_is_kept_until_a_run_is_logged(tmp_path):
    folder = write_lake(tmp_path / "lake", [record("B", DAYS[0], 15, 9.0, 11.0)])
    lake, day = Lake(Settings(lake=folder)), dt.date.fromisoformat(DAYS[0])
    before = lake.query("runs", day, day)
    run = Run("B", "XNYS", DAYS[0], EVENING, EVENING, 60, 0, 0, 0, 0, "no-data", "yahoo", EVENING)

    ParquetSink(folder).log([run])

    assert before.empty
    assert lake.query("runs", day, day)["outcome"].tolist() == ["no-data"]


def test_with_opens_no_bars_are_read(tmp_path, monkeypatch):
    records = [record("B", day, 15, 9.0, 11.0, open=10.0, close=10.5) for day in DAYS[:2]]
    lake = Lake(Settings(lake=write_lake(tmp_path / "lake", records)))
    questions = asked(lake, monkeypatch)
    days = [dt.date.fromisoformat(day) for day in DAYS[:2]]

    assert prices.daily(lake, *days, ("B",))["change"].tolist() == pytest.approx([0.05, 0.05])
    assert questions == [("daily", *days, ("B",))]


def parquet(folder, day, name, records):
    path = folder / f"dt={day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"n": range(records)}).to_parquet(path)
    return path


def test_each_file_is_listed_with_its_session_records_and_size(tmp_path):
    ours = parquet(tmp_path, DAYS[0], "20261120T230000Z-a.parquet", 3)
    foreign = parquet(tmp_path, DAYS[1], "of-another-program.parquet", 2)

    assert lake_files.read([ours, foreign]).to_dict("records") == [
        {"session": DAYS[0], "records": 3, "bytes": ours.stat().st_size},
        {"session": DAYS[1], "records": 2, "bytes": foreign.stat().st_size},
    ]
    ours.write_bytes(b"damaged")
    assert lake_files.read([ours, foreign])["session"].tolist() == [DAYS[1]]


def test_the_latest_runs_come_first_with_what_each_asked_for_and_what_came_of_it():
    def asked(ticker, session, moment, stored, rejected, outcome="answered"):
        counts = {"bars": 78, "stored": stored, "withdrawn": 0, "rejected": rejected}
        return {
            "ticker": ticker,
            "session": session,
            "source": "yahoo",
            "outcome": outcome,
            "collected_at": moment,
        } | counts

    later = EVENING + dt.timedelta(days=1)
    runs = lake_files.runs(
        pd.DataFrame(
            [
                asked("META", DAYS[0], EVENING - dt.timedelta(days=1), 78, 0),
                *(asked("META", day, EVENING, 78, 0) for day in DAYS),
                asked("META", DAYS[2], later, 0, 2),
                asked("SNAP", DAYS[2], later, 0, 0, "no-data"),
            ]
        ),
        most=2,
        place=XNYS,
    )

    minus = "\N{MINUS SIGN}"
    friday, saturday = (f"{day} Nov 2026 18:00 (EST, UTC{minus}05:00)" for day in ("Fri 20", "Sat 21"))
    assert runs.to_numpy().tolist() == [
        [saturday, "yahoo", 1, DAYS[2], 2, 156, 0, 0, 2, "1 answered, 1 no-data"],
        [friday, "yahoo", 3, f"{DAYS[0]} to {DAYS[2]}", 1, 234, 234, 0, 0, "3 answered"],
    ]


def test_bad_lines_of_rejected_records_are_counted_and_the_others_shown(tmp_path):
    path = tmp_path / "x.jsonl"
    lines = ["{", "[]", "[" * 100_000, "\x00", json.dumps({"rule": "off-grid", "source": "yahoo", "record": "=1+1"})]
    path.write_text("\n".join(lines))

    found = rejected.read([path, tmp_path / "gone.jsonl"])

    assert found.unreadable == 4
    assert found.latest["record"].tolist() == ["'=1+1"]
