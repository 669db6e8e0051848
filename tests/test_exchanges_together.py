"""One lake with New York, London, Tokyo and a cryptocurrency, collected by the command line from two sources.

The days are 2025-12-23 and Christmas Eve, when New York and London close early. Every bar's high is 101 and its minute
in hundredths, so the last bar of each hour has the hour's high. Yahoo and the files of a broker differ in what
`MISSING` and `HIGHS` say.
"""

import datetime as dt
import re
import shutil

import pandas as pd
import pytest

from tests.fakes.yahoo import Bars, LoopbackSession, running_yahoo
from tickerlake import alerting, exchange
from tickerlake.alerts import Rule
from tickerlake.cli import main
from tickerlake.errors import ConfigError
from tickerlake.forecast.making import make
from tickerlake.lake.compaction import compact, finished
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.yahoo import YahooSource

EVE = dt.date(2025, 12, 24)
DAYS = (dt.date(2025, 12, 23), EVE)
CHRISTMAS = dt.datetime(2025, 12, 25, 6, tzinfo=dt.UTC)
LATER = CHRISTMAS + dt.timedelta(hours=3)
TICKERS = ("META", "VOD.L", "7203.T", "BTC-USD")
MISSING = {
    # In Tokyo the broker fills in the morning's first bar; nobody has the two around lunch.
    "yahoo": ("2025-12-24T09:00+09:00", "2025-12-24T11:25+09:00", "2025-12-24T12:30+09:00"),
    "broker": ("2025-12-24T11:25+09:00", "2025-12-24T12:30+09:00"),
}
DIFFERING, HIGHS = "2025-12-24T10:00+00:00", {"yahoo": 105.0, "broker": 104.0}
"""A bar of VOD.L with another high; Yahoo says so the second time only."""


def bars(ticker, source=None):
    """The bars of `ticker` on both days; without a source, before anybody differs."""
    starts = [start for day in DAYS for start in exchange.of(ticker).session_on(day).bar_starts(5)]
    frame = pd.DataFrame({"ts": pd.DatetimeIndex(starts), "open": 100.5, "high": 101.0, "low": 100.0, "close": 100.25})
    frame["high"] += frame["ts"].dt.minute / 100
    frame["volume"] = 1000
    if ticker == "7203.T":
        frame = frame[~frame["ts"].isin(pd.to_datetime(MISSING[source or "yahoo"], utc=True))]
    if ticker == "VOD.L" and source:
        frame.loc[frame["ts"] == pd.Timestamp(DIFFERING), "high"] = HIGHS[source]
    return frame.reset_index(drop=True)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Collected three times: from Yahoo, from Yahoo three hours later, and from the broker's files."""
    folder, exports = tmp_path_factory.mktemp("lake"), tmp_path_factory.mktemp("exports")
    toml = f"""
        tickers = {list(TICKERS)}
        sources = ["yahoo", "broker"]
        [vendor.file]
        folder = '{exports}'
        name = "broker"
    """
    (folder / "tickerlake.toml").write_text(toml)
    for ticker in ("VOD.L", "7203.T"):
        bars(ticker, "broker").assign(ticker=ticker).to_csv(exports / f"{exchange.of(ticker).name}.csv", index=False)
    now = CHRISTMAS
    command = ["collect", "--lake", str(folder), "--first", str(DAYS[0]), "--last", str(EVE)]
    with pytest.MonkeyPatch.context() as patch, running_yahoo(now=lambda: now) as yahoo:
        patch.setattr("tickerlake.cli.collect._now", lambda: now)
        open_yahoo = lambda: YahooSource(LoopbackSession(yahoo.origin), pause=lambda _: None)  # noqa: E731
        patch.setattr("tickerlake.sources.yahoo.YahooSource", open_yahoo)
        for ticker in TICKERS:
            yahoo.answers(ticker, Bars(bars(ticker)), Bars(bars(ticker, "yahoo")))
        codes = [main(command)]
        now = LATER
        codes += [main(command), main([*command, "--source", "file", "--tickers", "VOD.L,7203.T"])]
    assert codes == [0, 0, 0]
    return folder


@pytest.fixture(scope="module")
def compacted(lake, tmp_path_factory):
    folder = shutil.copytree(lake, tmp_path_factory.mktemp("compacted"), dirs_exist_ok=True)
    assert [each.files_after for each in compact(folder, finished(folder, LATER), LATER)] == [1, 1]
    return folder


@pytest.fixture(params=["lake", "compacted"])
def ask(request):
    """Asks a query for the columns named: its rows, with times as people see them."""
    engine = DuckDBEngine(request.getfixturevalue(request.param))

    def ask(name, *columns, **parameters):
        answer = run(engine, name, now=LATER, **parameters)
        rows = zip(*map(answer.column, columns), strict=True)
        return [tuple(f"{x:%d %H:%M%z}" if isinstance(x, dt.datetime) else x for x in row) for row in rows]

    return ask


def test_each_exchange_has_its_own_session(ask):
    assert ask("daily", "session", "ticker", "bars", "first_ts", "last_ts", "sources") == [
        ("2025-12-23", "7203.T", 66, "23 09:00+0900", "23 15:25+0900", "yahoo"),
        ("2025-12-23", "BTC-USD", 288, "23 00:00+0000", "23 23:55+0000", "yahoo"),
        ("2025-12-23", "META", 78, "23 09:30-0500", "23 15:55-0500", "yahoo"),
        ("2025-12-23", "VOD.L", 102, "23 08:00+0000", "23 16:25+0000", "yahoo"),
        ("2025-12-24", "7203.T", 64, "24 09:00+0900", "24 15:25+0900", "broker, yahoo"),
        ("2025-12-24", "BTC-USD", 288, "24 00:00+0000", "24 23:55+0000", "yahoo"),
        ("2025-12-24", "META", 42, "24 09:30-0500", "24 12:55-0500", "yahoo"),
        ("2025-12-24", "VOD.L", 54, "24 08:00+0000", "24 12:25+0000", "yahoo"),
    ]


def test_an_early_close_and_a_lunch_break_leave_no_gap(ask):
    assert ask("coverage", "session", "ticker", "expected", "missing", "absent", "gaps") == [
        ("2025-12-23", "7203.T", 66, 0, 0, ""),
        ("2025-12-23", "BTC-USD", 288, 0, 0, ""),
        ("2025-12-23", "META", 78, 0, 0, ""),
        ("2025-12-23", "VOD.L", 102, 0, 0, ""),
        ("2025-12-24", "7203.T", 66, 2, 2, "11:25-12:30"),
        ("2025-12-24", "BTC-USD", 288, 0, 0, ""),
        ("2025-12-24", "META", 42, 0, 0, ""),
        ("2025-12-24", "VOD.L", 54, 0, 0, ""),
    ]


def test_hours_are_those_of_each_exchange(ask):
    rows = ask("hourly_high", "ticker", "hour", "high", "ts", first=EVE, tickers=["META", "VOD.L", "7203.T"])

    assert rows == [
        ("7203.T", 9, 101.55, "24 09:55+0900"),
        ("7203.T", 10, 101.55, "24 10:55+0900"),
        ("7203.T", 11, 101.20, "24 11:20+0900"),
        ("7203.T", 12, 101.55, "24 12:55+0900"),
        ("7203.T", 13, 101.55, "24 13:55+0900"),
        ("7203.T", 14, 101.55, "24 14:55+0900"),
        ("7203.T", 15, 101.25, "24 15:25+0900"),
        ("META", 9, 101.55, "24 09:55-0500"),
        ("META", 10, 101.55, "24 10:55-0500"),
        ("META", 11, 101.55, "24 11:55-0500"),
        ("META", 12, 101.55, "24 12:55-0500"),
        ("VOD.L", 8, 101.55, "24 08:55+0000"),
        ("VOD.L", 9, 101.55, "24 09:55+0000"),
        ("VOD.L", 10, 105.00, "24 10:00+0000"),
        ("VOD.L", 11, 101.55, "24 11:55+0000"),
        ("VOD.L", 12, 101.25, "24 12:25+0000"),
    ]


def test_a_cryptocurrency_has_a_high_in_each_of_24_hours(ask):
    expected = [(hour, 101.55, f"24 {hour:02}:55+0000") for hour in range(24)]
    assert ask("hourly_high", "hour", "high", "ts", first=EVE, tickers=["BTC-USD"]) == expected


def test_the_preferred_source_answers_and_the_other_fills_in(ask):
    around_lunch = [row for row in ask("bars", "ts", "source", first=EVE, tickers=["7203.T"]) if row[0] < "24 12:4"]

    assert around_lunch[0] == ("24 09:00+0900", "broker")
    assert [row[0] for row in around_lunch[-3:]] == ["24 11:15+0900", "24 11:20+0900", "24 12:35+0900"]
    assert {source for _, source in around_lunch[1:]} == {"yahoo"}


def test_disagreements_and_restatements_are_told_in_the_exchanges_time(ask):
    disagreements = ask("disagreements", "ticker", "ts", "source", "high", "other_source", "other_high")
    restatements = ask("restatements", "ticker", "ts", "source", "kind", "old_high", "new_high", "new_collected")

    assert disagreements == [("VOD.L", "24 10:00+0000", "yahoo", 105.0, "broker", 104.0)]
    assert restatements == [("VOD.L", "24 10:00+0000", "yahoo", "restated", 101.0, 105.0, "25 09:00+0000")]


def test_what_the_lake_knew_before_is_without_the_restatement(ask):
    rows = ask("hourly_high", "hour", "high", first=EVE, tickers=["VOD.L"], as_of=CHRISTMAS)
    assert rows[2] == (10, 101.55)


def test_a_moment_without_an_offset_is_in_the_time_of_the_tickers_exchange(lake, ask):
    tokyo = {"tickers": ["7203.T"], "first": EVE}

    assert ask("daily", "bars", "sources", as_of="2025-12-25T18:00", **tokyo) == [(64, "broker, yahoo")]
    assert ask("daily", "bars", "sources", as_of="2025-12-25T17:59", **tokyo) == [(63, "yahoo")]
    # Of all tickers in the lake it would mean three moments; in London and in UTC it is the same one.
    engine = DuckDBEngine(lake)
    written = "2025-12-25T07:00+09:00 or 2025-12-25T07:00+00:00 or 2025-12-25T07:00-05:00"
    with pytest.raises(ConfigError, match=f"^as_of: 2025-12-25T07:00 .* exchanges; write {re.escape(written)}$"):
        run(engine, "daily", as_of="2025-12-25T07:00")
    highs = run(engine, "hourly_high", first=EVE, tickers=["VOD.L", "BTC-USD"], as_of="2025-12-25T09:00").column("high")
    assert max(highs) == 105.0


def test_a_date_has_a_session_of_each_exchange(ask):
    # Twice what the broker has, too; and what Yahoo restated.
    assert ask("sessions", "session", "exchange", "tickers", "records", "sources", "first_ts", "last_ts") == [
        ("2025-12-23", "24/7", 1, 288, "yahoo", "23 00:00+0000", "23 23:55+0000"),
        ("2025-12-23", "XLON", 1, 204, "broker, yahoo", "23 08:00+0000", "23 16:25+0000"),
        ("2025-12-23", "XNYS", 1, 78, "yahoo", "23 09:30-0500", "23 15:55-0500"),
        ("2025-12-23", "XTKS", 1, 132, "broker, yahoo", "23 09:00+0900", "23 15:25+0900"),
        ("2025-12-24", "24/7", 1, 288, "yahoo", "24 00:00+0000", "24 23:55+0000"),
        ("2025-12-24", "XLON", 1, 109, "broker, yahoo", "24 08:00+0000", "24 12:25+0000"),
        ("2025-12-24", "XNYS", 1, 42, "yahoo", "24 09:30-0500", "24 12:55-0500"),
        ("2025-12-24", "XTKS", 1, 127, "broker, yahoo", "24 09:00+0900", "24 15:25+0900"),
    ]
    assert ask("tickers", "ticker", "first_session", "last_session", "sessions") == [
        (ticker, "2025-12-23", "2025-12-24", 2) for ticker in sorted(TICKERS)
    ]


def test_each_record_names_its_exchange_and_currency(lake):
    answer = DuckDBEngine(lake).ask("SELECT DISTINCT ticker, exchange, currency FROM records ORDER BY ticker")

    assert answer.rows == [
        ("7203.T", "XTKS", "JPY"),
        ("BTC-USD", "24/7", "USD"),
        ("META", "XNYS", "USD"),
        ("VOD.L", "XLON", "GBp"),
    ]


class Listening(DuckDBEngine):
    """Remembers which tickers it is asked for."""

    def run(self, sql, parameters, *more, **options):
        self.asked = getattr(self, "asked", set()) | set(parameters["tickers"])
        return super().run(sql, parameters, *more, **options)


@pytest.mark.parametrize(("code", "day", "tickers"), [("XLON", EVE, ["VOD.L"]), ("XETR", DAYS[0], [])])
def test_alerts_and_forecasts_take_the_bars_of_their_exchange_alone(lake, code, day, tickers):
    session = exchange.EXCHANGES[code].session_on(day)

    engine = Listening(lake)
    found = alerting.days(engine, [Rule("new-high", 2)], session.open, session.exchange)
    assert [(each.ticker, len(each.bars), each.earlier_highs) for each in found] == [
        (ticker, 54, [101.55]) for ticker in tickers
    ]
    assert engine.asked == {"*", *tickers}

    engine = Listening(lake)
    assert make(engine, [session], LATER).short == dict.fromkeys(tickers, 1)
    assert engine.asked == {"*", *tickers}
