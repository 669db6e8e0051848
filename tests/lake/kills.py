"""`python -m tests.lake.kills [COUNT]`: kills compactors at random moments, beside writers and readers on one lake.

A child process collects, compacts and is killed; after each kill every query must answer as the undisturbed lake does.
Prints what it did. `make test-kills` runs it.
"""

from __future__ import annotations

import datetime as dt
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.query.lakes import write_lake
from tickerlake import exchange
from tickerlake.lake.compaction import compact, finished
from tickerlake.lake.layout import Layout
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
DAYS = exchange.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 20))
QUERIES = ("bars", "hourly_high", "daily", "restatements", "coverage")
WORK = """
import sys
from pathlib import Path
from tests.lake.kills import NOW
from tickerlake.lake.compaction import compact, finished
lake = Path(sys.argv[1])
sessions = finished(lake, NOW)
print("ready", flush=True)
while True:
    for done in compact(lake, sessions, NOW):
        assert not done.error, done.error
    print("idle", flush=True)
    sys.stdin.readline()
"""


def main(count: int) -> None:
    """Kills `count` compactors; raises AssertionError if any answer changes."""
    rng = random.Random(1)
    kills = halfway = 0
    with tempfile.TemporaryDirectory() as folder:
        lake, undisturbed = Path(folder) / "lake", Path(folder) / "undisturbed"
        while kills < count:
            # New records for one session or more, in several files, in both lakes.
            for number in range(rng.randint(2, 6)):
                records = [_record(rng, kills, number, day) for day in rng.sample(DAYS, rng.randint(1, 3))]
                for each in (lake, undisturbed):
                    _add(each, records, f"{kills}-{number}")
            expected = _answers(undisturbed)
            workers = [
                subprocess.Popen(
                    [sys.executable, "-c", WORK, str(lake)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
                for _ in range(2)
            ]
            for worker in workers:
                assert worker.stdout.readline() == "ready\n"
            for worker in workers:
                time.sleep(rng.random() * 0.15)
                worker.send_signal(signal.SIGKILL)
                halfway += worker.communicate()[0] != "idle\n"
                kills += 1
                assert _answers(lake) == expected
            if rng.random() < 0.3:
                list(compact(lake, finished(lake, NOW), NOW))
                assert _answers(lake) == expected
                assert len(Layout(lake).files()) == len(Layout(lake).sessions())
    print(f"{kills} compactors killed, {halfway} of them at work; every answer equal to the undisturbed lake's")


def _record(rng: random.Random, kills: int, number: int, day: exchange.Session) -> dict:
    high = 100 + rng.randrange(5)
    return {
        "ticker": rng.choice(["META", "AMZN"]),
        "ts": day.open + rng.randrange(78) * dt.timedelta(minutes=5),
        "bar_minutes": 5,
        "source": rng.choice(["yahoo", "yahoo", "other"]),
        "collected_at": day.close + dt.timedelta(hours=2, seconds=20 * kills + number),
        "open": 100.0,
        "high": float(high),
        "low": 99.0,
        "close": 100.0,
        "volume": 5,
    }


def _add(lake: Path, records: list[dict], name: str) -> None:
    """Adds a file of these records to each of their sessions."""
    with tempfile.TemporaryDirectory() as folder:
        made = write_lake(Path(folder), records)
        for file in Layout(made).files():
            target = Layout(lake).bars / file.parent.name
            target.mkdir(parents=True, exist_ok=True)
            shutil.move(file, target / f"{name}.parquet")


def _answers(lake: Path) -> dict[str, list]:
    engine = DuckDBEngine(lake)
    return {name: run(engine, name, now=NOW).rows for name in QUERIES}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
