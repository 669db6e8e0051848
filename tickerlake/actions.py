"""Splits: when one share became several, or several one.

A vendor such as Yahoo divides the prices of earlier sessions by the ratio, from some moment on. The lake stores prices
as they came, and each split with that moment; queries bring prices to one basis with it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tickerlake import exchange
from tickerlake.errors import ConfigError

MANUAL = "manual"
"""Source of a split that a person entered."""
NEVER = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)
"""`adjusted_from` of a split for which the vendor has not adjusted its prices yet."""
_RATIO = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", re.ASCII)


@dataclass(frozen=True)
class Split:
    """A split of one ticker, as one source reported it at one moment."""

    ticker: str
    """The symbol that the bars before the split are stored under."""
    ex_date: dt.date
    """First session at the new price."""
    ratio: float
    """New shares for one old share: 10.0 for 10:1, 0.125 for the reverse split 1:8; 1.0 revokes the split."""
    source: str
    collected_at: dt.datetime
    adjusted_from: dt.datetime | None = None
    """From when on the source's answers are adjusted, UTC; None for the start of `ex_date`, NEVER for not yet."""

    def row(self) -> dict[str, Any]:
        """The split as a row of the table `actions`, with aware times."""
        return asdict(self) | {"exchange": exchange.of(self.ticker).code, "ex_date": self.ex_date.isoformat()}

    @property
    def takes_effect(self) -> dt.datetime:
        """`adjusted_from`, or the start of `ex_date` in UTC."""
        return self.adjusted_from or dt.datetime.combine(self.ex_date, dt.time(), dt.UTC)


def in_force(reports: Iterable[Split]) -> list[Split]:
    """Of each ticker, date and source the latest report."""
    ordered = sorted(
        reports,
        key=lambda split: (split.collected_at, split.ratio, split.adjusted_from is not None, split.takes_effect),
    )
    return list({(split.ticker, split.ex_date, split.source): split for split in ordered}.values())


def applying(reports: Iterable[Split], source: str) -> list[Split]:
    """Of each ticker and date the report that counts for bars of `source`, as in queries/include/splits.sql.

    That is its own report, or else the latest one. A person who reports a split last overrules every source.
    """
    found: dict[tuple[str, dt.date], list[Split]] = {}
    by_source = sorted(in_force(reports), key=lambda split: split.source)
    for split in sorted(by_source, key=lambda split: split.collected_at, reverse=True):
        found.setdefault((split.ticker, split.ex_date), []).append(split)
    return [
        next((split for split in splits if split.source == source and splits[0].source != MANUAL), splits[0])
        for splits in found.values()
    ]


def unknown(splits: Iterable[Split], reports: Sequence[Split]) -> list[Split]:
    """Those of `splits` that say something new. A source that repeats a split does not say from when on it adjusts."""
    held = {(split.ticker, split.ex_date, split.source): split for split in in_force(reports)}

    def says_nothing_new(split: Split) -> bool:
        known = held.get((split.ticker, split.ex_date, split.source))
        same = known is not None and known.ratio == split.ratio
        return split in reports or (
            same
            and (known.adjusted_from == split.adjusted_from or (not split.adjusted_from and split.source != MANUAL))
        )

    return [split for split in splits if not says_nothing_new(split)]


def ratio_text(ratio: float) -> str:
    """`10:1`; `1:8` for a reverse split."""
    return f"{ratio:g}:1" if ratio >= 1 else f"1:{1 / ratio:g}"


def parse_ratio(text: str) -> float:
    """`"10:1"` → 10.0, `"1:8"` → 0.125. ConfigError for anything else."""
    match = _RATIO.fullmatch(text.strip())
    if match is None or not float(match[1]) or not float(match[2]):
        raise ConfigError(f"{text!r} is not a ratio; write new shares to old ones: 10:1, or 1:8 for a reverse split")
    return float(match[1]) / float(match[2])
