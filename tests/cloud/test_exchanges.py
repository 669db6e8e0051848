"""Tickers of several exchanges in one stack: each exchange is collected by its own schedules, in its own sessions."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from functions.compactor.compaction import is_compact
from tests.cloud.stack import create_in, own_code
from tests.infra.recorder import deploy, stack_config
from tickerlake import exchange
from tickerlake.query import open_engine, run

LONDON = exchange.XLON.last_sessions(dt.datetime.now(dt.UTC) - dt.timedelta(days=20), 1)[0]
DAY = exchange.CRYPTO.session_on(LONDON.date)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def world(guarded, tmp_path_factory):
    """A stack with tickers of three exchanges, beside the other one."""
    file = tmp_path_factory.mktemp("world") / "tickerlake.toml"
    file.write_text('tickers = ["META", "VOD.L", "BTC-USD"]\n', encoding="utf-8")
    recording = deploy({**stack_config("dev"), "tickerlake:watchlist": str(file)}, "world")
    beside = replace(guarded, outputs=recording.exports["tickerlake"], created=[], _counted={})
    return create_in(beside, recording, own_code())


@pytest.fixture
def engine(world, monkeypatch):
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    return open_engine(world.settings)


def test_the_schedules_of_each_exchange_bring_its_own_bars_to_athena(world, engine):
    since = dt.datetime.now(dt.UTC)
    for kind, now in {
        "crypto-collect-1": LONDON.close + dt.timedelta(minutes=3),
        "london-sweep-1": LONDON.close + dt.timedelta(minutes=65),
        "crypto-sweep-1": DAY.close + dt.timedelta(minutes=65),
    }.items():
        with world.clock(now):
            world.fire(kind)
    world.settle(LONDON, 6 + 102 + 288)

    when = {"first": LONDON.date, "last": LONDON.date}
    bars = run(engine, "bars", **when).frame
    assert bars.groupby("ticker").size().to_dict() == {"BTC-USD": 288, "VOD.L": 102}
    coverage = run(engine, "coverage", **when, now=DAY.close + HOUR).frame
    assert coverage.set_index("ticker")["missing"].to_dict() == {"BTC-USD": 0, "VOD.L": 0}
    delivered = [(line["exchange"], *line["BarsDelivered"]) for line in world.runs(since) if "BarsDelivered" in line]
    assert delivered == [("24/7", 6), ("XLON", 102), ("24/7", 288)]
    assert world.failures() == []


def test_their_session_is_compacted_an_hour_after_the_last_close(world):
    for now, compacted in {DAY.close + 0.98 * HOUR: [], DAY.close + HOUR: [DAY.dt]}.items():
        with world.clock(now):
            report = world.invoke({}, "compactor")
        assert [each["session"] for each in report["compacted"]] == compacted
        assert is_compact(world.objects(f"bars/dt={DAY.dt}/")) == bool(compacted)
