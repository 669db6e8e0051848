"""Compaction in the cloud: fewer objects, and the same answer to every query, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import io
import time

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from functions.athena import Athena
from functions.compactor.compaction import Lake, is_compact
from functions.compactor.handler import CompactionFailed, respond
from tests.cloud.stack import own_code
from tickerlake import bars
from tickerlake.errors import ConfigError
from tickerlake.lake.compaction import compact
from tickerlake.lake.layout import Layout
from tickerlake.lake.schema import parquet_schema
from tickerlake.query import run
from tickerlake.record import COLUMNS
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.watchlist import DEFAULT as WATCHLIST

QUERIES = ("hourly_high", "bars", "restatements", "coverage")
TICKERS = WATCHLIST[:3]

pytestmark = pytest.mark.usefixtures("_points_at_the_stack")


class Death(BaseException):
    """The process is killed: nothing of it runs any more."""


class Mortal:
    """A client that dies when it is asked for `operation` for the `call`-th time."""

    def __init__(self, client, operation="", call=1):
        self._client, self._operation, self._left, self._dead = client, operation, call, False

    def __getattr__(self, name):
        real = getattr(self._client, name)

        def send(*args, **kwargs):
            self._left -= name == self._operation
            self._dead = self._dead or (name == self._operation and not self._left)
            if self._dead:
                raise Death
            return real(*args, **kwargs)

        return send


class Following(Mortal):
    """A client that dies with another one."""

    def __init__(self, client, other):
        super().__init__(client)
        self._other = other

    def __getattr__(self, name):
        if self._other._dead:
            raise Death
        return super().__getattr__(name)


@pytest.fixture(scope="module", autouse=True)
def _quick_to_start(stack):
    with stack.code(own_code()):
        yield


@pytest.fixture
def lake(stack):
    """`lake(s3=…, athena=…)` is the deployed lake as the function sees it, with other clients."""

    def opened(**clients):
        client = {"s3": stack.client("s3"), "athena": stack.client("athena"), **clients}
        athena = Athena(stack.outputs["database"], stack.outputs["workgroup"], client=client.get)
        athena._pause = lambda _: time.sleep(0.02)
        return Lake(stack.outputs["bucket"], stack.outputs["results"], athena, client["s3"])

    return opened


@pytest.fixture
def collected(stack, session):
    """A session that was collected three times; one bar was corrected before the second."""
    given = [SimulatedSource().bars(ticker, [session], 5).assign(ticker=ticker) for ticker in TICKERS]
    frame = pd.concat(given, ignore_index=True)
    for number in range(3):
        frame.loc[20, "high"] += 5 * (number == 1)
        at = session.close + dt.timedelta(hours=number + 1)
        records = bars.as_bars(bars.placed(frame).assign(bar_minutes=5, source="yahoo", collected_at=at))
        naive = records.assign(**{name: records[name].dt.tz_localize(None) for name in ("ts", "collected_at")})
        body = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(naive, parquet_schema(COLUMNS), preserve_index=False), body)
        key = f"bars/dt={session.dt}/{number}.parquet"
        stack.client("s3").put_object(Bucket=stack.outputs["bucket"], Key=key, Body=body.getvalue())
    return session


@pytest.fixture
def answers(engine):
    """Every query's answer, and what the lake knew in the middle."""

    def asked(session):
        when = {"first": session.date, "last": session.date}
        return {name: run(engine, name, **when).frame for name in QUERIES}

    return asked


def count(session):
    return len(TICKERS) * len(session.bar_starts(5))


def same(before, after):
    for name, frame in before.items():
        pd.testing.assert_frame_equal(after[name], frame, obj=name)


def keys(stack, session):
    return stack.objects(f"bars/dt={session.dt}/")


def hours(stack, session):
    return stack.objects(f"hours/dt={session.dt}/")


def raised(stack, session, by):
    """Raises every high among the session's hours, so that an answer shows where it comes from."""
    for key in hours(stack, session):
        table = pq.read_table(io.BytesIO(stack.read(key)))
        place = table.column_names.index("high")
        body = io.BytesIO()
        pq.write_table(table.set_column(place, "high", pc.add(table["high"], float(by))), body)
        stack.client("s3").put_object(Bucket=stack.outputs["bucket"], Key=key, Body=body.getvalue())


def now():
    return dt.datetime.now(dt.UTC)


def test_its_schedule_starts_it_and_every_query_answers_as_before(stack, session, answers):
    for number in (1, 2, 3):
        stack.invoke({"session": session.dt, "tickers": list(TICKERS)})
        stack.settle(session, number * count(session))
    before, old, since = answers(session), keys(stack, session), now()

    stack.fire("compact", "compactor")

    (metrics,) = stack.runs(since, "compactor")
    assert metrics["Compactions"] == [1]
    assert metrics["ObjectsReplaced"][0] >= len(old) >= 3
    reports = [line["report"] for line in stack.log(since, "compactor") if "report" in line]
    (done,) = [each for each in reports[0]["compacted"] if each["session"] == session.dt]
    # Of the three records of a bar the first and the last stay.
    assert (done["records"], done["records_after"]) == (3 * count(session), 2 * count(session))
    assert not set(keys(stack, session)) & set(old)
    assert is_compact(keys(stack, session))
    assert session.dt in reports[0]["settled"]
    same(before, answers(session))
    assert stack.failures() == []


def test_it_keeps_the_records_that_the_local_compactor_keeps(stack, collected, lake, tmp_path):
    partition = Layout(tmp_path).partition(collected.dt)
    partition.mkdir(parents=True)
    for key in keys(stack, collected):
        (partition / key.rpartition("/")[2]).write_bytes(stack.read(key))
    assert not next(compact(tmp_path, [collected.dt], now())).error

    respond({"session": collected.dt}, lake(), now())

    there = pa.concat_tables([pq.read_table(io.BytesIO(stack.read(key))) for key in keys(stack, collected)])
    here = pq.read_table(*Layout(tmp_path).files(), partitioning=None)
    assert there.cast(here.schema).equals(here)


KILLS = [
    ("athena", "start_query_execution", 1),
    ("athena", "get_query_execution", 1),
    ("s3", "get_object", 1),
    ("s3", "copy_object", 1),
    ("s3", "copy_object", 2),
    ("athena", "start_query_execution", 2),
    ("athena", "get_paginator", 1),
    ("s3", "delete_objects", 1),
]
SETTLING_KILLS = [
    ("athena", "start_query_execution", 1),
    ("s3", "get_object", 1),
    ("athena", "start_query_execution", 2),
    ("s3", "copy_object", 1),
    ("s3", "copy_object", 3),
]


def test_runs_that_are_killed_at_any_step_lose_nothing_and_change_no_answer(stack, collected, answers, lake):
    before = answers(collected)

    def killed_at(service, operation, call):
        dying = Mortal(stack.client(service), operation, call)
        both = {service: dying} if service == "s3" else {service: dying, "s3": Following(stack.client("s3"), dying)}
        with pytest.raises(Death):
            respond({"session": collected.dt}, lake(**both), now())
        same(before, answers(collected))

    for kill in KILLS:
        killed_at(*kill)
        assert not is_compact(keys(stack, collected)), kill
    lake().compact(collected.dt, keys(stack, collected), now())
    for kill in SETTLING_KILLS:
        killed_at(*kill)
        assert not lake().sessions()[collected.dt].is_done, kill
    respond({"session": collected.dt}, lake(), now())

    assert lake().sessions()[collected.dt].is_done
    same(before, answers(collected))
    # What the killed runs left is deleted once no query can be reading it.
    assert len(hours(stack, collected)) > 3
    respond({"session": collected.dt}, lake(), now() + dt.timedelta(hours=2))
    assert len(hours(stack, collected)) == 3
    same(before, answers(collected))


def test_hourly_highs_come_from_the_settled_hours_while_these_hold(stack, collected, answers, lake, engine):
    before = answers(collected)["hourly_high"]
    asked = {"first": collected.date, "last": collected.date}
    respond({"session": collected.dt}, lake(), now())
    raised(stack, collected, by=1000)

    settled = run(engine, "hourly_high", **asked).frame
    assert (settled["high"] == before["high"] + 1000).all()
    # Not all that they hold was known then.
    early = run(engine, "hourly_high", **asked, as_of=collected.close + dt.timedelta(hours=1)).frame
    assert (early["high"] < 1000).all()
    assert len(early) == len(before)
    late = f"bars/dt={collected.dt}/late.parquet"
    stack.client("s3").put_object(Bucket=stack.outputs["bucket"], Key=late, Body=stack.read(keys(stack, collected)[0]))
    pd.testing.assert_frame_equal(run(engine, "hourly_high", **asked).frame, before)
    # The next run makes new hours; the old ones stay for the queries that chose them, and no other query reads them.
    respond({"session": collected.dt}, lake(), now())
    assert late not in keys(stack, collected)
    assert len(hours(stack, collected)) == 6
    pd.testing.assert_frame_equal(run(engine, "hourly_high", **asked).frame, before)


def test_a_second_run_changes_nothing(stack, collected, lake):
    respond({"session": collected.dt}, lake(), now())
    compacted = keys(stack, collected)

    report = respond({"session": collected.dt}, lake(), now())

    assert report == {"compacted": [], "settled": [], "failed": {}, "left": 0}
    assert keys(stack, collected) == compacted


def test_only_listed_objects_are_deleted_and_later_ones_join_the_next_run(stack, collected, answers, lake):
    before = answers(collected)
    late = f"bars/dt={collected.dt}/late.parquet"
    first = keys(stack, collected)[0]

    class Arriving(Mortal):
        def copy_object(self, **kwargs):
            stack.client("s3").put_object(Bucket=stack.outputs["bucket"], Key=late, Body=stack.read(first))
            return stack.client("s3").copy_object(**kwargs)

    respond({"session": collected.dt}, lake(s3=Arriving(stack.client("s3"))), now())

    assert late in keys(stack, collected)
    same(before, answers(collected))
    respond({"session": collected.dt}, lake(), now())
    assert late not in keys(stack, collected)
    same(before, answers(collected))


def test_old_objects_stay_if_the_new_ones_lack_a_record(stack, collected, lake):
    old = keys(stack, collected)

    class Losing(Mortal):
        def copy_object(self, CopySource, **kwargs):  # noqa: N803
            place = io.BytesIO()
            held = stack.client("s3").get_object(**CopySource)["Body"].read()
            pq.write_table(pq.read_table(io.BytesIO(held))[1:], place)
            return stack.client("s3").put_object(Body=place.getvalue(), **kwargs)

    with pytest.raises(CompactionFailed, match=r"were to be kept, and \d of them are missing; the old objects stay"):
        respond({"session": collected.dt}, lake(s3=Losing(stack.client("s3"))), now())

    assert keys(stack, collected) == old


def test_two_runs_at_once_lose_nothing(stack, collected, answers, lake):
    before = answers(collected)

    class Overtaken(Mortal):
        def copy_object(self, **kwargs):
            if not waiting:
                waiting.append(respond({"session": collected.dt}, lake(), now()))
            return stack.client("s3").copy_object(**kwargs)

    waiting = []
    with pytest.raises(CompactionFailed):
        respond({"session": collected.dt}, lake(s3=Overtaken(stack.client("s3"))), now())

    assert is_compact(keys(stack, collected))
    same(before, answers(collected))


def test_a_running_session_is_refused(stack, collected, lake):
    with pytest.raises(ConfigError, match="may still be collected"):
        respond({"session": collected.dt}, lake(), collected.close + dt.timedelta(minutes=59))

    assert respond({}, lake(), collected.close + dt.timedelta(minutes=59))["failed"] == {}
    assert not is_compact(keys(stack, collected))
