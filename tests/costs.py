# ruff: noqa: RUF001  # the multiplication sign is meant
"""The arithmetic of the costs in docs/deploy.md: USD a month of 30 days and 21 sessions, us-east-1, no free tiers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.scale import (
    ATHENA_LEAST,
    ATHENA_TB,
    BYTES_PER_BAR,
    COMPACTION_QUERIES,
    COMPACTIONS,
    DAYS,
    FIREHOSE_GB,
    FIREHOSE_OBJECT,
    GB,
    KB,
    LAMBDA_GB_SECOND,
    RUNS,
    S3_GB_MONTH,
    S3_PUT,
    SESSIONS,
    TB,
    Scale,
)

LAMBDA_RUN = 0.20 / 1_000_000
CRAWL = 10 / 60 * 2 * 0.44
"""Ten minutes, the least that is billed, of two DPU."""
ALARM, METRIC, LOG_GB, METRIC_REQUEST = 0.10, 0.30, 0.50, 0.01 / 1000
COLLECTING = RUNS * SESSIONS + DAYS
"""Runs of a month that collect, sweeps included."""
IDLE = DAYS * 24 * 12 - RUNS * SESSIONS
"""Runs that return at once."""
S3_GET = 0.0004 / 1000
ALERTING = (8 * 12 + 1) * SESSIONS
"""Runs of the alerter in a month: every five minutes from 9 to 17 o'clock, and one after the sweep."""
TICKERS_SCANS, BARS_SCANS, DAILY_SCANS = 1, 4, 3
"""How often these queries read the table."""
COMPACTION_ALARMS, COMPACTION_METRICS = 1, 2
ALARMS, FUNCTION_ALARMS, METRICS = 10, 3, 7
EXCHANGE_ALARMS, EXCHANGE_METRICS = 2, 2
"""Those of one exchange among them."""


@dataclass(frozen=True)
class Month:
    """A month of a stack with `tickers`, and its choices."""

    tickers: int
    crawl: bool = True
    outside: bool = False
    compaction: bool = True

    @property
    def parts(self) -> dict[str, float]:
        """USD by row of the table."""
        scale, many = Scale(self.tickers, 5), self.tickers > 50
        shards, seconds = scale.shards, 15 if many else 5
        # A watcher sends each bar once, and once more in its sweep.
        records = scale.bars * SESSIONS * 2 if self.outside else scale.records
        runs = RUNS * SESSIONS + SESSIONS if self.outside else COLLECTING * shards
        function = 0 if self.outside else 1
        return {
            "Lambda": function
            * shards
            * (self._seconds(seconds) * LAMBDA_GB_SECOND + (COLLECTING + IDLE) * LAMBDA_RUN),
            "Firehose, by volume": records * 5 * KB / GB * FIREHOSE_GB,
            "Firehose, by object": scale.objects * FIREHOSE_OBJECT,
            "S3": (scale.objects + runs) * S3_PUT + records * BYTES_PER_BAR / GB * S3_GB_MONTH,
            "Crawler": self.crawl * 365 / 12 * 5 / 7 * 2 * CRAWL,
            "Sweep's queries": function * shards * DAYS * (4 * _scan(0) + _scan(64e6 if many else 0)),
            "Compaction": self.compaction
            * (
                (DAYS * 15 + (COMPACTIONS - DAYS) * 2) * 0.5 * LAMBDA_GB_SECOND
                + 2 * DAYS * _scan(55e6 if many else 0)
                + COMPACTION_QUERIES * _scan(0)
            ),
            "Alarms": ALARM * (ALARMS - self.outside * FUNCTION_ALARMS - (not self.compaction) * COMPACTION_ALARMS),
            "Custom metrics": METRIC * (METRICS - (not self.compaction) * COMPACTION_METRICS),
            "Metrics sent from outside": self.outside * (IDLE + COLLECTING) * METRIC_REQUEST,
            "Logs": function * shards * (COLLECTING * 5 + IDLE * 2) * 1000 / GB * LOG_GB,
            "Athena": 1000 * _scan(60e6 if many else 0),
        }

    @property
    def total(self) -> float:
        """The sum of the rounded parts, as a reader adds them up."""
        return sum(round(part, 2) for part in self.parts.values())

    @property
    def exchange(self) -> float:
        """What an exchange with these tickers adds to a stack that has others."""
        shared = ("Crawler", "Compaction", "Alarms", "Custom metrics", "Athena")
        own = sum(round(part, 2) for name, part in self.parts.items() if name not in shared)
        return own + EXCHANGE_ALARMS * ALARM + EXCHANGE_METRICS * METRIC

    @staticmethod
    def _seconds(each: int) -> float:
        return COLLECTING * each + IDLE * 0.1


def alerts(tickers: int, sessions: int) -> float:
    """USD a month that alerts add, if they look at so many sessions.

    A run takes 10 s and lists the bucket once. It asks for the tickers and the bars of the session so far, which has on
    average half of its objects and, at worst, each bar six times; and for the highs of it and of the compacted sessions
    before it, if there is a rule for them. A scan of an object takes two requests.
    """
    scale = Scale(tickers, 5)
    objects, size = scale.objects / COLLECTING * RUNS / 2, scale.bars * BYTES_PER_BAR
    today, earlier = size * 6 / 2, sessions - 1
    queries = [(TICKERS_SCANS, today, objects), (BARS_SCANS, today, objects)]
    if earlier:
        queries.append((DAILY_SCANS, today + earlier * size, objects + earlier))
    return ALARM + ALERTING * (
        10 * LAMBDA_GB_SECOND
        + LAMBDA_RUN
        + S3_PUT
        + sum(_scan(scans * held) + scans * 2 * S3_GET * files for scans, held, files in queries)
    )


def _scan(size: float) -> float:
    return max(size, ATHENA_LEAST) / TB * ATHENA_TB


_ARITHMETIC = {
    "Lambda": (
        "84 runs that collect in a session × 21 + 30 sweeps, for each shard; 5 s for 11 tickers, 15 s for 50; 6,876 "
        "runs that return at once, 0.1 s; 1 GB; 0.0000133334 a GB-second and 0.20 a million runs: 1,794 × 5 + 688 = "
        "9,658, and 10 shards × (1,794 × 15 + 688) = 275,980"
    ),
    "Firehose, by volume": (
        "each record is billed as 5 KB, the minimum; at worst each bar is sent 6 times (30 minutes back, every 5) and "
        "in 30 sweeps: 11 × (6 × 84 × 21 + 78 × 30) = 142,164 records = 0.68 GB; 500 × the same = 30.8 GB; 0.029 "
        "ingested + 0.018 converted + 0.020 partitioned a GB"
    ),
    "Firehose, by object": "one file a run, two where shards straddle a buffer: 1,794 and 3,588; 0.005 a thousand",
    "S3": (
        "as many PUTs, and one for the log of each run and shard, at 0.005 a thousand; about 40 bytes a bar at 0.023 "
        "a GB: 6 MB and 260 MB more each month"
    ),
    "Crawler": (
        "2 a weekday = 43.5 runs × 10 minutes, the billed minimum × 2 DPU × 0.44 an hour; nothing with `crawl: false`"
    ),
    "Sweep's queries": (
        "5 a day and shard, of 10 MB at least; one reads the 41 sessions that Yahoo still serves, 64 MB for 500 "
        "tickers; 5 a TB"
    ),
    "Compaction": (
        "30 runs of 15 s and 690 that return at once, 2 s, 0.5 GB; two queries a day, of 10 MB at least, 55 MB for 500 "
        "tickers, and ten short ones"
    ),
    "Alarms": f"{ALARMS} × 0.10",
    "Custom metrics": f"{METRICS} × 0.30",
    "Logs": "1,794 runs × 5 KB and 6,876 × 2 KB, and ten times as many; 0.50 a GB",
    "Athena": ("1,000 queries; 10 MB is the billed minimum, and five sessions of 500 tickers are about 60 MB; 5 a TB"),
}
SIZES = (11, 500)


def rows() -> Iterator[list[str]]:
    """The table of the defaults."""
    small, large = (Month(size) for size in SIZES)
    for name, arithmetic in _ARITHMETIC.items():
        yield [name, f"{small.parts[name]:.2f}", f"{large.parts[name]:.2f}", arithmetic]
    yield [
        "Scheduler, queue, topic, dashboard",
        "0.00",
        "0.00",
        "within the permanent free tiers, such as three dashboards",
    ]
    yield ["**USD a month**", f"**{small.total:.2f}**", f"**{large.total:.2f}**", ""]


def choices() -> Iterator[list[str]]:
    """What each choice makes of the total."""
    for name, chosen in {
        "with the defaults": {},
        "without the crawler: `crawl false`": {"crawl": False},
        "collecting outside AWS: `collect outside`": {"outside": True},
        "collecting outside AWS, without the crawler": {"outside": True, "crawl": False},
    }.items():
        yield [name, *(f"{Month(size, **chosen).total:.2f}" for size in SIZES)]
    compaction = (Month(size).total - Month(size, compaction=False).total for size in SIZES)
    for back, name in ((1, "of the session"), (20, "of 20 sessions")):
        yield [f"alerts of new highs {name}, beside that: `alerts true`", *(f"{alerts(s, back):.2f}" for s in SIZES)]
    yield ["of which compaction, with its alarm and its two metrics", *(f"{part:.2f}" for part in compaction)]
    yield [
        "each further exchange with as many tickers, with its two alarms and its two metrics",
        *(f"{Month(size).exchange:.2f}" for size in SIZES),
    ]
