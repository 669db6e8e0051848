"""`python -m tests.cloud`: runs the deployed pipeline without an AWS account, to look at.

Creates the stack in the emulator, fires the sweep's schedule, collects the week before, runs the crawler, and opens the
dashboard on it. Prices are simulated: they come from the tests' own Yahoo server.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from dashboard.chrome.header import NOTICE
from infra.settings import environment
from tests.cloud.emulator import until
from tests.cloud.stack import Stack, running_stack
from tests.fakes.yahoo import running_yahoo
from tests.infra.recorder import ROOT
from tickerlake import exchange
from tickerlake.query import open_engine, run

DAYS = 7


def main() -> None:
    """Runs until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.cloud", description="The pipeline in an emulator of AWS.")
    parser.add_argument("--port", type=int, default=8501, help="port of the dashboard")
    port = parser.parse_args().port
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as folder, running_yahoo() as yahoo:
        started = time.monotonic()
        say("Running __main__.py and creating its resources in the emulator …")
        with running_stack(Path(folder), yahoo) as stack:
            kinds = Counter(created.split(":")[1].split("/")[0] for created in stack.created)
            listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            say(f"{len(stack.created)} resources created after {time.monotonic() - started:.0f} s: {listed}")
            collect(stack)
            show(stack, port)


def collect(stack: Stack) -> None:
    """A sweep by its schedule, a backfill, a crawl and a query."""
    since = dt.datetime.now(dt.UTC)
    stack.fire("new-york-sweep-1")
    report = next(line["report"] for line in stack.log(since) if line.get("message") == "collected")
    session = exchange.XNYS.session_on(dt.date.fromisoformat(report["requested"]["sessions"][0]))
    say(f"The sweep's schedule fired: {report['delivered']} bars of {session.dt} sent to Firehose.")
    first, last = (session.date - dt.timedelta(days=days) for days in (DAYS, 1))
    backfill = stack.invoke({"first": first.isoformat(), "last": last.isoformat()})
    say(f"Backfill of {len(backfill['sessions'])} sessions: {backfill['delivered']} bars.")
    for each in (*report["sessions"], *backfill["sessions"]):
        stack.settle(exchange.XNYS.session_on(dt.date.fromisoformat(each["session"])), each["delivered"])
    say(f"s3://{stack.outputs['bucket']}/bars/ holds {len(stack.objects())} Parquet files.")
    say(f"Crawl by {stack.outputs['crawler']}: {stack.crawl()['Status']}.")
    for name, value in stack.environment.items():
        os.environ[name] = value
    answer = run(open_engine(stack.settings), "hourly_high", first=session.date, last=session.date)
    say(f"hourly_high of {session.dt} through Athena: {len(answer.frame)} rows (query {answer.query_id}).")


def show(stack: Stack, port: int) -> None:
    """Serves the dashboard until Ctrl-C."""
    variables = stack.environment | environment({"tickerlake": stack.outputs})
    notice = "**SIMULATED PRICES**, for demonstration only: a test server stands in for Yahoo."
    environ = os.environ | variables | {NOTICE: notice}
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py"]
    command += ["--server.address", "localhost", "--server.port", str(port), "--server.headless", "true"]
    with (stack.folder / "dashboard.log").open("wb") as log:
        dashboard = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(
            lambda: b"URL" in (stack.folder / "dashboard.log").read_bytes() or dashboard.poll() is not None,
            "the dashboard",
        )
        say(f"\nThe dashboard is at http://localhost:{port}; its prices are SIMULATED. Ctrl-C stops everything.")
        say("Query the same lake from another terminal:")
        say(f"  {' '.join(shlex.quote(f'{name}={value}') for name, value in variables.items())} \\")
        say("    .venv/bin/tickerlake query hourly_high")
        dashboard.wait()
    finally:
        dashboard.terminate()
        dashboard.wait()


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
