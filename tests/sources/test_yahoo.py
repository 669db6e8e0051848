from __future__ import annotations

import datetime as dt
import logging
import os
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yfinance
from curl_cffi import requests
from yfinance import _http, cache
from yfinance.data import SingletonMeta, YfData
from yfinance.exceptions import YFRateLimitError

from tests.fakes import vendor
from tests.fakes import yahoo as fake
from tests.fakes.sinks import MemorySink
from tests.fakes.yahoo import Bars, LoopbackSession, running_yahoo
from tickerlake import exchange, watchlist
from tickerlake.collect import collect
from tickerlake.errors import ConfigError, NoData, RateLimited, Unavailable, WrongInstrument
from tickerlake.exchange import XNYS
from tickerlake.record import BAR_MINUTES
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.yahoo import YahooSource


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


FRIDAY = XNYS.session_on(dt.date(2026, 3, 13))
EARLY_CLOSE = XNYS.session_on(dt.date(2025, 11, 28))
NOW = utc("2026-03-13 22:00")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def yahoo(yahoo):
    yahoo.now = lambda: NOW
    return yahoo


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def source(yahoo, pauses):
    return YahooSource(LoopbackSession(yahoo.origin), pause=pauses.append)


def simulated(symbol, sessions, bar_minutes=5):
    frame = SimulatedSource().bars(symbol, sessions, bar_minutes)
    return frame.astype({"ts": "datetime64[us, UTC]", "volume": "Int64"})


def collected(source, tickers, sessions=(FRIDAY,), clock=NOW, bar_minutes=5):
    sink = MemorySink()
    reports = collect(source, sink, list(sessions), tickers, bar_minutes, lambda: clock)
    return sink, reports


# Bars


def test_bars_arrive_as_the_server_simulated_them(source):
    pd.testing.assert_frame_equal(source.bars("META", [FRIDAY], 5), simulated("META", [FRIDAY]).assign(currency="USD"))


def test_prices_widened_from_32_bits_are_rounded_to_four_decimals(source, yahoo):
    frame = simulated("META", [FRIDAY]).assign(open=116.5888, high=612.3456, low=0.0123, close=116.5888)
    yahoo.answers("META", Bars(frame))
    bars = source.bars("META", [FRIDAY], 5)
    assert bars[["open", "high", "low", "close"]].drop_duplicates().to_numpy().tolist() == [
        [116.5888, 612.3456, 0.0123, 116.5888]
    ]


@pytest.mark.parametrize("bar_minutes", BAR_MINUTES)
def test_every_bar_size_fills_the_grid_of_a_whole_week(source, bar_minutes):
    week = XNYS.sessions_between(dt.date(2026, 3, 9), dt.date(2026, 3, 13))
    expected = [ts for session in week for ts in session.bar_starts(bar_minutes)]
    assert source.bars("META", week, bar_minutes)["ts"].tolist() == expected


@pytest.mark.parametrize(
    ("first", "last", "opens"),
    [
        (dt.date(2026, 3, 6), dt.date(2026, 3, 9), {"2026-03-06": "14:30", "2026-03-09": "13:30"}),
        (dt.date(2025, 10, 31), dt.date(2025, 11, 3), {"2025-10-31": "13:30", "2025-11-03": "14:30"}),
    ],
)
def test_a_window_across_a_clock_change_keeps_each_sides_offset(source, yahoo, first, last, opens):
    sessions = XNYS.sessions_between(first, last)
    yahoo.now = lambda: sessions[-1].close + dt.timedelta(hours=1)
    sink, reports = collected(source, ["META"], sessions, yahoo.now())
    assert [(report.bars, report.rejected.total(), report.failures) for report in reports] == [(78, 0, [])] * 2
    assert {frame["dt"].iloc[0]: f"{frame['ts'].min():%H:%M}" for frame in sink.frames} == opens


def test_eleven_tickers_cost_eleven_requests_with_four_at_most_in_flight(source, yahoo):
    yahoo.latency = 0.02
    sink, _ = collected(source, watchlist.DEFAULT)
    assert sink.tickers() == dict.fromkeys(watchlist.DEFAULT, 78)
    assert sorted(yahoo.charts) == sorted(watchlist.DEFAULT)
    assert len(yahoo.requests) == 11
    assert 1 < yahoo.most_in_flight <= 4


def test_a_request_spans_the_first_open_to_the_last_close_without_a_crumb(source, yahoo):
    sessions = XNYS.sessions_between(dt.date(2026, 3, 12), dt.date(2026, 3, 13))
    source.bars("META", sessions, 5)
    [request] = yahoo.requests
    assert {name: request.query[name] for name in ("period1", "period2", "interval", "includePrePost")} == {
        "period1": f"{sessions[0].open.timestamp():.0f}",
        "period2": f"{sessions[-1].close.timestamp():.0f}",
        "interval": "5m",
        "includePrePost": "false",
    }
    assert "crumb" not in request.query


# Odd rows


def test_a_missing_volume_stays_null_and_a_zero_stays_zero(source, yahoo):
    frame = simulated("META", [FRIDAY])
    frame.loc[4, "volume"] = 0
    yahoo.answers("META", Bars(frame, null_volumes=[frame["ts"][3]]))
    volume = source.bars("META", [FRIDAY], 5)["volume"]
    assert volume[volume.isna()].index.tolist() == [3]
    assert volume[4] == 0
    sink, _ = collected(source, ["META"])
    assert sink.tickers() == {"META": 78}


def test_a_chart_without_any_volume_keeps_its_prices(source, yahoo):
    yahoo.answers("META", Bars(null_volumes=simulated("META", [FRIDAY])["ts"].tolist()))
    bars = source.bars("META", [FRIDAY], 5)
    assert bars["volume"].isna().all()
    assert bars["high"].tolist() == simulated("META", [FRIDAY])["high"].tolist()


def test_a_row_without_prices_is_rejected(source, yahoo):
    ts = simulated("META", [FRIDAY])["ts"][10]
    yahoo.answers("META", Bars(null_prices=[ts]))
    sink, [report] = collected(source, ["META"])
    assert (report.bars, report.rejected) == (77, {"missing-price": 1})
    assert [(rejected.rule, rejected.ts) for rejected in sink.rejected] == [("missing-price", ts.isoformat())]


def test_half_hours_merged_over_a_weekend_make_no_extra_rows(source, yahoo):
    sessions = XNYS.sessions_between(dt.date(2026, 3, 6), dt.date(2026, 3, 10))
    first = simulated("META", sessions, 15)["ts"][:2].tolist()
    yahoo.answers("META", Bars(null_prices=first))
    sink, reports = collected(source, ["META"], sessions, bar_minutes=30)
    assert [report.bars for report in reports] == [12, 13, 13]
    assert [rejected.rule for rejected in sink.rejected] == ["missing-price"]


@pytest.mark.parametrize("given_until", ["16:00", "15:55"], ids=["merged", "of its own"])
def test_the_last_trade_as_a_row_off_the_grid_is_left_out(source, yahoo, given_until):
    noon = pd.Timestamp("2026-03-13 16:00:04", tz="UTC")
    yahoo.now = noon.to_pydatetime
    frame = simulated("META", [FRIDAY])
    yahoo.answers("META", Bars(frame[frame["ts"] <= pd.Timestamp(f"2026-03-13 {given_until}", tz="UTC")], live=noon))
    sink, [report] = collected(source, ["META"], clock=noon.to_pydatetime())
    assert (report.bars, report.unfinished, report.rejected) == (30, 1, {})
    assert sink.frames[0]["ts"].max() == pd.Timestamp("2026-03-13 15:55", tz="UTC")


def test_rows_after_an_early_close_are_rejected(source, yahoo):
    yahoo.now = lambda: EARLY_CLOSE.close + dt.timedelta(hours=4)
    yahoo.answers("META", Bars(rows_after_close=3))
    _, [report] = collected(source, ["META"], [EARLY_CLOSE], yahoo.now())
    # yfinance leaves out the last of them itself: a row at or after the end of the window.
    assert (report.bars, report.rejected) == (42, {"outside-session": 2})


def test_an_early_close_that_yahoo_knows_has_nothing_to_reject(source, yahoo):
    yahoo.now = lambda: EARLY_CLOSE.close + dt.timedelta(hours=4)
    _, [report] = collected(source, ["META"], [EARLY_CLOSE], yahoo.now())
    assert (report.bars, report.rejected, report.failures) == (42, {}, [])


# Exchanges


@pytest.mark.parametrize(
    ("ticker", "date", "bars", "currency"),
    [
        ("VOD.L", dt.date(2026, 3, 13), 102, "GBp"),
        ("VOD.L", dt.date(2025, 12, 24), 54, "GBp"),  # half a day
        ("SAP.DE", dt.date(2026, 3, 13), 102, "EUR"),
        ("7203.T", dt.date(2026, 3, 13), 66, "JPY"),  # with a lunch break
        ("BTC-USD", dt.date(2026, 3, 8), 288, "USD"),  # a Sunday
        ("BTC-EUR", dt.date(2026, 3, 12), 288, "EUR"),
    ],
)
def test_each_exchange_is_collected_whole_in_its_own_hours_and_currency(source, yahoo, ticker, date, bars, currency):
    session = exchange.of(ticker).session_on(date)
    yahoo.now = lambda: session.close + dt.timedelta(hours=2)
    sink, [report] = collected(source, [ticker], [session], yahoo.now())

    assert (report.bars, report.rejected, report.failures) == (bars, {}, [])
    stored = sink.frame()
    assert set(zip(stored["exchange"], stored["dt"], stored["currency"], strict=True)) == {
        (session.exchange.code, session.dt, currency)
    }
    assert stored["ts"].tolist() == session.bar_starts(5).tolist()


def test_the_currency_that_yahoo_states_for_an_instrument_is_kept(source, yahoo):
    session = exchange.XLON.session_on(dt.date(2026, 3, 13))
    yahoo.answers("IGLN.L", Bars(currency="USD"))

    assert set(source.bars("IGLN.L", [session], 5)["currency"]) == {"USD"}


def test_a_fund_is_collected_only_where_the_lake_says_that_it_is_one(yahoo):
    yahoo.answers("SPY", Bars(instrument="ETF"), Bars(instrument="ETF"), Bars(instrument="MUTUALFUND"))
    asked = partial(YahooSource, LoopbackSession(yahoo.origin))

    with pytest.raises(WrongInstrument, match=r'write instruments = \{ "SPY" = "ETF" \} under \[vendor.yahoo\]'):
        asked().bars("SPY", [FRIDAY], 5)
    assert len(asked(instruments={"SPY": "ETF"}).bars("SPY", [FRIDAY], 5)) == 78
    with pytest.raises(WrongInstrument, match="MUTUALFUND at Yahoo"):
        asked(instruments={"SPY": "ETF"}).bars("SPY", [FRIDAY], 5)


# Faults


def test_an_abandoned_symbol_that_names_a_fund_is_refused(source, yahoo):
    yahoo.answers("FB", Bars(instrument="ETF", long_name="ProShares S&P 500 Dynamic Buffer ETF"))
    with pytest.raises(
        WrongInstrument, match=r"^FB has the type ETF at Yahoo \(ProShares .*, not EQUITY; use the symbol"
    ):
        source.bars("FB", [FRIDAY], 5)
    assert yahoo.charts == ["FB"]


def test_an_unknown_symbol_is_no_data_with_yahoos_reason_and_not_retried(source, yahoo, pauses):
    yahoo.answers("SQ", fake.NOT_FOUND)
    with pytest.raises(NoData, match=r"^SQ: .*No data found, symbol may be delisted.*check the symbol"):
        source.bars("SQ", [FRIDAY], 5)
    assert (yahoo.charts, pauses) == (["SQ"], [])


def test_an_answer_without_rows_is_no_data(source, yahoo):
    yahoo.answers("META", Bars(without_rows=True))
    with pytest.raises(NoData, match=r"^META: "):
        source.bars("META", [FRIDAY], 5)


def test_an_answer_without_timestamps_is_no_data(source, yahoo):
    body = fake.chart("META", {"interval": "5m", "period1": "0", "period2": "0", "range": "1d"}, Bars(), NOW).body
    yahoo.answers("META", vendor.Answer(200, body.replace('"timestamp"', '"another"')))
    with pytest.raises(NoData, match=r"^META: "):
        source.bars("META", [FRIDAY], 5)


def test_a_reason_in_an_answer_with_status_200_is_passed_on(source, yahoo):
    reason = "Data doesn't exist for startDate = 1, endDate = 2"
    yahoo.answers("META", vendor.Answer(200, fake.refused(400, "Bad Request", reason).body))
    with pytest.raises(NoData, match=rf"^META: .*{reason}"):
        source.bars("META", [FRIDAY], 5)


def test_any_other_refusal_names_its_status_and_is_not_retried(source, yahoo, pauses):
    yahoo.answers("META", vendor.Answer(403, "<html>Forbidden</html>", vendor.HTML))
    with pytest.raises(Unavailable, match=r"^META: Yahoo answered HTTP 403"):
        source.bars("META", [FRIDAY], 5)
    assert (yahoo.charts, pauses) == (["META"], [])


def test_an_answer_that_yfinance_cannot_read_is_unavailable(source, yahoo):
    yahoo.answers("META", Bars(without_meta=["instrumentType"]))
    with pytest.raises(Unavailable, match=r"^META: yfinance [\d.]+ cannot read .*'instrumentType'[^\n]*$"):
        source.bars("META", [FRIDAY], 5)


def test_the_first_429_ends_the_run_and_what_has_arrived_is_kept(source, yahoo, pauses):
    yahoo.latency = 0.03
    yahoo.rate_limited_from = 6
    sink, [report] = collected(source, watchlist.DEFAULT)
    # The others in flight at that moment, three at most, can no longer be called back.
    assert 6 <= len(yahoo.requests) <= 9
    assert sink.tickers() == dict.fromkeys(yahoo.charts[:5], 78)
    assert {failure.reason for failure in report.failures} == {"rate-limited", "not-asked"}
    assert len(report.failures) == 6
    assert pauses == []


def test_a_429_is_not_retried_and_says_what_to_do(source, yahoo, pauses):
    yahoo.answers("META", fake.TOO_MANY)
    with pytest.raises(
        RateLimited, match=r"^Yahoo has rate-limited .*HTTP 429.*wait some minutes, then collect again$"
    ):
        source.bars("META", [FRIDAY], 5)
    assert (yahoo.charts, pauses) == (["META"], [])


def test_a_ticker_that_waits_to_retry_gives_up_once_another_is_rate_limited(yahoo):
    yahoo.answers("META", vendor.UNAVAILABLE)
    yahoo.answers("SNAP", fake.TOO_MANY)

    def meanwhile(_seconds):
        with pytest.raises(RateLimited):
            source.bars("SNAP", [FRIDAY], 5)

    source = YahooSource(LoopbackSession(yahoo.origin), pause=meanwhile)
    with pytest.raises(RateLimited, match="not retried"):
        source.bars("META", [FRIDAY], 5)
    assert yahoo.charts == ["META", "SNAP"]


@pytest.mark.parametrize(
    "fault",
    [vendor.UNAVAILABLE, vendor.A_PAGE, fake.RIGHT_BACK, fake.CUT_JSON, fake.CUT_OFF, vendor.RESET],
    ids=["5xx", "a page", "right back", "cut JSON", "cut off", "reset"],
)
class TestATransientFault:
    def test_succeeds_at_the_second_attempt(self, source, yahoo, pauses, fault):
        yahoo.answers("META", fault, Bars())
        pd.testing.assert_frame_equal(
            source.bars("META", [FRIDAY], 5), simulated("META", [FRIDAY]).assign(currency="USD")
        )
        assert len(pauses) == 1

    def test_is_unavailable_after_three_attempts_while_the_others_are_stored(self, source, yahoo, pauses, fault):
        yahoo.answers("META", fault)
        sink, [report] = collected(source, ["META", "SNAP", "AMZN"])
        assert sink.tickers() == {"SNAP": 78, "AMZN": 78}
        [failure] = report.failures
        assert (failure.ticker, failure.reason) == ("META", "unavailable")
        assert "3 attempts" in failure.message
        assert "\n" not in failure.message
        assert Counter(yahoo.charts) == {"META": 3, "SNAP": 1, "AMZN": 1}
        assert 0 < pauses[0] <= 2 < pauses[1] <= 3

    def test_leaves_no_trace_in_a_warm_process(self, source, yahoo, fault):
        yahoo.answers("META", fault, fault, fault, Bars())
        with pytest.raises(Unavailable):
            source.bars("META", [FRIDAY], 5)
        assert len(source.bars("META", [FRIDAY], 5)) == 78


def test_a_repeated_request_is_not_answered_from_a_cache(source, yahoo):
    # A restatement would otherwise stay unseen for as long as the process lives.
    restated = simulated("META", [FRIDAY]).assign(volume=1)
    yahoo.answers("META", Bars(), Bars(restated))
    source.bars("META", [FRIDAY], 5)
    assert source.bars("META", [FRIDAY], 5)["volume"].unique().tolist() == [1]


def test_a_time_out_is_unavailable_after_three_attempts(yahoo, pauses):
    yahoo.answers("META", vendor.HELD)
    source = YahooSource(LoopbackSession(yahoo.origin), timeout=(0.05, 0.05), pause=pauses.append)
    with pytest.raises(Unavailable, match=r"^Yahoo did not answer within 0.1 seconds \(3 attempts\)"):
        source.bars("META", [FRIDAY], 5)
    assert len(pauses) == 2


# Limits of a request


def test_the_oldest_bars_are_those_of_59_29_and_729_days_ago(source):
    now = pd.Timestamp(NOW)
    back = {minutes: (now - source.oldest(minutes, now)).days for minutes in BAR_MINUTES}
    assert back == {1: 29, 2: 59, 5: 59, 15: 59, 30: 59, 60: 729, 90: 59}


@pytest.mark.parametrize("bar_minutes", BAR_MINUTES)
def test_every_session_since_the_oldest_is_available_and_one_a_week_older_is_not(source, yahoo, bar_minutes):
    oldest = source.oldest(bar_minutes, pd.Timestamp(NOW))
    week = XNYS.sessions_between((oldest - pd.Timedelta(days=9)).date(), oldest.date())
    served = XNYS.sessions_between((oldest + pd.Timedelta(days=1)).date(), NOW.date())
    assert not source.bars("META", served[:2], bar_minutes).empty
    with pytest.raises(NoData, match=rf"must be within the last {30 if bar_minutes == 1 else '.*'}.* days"):
        source.bars("META", week[:1], bar_minutes)
    assert len(served) <= source.sessions_per_request(bar_minutes) or bar_minutes == 1
    assert len(yahoo.requests) == 2


def test_five_sessions_of_minutes_fit_in_one_request(source):
    days = XNYS.sessions_between(dt.date(2013, 1, 2), dt.date(2026, 12, 31))
    length = source.sessions_per_request(1)
    spans = [last.close - first.open for first, last in zip(days, days[length - 1 :], strict=False)]
    assert max(spans) < dt.timedelta(days=8)


def test_minutes_over_many_days_take_several_requests(source, yahoo):
    days = XNYS.sessions_between(dt.date(2026, 2, 23), dt.date(2026, 3, 13))
    assert len(source.bars("META", days, 1)) == 15 * 390
    assert len(yahoo.requests) == 3


# Network


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_proxy_and_certificate_authority_come_from_the_environment(yahoo, monkeypatch, variable):
    environment = yahoo.environment()
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", variable):
        monkeypatch.setenv(name, environment[name])
    assert len(YahooSource().bars("META", [FRIDAY], 5)) == 78
    assert [request.host for request in yahoo.requests] == ["query2.finance.yahoo.com"]


def test_an_ordinary_program_gets_its_bars_and_writes_nothing_to_disk(yahoo, tmp_path):
    program = (
        "import datetime as dt\n"
        "from tickerlake.exchange import XNYS\n"
        "from tickerlake.sources.yahoo import YahooSource\n"
        "print(len(YahooSource().bars('META', [XNYS.session_on(dt.date(2026, 3, 13))], 5)))\n"
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment | yahoo.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.stdout, run.stderr) == ("78\n", "")
    assert list(tmp_path.rglob("*")) == []


def test_an_untrusted_certificate_is_unavailable(yahoo, monkeypatch, tmp_path, pauses):
    with running_yahoo() as other:
        trusted = tmp_path / "another.pem"
        trusted.write_text(other.authority.read_text())
    vendor.certificates.cache_clear()
    with running_yahoo() as stranger:
        monkeypatch.setenv("HTTPS_PROXY", stranger.origin)
        monkeypatch.setenv("https_proxy", stranger.origin)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
        with pytest.raises(Unavailable, match=r"^Yahoo cannot be reached: [^\n]*certificate[^\n]*REQUESTS_CA_BUNDLE$"):
            YahooSource(pause=pauses.append).bars("META", [FRIDAY], 5)
    assert (yahoo.requests, stranger.requests, pauses) == ([], [], [])


def test_a_dead_proxy_is_unavailable(pauses):
    with pytest.raises(Unavailable, match=r"^Yahoo cannot be reached: [^\n]*HTTPS_PROXY[^\n]*$"):
        YahooSource(pause=pauses.append).bars("META", [FRIDAY], 5)
    assert pauses == []


def test_a_proxy_that_never_answers_is_unavailable(yahoo, monkeypatch, pauses):
    yahoo.silent_proxy = True
    for name, value in yahoo.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable, match=r"^Yahoo cannot be reached: [^\n]*HTTPS_PROXY[^\n]*$"):
        YahooSource(timeout=(0.05, 5), pause=pauses.append).bars("META", [FRIDAY], 5)
    assert pauses == []


def test_the_test_proxy_reaches_yahoo_only(yahoo, monkeypatch):
    for name, value in yahoo.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(requests.exceptions.RequestException, match="CONNECT tunnel failed, response 403"):
        requests.get("https://example.com", timeout=5)


def test_without_curl_cffi_the_source_does_not_open(monkeypatch):
    monkeypatch.setattr(_http, "HAS_CURL_CFFI", False)
    with pytest.raises(ConfigError, match=r"curl_cffi.*YF_DISABLE_CURL_CFFI"):
        YahooSource()


def test_yfinance_prints_nothing(source, yahoo, capfd):
    yahoo.answers("SQ", fake.NOT_FOUND)
    collected(source, ["SQ", "META"])
    logging.getLogger("yfinance").error("possibly delisted")
    assert capfd.readouterr() == ("", "")


# Canaries: the private names of yfinance that the source relies on, and the behaviour that it switches off


@pytest.fixture
def untouched(yahoo, monkeypatch):
    monkeypatch.setattr(SingletonMeta, "_instances", {})
    monkeypatch.setattr(cache._TzCacheManager, "_tz_cache", cache._TzCacheDummy())
    monkeypatch.setattr(cache._CookieCacheManager, "_Cookie_cache", cache._CookieCacheDummy())
    return yfinance.Ticker("META", session=session_without_errors(yahoo.origin))


def session_without_errors(origin):
    session = LoopbackSession(origin)
    session.raise_for_status = False
    return session


def test_canary_a_ticker_has_the_attributes_that_are_replaced(untouched):
    assert untouched._tz is None
    assert type(untouched._data) is YfData


def test_canary_yfinance_says_whether_it_has_curl_cffi():
    assert _http.HAS_CURL_CFFI is True


def test_canary_the_singleton_can_be_bypassed(yahoo):
    session = LoopbackSession(yahoo.origin)
    mine, another = (type.__call__(YfData, session) for _ in range(2))
    assert mine is not another
    assert mine._session is session
    assert mine._cookie_strategy == "basic"


def test_canary_yfinance_alone_requests_cookie_crumb_and_time_zone(untouched, yahoo):
    untouched.history(start=FRIDAY.open, end=FRIDAY.close, interval="5m")
    assert {request.path for request in yahoo.requests} == {"/", "/v1/test/getcrumb", f"{fake.CHART}META"}
    assert yahoo.charts == ["META", "META"]
    assert [request.query.get("range") for request in yahoo.requests if request.symbol] == ["1d", None]
    assert yahoo.requests[-1].query["crumb"] == "A/fake.crumb"


def test_canary_yfinance_alone_retries_after_a_429(untouched, yahoo):
    yahoo.answers("META", fake.TOO_MANY)
    untouched._tz = "America/New_York"
    with pytest.raises(YFRateLimitError):
        untouched.history(start=FRIDAY.open, end=FRIDAY.close, interval="5m")
    assert yahoo.charts == ["META", "META"]


def test_canary_yfinance_alone_caches_a_broken_answer(untouched, yahoo, source):
    assert source is not None  # it has yfinance raise its errors
    yahoo.answers("META", vendor.A_PAGE, Bars())
    untouched._tz = "America/New_York"
    for _ in range(2):
        with pytest.raises(ValueError, match=r"(?i)expect"):
            untouched.history(start=FRIDAY.open, end=FRIDAY.close, interval="5m")
    YfData.cache_get.cache_clear()


def test_canary_yfinance_alone_makes_a_missing_volume_zero(untouched, yahoo):
    yahoo.answers("META", Bars(null_volumes=[pd.Timestamp(FRIDAY.open)]))
    untouched._tz = "America/New_York"
    assert untouched.history(start=FRIDAY.open, end=FRIDAY.close, interval="5m")["Volume"].iloc[0] == 0


def test_the_fake_serves_the_grid_up_to_its_own_clock(yahoo, source):
    yahoo.now = lambda: utc("2026-03-13 16:02")
    assert source.bars("META", [FRIDAY], 5)["ts"].iloc[-1] == utc("2026-03-13 16:00")


def test_splits_come_with_the_bars_and_need_no_request_of_their_own(source, yahoo):
    yahoo.answers("META", Bars(splits=[(FRIDAY.open, 10, 1)]))
    yahoo.answers("AMZN", Bars(splits=[(FRIDAY.open, 1, 8)]))

    sink, reports = collected(source, ["META", "AMZN", "SNAP"])

    found = [(split.ticker, split.ex_date, split.ratio, split.source, split.collected_at) for split in sink.splits]
    assert found == [
        ("META", FRIDAY.date, 10.0, "yahoo", NOW),
        ("FB", FRIDAY.date, 10.0, "yahoo", NOW),
        ("AMZN", FRIDAY.date, 0.125, "yahoo", NOW),
    ]
    assert (reports[0].bars, len(yahoo.charts)) == (3 * 78, 3)
