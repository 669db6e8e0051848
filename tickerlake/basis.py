"""Whether a source has adjusted its prices for a split. It does not say so; bars that it gave twice do.

A source adjusts the prices of earlier sessions when the split takes effect, hours later, or never. If a bar's numbers
before are the split's ratio times its numbers after, the source has adjusted them in between; if they are about equal,
it has not. A bar that came once says nothing, and no price is guessed from its neighbours: the query `suspected_splits`
shows where a jump is left.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations

import numpy as np
import pandas as pd

from tickerlake.actions import MANUAL, NEVER, Split, applying
from tickerlake.record import KEY, PRICES

_CERTAIN = 0.25
"""A ratio has an explanation if it is as near to it as this share of the distance between the two nearest ones."""


@dataclass(frozen=True)
class Comparison:
    """Bars that a source gave at two moments, before and after."""

    before: dt.datetime
    after: dt.datetime
    adjusted: bool
    """Whether it adjusted them for the split in between."""
    bars: int


def adjusted_from(
    split: Split, comparisons: Sequence[Comparison], unadjusted: Iterable[dt.datetime] = ()
) -> dt.datetime:
    """From when on the answers of a source are adjusted for `split`, or NEVER: what contradicts the fewest bars.

    Among equals, `split.takes_effect` stays if it is one of them; next come the start of the ex-date, NEVER, and the
    latest answer. `unadjusted` are moments at which the source is known not to have adjusted yet.
    """
    known = max(unadjusted, default=dt.datetime.min.replace(tzinfo=dt.UTC))
    start = replace(split, adjusted_from=None).takes_effect
    moments = {each.before for each in comparisons} | {each.after for each in comparisons}
    later = [moment for moment in [start, NEVER, *sorted(moments, reverse=True)] if moment > known]

    def contradicted(moment: dt.datetime) -> int:
        return sum(each.bars for each in comparisons if (each.before < moment <= each.after) != each.adjusted)

    return min([split.takes_effect, *later], key=contradicted)


def compare(histories: pd.DataFrame, splits: Sequence[Split]) -> dict[Split, list[Comparison]]:
    """What the bars of one ticker and source say about each of its `splits`.

    `histories` holds the records of each bar, and may hold the same numbers again. Bars that were given at the same two
    moments decide together, by the median of their prices' ratios; a ratio that fits nothing, or two things, is left
    out.
    """
    ordered = histories.dropna(subset="high").sort_values([*KEY, "collected_at"], kind="stable")
    before = ordered.shift().where((ordered[list(KEY)] == ordered[list(KEY)].shift()).all(axis=1))
    ratios = np.log(before[list(PRICES)] / ordered[list(PRICES)])
    pairs = pd.DataFrame(
        {
            "dt": ordered["dt"],
            "before": before["collected_at"],
            "after": ordered["collected_at"],
            "ratio": ratios.median(axis=1),
        }
    )
    together = pairs.groupby(["dt", "before", "after"])["ratio"].agg(["median", "size"]).reset_index()
    found: dict[Split, list[Comparison]] = {split: [] for split in splits}
    for session, first, second, ratio, count in together.itertuples(index=False, name=None):
        later = [split for split in splits if split.ex_date.isoformat() > session]
        explanation = _explained(ratio, later)
        if explanation is not None:
            for split in later:
                adjusted = split in explanation
                found[split].append(Comparison(first.to_pydatetime(), second.to_pydatetime(), adjusted, count))
    return found


def learned(histories: pd.DataFrame, reports: Sequence[Split], now: dt.datetime) -> list[Split]:
    """The reports that follow from `histories`, where they contradict `reports`.

    One that `reports` holds from `now` is to be replaced by the one returned for it.
    """
    found: list[Split] = []
    # What is learned of one source holds for others that have not reported the split, until their bars contradict it.
    while more := list(_contradicted(histories, [*reports, *found], now)):
        found += more
    return found


def _contradicted(histories: pd.DataFrame, reports: Sequence[Split], now: dt.datetime) -> Iterator[Split]:
    pairs = histories[["ticker", "source"]].drop_duplicates()
    for ticker, source in pairs.itertuples(index=False, name=None):
        mine = histories[(histories["ticker"] == ticker) & (histories["source"] == source)]
        splits = [split for split in applying(reports, source) if split.ticker == ticker and split.ratio != 1]
        for split, comparisons in compare(mine, splits).items():
            same = [
                each
                for each in reports
                if (each.ticker, each.ex_date) == (ticker, split.ex_date) and each.source in (source, MANUAL)
            ]
            moment = adjusted_from(
                split, comparisons, [each.collected_at for each in same if each.adjusted_from == NEVER]
            )
            if moment != split.takes_effect:
                # The latest report counts, so this one is stamped after the others.
                others = [
                    each for each in same if (each.source, each.collected_at, each.adjusted_from) != (source, now, None)
                ]
                stamp = max([now, *(other.collected_at + dt.timedelta(milliseconds=1) for other in others)])
                yield replace(split, source=source, collected_at=stamp, adjusted_from=moment)


def _explained(ratio: float, splits: Sequence[Split]) -> tuple[Split, ...] | None:
    """The splits that a source must have adjusted for to explain the logarithm `ratio`; None if that is not certain."""
    subsets = chain.from_iterable(combinations(splits, count) for count in range(len(splits) + 1))
    explanations = {subset: math.log(math.prod(split.ratio for split in subset)) for subset in subsets}
    if len(explanations) == 1 or math.isnan(ratio):
        return None
    nearest, second = sorted(explanations, key=lambda subset: abs(ratio - explanations[subset]))[:2]
    apart = abs(explanations[nearest] - explanations[second])
    return nearest if abs(ratio - explanations[nearest]) < _CERTAIN * apart else None
