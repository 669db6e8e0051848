"""Metrics of a run that collects into a stack, which the stack's alarms and charts read."""

from __future__ import annotations

from collections.abc import Sequence

from tickerlake.collect import FINAL, SessionReport


def measures(reports: Sequence[SessionReport], tickers: int) -> dict[str, int]:
    """The metrics of a run that asked for `tickers`, by name.

    `VendorAnswers` is 0 if no ticker of a session got an answer. Vendors refuse some addresses, and then the lake stays
    empty. A run without sessions asks nothing, and does not have it.
    """
    counts = {
        "RecordsRejected": sum(report.rejected.total() for report in reports),
        "TickersFailed": len({failure.ticker for report in reports for failure in report.failures}),
    }
    if reports:
        unanswered = [sum(failure.reason not in FINAL for failure in report.failures) for report in reports]
        counts["VendorAnswers"] = int(min(unanswered) < tickers)
    return counts
