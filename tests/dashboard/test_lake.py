"""What the pages read from a local lake: files, runs, and prices where opens are missing."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import streamlit as st

from dashboard.data import lake as reading
from dashboard.data import lake_files, prices, rejected
from dashboard.data.lake import ALL, Lake
from tests.query.lakes import write_lake
from tickerlake.actions import Split
from tickerlake.errors import ConfigError
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


def test_a_small_lake_answers_the_same_though_it_is_asked_about_more(tmp_path):
    days = [dt.date(2022, 6, 8), dt.date(2022, 6, 9)]  # on the second day FB became META
    records = [
        record(ticker, day, hour, 9.0, 11.0 + hour, bar_minutes=5)
        for ticker, held in (("FB", days[:1]), ("META", days[1:]), ("B", days))
        for day in held
        for hour in (15, 16)
    ]
    exact = Lake(Settings(lake=write_lake(tmp_path / "lake", records)))
    small = exact.showing(None)

    for name in ("daily", "hourly", "hourly_high", "bars", "restatements"):
        for first, last, tickers in (
            (days[0], days[0], ("B",)),
            (days[0], days[0], ("META",)),
            (days[0], days[1], ("META",)),
            (days[1], days[1], ALL),
        ):
            pd.testing.assert_frame_equal(
                small.query(name, first, last, tickers), exact.query(name, first, last, tickers)
            )
    for lake in (exact, small):
        with pytest.raises(ConfigError, match="holds no bars of FB on 2022-06-09"):
            lake.query("bars", days[1], days[1], ("FB",))


class TestSessionsThatAreKept:
    LATER = EVENING + dt.timedelta(hours=1)

    @pytest.fixture
    def folder(self, tmp_path):
        records = [record("B", day, 15, 9.0, 11.0, bar_minutes=5) for day in DAYS]
        records += [record("B", day, 15, 9.0, 12.0, bar_minutes=5, source="yahoo") for day in DAYS]
        folder = write_lake(tmp_path / "lake", records)
        (folder / "tickerlake.toml").write_text('sources = ["recorded", "yahoo"]')
        return folder

    def highs(self, folder, first=DAYS[0], last=DAYS[2], **choices):
        """As a page that opens now has them."""
        lake = replace(Lake(Settings(lake=folder)).showing(None), **choices)
        days = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
        return lake.query("hourly_high", *days, ("B",))["high"].tolist()

    def restate(self, folder):
        write_lake(folder, [record("B", DAYS[1], 15, 9.0, 15.0, bar_minutes=5, collected_at=self.LATER)])

    def split(self, folder):
        ParquetSink(folder).report_splits([Split("B", EVENING.date(), 10.0, "manual", EVENING, self.LATER)], EVENING)

    def prefer(self, folder):
        (folder / "tickerlake.toml").write_text('sources = ["yahoo", "recorded"]')

    def remove(self, folder):
        shutil.rmtree(folder / "bars" / f"dt={DAYS[1]}")

    @pytest.mark.parametrize(
        ("change", "after"),
        [
            (restate, [11.0, 15.0, 11.0]),
            (split, [1.1, 1.1, 11.0]),
            (prefer, [12.0, 12.0, 12.0]),
            (remove, [11.0, 11.0]),
        ],
    )
    def test_they_are_asked_about_again_when_anything_changes_that_they_rest_on(self, folder, change, after):
        assert self.highs(folder) == [11.0, 11.0, 11.0]
        change(self, folder)
        assert self.highs(folder) == after

    def test_a_note_is_for_those_whom_it_is_about(self, folder):
        write_lake(folder, [record("C", DAYS[1], 15, 9.0, 11.0, bar_minutes=90)])
        lake = Lake(Settings(lake=folder)).showing(None)
        first, last = (dt.date.fromisoformat(day) for day in DAYS[:2])
        assert lake.hourly_high(first, last, ("B",))[1] == ()
        assert "C in 2026-11-19 has only 90-minute bars" in lake.hourly_high(first, last, ("B", "C"))[1][0]

    def test_each_moment_has_its_own(self, folder):
        self.restate(folder)
        assert self.highs(folder) == [11.0, 15.0, 11.0]
        assert self.highs(folder, as_of=EVENING) == [11.0, 11.0, 11.0]

    def test_only_those_are_asked_about_that_are_missing_or_have_changed(self, folder, monkeypatch):
        asked = []
        run = reading.run
        monkeypatch.setattr(
            reading,
            "run",
            lambda engine, name, **options: (
                asked.append((str(options["first"]), str(options["last"]))) or run(engine, name, **options)
            ),
        )
        self.highs(folder, DAYS[2])
        self.highs(folder, DAYS[0], DAYS[1])
        self.restate(folder)
        self.highs(folder)

        assert [span for span in asked if "None" not in span] == [(DAYS[0], DAYS[2]), (DAYS[1], DAYS[1])]


def test_an_answer_is_kept_until_a_run_is_logged(tmp_path):
    folder = write_lake(tmp_path / "lake", [record("B", DAYS[0], 15, 9.0, 11.0)])
    lake, day = Lake(Settings(lake=folder)), dt.date.fromisoformat(DAYS[0])
    before = lake.query("runs", day, day)
    run = Run("B", "XNYS", DAYS[0], EVENING, EVENING, 60, 0, 0, 0, 0, "no-data", "yahoo", EVENING)

    ParquetSink(folder).log([run])

    assert before.empty
    assert Lake(Settings(lake=folder)).query("runs", day, day)["outcome"].tolist() == ["no-data"]


def test_with_opens_no_bars_are_read(tmp_path, monkeypatch):
    records = [record("B", day, 15, 9.0, 11.0, open=10.0, close=10.5) for day in DAYS[:2]]
    lake = Lake(Settings(lake=write_lake(tmp_path / "lake", records)))
    questions = asked(lake, monkeypatch)
    days = [dt.date.fromisoformat(day) for day in DAYS[:2]]

    assert prices.daily(lake, *days, ("B",))["change"].tolist() == pytest.approx([0.05, 0.05])
    assert questions == [("daily", *days, ("B",))]


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
