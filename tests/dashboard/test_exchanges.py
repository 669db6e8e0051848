"""A lake with tickers of several exchanges: each page shows one of them, in its time and its currency."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from dashboard import labels
from dashboard.charts import axes, high_hour
from dashboard.charts.theme import LIGHT
from dashboard.data import figures
from dashboard.pages import PAGES
from tests.dashboard import lakes
from tests.dashboard.conftest import text
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.exchange import CRYPTO, XLON, XNYS, XTKS
from tickerlake.lake.parquet import ParquetSink

TICKERS = ["META", "VOD.L", "7203.T", "BTC-USD", "ETH-EUR"]
HOURS = {XLON: (8, 16), XTKS: (9, 15), CRYPTO: (0, 22)}
ZONES = {XLON: "London (GMT, UTC+00:00)", XTKS: "Tokyo (JST, UTC+09:00)", CRYPTO: "UTC"}
OPENS = {
    XLON: "Closed, opens Mon 23 Nov 08:00 GMT",
    XTKS: "Closed, opens Tue 24 Nov 09:00 JST",
    CRYPTO: "Open around the clock",
}
"""Monday is a holiday in Japan."""
CURRENCIES = {XLON: "GBp", XTKS: "JPY", CRYPTO: "USD"}
LUNCH = dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)
"""12:00 in Tokyo."""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    sessions = [
        session
        for place in exchange.all_of(TICKERS)
        for session in place.sessions_between(dt.date(2026, 11, 19), lakes.FRIDAY)
    ]
    collect(lakes.Invented("yahoo"), ParquetSink(folder), sorted(sessions), TICKERS, 5, lambda: lakes.EVENING)
    return folder


def drawn(at):
    return "\n".join(chart.proto.spec for chart in at.get("vega_lite_chart"))


@pytest.mark.parametrize("place", HOURS, ids=lambda place: place.name)
def test_each_page_is_in_the_time_and_the_currency_of_the_exchange_in_the_address(app, mixed, place):
    at = app(mixed, exchange=place.code, tickers=",".join(TICKERS))
    for page in PAGES:
        if page is not PAGES[0]:
            at.switch_page(f"app_pages/{page.name}.py").run()
        words = text(at)
        assert not at.exception
        assert not at.error
        assert "Cannot show this" not in words
        assert OPENS[place] in words
        assert not any("EST" in part for part in (words, drawn(at)))
        if page.name in ("hourly_highs", "session"):
            assert ZONES[place] in drawn(at)
        if page.name == "session":
            assert f'"title": "{CURRENCIES[place]}"' in drawn(at)
            assert f"Last, {CURRENCIES[place]}" in words


@pytest.mark.parametrize(("place", "hours"), HOURS.items(), ids=lambda each: getattr(each, "name", ""))
def test_the_first_page_has_the_hours_of_its_exchange_and_its_tickers_alone(app, mixed, place, hours):
    at = app(mixed, exchange=place.code, view="Table")
    table = at.dataframe[0].value
    assert set(table["ticker"]) == {ticker for ticker in TICKERS if exchange.of(ticker) == place}
    spans = sorted(set(table["hour"]))
    assert (spans[0], spans[-1]) == tuple(labels.hour_span(hour, place) for hour in hours)


def test_the_exchange_of_the_watchlist_comes_first_and_a_box_changes_it(app, mixed):
    at = app(mixed, ticker="META", tickers="META")
    box = at.selectbox(key="pick exchange")
    assert (box.value, box.options) == ("XNYS", ["New York", "London", "Tokyo", "Crypto"])
    box.select("XLON").run()
    assert not at.exception
    assert at.query_params["exchange"] == "XLON"
    assert "tickers" not in at.query_params
    assert at.multiselect(key="pick tickers").options == ["VOD.L"]


def test_one_exchange_needs_no_box(app, real):
    assert "pick exchange" not in [box.key for box in app(real).selectbox]


def test_an_exchange_without_bars_is_told_with_those_that_have_some(app, mixed):
    assert "exchange=XETR in the address is not one of XNYS, XLON, XTKS, 24/7" in text(app(mixed, exchange="XETR"))


def test_prices_in_two_currencies_share_no_scale(app, mixed):
    at = app(mixed, exchange="24/7")
    assert "Prices in EUR and USD share no scale." in text(at)
    assert "High" not in "".join(at.selectbox(key="pick measure").options[0])
    assert at.selectbox(key="pick measure").options[0] == "Change, %"
    one = app(mixed, exchange="24/7", tickers="ETH-EUR")
    assert one.selectbox(key="pick measure").options[0] == "High, EUR"


def test_a_moment_without_an_offset_is_in_the_time_of_the_exchange(app, mixed):
    at = app(mixed, exchange="XTKS", as_of="2026-11-21T07:30")
    assert "held no bars as of 2026-11-20 22:30" in text(at)


def test_tokyos_lunch_break_is_said_and_leaves_no_hour_provisional():
    session = XTKS.session_on(lakes.FRIDAY)
    assert labels.market(LUNCH, XTKS) == "Lunch break until 12:30 JST"
    starts = session.bar_starts(5, until=LUNCH).tz_convert(XTKS.zone)
    highs = pd.DataFrame(
        {
            "ticker": "7203.T",
            "session": session.dt,
            "hour": [9, 10, 11],
            "high": [1.0, 2.0, 3.0],
            "ts": [starts[0], starts[12], starts[-1]],
            "touch": 1,
        }
    )
    daily = pd.DataFrame(
        {
            "ticker": ["7203.T"],
            "session": session.dt,
            "last_ts": [starts[-1]],
            "bar_minutes": 5,
            "first_price": 1.0,
            "has_open": True,
        }
    )
    assert not figures.hourly(highs, daily, LUNCH, XTKS)["provisional"].any()


def test_the_last_hour_of_new_york_ends_at_the_close():
    assert labels.hour_span(15, XNYS) == "15:00\N{EN DASH}16:00"


def test_a_day_of_24_hours_has_a_label_every_third():
    hours = axes.slot_axis([f"2026-11-20 {hour:02}" for hour in range(24)], CRYPTO).to_dict()["values"]
    assert [slot[-2:] for slot in hours] == ["00", "03", "06", "09", "12", "15", "18", "21"]
    shares = pd.DataFrame({"hour": range(24), "ticker": "BTC-USD", "unusual": False, "least": 0, "most": 1})
    shares = shares.assign(share=0.0, chance=0.1, chance_to=0.2)
    held = high_hour.hour_map(shares, LIGHT, place=CRYPTO, order=["BTC-USD"], extreme="high").to_dict()
    assert held["layer"][0]["encoding"]["x"]["axis"]["values"][:3] == ["00:00", "03:00", "06:00"]
    assert [layer["mark"]["type"] for layer in held["layer"]] == ["rect"]
    minutes = axes.clock_axis(CRYPTO.session_on(lakes.FRIDAY))["axis"]["values"]
    assert minutes == list(range(0, 1441, 180))
