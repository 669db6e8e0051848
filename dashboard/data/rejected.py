"""Records that broke a rule and were rejected by the collector, read from a local lake."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import streamlit as st

from tickerlake.bars import RULES

COLUMNS = ("rule", "ticker", "ts", "source", "collected_at", "origin", "position", "record")
SHOWN = 200
"""Records that a page lists; all of them are counted."""
_SAYS = {rule.id: rule.description for rule in RULES}


def read(files: list[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rejected records, counted by rule, and the latest of them one by one."""
    return _read(tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files))


@st.cache_data(max_entries=4, show_spinner=False)
def _read(files: tuple[tuple[str, int, int], ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    counts: dict[tuple[str, str], int] = {}
    latest: list[dict[str, object]] = []
    # Names begin with the time of collection, so the newest files come first.
    for name, _, _ in reversed(files):
        with Path(name).open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                key = (str(record.get("rule")), str(record.get("source")))
                counts[key] = counts.get(key, 0) + 1
                if len(latest) < SHOWN:
                    latest.append({column: record.get(column) for column in COLUMNS})
    by_rule = pd.DataFrame(
        [
            {"rule": rule, "a record that": _SAYS.get(rule, "could not be read"), "source": source, "records": count}
            for (rule, source), count in sorted(counts.items(), key=lambda item: -item[1])
        ],
        columns=["rule", "a record that", "source", "records"],
    )
    return by_rule, pd.DataFrame(latest, columns=list(COLUMNS))
