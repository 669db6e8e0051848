"""Every query against its answer files: early closes, daylight saving, ties, gaps, repeats, restatements."""

import datetime as dt
import itertools
import random
from functools import cache

import pandas as pd
import pytest

from tests.query.lakes import ANSWERS, CASES, read_records, write_lake
from tickerlake import exchange, record
from tickerlake.query import names, run
from tickerlake.query.catalog import expanded
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.formats import to_csv
from tickerlake.sources.simulated import SimulatedSource

NOW = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
FRIDAY = exchange.XNYS.session_on(dt.date(2026, 11, 20))
ANSWERED = [(case, answers.stem) for case in CASES for answers in sorted((ANSWERS / case).glob("*.csv"))]
ANSWERED = [(case, name) for case, name in ANSWERED if name not in ("records", "actions", "asked", "made")]

pytestmark = pytest.mark.usefixtures("every_thread")


@pytest.fixture(scope="module")
def engine_of(lake_of):
    """Reads the lake of an answer case. To open a database takes half as long as to answer a query."""
    return cache(lambda case: DuckDBEngine(lake_of(case)))


@pytest.mark.parametrize(("case", "name"), ANSWERED, ids=lambda value: value)
def test_each_query_gives_its_answer_file_letter_for_letter(case, name, engine_of):
    result = run(engine_of(case), name, now=NOW)

    assert to_csv(result.frame) == (ANSWERS / case / f"{name}.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("code", exchange.EXCHANGES)
def test_there_is_an_answer_file_for_every_query_at_every_exchange(code):
    answered = {name for case, name in ANSWERED if exchange.of(read_records(case)[0]["ticker"]).code == code}
    assert answered == set(names())


@pytest.mark.parametrize("seed", range(4))
def test_free_sql_sees_the_bars_that_the_query_gives(seed, tmp_path):
    engine = DuckDBEngine(write_lake(tmp_path / "lake", random_records(random.Random(seed))))

    bars = run(engine, "bars")

    names = ", ".join("dt AS session" if field.name == "session" else field.name for field in bars.columns)
    assert engine.ask(f"SELECT {names} FROM bars ORDER BY dt, ticker, ts, bar_minutes").rows == bars.rows


def test_records_of_one_moment_have_an_order_whatever_the_order_of_files(tmp_path):
    fields = {"ticker": "AAA", "bar_minutes": 5, "source": "recorded", "open": None, "volume": None}
    moments = {"ts": FRIDAY.open, "collected_at": FRIDAY.close}
    records = [fields | moments | {"high": 10.0, "low": 9.0, "close": close} for close in (9.5, None, 9.7)]
    for number, order in enumerate(itertools.permutations(records)):
        lake = tmp_path / str(number)
        for each in order:
            write_lake(lake, [each])

        engine = DuckDBEngine(lake)
        assert run(engine, "bars").column("close") == run(engine, "daily").column("close") == [9.7]
        assert run(engine, "restatements").rows == []


@pytest.mark.parametrize("seed", range(2))
def test_the_versions_of_an_hour_are_what_hourly_gives_as_of_each_of_their_moments(seed, tmp_path):
    engine = DuckDBEngine(write_lake(tmp_path / "lake", random_records(random.Random(seed))))
    versions = run(engine, "hourly_versions").frame

    changed = 0
    for moment in sorted(set(versions["known_from"])):
        hourly = run(engine, "hourly", as_of=moment.to_pydatetime()).frame
        over = hourly["last_ts"].dt.floor("h") + pd.Timedelta(minutes=65) <= moment
        known = versions[versions["known_from"] <= moment].groupby(["session", "ticker", "hour"])
        changed += (known.size() > 1).any()
        latest = known.tail(1)[hourly.columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(latest, hourly[over].reset_index(drop=True))
    assert changed


@pytest.mark.parametrize("bar_minutes", [1, 5, 15, 30])
def test_hours_of_bars_that_came_once_are_settled_up_to_their_last_minute(bar_minutes, tmp_path):
    # Otherwise every bar is worked out by itself: the answers are right, but take 30 times as long.
    fields = {"ticker": "AAA", "bar_minutes": bar_minutes, "source": "yahoo", "open": None, "close": None, "volume": 1}
    records = [
        fields | {"ts": start.to_pydatetime(), "high": 10.0 + place, "low": 9.0, "collected_at": FRIDAY.close}
        for place, start in enumerate(FRIDAY.bar_starts(bar_minutes))
    ]
    engine = DuckDBEngine(write_lake(tmp_path / "lake", records))

    text = expanded("WITH\n-- include: splits,\n-- include: hours\nSELECT hour FROM hours WHERE settled ORDER BY hour")
    asked = {"first": FRIDAY.dt, "last": FRIDAY.dt, "tickers": ["*"], "as_of": "2026-12-01 00:00:00"}
    assert engine.run(text, asked).column("hour") == [*range(9, 16)]


def test_the_hour_of_the_high_shows_nothing_in_a_random_walk_and_finds_a_planted_hour(tmp_path):
    class Planted(SimulatedSource):
        def bars(self, symbol, sessions, bar_minutes):
            bars = super().bars(symbol, sessions, bar_minutes)
            noon = bars["ts"].dt.tz_convert(exchange.XNYS.zone).dt.hour == 12
            return bars.assign(high=bars["high"].where(~noon, bars["high"] * 1.2))

    sessions = exchange.XNYS.sessions_between(dt.date(2026, 9, 1), FRIDAY.date)
    fields = {"bar_minutes": 30, "source": "simulated", "collected_at": NOW}
    for source in (SimulatedSource(), Planted()):
        frames = [source.bars(ticker, sessions, 30).assign(ticker=ticker, **fields) for ticker in ("META", "AMZN")]
        write_lake(tmp_path / type(source).__name__, pd.concat(frames).to_dict("records"))
    walk, planted = (
        run(DuckDBEngine(tmp_path / name), "high_hour").frame.groupby("hour").sum(numeric_only=True)
        for name in ("SimulatedSource", "Planted")
    )
    assert set(walk["sessions"]) == {2 * len(sessions)}
    assert walk["highs"].sum() == walk["lows"].sum() == 2 * len(sessions)
    assert walk["chance"].sum() == pytest.approx(2)
    assert (walk["high_share"] - walk["chance"]).abs().max() < 0.3
    assert planted["high_share"].idxmax() == 12
    assert (planted["high_share"] > planted["chance_to"])[12]
    assert (planted["low_share"] < planted["chance_to"] + 0.1)[12]


def test_where_nothing_moves_chance_says_nothing(tmp_path):
    fields = {"ticker": "AAA", "bar_minutes": 5, "source": "recorded", "volume": 1, "collected_at": FRIDAY.close}
    lake = write_lake(tmp_path, [fields | dict.fromkeys(record.PRICES, 10.0) | {"ts": FRIDAY.open}])
    found = run(DuckDBEngine(lake), "high_hour")
    assert [found.column(name) for name in ("chance", "chance_from", "chance_to")] == [[None]] * 3


@pytest.mark.parametrize("order", [1, -1])
def test_a_jump_is_measured_on_the_finest_bars_of_each_session(order, tmp_path):
    before, after = exchange.XNYS.sessions_between(dt.date(2026, 11, 19), FRIDAY.date)
    fields = {"ticker": "AAA", "source": "recorded", "volume": 1, "collected_at": FRIDAY.close}
    records = [
        fields | dict.fromkeys(record.PRICES, price) | {"ts": session.open, "bar_minutes": bar_minutes}
        for session, bar_minutes, price in [(before, 5, 100.0), (after, 60, 10.0), (after, 5, 100.0)][::order]
    ]
    assert run(DuckDBEngine(write_lake(tmp_path, records)), "suspected_splits").rows == []


@pytest.mark.parametrize("nothing", [None, float("nan"), float("inf")])
def test_a_high_that_is_no_number_neither_counts_nor_hides_others(nothing, tmp_path):
    fields = {"ticker": "AAA", "bar_minutes": 5, "source": "recorded", "open": None, "close": None, "volume": 1}
    highs = [10.0, nothing, 11.0, nothing, 11.0]
    records = [
        fields
        | {"ts": FRIDAY.open + dt.timedelta(minutes=5 * place), "high": high, "low": 9.0, "collected_at": FRIDAY.close}
        for place, high in enumerate(highs)
    ]
    engine = DuckDBEngine(write_lake(tmp_path / "lake", records))

    assert [row[3:] for row in run(engine, "hourly_high").rows] == [
        (11.0, records[2]["ts"], 1),
        (11.0, records[4]["ts"], 2),
    ]
    assert run(engine, "bars").column("high") == [10.0, 11.0, 11.0]
    assert run(engine, "daily").column("volume") == [3]
    assert run(engine, "coverage", now=FRIDAY.open + dt.timedelta(minutes=25)).rows[0][4:8] == (3, 2, 0, 0)


def random_records(rng):
    """Three sessions, one of them short, of few prices, so that ties, repeats and restatements abound."""
    records = []
    for day in exchange.XNYS.sessions_between(dt.date(2026, 11, 25), dt.date(2026, 11, 30)):
        for ticker in ("AAA", "BBB", "CCC"):
            for size in rng.choice([(15,), (30,), (15, 30)]):
                for start in day.bar_starts(size):
                    if rng.random() < 0.15:
                        continue
                    for delivery in range(rng.choice([1, 1, 1, 2, 3])):
                        high = rng.randint(10, 14) / 4
                        records.append(
                            {
                                "ticker": ticker,
                                "ts": start.to_pydatetime(),
                                "bar_minutes": size,
                                "open": None,
                                "high": high,
                                "low": high - 1,
                                "close": high,
                                "volume": rng.choice([None, 0, 100]),
                                "source": rng.choice(["recorded", "yahoo"]),
                                "collected_at": day.close + dt.timedelta(hours=delivery),
                            }
                        )
    rng.shuffle(records)
    return records
