"""Kills compactors at random moments, beside writers and readers on one lake. `make test-kills` runs `main`.

Four child processes compact at a time and are killed one by one. After each kill the bars must be those of a lake that
nothing disturbed, and at the end of each tenth round the answers of all queries. Prints what it did.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from tests.query.lakes import write_lake
from tickerlake import exchange
from tickerlake.lake.compaction import compact, finished
from tickerlake.lake.layout import Layout
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
DAYS = exchange.XNYS.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 20))
QUERIES = ("bars", "hourly_high", "daily", "restatements", "coverage")
TOGETHER = 4
ROUNDS = 10
"""From one comparison of all queries to the next."""


def main(count: int) -> None:
    """Kills `count` compactors; raises AssertionError if any answer changes."""
    # A server that has imported everything forks the compactors: each starts in milliseconds.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    rng = random.Random(1)
    kills = halfway = rounds = 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        lake, undisturbed = Path(folder) / "lake", Path(folder) / "undisturbed"
        while kills < count:
            rounds += 1
            # New records for one session or more, in several files, in both lakes.
            for number in range(rng.randint(2, 6)):
                records = [_record(rng, kills, number, day) for day in rng.sample(DAYS, rng.randint(1, 3))]
                for each in (lake, undisturbed):
                    _add(each, records, f"{kills}-{number}")
            bars = _answers(undisturbed, QUERIES[:1])
            workers = []
            for _ in range(TOGETHER):
                here, there = processes.Pipe()
                worker = processes.Process(target=_work, args=(lake, there), daemon=True)
                worker.start()
                workers.append((worker, here))
            for worker, here in workers:
                assert here.recv() == "ready"
                time.sleep(rng.random() * 0.15)
                worker.kill()
                worker.join()
                halfway += not _is_idle(here)
                kills += 1
                assert _answers(lake, QUERIES[:1]) == bars
            if rounds % ROUNDS == 0 or kills >= count:
                expected = _answers(undisturbed)
                assert _answers(lake) == expected
                list(compact(lake, finished(lake, NOW), NOW))
                assert _answers(lake) == expected
                assert len(Layout(lake).files()) == len(Layout(lake).sessions())
                print(f"{kills} killed after {time.monotonic() - started:.0f} s", flush=True)
    print(f"{kills} compactors killed, {halfway} of them at work; every answer equal to the undisturbed lake's")


def _work(lake: Path, to: Connection) -> None:
    """Compacts what there is, says so, and waits to be killed."""
    sessions = finished(lake, NOW)
    to.send("ready")
    for done in compact(lake, sessions, NOW):
        assert not done.error, done.error
    to.send("idle")
    time.sleep(60)


def _is_idle(worker: Connection) -> bool:
    """Whether a killed worker had finished."""
    try:
        return worker.poll() and worker.recv() == "idle"
    except EOFError:
        return False


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


def _answers(lake: Path, names: Sequence[str] = QUERIES) -> dict[str, list]:
    engine = DuckDBEngine(lake)
    return {name: run(engine, name, now=NOW).rows for name in names}
