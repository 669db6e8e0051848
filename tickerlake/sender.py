"""A machine outside AWS that collects into a stack: bars to its stream, splits and runs to its bucket, and metrics.

It sends the metrics that the stack's function has, so that the same alarms watch it. Their dimension `service` is the
name of the stream; the heartbeat and the bars delivered also have the dimension `exchange`, its code.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tickerlake import aws, exchange
from tickerlake.collect import SessionReport, collect
from tickerlake.exchange import Exchange, Session
from tickerlake.lake import Run
from tickerlake.lake.firehose import FirehoseSink, open_firehose
from tickerlake.lake.objects import LakeObjects
from tickerlake.metrics import measures
from tickerlake.sources import Source

HEARTBEAT = dt.timedelta(minutes=5)
"""As often as the function runs: the alarm `heartbeat` misses a sender after half an hour."""
_CONFIG = Config(connect_timeout=4, read_timeout=10, retries={"mode": "standard"})


class Sender:
    """Collects into `sink` and sends the metrics of `stream` through `client`, a CloudWatch client.

    `say` gets one line for metrics that could not be sent. It is also the `Upkeep` of a watcher.
    """

    def __init__(self, sink: FirehoseSink, stream: str, client: Any, say: Callable[[str], object]) -> None:
        self.sink = sink
        self._stream = stream
        self._client = client
        self._say = say
        self._sent_at: dt.datetime | None = None
        self._exchanges: tuple[Exchange, ...] = ()
        """Those of the last run's tickers."""

    def collect(
        self,
        source: Source,
        sessions: Sequence[Session],
        tickers: Sequence[str],
        bar_minutes: int,
        clock: Callable[[], dt.datetime],
        *,
        sweep: bool = False,
        on_answer: Callable[[str], None] = lambda _: None,
    ) -> list[SessionReport]:
        """`collect` into the sink. Sends the run's metrics whether or not it fails.

        A sweep sends every bar, which repairs what was lost behind the stream.
        """
        if sweep:
            self.sink.forget()
        self._exchanges = exchange.all_of(tickers)
        data, before = [], self.sink.delivered.copy()
        try:
            reports = collect(source, self.sink, sessions, tickers, bar_minutes, clock, on_answer=on_answer)
            data += [self._datum(name, count) for name, count in measures(reports).items()]
        finally:
            delivered = self.sink.delivered - before
            data += [self._datum("BarsDelivered", delivered[each.code], each) for each in self._exchanges]
            self._send(data, clock())
        return reports

    # As the upkeep of a watcher

    def runs(self, since: dt.datetime) -> list[Run]:  # noqa: ARG002
        """None, because a sender may not read the bucket: a watcher that starts collects the last finished session and
        today's.
        """
        return []

    def after_run(self) -> None:
        """Nothing: forecasts are made where the lake is."""

    def after_sweep(self, source: Source, tickers: Sequence[str]) -> tuple[str, bool]:  # noqa: ARG002
        """Nothing: the lake is out of reach."""
        return "", False

    def beat(self, now: dt.datetime) -> None:
        """Counts a run without anything to do, as the function's runs outside a session are counted."""
        if self._sent_at is not None and not dt.timedelta(0) <= now - self._sent_at < HEARTBEAT:
            self._send([], now)

    def _datum(self, name: str, count: int, place: Exchange | None = None) -> dict[str, Any]:
        dimensions = {"service": self._stream} | ({"exchange": place.code} if place else {})
        named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        return {"MetricName": name, "Dimensions": named, "Value": count, "Unit": "Count"}

    def _send(self, data: Sequence[Mapping[str, Any]], now: dt.datetime) -> None:
        """Sends `data` and a heartbeat for each exchange.

        A failure is said and stops nothing: the bars matter more, and the alarm `heartbeat` notices.
        """
        self._sent_at = now
        data = [*data, *(self._datum("Runs", 1, each) for each in self._exchanges)]
        try:
            self._client.put_metric_data(Namespace=aws.METRICS_NAMESPACE, MetricData=data)
        except (BotoCoreError, ClientError) as error:
            is_denied = isinstance(error, ClientError) and error.response["Error"]["Code"].startswith("AccessDenied")
            next_step = (
                "attach the stack's senderPolicy to the AWS user of this machine"
                if is_denied
                else "the next run retries"
            )
            self._say(f"cannot send metrics to CloudWatch: {str(error).rstrip('.')}; {next_step}")


def open_sender(stream: str, bucket: str, say: Callable[[str], object], *, skip_repeats: bool = False) -> Sender:
    """The sender for `stream` and `bucket`, with the AWS settings of the environment. ConfigError if they name no
    region.
    """
    sink = open_firehose(stream, skip_repeats=skip_repeats, objects=LakeObjects(bucket))
    return Sender(sink, stream, aws.client("cloudwatch", config=_CONFIG), say)
