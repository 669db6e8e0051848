"""The sessions of a lake in S3, and which of them are settled.

bars/dt=YYYY-MM-DD/…                                                   bars, as Firehose and compaction write them
hours/dt=YYYY-MM-DD/<newest>-<made from>-<run>-<number>-<of>.parquet   the table settled_hours; may be deleted

As on one machine (see `hours`), a session is settled while its bars are in exactly the objects that its hours were made
from, of which <made from> is a digest, and <newest> is when the newest record in them was collected. Athena may write
the hours as several objects, and a run may be killed between two of them, so only whole runs count.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tickerlake.lake.hours import TIME

BARS_PREFIX = "bars/"
HOURS_PREFIX = "hours/"
# Athena does not read objects whose names begin with a dot or an underscore.
_PARTITION = re.compile(r"\w+/dt=(\d{4}-\d\d-\d\d)/[^/._][^/]*", re.ASCII)
_HOURS = re.compile(
    r".*/(?P<newest>\d{8}T\d{12}Z)-(?P<made_from>[0-9a-f]{12})-(?P<run>[0-9a-f]{12})-\d+-(?P<of>\d+)\.parquet", re.ASCII
)
RUN_OF_HOURS = "regexp_extract(\"$path\", '-([0-9a-f]{12})-[0-9]+-[0-9]+[.]parquet$', 1)"
"""SQL, on Athena: the run that wrote the object in which a row of settled_hours is."""


@dataclass(frozen=True)
class Stored:
    """One object of the lake: its key, what changes when its content does, and when it was written (UTC)."""

    key: str
    tag: str
    written: dt.datetime


Sessions = Mapping[str, Sequence[Stored]]
"""The objects of each session, oldest session first."""


@dataclass(frozen=True)
class Settled:
    """The hours of one settled session: the run that wrote them, and when the newest of its records was collected."""

    run: str
    newest: dt.datetime


def sessions(client: Any, bucket: str, prefix: str, first: str = "", last: str = "9999-12-31") -> Sessions:
    """The objects below `prefix` of the sessions from `first` to `last`. Raises botocore's errors."""
    found: dict[str, list[Stored]] = defaultdict(list)
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, StartAfter=f"{prefix}dt={first}"
    )
    for page in pages:
        for item in page.get("Contents", ()):
            if match := _PARTITION.fullmatch(item["Key"]):
                if match[1] > last:
                    return found
                found[match[1]].append(Stored(item["Key"], item["ETag"], item["LastModified"]))
    return found


def settled(bars: Sequence[Stored], hours: Iterable[Stored]) -> Settled | None:
    """The hours made from exactly the objects `bars` of a session, if all of them are among its `hours`."""
    made_from = digest(bars)
    runs: dict[tuple[str, ...], int] = defaultdict(int)
    for each in hours:
        match = _HOURS.fullmatch(each.key)
        if match and match["made_from"] == made_from:
            runs[match["run"], match["newest"], match["of"]] += 1
    whole = sorted((run, newest) for (run, newest, of), there in runs.items() if there == int(of))
    return next(
        (Settled(run, dt.datetime.strptime(newest, TIME).replace(tzinfo=dt.UTC)) for run, newest in whole), None
    )


def keys_of_hours(session: str, bars: Sequence[Stored], newest: dt.datetime, run: str, count: int) -> list[str]:
    """The keys of the `count` objects of the hours that `run` made from `bars`."""
    begin = f"{HOURS_PREFIX}dt={session}/{newest.strftime(TIME)}-{digest(bars)}-{run}"
    return [f"{begin}-{number}-{count}.parquet" for number in range(1, count + 1)]


def digest(bars: Sequence[Stored]) -> str:
    """What tells these objects from any others."""
    return hashlib.sha256("\n".join(sorted(f"{each.key} {each.tag}" for each in bars)).encode()).hexdigest()[:12]
