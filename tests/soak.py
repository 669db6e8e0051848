"""Kills the watcher, the collector, repair, the importer and compaction at random moments, on one lake.

    python -m tests.soak --kills 200

Each program is a real process that gets SIGKILL after a random time, while a reader queries the lake. In the end each
runs once more, undisturbed, and every query must answer as on a lake that nothing disturbed. `make soak` runs this; a
few kills are part of the tests.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import gzip
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.errors import LakeEmpty
from tickerlake.importers.importing import import_objects
from tickerlake.importers.recorded import local_objects
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
VERSIONS = {"2026-11-20T21:30:00Z": 101.0, "2026-11-20T22:00:00Z": 102.0}
"""The high of each imported bar, by when it was collected."""

# The clock runs ten minutes a second, from ten minutes after Monday's open, so that the watcher has something to do.
PROGRAM = """
import datetime as dt, functools, sys, time
from pathlib import Path
import tickerlake.repair, tickerlake.sources.simulated, tickerlake.watch
from tickerlake import exchange
from tickerlake.cli import collect, main, repair, watch
from tickerlake.importers import importing
from tickerlake.lake import compaction

exchange.XNYS.last_finished(dt.datetime.now(dt.UTC))
print("ready", flush=True)

started, begins, ends = time.monotonic(), *(dt.datetime.fromisoformat(text) for text in sys.argv[1:3])
now = lambda: min(ends, begins + (time.monotonic() - started) * dt.timedelta(minutes=10))
collect._now = repair._now = watch._now = now
importing.import_objects = functools.partial(importing.import_objects, clock=now)
if sys.argv[3] == "compact":
    lake = Path(sys.argv[-1])
    list(compaction.compact(lake, compaction.finished(lake, ends), ends))
else:
    sys.exit(main(sys.argv[3:]))
"""


def start(lake: Path, begins: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A program of Tickerlake on `lake`, whose clock says `begins`."""
    tail = () if arguments[0] in ("compact", "import") else ("--source", "simulated", "--tickers", TICKERS)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, begins, NOW, *arguments, *tail, "--lake", str(lake)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def programs(rng: random.Random, recorded: Path) -> list[tuple[str, ...]]:
    """What is killed: each program with the moment on its clock."""
    day = rng.choice(SESSIONS)
    inside = (day.open + rng.random() * (day.close - day.open)).isoformat()
    return [
        (inside, "watch", "--delay", "0"),
        (NOW, "watch", "--once"),
        (NOW, "collect", *SPAN),
        (NOW, "collect", "--session", day.dt),
        (NOW, "repair"),
        (NOW, "import", str(recorded)),
        (NOW, "import", str(rng.choice(sorted(recorded.iterdir())))),
        (NOW, "compact"),
    ]


def soak(lake: Path, recorded: Path, kills: int, seed: int, together: int = 2) -> Counter[str]:
    """Kills `kills` programs, up to `together` at a time; returns how many of each, and how many ended before."""
    rng, counts = random.Random(seed), Counter[str]()
    while sum(count for name, count in counts.items() if name != "ended before") < kills:
        begun = [(each, start(lake, *each)) for each in rng.sample(programs(rng, recorded), together)]
        for each, process in begun:
            process.stdout.readline()  # everything is imported
            time.sleep(rng.uniform(0.0, 0.4))
            process.kill()
            process.communicate()
            counts[each[1] if process.returncode == -signal.SIGKILL else "ended before"] += 1
        if rng.random() < 0.2:  # as if a disk had lost a session
            shutil.rmtree(Layout(lake).partition(rng.choice(SESSIONS[:-1]).dt), ignore_errors=True)
    return counts


def finish(lake: Path, recorded: Path) -> None:
    """Runs each program once more, to its end."""
    import_recorded(recorded, lake)
    for arguments in (("collect", *SPAN), ("watch", "--once"), ("repair",), ("compact",)):
        process = start(lake, NOW, *arguments)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, (arguments, err.decode())


def import_recorded(recorded: Path, lake: Path) -> None:
    import_objects(local_objects([recorded]), ParquetSink(lake), clock=lambda: dt.datetime.fromisoformat(NOW))


def record(folder: Path) -> Path:
    """Writes lines of JSON, CSV and a gzip file, each with both versions of a ticker's bars and a cut record."""
    folder.mkdir()
    (folder / "bars.json").write_text(json_lines("NFLX"))
    (folder / "bars.json.gz").write_bytes(gzip.compress(json_lines("PINS").encode(), mtime=0))
    text = io.StringIO()
    table = csv.DictWriter(text, next(versions("SHOP")).keys())
    table.writeheader()
    table.writerows(versions("SHOP"))
    (folder / "bars.csv").write_text(text.getvalue() + "SHOP,2026-11-\n")
    return folder


def json_lines(ticker: str) -> str:
    return "".join(json.dumps(row) + "\n" for row in versions(ticker)) + '{"ticker": "cut'


def versions(ticker: str) -> Iterator[dict[str, object]]:
    for session in SESSIONS:
        for ts in session.bar_starts(5):
            for collected_at, high in VERSIONS.items():
                bar = {"ticker": ticker, "ts": ts.isoformat(), "bar_minutes": 5, "high": high, "low": 100.0}
                yield bar | {"source": "simulated", "collected_at": collected_at}


@contextmanager
def reading(lake: Path, expected: list[tuple]) -> Iterator[Counter[str]]:
    """Queries the bars of `lake` again and again while the block runs; gives the count of answers.

    AssertionError if one of them has a bar twice, or one that is not `expected`.
    """
    known, faults, stop, counts = set(expected), [], threading.Event(), Counter[str]()

    def read() -> None:
        while not stop.is_set() and not faults:
            try:
                rows = answer(DuckDBEngine(lake), "bars")
            except LakeEmpty:
                rows = []
            except Exception as error:  # noqa: BLE001  it ends the soak
                faults.append(repr(error))
                return
            counts["read"] += 1
            if len(rows) > len(set(rows)) or not known.issuperset(rows):
                faults.append(
                    f"a reader saw {len(rows)} bars, {len(set(rows))} distinct, {len(set(rows) - known)} wrong"
                )

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield counts
    finally:
        stop.set()
        reader.join()
    assert not faults, faults


def answers(lake: Path) -> dict[str, list[tuple]]:
    """What the queries answer, and the rejected records."""
    engine, layout = DuckDBEngine(lake), Layout(lake)
    found = {
        name: answer(engine, name) for name in ("bars", "hourly_high", "daily", "restatements", "tickers", "coverage")
    }
    return found | {"rejected": sorted((line,) for file in layout.rejected() for line in file.read_text().splitlines())}


def answer(engine: DuckDBEngine, name: str) -> list[tuple]:
    """The rows of a query, without the moments of collection.

    Of the five sessions only: a watcher that starts on Monday morning collects the Friday before it.
    """
    found = run(engine, name, now=dt.datetime.fromisoformat(NOW), first=SESSIONS[0].date, last=SESSIONS[-1].date)
    kept = [place for place, field in enumerate(found.columns) if field.name not in ("collected_at", "absent")]
    return [tuple(row[place] for place in kept) for row in found.rows]


def check(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Soaks a lake in `folder` and holds it against one that nothing disturbed. AssertionError where they differ."""
    recorded, disturbed, undisturbed = record(folder / "recorded"), folder / "disturbed", folder / "calm"
    now = dt.datetime.fromisoformat(NOW)
    collect(SimulatedSource(), ParquetSink(undisturbed), SESSIONS, TICKERS.split(","), 5, lambda: now)
    import_recorded(recorded, undisturbed)
    calm = answers(undisturbed)
    bars = len(SESSIONS) * 78
    assert [len(calm[name]) for name in ("bars", "restatements", "rejected")] == [6 * bars, 3 * bars, 3]
    assert not [row for row in calm["coverage"] if row[5]]
    with reading(disturbed, calm["bars"]) as reads:
        counts = soak(disturbed, recorded, kills, seed)
        finish(disturbed, recorded)
    found = answers(disturbed)
    for name, rows in calm.items():
        assert found[name] == rows, f"{name} differs after {kills} kills with seed {seed}"
    return counts + reads


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
    answered = counts.pop("read")
    killed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    print(f"seed {arguments.seed}, {seconds:.0f} s on {os.cpu_count()} cores: {killed}")
    print(
        f"a reader got {answered} answers; nothing lost, nothing double, every answer equal to the undisturbed lake's"
    )


if __name__ == "__main__":
    main()
