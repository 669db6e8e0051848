"""A fake Firehose stream on loopback: PutRecordBatch over real HTTP, with scripted refusals.

`python -m tests.fakes.firehose SECONDS` runs one that takes so long for each answer, prints its address, and ends with
its standard input.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.aws import CREDENTIALS, Call, Reply, refusal, serving

STREAM = "tickerlake-bars"


@dataclass(frozen=True)
class Refusing:
    """Accepts a batch except for the records at these positions or of these tickers."""

    places: Collection[int] = ()
    tickers: Collection[str] = ()
    code: str = "ServiceUnavailableException"


@dataclass
class FakeFirehose:
    """What the stream accepted, and its answers: one entry of `script` per call, then good ones."""

    script: list[Reply | Refusing] = field(default_factory=list)
    refused_tickers: frozenset[str] = frozenset()
    """Tickers that are refused in every call."""
    calls: list[list[bytes]] = field(default_factory=list)
    """The records of each call, accepted or not."""
    taken: list[bytes] = field(default_factory=list)
    url: str = ""
    latency: float = 0.0
    """Seconds before each answer."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bars(self) -> list[dict[str, Any]]:
        """The accepted bars, in order of arrival."""
        return [json.loads(data) for data in self.taken]

    def environment(self) -> dict[str, str]:
        """Environment variables that make botocore use this server only."""
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.url}

    def answer(self, call: Call) -> Reply:
        time.sleep(self.latency)
        with self.lock:
            if call.operation != "PutRecordBatch":
                return refusal(400, "UnknownOperationException", call.operation)
            if call.body["DeliveryStreamName"] != STREAM:
                name = call.body["DeliveryStreamName"]
                return refusal(
                    400, "ResourceNotFoundException", f"Firehose {name} under account 123456789012 not found."
                )
            records = [base64.b64decode(record["Data"]) for record in call.body["Records"]]
            self.calls.append(records)
            if fault := _fault(records):
                return refusal(400, "InvalidArgumentException", fault)
            reply = self.script.pop(0) if self.script else Refusing()
            if isinstance(reply, Reply):
                if reply.then == "taken":
                    self.taken += records
                return reply
            return self._take(records, reply)

    def _take(self, records: list[bytes], refusing: Refusing) -> Reply:
        entries: list[dict[str, Any]] = []
        tickers = {*refusing.tickers, *self.refused_tickers}
        for place, data in enumerate(records):
            ticker = json.loads(data)["ticker"] if tickers else ""
            if place in refusing.places or ticker in tickers:
                entries.append({"ErrorCode": refusing.code, "ErrorMessage": "Slow down."})
            else:
                self.taken.append(data)
                entries.append({"RecordId": str(len(self.taken))})
        failed = sum("ErrorCode" in entry for entry in entries)
        return Reply({"FailedPutCount": failed, "Encrypted": False, "RequestResponses": entries})


def _fault(records: list[bytes]) -> str | None:
    """What the real service refuses: https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html"""
    if len(records) > 500:
        return f"{len(records)} records"
    if sum(map(len, records)) > 4 * 1024 * 1024:
        return "over 4 MiB"
    return "a record over 1,000 KiB" if max(map(len, records)) > 1000 * 1024 else None


@contextlib.contextmanager
def running_firehose() -> Iterator[FakeFirehose]:
    """A FakeFirehose on 127.0.0.1 until the block ends."""
    firehose = FakeFirehose()
    with serving(firehose.answer) as firehose.url:
        yield firehose


if __name__ == "__main__":
    with running_firehose() as running:
        running.latency = float(sys.argv[1])
        print(running.url, flush=True)
        sys.stdin.read()
