"""Rejected records of a local lake: what they are and which rule they break."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from tickerlake.bars import RULES
from tickerlake.query.formats import inert

SHOWN = 200
"""How many records a page lists. All are counted."""
_COLUMNS = ("rule", "ticker", "ts", "source", "collected_at", "origin", "position", "record")
_MEANINGS = {rule.id: rule.description for rule in RULES}


class Rejected(NamedTuple):
    """The rejected records of a lake."""

    by_rule: pd.DataFrame
    """One row per rule and source, most records first: `rule`, `meaning`, `source`, `records`."""
    latest: pd.DataFrame
    """The latest `SHOWN` records, as they came."""
    unreadable: int
    """Lines and files that could not be read."""


def read(files: list[Path]) -> Rejected:
    """The records in `files`, which `Layout.rejected` lists. Cached until a file changes."""
    found = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # it may go at any time
            found.append((str(path), path.stat().st_size, path.stat().st_mtime_ns))
    return _read(tuple(found))


@st.cache_data(max_entries=4, show_spinner=False)
def _read(files: tuple[tuple[str, int, int], ...]) -> Rejected:
    counts: dict[tuple[str, str], int] = {}
    latest: list[dict[str, object]] = []
    unreadable = 0
    # Names begin with the time of collection, so the newest files come first.
    for name, _, _ in reversed(files):
        for record in _records(Path(name)):
            if record is None:
                unreadable += 1
                continue
            key = (str(record.get("rule")), str(record.get("source")))
            counts[key] = counts.get(key, 0) + 1
            if len(latest) < SHOWN:
                # As text: in a damaged file a field may hold anything, and a table's column holds one type.
                latest.append({column: _text(record.get(column)) for column in _COLUMNS})
    by_rule = pd.DataFrame(
        [
            {"rule": rule, "meaning": _MEANINGS.get(rule, "could not be read"), "source": source, "records": count}
            for (rule, source), count in sorted(counts.items(), key=lambda item: -item[1])
        ],
        columns=["rule", "meaning", "source", "records"],
    )
    return Rejected(by_rule, pd.DataFrame(latest, columns=list(_COLUMNS)), unreadable)


def _records(path: Path) -> list[dict[str, object] | None]:
    """The record on each line of `path`; None for a line that is not a JSON object, and for an unreadable file."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return [None]
    return [_record(line) for line in lines if line.strip()]


def _record(line: bytes) -> dict[str, object] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None
    return record if isinstance(record, dict) else None


def _text(value: object) -> str | None:
    # The table can be downloaded as CSV.
    return inert(value) if value is None or isinstance(value, str) else json.dumps(value)
