"""Every query against its answer files: early closes, daylight saving, ties, gaps, repeats, restatements."""

import datetime as dt
import random

import pytest

from tests.query import second_opinion
from tests.query.lakes import ANSWERS, CASES, read_records, write_lake
from tickerlake import exchange
from tickerlake.query import load, names, run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.formats import to_csv

NOW = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
ANSWERED = [(case, answers.stem) for case in CASES for answers in sorted((ANSWERS / case).glob("*.csv"))]
ANSWERED = [(case, name) for case, name in ANSWERED if name != "records"]


@pytest.mark.parametrize(("case", "name"), ANSWERED, ids=lambda value: value)
def test_each_query_gives_its_answer_file_letter_for_letter(case, name, tmp_path):
    lake = write_lake(tmp_path / "lake", read_records(case))

    result = run(DuckDBEngine(lake), name, now=NOW)

    assert to_csv(result.frame) == (ANSWERS / case / f"{name}.csv").read_text(encoding="utf-8")


def test_there_is_an_answer_file_for_every_query():
    assert {name for _, name in ANSWERED} >= set(names())


@pytest.mark.parametrize("seed", range(12))
def test_a_random_lake_gives_what_the_second_opinion_gives(seed, tmp_path):
    records = random_records(random.Random(seed))
    engine = DuckDBEngine(write_lake(tmp_path / "lake", records))
    days = exchange.sessions_between(dt.date(2026, 11, 25), dt.date(2026, 11, 30))
    answers = {
        "bars": second_opinion.bars(records),
        "hourly_high": second_opinion.hourly_high(records),
        "sessions": second_opinion.sessions_held(records),
        "tickers": second_opinion.tickers(records),
        "daily": second_opinion.daily(records),
        "restatements": second_opinion.restatements(records),
        "coverage": second_opinion.coverage(records, days, NOW),
    }

    for name, expected in answers.items():
        span = {"first": days[0].date, "last": days[-1].date} if name == "coverage" else {}
        rows = run(engine, name, now=NOW, **span).frame.to_dict("records")
        columns = [column.name for column in load(name).columns]
        assert [plain(row, columns) for row in rows] == [plain(row, columns) for row in expected], name


def plain(row, columns):
    return [None if row[column] != row[column] or row[column] is None else row[column] for column in columns]


def random_records(rng):
    """Three sessions, one of them short, of few prices, so that ties, repeats and restatements abound."""
    records = []
    for day in exchange.sessions_between(dt.date(2026, 11, 25), dt.date(2026, 11, 30)):
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
                                "source": "recorded",
                                "collected_at": day.close + dt.timedelta(hours=delivery),
                            }
                        )
    rng.shuffle(records)
    return records
