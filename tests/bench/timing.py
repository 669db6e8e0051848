"""Timing in pairs, the rows of the report, and workers that have their memory to themselves."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Row(NamedTuple):
    """One line of the report."""

    what: str
    figure: str
    baseline: str = ""
    ratio: str = ""
    aim: str = ""


class Pair(NamedTuple):
    """The shortest of several runs of a call and of its baseline, in seconds.

    Other programs only ever make a run slower, so on a shared machine the shortest one says most.
    """

    figure: float
    baseline: float

    @property
    def ratio(self) -> str:
        """How many times as long as the baseline, as text."""
        return f"{self.figure / self.baseline:.2f}"


def pair(figure: Callable[[], float], baseline: Callable[[], float], *, runs: int = 7) -> Pair:
    """Measures two calls in turns, so that a busy moment hits both. Each returns the seconds it took.

    The first run of each warms the caches and does not count.
    """
    taken = [(figure(), baseline()) for _ in range(runs + 1)][1:]
    return Pair(*(min(times) for times in zip(*taken, strict=True)))


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """`call` as a function that returns the seconds it took."""

    def run() -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return run


def process(*arguments: str) -> Callable[[], float]:
    """Runs Python with `arguments` from the repository's root; the function returns the seconds it took."""
    command = [sys.executable, *arguments]
    return timed(
        lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    )


def tickerlake(*arguments: str) -> Callable[[], float]:
    """Runs the command `tickerlake` as its entry point does; the function returns the seconds it took."""
    return process("-c", "import sys; from tickerlake.cli import main; sys.exit(main())", *arguments)


def peak(process: str) -> str:
    """The most memory that a process has held; known on Linux only. `process` is a process id, or "self"."""
    # Not ru_maxrss: on Linux a new process starts with its parent's peak.
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return "? MB"
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return f"{int(found[1]) / 1024:,.0f} MB" if found else "? MB"


class Worker:
    """A process that repeats one task of `tests.bench.worker` on each request."""

    def __init__(self, running: subprocess.Popen) -> None:
        self._running = running

    def __call__(self) -> float:
        """Runs the task once; returns the seconds it took."""
        return float(self._ask("run"))

    def peak(self) -> str:
        """The most memory that the process has held so far."""
        return self._ask("peak").strip()

    def _ask(self, word: str) -> str:
        print(word, file=self._running.stdin, flush=True)
        answer = self._running.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker {self._running.args} died; its error is above")
        return answer


@contextlib.contextmanager
def worker(task: str, *arguments: str) -> Iterator[Worker]:
    """Starts a worker on `task`."""
    command = [sys.executable, "-m", "tests.bench.worker", task, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield Worker(running)
        finally:
            running.stdin.close()
