"""Compaction of the lake in S3: Athena writes the records of a finished session to a few new objects.

1. `UNLOAD` writes the records to keep below a prefix of its own in the bucket for results.
2. Those objects are copied to the session's folder, under names that no other run uses.
3. One query counts what the old and the new objects hold, and looks for records that the new ones lack.
4. The old objects are deleted: those that were listed before step 1, and no others.
5. `UNLOAD` sums up the bars in force hour by hour, and the result is copied to the table settled_hours. Hours that are
   of no use any more are deleted an hour later, when no query that chose them is still running.

Not `INSERT INTO`: a query that fails leaves behind what it has written so far, in the table itself, and Athena does not
delete it: https://docs.aws.amazon.com/athena/latest/ug/unload.html ("Orphaned data not deleted"). What a failed UNLOAD
leaves is outside the table, and expires with the results.

The lake is append-only and records may come twice, so old and new objects together give the same answers as either. A
run may be killed anywhere: the next one lists what is there, and starts again. Two runs at once cannot delete each
other's objects in a circle, because no name is used twice: whatever a run replaces is older than what it writes.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.athena import Athena
from tickerlake.errors import SinkError
from tickerlake.lake import bucket, hours
from tickerlake.lake.bucket import BARS_PREFIX, HOURS_PREFIX, Stored
from tickerlake.lake.finished import COMPACTED
from tickerlake.lake.sql import in_force, kept, quoted
from tickerlake.record import COLUMNS, HOURS, KEY

MOST_OBJECTS = 1_000
"""Their names must fit into a query twice: https://docs.aws.amazon.com/athena/latest/ug/service-limits.html (256 KB)"""
_RUN = re.compile(rf".*/\d{{8}}T\d{{6}}Z-([0-9a-f]{{12}})-\d+{re.escape(COMPACTED)}")
_DELETED_AT_ONCE = 1_000
_READ_FOR = dt.timedelta(hours=1)
"""How long a query may still read hours that it chose: Athena ends one after 30 minutes, see service-limits.html."""
_NAMES = ", ".join(column.name for column in COLUMNS)
_HOURS = ", ".join(column.name for column in HOURS)


@dataclass(frozen=True)
class Listed:
    """The objects of one session."""

    bars: Sequence[Stored]
    hours: Sequence[Stored] = ()

    @property
    def keys(self) -> list[str]:
        """The keys of its bars."""
        return [each.key for each in self.bars]

    @property
    def settled(self) -> bucket.Settled | None:
        """Its hours, if they hold for exactly these bars."""
        return bucket.settled(self.bars, self.hours)

    @property
    def is_done(self) -> bool:
        """Whether it is compact and has its hours."""
        return is_compact(self.keys) and self.settled is not None

    def superseded(self, now: dt.datetime) -> list[str]:
        """The keys of the hours that do not hold for these bars, or are not all there, and that nobody reads now."""
        held = self.settled
        return [
            each.key
            for each in self.hours
            if each.written + _READ_FOR < now and not (held and f"-{held.run}-" in each.key)
        ]


@dataclass(frozen=True)
class Compacted:
    """What compaction did to one session."""

    session: str
    objects: int
    """Objects before."""
    records: int
    objects_after: int
    records_after: int


class Lake:
    """The bars in `bucket`. Athena writes to the bucket `results` first."""

    def __init__(self, bucket: str, results: str, athena: Athena, client: Any) -> None:
        self._bucket = bucket
        self._results = results
        self._athena = athena
        self._client = client

    def sessions(self) -> dict[str, Listed]:
        """The objects of each session, newest session first. SinkError."""
        bars, summed = self._list(BARS_PREFIX), self._list(HOURS_PREFIX)
        return {
            session: Listed(bars.get(session, ()), summed.get(session, ()))
            for session in sorted({*bars, *summed}, reverse=True)
        }

    def exchanges(self, session: str) -> list[str]:
        """The codes of the exchanges with bars in `session`. QueryFailed."""
        rows = self._athena.run("SELECT DISTINCT exchange FROM bars WHERE dt = %(session)s", {"session": session}).rows
        return [code for (code,) in rows]

    def compact(self, session: str, listed: Sequence[str], now: dt.datetime) -> Compacted:
        """Replaces the objects `listed` of a finished session. SinkError, QueryFailed; then nothing has changed."""
        if len(listed) > MOST_OBJECTS:
            raise SinkError(
                f"{session} has {len(listed)} objects, and a query names {MOST_OBJECTS} at most; "
                "copy its folder to a local lake, compact it there, and copy it back"
            )
        run = uuid.uuid4().hex[:12]
        staged = self._athena.unload(
            f"{_kept(self._records(session, listed))} ORDER BY {', '.join(KEY)}, collected_at",
            f"s3://{self._results}/compaction/{session}/{run}/",
        )
        if not staged:
            raise SinkError(f"{session}: Athena finds no records in its {len(listed)} objects; they stay")
        written: list[str] = []
        try:
            for number, source in enumerate(staged, start=1):
                written.append(f"{BARS_PREFIX}dt={session}/{now:%Y%m%dT%H%M%SZ}-{run}-{number}{COMPACTED}")
                self._copy(source, written[-1])
            before, after = self._compare(session, listed, written)
        except BaseException:
            # Nothing is deleted yet, so the old objects hold everything.
            self.delete(written)
            raise
        self.delete(listed)
        return Compacted(session, len(listed), before, len(written), after)

    def settle(self, session: str) -> bool:
        """Writes the hours of a finished session; returns whether there are any now. SinkError, QueryFailed.

        There are none if the session is not compact, because objects came meanwhile, and if no bar is in force.
        """
        bars = self._list(BARS_PREFIX, session, session).get(session, ())
        keys = [each.key for each in bars]
        if not keys or not is_compact(keys):
            return False
        run = uuid.uuid4().hex[:12]
        records = f"({self._records(session, keys)})"
        summed = hours.summed(f"({in_force(f'{records} records')})")
        staged = self._athena.unload(
            f"SELECT {_HOURS} FROM ({summed}) summed ORDER BY {hours.ORDER}",  # noqa: S608  # our own names
            f"s3://{self._results}/hours/{session}/{run}/",
        )
        if not staged:  # no bar is in force
            return False
        ((newest,),) = self._athena.run(f"SELECT max(collected_at) FROM {records} records", {}).rows  # noqa: S608
        names = bucket.keys_of_hours(session, bars, newest.astimezone(dt.UTC), run, len(staged))
        for source, key in zip(staged, names, strict=True):
            self._copy(source, key)
        return True

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes these objects. SinkError: what they hold is there twice then."""
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            objects = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
            try:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
            except (BotoCoreError, ClientError) as error:
                raise SinkError(f"cannot delete {objects[0]['Key']}: {error}; what it holds is there twice") from error
            if faults := answer.get("Errors"):
                raise SinkError(
                    f"cannot delete {faults[0]['Key']}: {faults[0].get('Message', faults[0].get('Code'))}; "
                    "what it holds is there twice"
                )

    def _list(self, prefix: str, first: str = "", last: str = "9999-12-31") -> bucket.Sessions:
        try:
            return bucket.sessions(self._client, self._bucket, prefix, first, last)
        except (BotoCoreError, ClientError) as error:
            raise SinkError(f"cannot list s3://{self._bucket}/{prefix}: {error}") from error

    def _compare(self, session: str, listed: Sequence[str], written: Sequence[str]) -> tuple[int, int]:
        """The number of records before and after. SinkError if more is gone than repeats."""
        before, wanted, after, lost = self._athena.run(
            f"""
WITH
replaced AS ({self._records(session, listed)}),
wanted AS ({_kept("replaced")}),
written AS ({self._records(session, written)})
SELECT
    (SELECT count(*) FROM replaced) AS before,
    (SELECT count(*) FROM wanted) AS wanted,
    (SELECT count(*) FROM written) AS after,
    (SELECT count(*) FROM (SELECT {_NAMES} FROM wanted EXCEPT SELECT {_NAMES} FROM written) missing) AS lost
""",  # noqa: S608  # our own names
            {},
        ).rows[0]
        if lost or after != wanted:
            raise SinkError(
                f"{session}: the new objects hold {after} records, {wanted} of {before} were to be kept, and {lost} of "
                "them are missing; the old objects stay"
            )
        return before, after

    def _records(self, session: str, keys: Sequence[str]) -> str:
        """The SQL of the records in the objects `keys` of one session."""
        # https://docs.aws.amazon.com/athena/latest/ug/select.html: "$path" is the object that a row comes from.
        paths = ", ".join(quoted(f"s3://{self._bucket}/{key}") for key in keys)
        return f'SELECT {_NAMES} FROM bars WHERE dt = {quoted(session)} AND "$path" IN ({paths})'  # noqa: S608

    def _copy(self, source: str, key: str) -> None:
        bucket, _, name = source.removeprefix("s3://").partition("/")
        try:
            self._client.copy_object(Bucket=self._bucket, Key=key, CopySource={"Bucket": bucket, "Key": name})
        except (BotoCoreError, ClientError) as error:
            raise SinkError(f"cannot copy {source} to s3://{self._bucket}/{key}: {error}") from error


def is_compact(keys: Sequence[str]) -> bool:
    """Whether one object, or one run of compaction, holds the session."""
    runs = {match[1] if (match := _RUN.fullmatch(key)) else key for key in keys}
    return len(keys) <= 1 or (len(runs) == 1 and not runs & set(keys))


def _kept(records: str) -> str:
    """The SQL of the columns of the records to keep."""
    table = records if records.isidentifier() else f"({records}) records"
    return f"SELECT {_NAMES} FROM ({kept(table)}) kept"  # noqa: S608  # our own names
