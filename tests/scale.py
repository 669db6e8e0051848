"""The arithmetic of docs/scale.md: what a watchlist of some size costs and needs in a month of 21 sessions."""

from __future__ import annotations

from dataclasses import dataclass

SESSIONS, DAYS = 21, 30
RUNS = 84
"""Runs of a session that collect: every five minutes, up to the look-back after the close."""
DAY_RUNS = 24 * 60 // 5
IDLE_SECONDS = 0.1
"""How long a run takes while the exchange is closed."""
LOOK_BACK_MINUTES = 30
SESSION_MINUTES = 390
TICKERS_PER_SHARD = 50
KB, GB, TB = 1024, 1024**3, 1024**4
BYTES_PER_BAR = 40
"""In Parquet; measured on simulated sessions."""
BYTES_PER_RECORD = 265
"""As a line of JSON; measured on a simulated session."""

# us-east-1, without free tiers; see docs/scale.md for the pages.
LAMBDA_GB_SECOND = 0.0000133334
LAMBDA_RUN = 0.20 / 1e6
FIREHOSE_GB = 0.029 + 0.018 + 0.020
FIREHOSE_OBJECT = 0.005 / 1000
S3_PUT = 0.005 / 1000
S3_GB_MONTH = 0.023
ATHENA_TB = 5.0
ATHENA_LEAST = 10 * 1024**2
COMPACTIONS = 24 * DAYS
"""Runs of the compactor in a month. One a day finds something to do, because the sweep runs on holidays too."""
COMPACTION_QUERIES = 10 * DAYS
"""Which exchanges have bars in a session: once an hour from its first bars until it is compact."""
SESSIONS_BACK = {5: 41, 1: 20}
"""Sessions that Yahoo still serves, by bar size."""


@dataclass(frozen=True)
class Scale:
    """A watchlist of `tickers`, in bars of `minutes`."""

    tickers: int
    minutes: int

    @property
    def shards(self) -> int:
        """Runs at the same time."""
        return -(-self.tickers // TICKERS_PER_SHARD)

    @property
    def requests(self) -> int:
        """Requests to Yahoo in a session: each run asks for each ticker, and so does the sweep."""
        return self.tickers * (RUNS + 1)

    @property
    def bars(self) -> int:
        """Bars of a session."""
        return self.tickers * SESSION_MINUTES // self.minutes

    @property
    def records(self) -> int:
        """Records sent in a month at worst: each run sends all that it looks back at, each sweep a whole session."""
        return self.tickers * LOOK_BACK_MINUTES // self.minutes * RUNS * SESSIONS + self.bars * DAYS

    @property
    def billed_gb(self) -> float:
        """What Firehose bills in a month: each record counts as 5 KB."""
        return self.records * 5 * KB / GB

    @property
    def burst_seconds(self) -> float:
        """Time to send one run's records at Firehose's default of 5 MiB a second."""
        return self.tickers * LOOK_BACK_MINUTES / self.minutes * BYTES_PER_RECORD / (5 * 1024**2)

    @property
    def objects(self) -> int:
        """Files that Firehose writes in a month; two a run where shards straddle a buffer."""
        return (RUNS * SESSIONS + DAYS) * (2 if self.shards > 1 else 1)

    @property
    def month_mb(self) -> float:
        """Size of a month's bars after compaction."""
        return self.bars * SESSIONS * BYTES_PER_BAR / 1e6

    def scanned_mb(self, *, compacted: bool) -> float:
        """What a query of one whole session reads; before compaction at worst every record as often as it was sent."""
        records = self.bars if compacted else self.records / SESSIONS
        return records * BYTES_PER_BAR / 1e6

    @property
    def dollars(self) -> dict[str, float]:
        """By service, for a month. Without crawler, alarms, metrics and logs, which hardly depend on the size."""
        collecting = RUNS * SESSIONS + DAYS
        idle = DAY_RUNS * DAYS + DAYS - collecting
        seconds = self.shards * (collecting * (15 if self.shards > 1 else 5) + idle * IDLE_SECONDS)
        runs = self.shards * (collecting + idle)
        scanned = max(self.scanned_mb(compacted=True) * 1e6, ATHENA_LEAST)
        before, after = self.scanned_mb(compacted=False) * 1e6, self.scanned_mb(compacted=True) * 1e6
        # The objects are read once to write the new ones, and then three times, and the new ones twice, to compare. The
        # hours read the new ones twice, and one column more.
        compaction = max(before, ATHENA_LEAST) + max(3 * before + 2 * after, ATHENA_LEAST)
        compaction += max(2 * after, ATHENA_LEAST) + ATHENA_LEAST
        # Each shard reads all sessions that Yahoo still serves to find its gaps; four more queries are short.
        sweep = max(SESSIONS_BACK[self.minutes] * after, ATHENA_LEAST) + 4 * ATHENA_LEAST
        return {
            "Lambda": seconds * LAMBDA_GB_SECOND + runs * LAMBDA_RUN,
            "Firehose": self.billed_gb * FIREHOSE_GB + self.objects * FIREHOSE_OBJECT,
            "S3": self.objects * S3_PUT + self.month_mb * 1e6 / GB * S3_GB_MONTH,
            "Athena": 1000 * scanned / TB * ATHENA_TB,
            "Sweep's queries": self.shards * DAYS * sweep / TB * ATHENA_TB,
            "Compaction": DAYS * compaction / TB * ATHENA_TB
            + COMPACTION_QUERIES * ATHENA_LEAST / TB * ATHENA_TB
            + ((COMPACTIONS - DAYS) * 2 + DAYS * 15) * LAMBDA_GB_SECOND / 2,
        }


SCALES = [Scale(tickers, minutes) for tickers in (11, 500, 8000) for minutes in (5, 1)]


def rows() -> list[list[str]]:
    """One row a measure, one column a scale."""
    return [
        ["requests to Yahoo a session", *(f"{each.requests:,}" for each in SCALES)],
        ["bars a session", *(f"{each.bars:,}" for each in SCALES)],
        ["runs at the same time (shards)", *(f"{each.shards:,}" for each in SCALES)],
        ["records sent a month, at worst", *(f"{each.records:,}" for each in SCALES)],
        ["GB that Firehose bills", *(f"{each.billed_gb:,.1f}" for each in SCALES)],
        ["seconds to send one run at 5 MiB/s", *(f"{each.burst_seconds:,.1f}" for each in SCALES)],
        ["objects a month", *(f"{each.objects:,}" for each in SCALES)],
        ["objects a month, compacted", *(f"{SESSIONS}" for _ in SCALES)],
        ["MB in a session's query, at worst", *(f"{each.scanned_mb(compacted=False):,.2f}" for each in SCALES)],
        ["MB in a session's query, compacted", *(f"{each.scanned_mb(compacted=True):,.2f}" for each in SCALES)],
        ["MB of bars a month, compacted", *(f"{each.month_mb:,.0f}" for each in SCALES)],
        *(
            [f"{service}, USD a month", *(f"{each.dollars[service]:,.2f}" for each in SCALES)]
            for service in SCALES[0].dollars
        ),
        ["**USD a month**", *(f"**{sum(each.dollars.values()):,.2f}**" for each in SCALES)],
    ]
