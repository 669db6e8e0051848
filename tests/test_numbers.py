"""The page "How numbers stay true" is true: its lakes are built here, and its commands print what it shows."""

import datetime as dt
from pathlib import Path

import pytest

from tests.console import assert_prints, commands
from tests.sources.answers import Vendor
from tickerlake.collect import collect
from tickerlake.exchange import XNYS
from tickerlake.lake.parquet import ParquetSink

PAGE = (Path(__file__).parents[1] / "docs" / "numbers.md").read_text(encoding="utf-8")
THURSDAY, FRIDAY = XNYS.session_on(dt.date(2026, 11, 19)), XNYS.session_on(dt.date(2026, 11, 20))
EVENING, MORNING = dt.timedelta(minutes=45), dt.timedelta(hours=14)
NEXT_NOON, DAY_AFTER = dt.timedelta(hours=19), dt.timedelta(hours=38)
TEN_O_CLOCK = 6
"""The place of the 10:00 bar in the session."""
RUNS = commands(PAGE)


class Other(Vendor):
    name = "alpaca"


def vendor(session, kind=Vendor, price=100.0):
    """One whose highs fall slowly, so that the first bar of each hour has its high."""
    made = kind(session)
    for place in range(78):
        made.restate(place, open=price, high=price + 0.5 - place / 1000, low=price - 0.5, close=price)
    return made


def collected(lake, source, session, after):
    collect(source, ParquetSink(lake), [session], ["META"], 5, lambda: session.close + after)


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbers")

    source = vendor(FRIDAY)
    for high, after in ((102.0, EVENING), (101.0, MORNING)):
        source.restate(TEN_O_CLOCK, high=high)
        collected(folder / "restated", source, FRIDAY, after)

    source = vendor(FRIDAY)
    source.restate(TEN_O_CLOCK, high=999.0)
    collected(folder / "withdrawn", source, FRIDAY, EVENING)
    source.leave_out(TEN_O_CLOCK)
    collected(folder / "withdrawn", source, FRIDAY, MORNING)

    collected(folder / "split", Vendor(THURSDAY), THURSDAY, EVENING)
    source = Vendor(FRIDAY)
    for place in range(78):
        source.restate(place, open=10.0, high=10.05, low=9.95, close=10.0)
    source.splits = [(FRIDAY.date, 10.0)]
    collected(folder / "split", source, FRIDAY, EVENING)

    source = Vendor(THURSDAY)
    collected(folder / "late", source, THURSDAY, EVENING)
    source.splits = [(FRIDAY.date, 10.0)]
    collected(folder / "late", source, THURSDAY, NEXT_NOON)
    for place in range(78):
        source.restate(place, open=10.0, high=10.05, low=9.95, close=10.0)
    collected(folder / "late", source, THURSDAY, DAY_AFTER)

    collected(folder / "jump", Vendor(THURSDAY), THURSDAY, EVENING)
    collected(folder / "jump", vendor(FRIDAY, price=10.0), FRIDAY, EVENING)

    other = vendor(FRIDAY, Other)
    other.restate(TEN_O_CLOCK, high=103.0)
    collected(folder / "two-sources", vendor(FRIDAY), FRIDAY, EVENING)
    collected(folder / "two-sources", other, FRIDAY, MORNING)
    return folder


@pytest.mark.parametrize(("line", "shown"), RUNS)
def test_each_command_prints_the_lines_that_the_page_shows(lakes, monkeypatch, capsys, line, shown):
    assert_prints(line, shown, lakes, monkeypatch, capsys)


def test_every_case_of_the_page_is_run():
    assert len(RUNS) == PAGE.count("$ tickerlake") == 14
