"""Metrics of a run that collects into a stack, which the stack's alarms and charts read."""

from __future__ import annotations

from collections.abc import Sequence

from tickerlake.collect import FINAL, SessionReport


def measures(reports: Sequence[SessionReport]) -> dict[str, int]:
    """The metrics of a run by name.

    `VendorAnswers` is 0 if no ticker of any session got an answer. Vendors refuse some addresses, and then the lake
    stays empty. A run without sessions asks nothing, and does not have it.
    """
    counts = {
        "RecordsRejected": sum(report.rejected.total() for report in reports),
        "TickersFailed": len({failure.ticker for report in reports for failure in report.failures}),
    }
    if reports:
        counts["VendorAnswers"] = int(any(map(_is_answered, reports)))
    return counts


def _is_answered(report: SessionReport) -> bool:
    """Whether a ticker of the session got an answer. Until its first bar has ended no failure is reported."""
    unanswered = [failure for failure in report.failures if failure.reason not in FINAL]
    return report.tickers > 0 or len(unanswered) < len(report.failures) or not report.failures
