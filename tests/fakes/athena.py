"""An Athena of our own on loopback, with the S3 that its results are read from: DuckDB answers, PyAthena asks.

It speaks to a real PyAthena over real HTTP as Athena does: a query is started, polled and read in pages of 1,000
rows with the header among them, or as the CSV file that it leaves in S3.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tests.fakes.aws import CREDENTIALS, Call, Reply, refusal, serving

_TYPES = {"int32": "integer", "Int64": "bigint", "int64": "bigint", "float64": "double", "str": "varchar"}


@dataclass
class FakeAthena:
    """What it answers, and what it was asked."""

    answer_to: Callable[[str], pd.DataFrame] = lambda _: pd.DataFrame({"one": [1]})
    """The result of a query's text."""
    refusals: dict[str, list[Reply]] = field(default_factory=dict)
    """By operation (`GET` for S3), what is answered instead; the last one stays."""
    state: str = "SUCCEEDED"
    """How every query ends; RUNNING for one that does not."""
    reason: str | None = None
    managed: bool = False
    """Whether the results have no place in S3."""
    scanned: int = 1234
    calls: list[Call] = field(default_factory=list)
    results: dict[str, pd.DataFrame] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Everything as at the start, at the same address."""
        self.__init__(url=self.url)

    def environment(self) -> dict[str, str]:
        """The variables that lead botocore here, and nowhere else."""
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.url}

    @property
    def operations(self) -> list[str]:
        """The operations in the order in which they came."""
        return [call.operation for call in self.calls]

    def started(self) -> dict[str, Any]:
        """The body of the last StartQueryExecution."""
        return next(call.body for call in reversed(self.calls) if call.operation == "StartQueryExecution")

    def answer(self, call: Call) -> Reply:
        with self.lock:
            self.calls.append(call)
            if refused := self.refusals.get(call.operation):
                return refused.pop(0) if len(refused) > 1 else refused[0]
            return self._reply(call)

    def _reply(self, call: Call) -> Reply:
        match call.operation:
            case "StartQueryExecution":
                query = str(uuid.uuid4())
                runs = self.state == "SUCCEEDED"
                self.results[query] = self.answer_to(call.body["QueryString"]) if runs else pd.DataFrame()
                return Reply({"QueryExecutionId": query})
            case "GetQueryExecution":
                return Reply({"QueryExecution": self._execution(call.body["QueryExecutionId"])})
            case "GetQueryResults":
                return Reply(self._page(self.results[call.body["QueryExecutionId"]], call.body))
            case "StopQueryExecution":
                self.stopped.add(call.body["QueryExecutionId"])
                return Reply()
            case "GET":
                query = call.path.split("/")[-1].removesuffix(".csv")
                return Reply(_csv(self.results[query]), headers={"Content-Type": "application/octet-stream"})
            case _:
                return refusal(400, "UnknownOperationException", call.operation)

    def _execution(self, query: str) -> dict[str, Any]:
        state = "CANCELLED" if query in self.stopped else self.state
        place = {} if self.managed else {"OutputLocation": f"s3://tickerlake-results/athena/{query}.csv"}
        return {
            "QueryExecutionId": query,
            "Query": "…",
            "StatementType": "DML",
            "ResultConfiguration": place,
            "Status": {"State": state, **({"StateChangeReason": self.reason} if self.reason else {})},
            "Statistics": {"DataScannedInBytes": self.scanned},
        }

    def _page(self, frame: pd.DataFrame, asked: dict[str, Any]) -> dict[str, Any]:
        rows = [list(frame.columns), *_texts(frame)]
        start, size = int(asked.get("NextToken", "0")), asked.get("MaxResults", 1000)
        page = {
            "ResultSet": {
                "Rows": [
                    {"Data": [{} if text is None else {"VarCharValue": text} for text in row]}
                    for row in rows[start : start + size]
                ],
                "ResultSetMetadata": {
                    "ColumnInfo": [
                        {"Name": name, "Type": _type(frame[name]), "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN"}
                        for name in frame.columns
                    ]
                },
            }
        }
        return page | ({"NextToken": str(start + size)} if start + size < len(rows) else {})


def _type(values: pd.Series) -> str:
    return "timestamp" if values.dtype.kind == "M" else _TYPES[str(values.dtype)]


def _texts(frame: pd.DataFrame) -> list[list[str | None]]:
    """The rows as Athena writes them: timestamps with three decimals, None for null."""
    columns = []
    for name in frame.columns:
        values = frame[name]
        if values.dtype.kind == "M":
            text = values.dt.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3]
        else:
            text = values.astype(object).map(str)
        columns.append(text.astype(object).where(values.notna(), None).tolist())
    return [list(row) for row in zip(*columns, strict=True)]


def _csv(frame: pd.DataFrame) -> bytes:
    """The result file: every value in quotes, null as nothing at all."""
    rows = [list(frame.columns), *_texts(frame)]
    quoted = [",".join("" if text is None else '"' + text.replace('"', '""') + '"' for text in row) for row in rows]
    return ("\n".join(quoted) + "\n").encode()


@contextlib.contextmanager
def running_athena() -> Iterator[FakeAthena]:
    """A FakeAthena on 127.0.0.1 until the block ends."""
    athena = FakeAthena()
    with serving(athena.answer) as athena.url:
        yield athena
