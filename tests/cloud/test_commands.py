"""The commands as typed in a terminal, pointed at the stack by environment variables alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from infra.settings import environment
from tests.infra.recorder import ROOT
from tickerlake.query import Settings, open_engine, run
from tickerlake.watchlist import DEFAULT as WATCHLIST

FORMS = ROOT / "tests" / "data" / "recorded" / "forms"

pytestmark = pytest.mark.usefixtures("_points_at_the_stack")


@pytest.fixture
def typed(stack, tmp_path):
    """Runs `python -m …` in an empty folder."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAKE_"))}
    environ |= stack.environment | stack.yahoo.environment() | environment({"tickerlake": stack.outputs})
    environ["PYTHONPATH"] = str(ROOT)

    def command(*words, **more):
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env=environ | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return command


def test_collecting_into_the_stream_fills_the_lake_in_s3(typed, stack, session, engine, local):
    done = typed(
        "tickerlake",
        "collect",
        "--session",
        session.dt,
        "--sink",
        "firehose",
        "--stream",
        stack.outputs["stream"],
        "--bucket",
        stack.outputs["bucket"],
    )
    count = len(WATCHLIST) * len(session.bar_starts(5))
    assert (done.returncode, done.stdout) == (
        0,
        f"{session.dt}: {count} bars of {len(WATCHLIST)} tickers, {count} new, 0 rejected, 0 failed\n",
    ), done.stderr
    stack.settle(session, count)
    when = {"first": session.date, "last": session.date}
    there, here = (run(each, "bars", **when).frame.drop(columns="collected_at") for each in (engine, local(session)))
    pd.testing.assert_frame_equal(there, here)

    asked = typed("tickerlake", "query", "hourly_high", "--first", session.dt, "--last", session.dt, "--format", "csv")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.count("\n") == len(run(engine, "hourly_high", **when).frame) + 1


def test_importing_from_s3_stores_what_importing_from_a_folder_stores(typed, stack, tmp_path):
    bucket = stack.outputs["bucket"]
    for path in sorted(FORMS.iterdir()):
        stack.client("s3").put_object(Bucket=bucket, Key=f"earlier/{path.name}", Body=path.read_bytes())
    there = typed("tickerlake", "import", f"s3://{bucket}/earlier", "--lake", "there")
    here = typed("tickerlake", "import", str(FORMS), "--lake", "here")

    assert there.returncode == here.returncode == 0, there.stderr
    # How many records end a run of equal ones depends on when each object was written; what was read does not.
    assert there.stdout.split(":")[0] == here.stdout.split(":")[0]
    found = [run(open_engine(Settings(lake=tmp_path / Path(lake))), "bars").frame for lake in ("there", "here")]
    pd.testing.assert_frame_equal(*(frame.drop(columns="collected_at") for frame in found))


def test_a_missing_bucket_is_reported_in_one_line(typed):
    done = typed("tickerlake", "import", "s3://no-such-bucket-of-ours/bars")
    assert done.returncode != 0
    assert "NoSuchBucket" in done.stderr
    assert done.stderr.count("\n") == 1
