"""How long to fuzz: a few cases of each property in the default suite, FUZZ_SECONDS for each with `make fuzz`."""

import os
import time
from collections import Counter
from functools import wraps

import pytest
from hypothesis import HealthCheck, given, seed, settings

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
TRIED: Counter[str] = Counter()


def fuzz(cases, **strategies):
    """Calls the test with `cases` arguments, always the same; with FUZZ_SECONDS, with random ones for so long."""

    def decorate(test):
        def counted(*args, **kwargs):
            TRIED[test.__name__] += 1
            test(*args, **kwargs)

        tried = settings(
            max_examples=cases,
            deadline=None,
            database=None,
            derandomize=not SECONDS,
            suppress_health_check=list(HealthCheck),
        )(given(**strategies)(wraps(test)(counted)))

        @wraps(tried)
        def run(*args, **kwargs):
            end = time.monotonic() + SECONDS
            tried(*args, **kwargs)
            while time.monotonic() < end:
                seed(time.time_ns())(tried)(*args, **kwargs)

        return run

    return decorate


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter):
    if SECONDS and TRIED:
        width = max(map(len, TRIED))
        for name, count in (*TRIED.items(), ("total", TRIED.total())):
            terminalreporter.write_line(f"{name:{width}}  {count:>9,} cases")
