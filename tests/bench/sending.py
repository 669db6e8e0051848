"""How fast bars are sent to a stream."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pandas as pd
import pyarrow.parquet as pq

from tests.bench import lakes
from tests.bench.timing import ROOT, Row, pair, timed
from tests.fakes.firehose import STREAM, FakeFirehose
from tickerlake import bars
from tickerlake.lake.firehose import RECORDS_PER_CALL, open_firehose
from tickerlake.lake.layout import Layout


def sending() -> Iterator[Row]:
    """Sending a session of 500 tickers to a Firehose that takes 20 ms, against its calls one after another."""
    frame = _session()
    calls = -(-len(frame) // RECORDS_PER_CALL)
    command = [sys.executable, "-m", "tests.fakes.firehose", "0.02"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        os.environ |= FakeFirehose(url=server.stdout.readline().strip()).environment()
        sink = open_firehose(STREAM)
        line = b'{"ticker":"META"}'

        def call_by_call() -> None:
            for _ in range(calls):
                sink._client.put_record_batch(DeliveryStreamName=STREAM, Records=[{"Data": line}])

        try:
            taken = pair(timed(lambda: sink.write(frame)), timed(call_by_call), runs=3)
        finally:
            server.stdin.close()
    yield Row(
        f"send {len(frame):,} bars to Firehose, 20 ms an answer",
        f"{taken.figure:.2f} s, {len(frame) / taken.figure:,.0f} bars a second",
        f"{calls} calls of one record {taken.baseline:.2f} s",
        taken.ratio,
        "1.5",
    )


def _session() -> pd.DataFrame:
    """The bars of one session of 500 tickers, as they are collected."""
    (file,) = Layout(lakes.session()).files()
    frame = pq.read_table(file, partitioning=None).to_pandas().assign(source="yahoo", dt=lakes.FRIDAY.dt)
    return bars.as_bars(frame.assign(**{name: frame[name].dt.tz_localize("UTC") for name in ("ts", "collected_at")}))
