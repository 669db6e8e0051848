from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from tests.fakes import alpaca as fake
from tests.fakes import vendor
from tests.fakes.alpaca import KEY, FakeAlpaca
from tests.fakes.sinks import MemorySink
from tests.fakes.yahoo import LoopbackSession
from tickerlake import exchange
from tickerlake.cli import main
from tickerlake.collect import collect
from tickerlake.errors import ConfigError, NoData, RateLimited, Unavailable
from tickerlake.exchange import XNYS
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources import open_source
from tickerlake.sources.alpaca import AlpacaSource
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.yahoo import YahooSource

FRIDAY = XNYS.session_on(dt.date(2026, 3, 13))
NOW = dt.datetime(2026, 3, 13, 22, tzinfo=dt.UTC)


@pytest.fixture
def alpaca():
    with FakeAlpaca.running(now=lambda: NOW) as server:
        yield server


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def source(alpaca, pauses):
    return AlpacaSource(origin=alpaca.origin, key=KEY, clock=alpaca.now, pause=pauses.append)


def simulated(symbol, sessions, bar_minutes=5):
    frame = SimulatedSource().bars(symbol, sessions, bar_minutes)
    return frame.astype({"ts": "datetime64[us, UTC]", "volume": "Int64"})


def collected(source, tickers, sessions=(FRIDAY,), clock=NOW):
    sink = MemorySink()
    reports = collect(source, sink, list(sessions), tickers, 5, lambda: clock)
    return sink, reports


# Bars


def test_bars_of_the_session_arrive_as_the_server_simulated_them(source):
    pd.testing.assert_frame_equal(source.bars("META", [FRIDAY], 5), simulated("META", [FRIDAY]))


def test_pages_are_followed_to_the_last(source, alpaca):
    alpaca.page = 30
    assert len(source.bars("META", [FRIDAY], 5)) == 78
    assert len(alpaca.charts) == 3


def test_a_longer_window_is_cut_to_its_sessions(source):
    sessions = XNYS.sessions_between(dt.date(2025, 11, 26), dt.date(2025, 12, 1))
    bars = source.bars("META", sessions, 5)
    assert bars["ts"].tolist() == [ts for session in sessions for ts in session.bar_starts(5)]
    assert [len(session.bar_starts(5)) for session in sessions] == [78, 42, 78]


def test_a_request_asks_for_split_adjusted_prices_of_every_exchange(source, alpaca):
    source.bars("BRK-B", [FRIDAY], 5)
    [request] = [each for each in alpaca.requests if each.symbol]
    assert request.symbol == "BRK.B"
    assert {name: request.query[name] for name in ("timeframe", "start", "end", "adjustment", "feed")} == {
        "timeframe": "5Min",
        "start": "2026-03-13T13:30:00Z",
        "end": "2026-03-13T19:59:59Z",
        "adjustment": "split",
        "feed": "sip",
    }


@pytest.mark.parametrize("bar_minutes", [60, 90])
def test_bars_that_do_not_start_with_the_session_are_refused(source, bar_minutes):
    with pytest.raises(ConfigError, match=rf"Alpaca's {bar_minutes}-minute bars start on the full hour.*at most 30"):
        source.sessions_per_request(bar_minutes)


def test_a_page_holds_all_trading_hours_of_a_windows_sessions(source):
    assert {
        size: source.sessions_per_request(size) * 960 // size <= 10_000 for size in (1, 2, 5, 15, 30)
    } == dict.fromkeys((1, 2, 5, 15, 30), True)


# Splits


def test_splits_of_all_tickers_cost_one_request(source, alpaca):
    alpaca.splits = [("NFLX", "2026-03-13", 10, 1), ("SNAP", "2026-03-13", 1, 8), ("META", "2026-03-18", 2, 1)]
    sink, _ = collected(source, ["META", "NFLX", "SNAP"])
    assert [(split.ticker, split.ex_date, split.ratio, split.source) for split in sink.splits] == [
        ("NFLX", FRIDAY.date, 10.0, "alpaca"),
        ("SNAP", FRIDAY.date, 0.125, "alpaca"),
    ]
    # One page each.
    assert [request.path for request in alpaca.requests].count("/v1/corporate-actions") == 3


def test_a_split_announced_later_is_found_by_a_source_that_has_run_for_hours(alpaca):
    moment = NOW
    source = AlpacaSource(origin=alpaca.origin, key=KEY, clock=lambda: moment)
    assert source.actions("NFLX", [FRIDAY]) == []
    alpaca.splits = [("NFLX", "2026-03-13", 10, 1)]
    assert source.actions("NFLX", [FRIDAY]) == []
    moment += dt.timedelta(hours=2)
    assert source.actions("NFLX", [FRIDAY]) == [(FRIDAY.date, 10.0)]


def test_a_split_that_cannot_be_read_fails_the_ticker(source, alpaca):
    alpaca.splits = [("NFLX", "2026-03-13", 10, 0)]
    sink, [report] = collected(source, ["META"])
    assert sink.frames == []
    assert [(failure.reason, "splits" in failure.message) for failure in report.failures] == [("unavailable", True)]


# The free plan


def test_the_free_plan_gives_what_is_older_than_a_quarter_of_an_hour(alpaca, pauses):
    now = FRIDAY.open + dt.timedelta(hours=1, minutes=2)
    alpaca.free_plan, alpaca.now = True, lambda: now
    source = AlpacaSource(origin=alpaca.origin, key=KEY, clock=alpaca.now, pause=pauses.append)
    for _ in range(2):
        assert source.bars("META", [FRIDAY], 5)["ts"].max() == FRIDAY.open + dt.timedelta(minutes=45)
    # It is refused once, and remembers.
    assert len(alpaca.charts) == 3


def test_the_free_plan_has_nothing_yet_in_the_first_minutes(alpaca):
    now = FRIDAY.open + dt.timedelta(minutes=7)
    alpaca.free_plan, alpaca.now = True, lambda: now
    source = AlpacaSource(origin=alpaca.origin, key=KEY, clock=alpaca.now)
    with pytest.raises(NoData, match=r"^META: your plan at Alpaca .* 15 minutes late; .*feed = \"iex\""):
        source.bars("META", [FRIDAY], 5)


def test_the_other_feed_has_no_delay(alpaca):
    now = FRIDAY.open + dt.timedelta(minutes=7)
    alpaca.free_plan, alpaca.now = True, lambda: now
    source = AlpacaSource("iex", origin=alpaca.origin, key=KEY, clock=alpaca.now)
    assert len(source.bars("META", [FRIDAY], 5)) == 2


# Faults


def test_a_wrong_key_is_named_without_showing_it(alpaca, caplog):
    source = AlpacaSource(origin=alpaca.origin, key=fake.Key("an-id", "stolen"))
    with pytest.raises(
        Unavailable, match=r"refuses this key \(HTTP 401: unauthorized.\); check APCA_API_KEY_ID and"
    ) as error:
        source.bars("META", [FRIDAY], 5)
    assert "stolen" not in f"{error.value} {caplog.text} {vars(source)}"


def test_a_missing_key_is_one_line_that_names_both_variables(monkeypatch, tmp_path, capsys):
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["collect", "--source", "alpaca", "--lake", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "error: APCA_API_KEY_ID is not set; it is the id of your Alpaca key; "
        "APCA_API_SECRET_KEY is not set; it is the secret of your Alpaca key\n"
    )


def test_the_feed_comes_from_the_lake(monkeypatch, tmp_path):
    monkeypatch.setenv("APCA_API_KEY_ID", KEY.ident)
    monkeypatch.setenv("APCA_API_SECRET_KEY", KEY.secret)
    config = tmp_path / "tickerlake.toml"
    config.write_text('[vendor.alpaca]\nfeed = "otc"\n')
    with pytest.raises(ConfigError, match="feed is 'otc'; it must be one of sip, iex"):
        open_source("alpaca", config)


def test_an_unknown_symbol_is_no_data_with_alpacas_reason(source, alpaca, pauses):
    alpaca.answers("ZZZZ", fake.refused(400, "invalid symbol: ZZZZ"))
    with pytest.raises(NoData, match=r"^ZZZZ: Alpaca has no bars \(invalid symbol: ZZZZ\); check the symbol"):
        source.bars("ZZZZ", [FRIDAY], 5)
    assert pauses == []


def test_an_answer_without_bars_is_no_data(source, alpaca):
    alpaca.answers("META", simulated("META", [FRIDAY]).iloc[:0])
    with pytest.raises(NoData, match=r"^META: Alpaca has no bars between"):
        source.bars("META", [FRIDAY], 5)


def test_a_rate_limit_that_passes_within_a_minute_is_waited_out(source, alpaca, pauses):
    limited = vendor.Answer(429, "{}", headers={"X-RateLimit-Reset": f"{NOW.timestamp() + 12:.0f}"})
    alpaca.answers("META", limited, None)
    assert len(source.bars("META", [FRIDAY], 5)) == 78
    assert pauses == [pytest.approx(12.1)]


@pytest.mark.parametrize("reset", [{}, {"X-RateLimit-Reset": "soon"}, {"X-RateLimit-Reset": "99999999999"}])
def test_any_other_rate_limit_ends_the_run_and_what_has_arrived_is_kept(source, alpaca, pauses, reset):
    alpaca.answers("SNAP", vendor.Answer(429, "{}", headers=reset))
    with pytest.raises(RateLimited, match=r"HTTP 429; the free plan allows 200 requests a minute\); wait a minute"):
        source.bars("SNAP", [FRIDAY], 5)
    assert pauses == []
    alpaca.rate_limited_from = len(alpaca.charts) + 3
    sink, [report] = collected(source, ["META", "NFLX", "AMZN", "TTD", "OKTA", "DDOG"])
    assert set(sink.tickers().values()) == {78}
    assert {failure.reason for failure in report.failures} >= {"rate-limited"}


@pytest.mark.parametrize(
    "fault",
    [vendor.UNAVAILABLE, vendor.A_PAGE, vendor.RESET, vendor.Answer(200, '{"bars": [{"t":', then="cut")],
    ids=["5xx", "a page", "reset", "cut off"],
)
def test_a_transient_fault_succeeds_at_the_second_attempt(source, alpaca, pauses, fault):
    alpaca.answers("META", fault, None)
    assert len(source.bars("META", [FRIDAY], 5)) == 78
    # curl itself asks again on a connection that was idle when it was reset.
    assert len(pauses) == (fault is not vendor.RESET)


def test_a_lasting_fault_is_unavailable_after_three_attempts_while_the_others_are_stored(source, alpaca):
    alpaca.answers("META", vendor.UNAVAILABLE)
    sink, [report] = collected(source, ["META", "SNAP"])
    assert sink.tickers() == {"SNAP": 78}
    assert [(failure.ticker, failure.message) for failure in report.failures] == [
        ("META", "Alpaca answered HTTP 503 (3 attempts); collect again later")
    ]


@pytest.mark.parametrize(
    "body", ["[1]", '{"bars": [{"t": "yesterday"}]}', '{"bars": [[1]]}', '{"bars": [{"t": 1, "v": "x"}]}']
)
def test_an_answer_that_cannot_be_read_is_unavailable(source, alpaca, body):
    alpaca.answers("META", vendor.Answer(200, body))
    with pytest.raises(Unavailable, match="^(META: )?(tickerlake cannot read )?Alpaca's answer"):
        source.bars("META", [FRIDAY], 5)


def test_an_unchanged_program_reaches_alpaca_through_a_proxy(alpaca, monkeypatch):
    for name, value in alpaca.environment().items():
        monkeypatch.setenv(name, value)
    assert len(AlpacaSource(key=KEY, clock=alpaca.now).bars("META", [FRIDAY], 5)) == 78
    assert {request.host for request in alpaca.requests} == {"data.alpaca.markets"}


# Two sources in one lake


def test_each_hour_comes_from_the_preferred_source_and_their_differences_are_listed(source, alpaca, yahoo, tmp_path):
    yahoo.now = lambda: NOW
    other = simulated("META", [FRIDAY])
    other.loc[0, "high"] += 5
    alpaca.answers("META", other)
    for vendor_ in (source, YahooSource(LoopbackSession(yahoo.origin))):
        collect(vendor_, ParquetSink(tmp_path), [FRIDAY], ["META"], 5, lambda: NOW)

    def first_hour():
        return run(DuckDBEngine(tmp_path), "hourly_high").frame["high"][0]

    [row] = run(DuckDBEngine(tmp_path), "disagreements").frame.to_dict("records")
    assert (row["source"], row["other_source"], round(row["other_high"] - row["high"], 4)) == ("yahoo", "alpaca", 5)
    assert first_hour() == simulated("META", [FRIDAY])["high"][:6].max()
    (tmp_path / "tickerlake.toml").write_text('sources = ["alpaca", "yahoo"]\n')
    assert first_hour() == other["high"][0]


def test_a_ticker_of_another_exchange_is_refused_without_a_request(source, alpaca):
    with pytest.raises(NoData, match=r"^VOD\.L trades in London, and Alpaca serves US exchanges only"):
        source.bars("VOD.L", [exchange.XLON.session_on(FRIDAY.date)], 5)
    assert alpaca.requests == []
