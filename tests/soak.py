"""Kills the watcher, the collector, repair and compaction at random moments, on one lake, again and again.

    python -m tests.soak --kills 200

Each program is a real process that gets SIGKILL after a random time. In the end each runs once more, undisturbed, and
every query must answer as on a lake that nothing disturbed. `make soak` runs this; a few kills are part of the tests.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource

ROOT = Path(__file__).parents[1]
TICKERS = "META,AMZN,SNAP"
SESSIONS = exchange.XNYS.sessions_between(dt.date(2026, 11, 16), dt.date(2026, 11, 20))
SPAN = ("--first", SESSIONS[0].dt, "--last", SESSIONS[-1].dt)
NOW = "2026-11-20T23:00:00+00:00"

# The clock runs ten minutes a second, from ten minutes after Monday's open, so that the watcher has something to do.
PROGRAM = """
import datetime as dt, sys, time
from pathlib import Path
import tickerlake.repair, tickerlake.sources.simulated, tickerlake.watch
from tickerlake import exchange
from tickerlake.cli import collect, main, repair, watch
from tickerlake.lake import compaction

exchange.XNYS.last_finished(dt.datetime.now(dt.UTC))
print("ready", flush=True)

started, begins, ends = time.monotonic(), *(dt.datetime.fromisoformat(text) for text in sys.argv[1:3])
now = lambda: min(ends, begins + (time.monotonic() - started) * dt.timedelta(minutes=10))
collect._now = repair._now = watch._now = now
if sys.argv[3] == "compact":
    lake = Path(sys.argv[-1])
    list(compaction.compact(lake, compaction.finished(lake, ends), ends))
else:
    sys.exit(main(sys.argv[3:]))
"""


def start(lake: Path, begins: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A program of Tickerlake on `lake`, whose clock says `begins`."""
    tail = () if arguments == ("compact",) else ("--source", "simulated", "--tickers", TICKERS)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, begins, NOW, *arguments, *tail, "--lake", str(lake)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def programs(rng: random.Random) -> list[tuple[str, ...]]:
    """What is killed: each program with the moment on its clock."""
    day = rng.choice(SESSIONS)
    inside = (day.open + rng.random() * (day.close - day.open)).isoformat()
    return [
        (inside, "watch", "--delay", "0"),
        (NOW, "watch", "--once"),
        (NOW, "collect", *SPAN),
        (NOW, "collect", "--session", day.dt),
        (NOW, "repair"),
        (NOW, "compact"),
    ]


def soak(lake: Path, kills: int, seed: int, together: int = 2) -> Counter[str]:
    """Kills `kills` programs, up to `together` at a time; returns how many of each, and how many ended before."""
    rng, counts = random.Random(seed), Counter[str]()
    while sum(count for name, count in counts.items() if name != "ended before") < kills:
        begun = [(each, start(lake, *each)) for each in rng.sample(programs(rng), together)]
        for each, process in begun:
            process.stdout.readline()  # everything is imported
            time.sleep(rng.uniform(0.0, 0.4))
            process.kill()
            process.communicate()
            counts[each[1] if process.returncode == -signal.SIGKILL else "ended before"] += 1
        if rng.random() < 0.2:  # as if a disk had lost a session
            shutil.rmtree(Layout(lake).partition(rng.choice(SESSIONS[:-1]).dt), ignore_errors=True)
    return counts


def finish(lake: Path) -> None:
    """Runs each program once more, to its end."""
    for arguments in (("collect", *SPAN), ("watch", "--once"), ("repair",), ("compact",)):
        process = start(lake, NOW, *arguments)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, (arguments, err.decode())


def answers(lake: Path) -> dict[str, list[tuple]]:
    """What the queries answer, without the moments of collection.

    Of the five sessions only: a watcher that starts on Monday morning collects the Friday before it.
    """
    engine, now = DuckDBEngine(lake), dt.datetime.fromisoformat(NOW)
    span = {"first": SESSIONS[0].date, "last": SESSIONS[-1].date}
    found = {}
    for name in ("bars", "hourly_high", "daily", "restatements", "tickers", "coverage"):
        answer = run(engine, name, now=now, **span)
        kept = [place for place, field in enumerate(answer.columns) if field.name not in ("collected_at", "absent")]
        found[name] = [tuple(row[place] for place in kept) for row in answer.rows]
    return found


def check(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Soaks a lake in `folder` and holds it against one that nothing disturbed. AssertionError where they differ."""
    counts = soak(folder / "disturbed", kills, seed)
    finish(folder / "disturbed")
    now = dt.datetime.fromisoformat(NOW)
    collect(SimulatedSource(), ParquetSink(folder / "calm"), SESSIONS, TICKERS.split(","), 5, lambda: now)
    disturbed, calm = answers(folder / "disturbed"), answers(folder / "calm")
    for name, rows in calm.items():
        assert disturbed[name] == rows, f"{name} differs after {kills} kills with seed {seed}"
    bars = len(calm["bars"])
    assert bars == 3 * 78 * len(SESSIONS)
    assert not [row for row in calm["coverage"] if row[5]]
    return counts


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        counts = check(Path(folder), arguments.kills, arguments.seed)
    seconds = time.monotonic() - started
    killed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    print(f"seed {arguments.seed}, {seconds:.0f} s on {os.cpu_count()} cores: {killed}")
    print("nothing lost, nothing double, every answer equal to the undisturbed lake's")


if __name__ == "__main__":
    main()
