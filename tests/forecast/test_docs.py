"""The page "Forecasts, and their scores" is true: its lake is built here, and its commands print what it shows."""

import datetime as dt
from pathlib import Path

import pytest
import time_machine

from tests.console import assert_prints, commands
from tickerlake import exchange
from tickerlake.cli import main
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.simulated import SimulatedSource

PAGE = (Path(__file__).parents[2] / "docs" / "forecast.md").read_text(encoding="utf-8")
SESSIONS = exchange.XNYS.sessions_between(dt.date(2026, 7, 1), dt.date(2026, 11, 20))[-40:]
FRIDAY = SESSIONS[-1]
ELEVEN = FRIDAY.open + dt.timedelta(hours=1, minutes=30, seconds=20)
EVENING = FRIDAY.close + dt.timedelta(hours=1)
RUNS = commands(PAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast")
    sink = ParquetSink(folder / "lake")
    for sessions, now in ((SESSIONS[:-1], SESSIONS[-2].close + dt.timedelta(hours=1)), ([FRIDAY], ELEVEN)):
        collect(SimulatedSource(), sink, sessions, ["META", "AMZN"], 30, lambda now=now: now)
    with time_machine.travel(ELEVEN, tick=False):
        assert main(["forecast", "--lake", str(folder / "lake")]) == 0
    collect(SimulatedSource(), sink, [FRIDAY], ["META", "AMZN"], 30, lambda: EVENING)
    with time_machine.travel(EVENING, tick=False):
        assert main(["forecast", "--first", "2026-10-26", "--lake", str(folder / "lake")]) == 0
    return folder


@pytest.mark.parametrize(("line", "shown"), RUNS)
def test_each_command_prints_the_lines_that_the_page_shows(folder, monkeypatch, capsys, line, shown):
    with time_machine.travel(EVENING, tick=False):
        assert_prints(line, shown, folder, monkeypatch, capsys)


def test_every_command_of_the_page_is_run():
    assert len(RUNS) == PAGE.count("$ tickerlake") == 6
