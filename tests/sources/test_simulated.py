"""The simulation: the same for the same seed, plausible, true to the calendar, and impossible to predict."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from tests.fakes.sinks import MemorySink
from tickerlake import bars, exchange, record, watchlist
from tickerlake.collect import collect
from tickerlake.sources.simulated import LEVELS, SimulatedSource, _step

WEEK = exchange.XNYS.sessions_between(dt.date(2026, 11, 23), dt.date(2026, 11, 27))
YEARS = exchange.XNYS.sessions_between(dt.date(2025, 5, 20), dt.date(2026, 11, 20))
TICKERS = [*watchlist.DEFAULT, *(f"T{number}" for number in range(19))]


def test_a_window_gives_the_same_bars_as_its_sessions_one_by_one():
    source = SimulatedSource()
    whole = source.bars("META", WEEK, 5)
    parts = pd.concat([source.bars("META", [session], 5) for session in WEEK], ignore_index=True)

    pd.testing.assert_frame_equal(whole, parts)


def test_seeds_tickers_and_sessions_all_make_a_difference():
    base = SimulatedSource(seed=1).bars("META", WEEK[:1], 5)

    assert not base["high"].equals(SimulatedSource(seed=2).bars("META", WEEK[:1], 5)["high"])
    assert not base["high"].equals(SimulatedSource(seed=1).bars("AMZN", WEEK[:1], 5)["high"])
    assert not base["high"].equals(SimulatedSource(seed=1).bars("META", WEEK[1:2], 5)["high"])


def test_early_closes_and_holidays_are_honoured():
    frame = SimulatedSource().bars("META", WEEK, 5)

    assert bars.placed(frame.assign(ticker="META"))["dt"].value_counts().to_dict() == {
        "2026-11-23": 78, "2026-11-24": 78, "2026-11-25": 78, "2026-11-27": 42,
    }  # fmt: skip


def test_every_simulated_bar_keeps_every_rule():
    sink = MemorySink()
    for size in record.BAR_MINUTES:
        collect(SimulatedSource(), sink, WEEK, ["META", "SHOP"], size, lambda: dt.datetime(2026, 12, 1, tzinfo=dt.UTC))

    assert not sink.rejected
    assert (sink.frame()["source"] == "simulated").all()


def test_the_open_and_the_close_are_livelier_than_noon():
    frame = SimulatedSource().bars(
        "META", exchange.XNYS.sessions_between(dt.date(2026, 1, 2), dt.date(2026, 11, 20)), 5
    )
    hours = frame["ts"].dt.tz_convert(exchange.XNYS.zone).dt.hour
    spread = np.log(frame["high"] / frame["low"]).groupby(hours).mean()
    volume = frame["volume"].groupby(hours).mean()

    for measure in (spread, volume):
        assert measure[9] > 1.5 * measure[12]
        assert measure[15] > 1.3 * measure[12]


@pytest.mark.parametrize("bar_minutes", [2, 5, 60, 90])
def test_longer_bars_are_made_of_the_one_minute_bars(bar_minutes):
    minutes = SimulatedSource().bars("META", WEEK, 1)
    opens = {session.dt: session.open for session in WEEK}
    passed = minutes["ts"] - pd.to_datetime(bars.placed(minutes.assign(ticker="META"))["dt"].map(opens)).dt.as_unit(
        "us"
    )
    starts = minutes["ts"] - passed % pd.Timedelta(minutes=bar_minutes)

    together = minutes.assign(ts=starts).groupby("ts", as_index=False).agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )  # fmt: skip

    pd.testing.assert_frame_equal(SimulatedSource().bars("META", WEEK, bar_minutes), together)


def test_prices_move_as_stocks_do_from_session_to_session():
    for ticker in ("META", "SHOP", "BYND"):
        daily = SimulatedSource().bars(ticker, YEARS, 390)
        moves = np.log(daily["close"]).diff().dropna().abs()
        nights = np.log(daily["open"].iloc[1:].to_numpy() / daily["close"].iloc[:-1].to_numpy())
        assert 0.001 < moves.median() < 0.03
        assert moves.max() < 0.15
        assert 0.3 < nights.std() / moves.std() < 1.2


def test_known_tickers_trade_near_their_real_level_and_others_between_8_and_600():
    new_year = exchange.XNYS.sessions_between(dt.date(2026, 12, 31), dt.date(2027, 1, 4))
    assert {ticker for ticker in LEVELS if exchange.of(ticker) == exchange.XNYS} == set(watchlist.DEFAULT)
    for ticker in TICKERS:
        prices = SimulatedSource().bars(ticker, new_year, 390)["close"]
        level = LEVELS.get(ticker)
        lowest, highest = (0.85 * level, 1.15 * level) if level else (7, 700)
        assert prices.between(lowest, highest).all(), ticker


def test_prices_keep_their_four_decimals_and_never_reach_zero():
    for seed in range(20):
        frame = SimulatedSource(seed).bars(
            "BYND", exchange.XNYS.sessions_between(dt.date(1991, 1, 2), dt.date(1991, 1, 9)), 5
        )
        prices = frame[["open", "high", "low", "close"]]
        assert prices.to_numpy().min() >= 0.0001
        pd.testing.assert_frame_equal(prices, prices.round(4))


def to_a_level(prices):
    """The same volatility, but every session starts and ends at one level, as an earlier simulation did."""
    first, last = prices[:, :1], prices[:, -1:]
    return 100 * prices / first * (last / first) ** -np.linspace(0, 1, prices.shape[1])


def half_hours():
    """The price at 9:30, 10:00, … 16:00: one row a ticker and full session."""
    full = [session for session in YEARS if not session.early_close]
    rows = []
    for ticker in TICKERS:
        frame = SimulatedSource().bars(ticker, full, 30)
        opens, closes = (frame[name].to_numpy().reshape(len(full), 13) for name in ("open", "close"))
        rows.append(np.column_stack([opens, closes[:, -1]]))
    return np.concatenate(rows)


def standard_errors_from(expected, values):
    return abs(values.mean() - expected) / (values.std() / np.sqrt(values.size))


def reversals(prices):
    """Whether the next hour moves back towards the session's open."""
    away = np.sign(prices[:, 1:12:2] - prices[:, :1])
    moves = np.sign(prices[:, 3::2] - prices[:, 1:12:2])
    return (away == -moves).ravel()


def test_no_price_tells_the_next():
    prices = half_hours()
    steps = prices[:, 1:] / prices[:, :-1]

    assert reversals(prices).size > 60_000
    assert standard_errors_from(0.5, reversals(prices)) < 3
    assert standard_errors_from(1, prices[:, 3::2] / prices[:, 1:12:2]) < 3
    assert standard_errors_from(0, (steps[:, 1:] - 1) * (steps[:, :-1] - 1)) < 3


def test_the_mean_of_a_price_over_the_one_before_is_one():
    nights, days = [], []
    for ticker in TICKERS:
        daily = SimulatedSource().bars(ticker, YEARS, 390)
        nights.append(daily["open"].to_numpy()[1:] / daily["close"].to_numpy()[:-1])
        days.append((daily["close"] / daily["open"]).to_numpy())

    assert standard_errors_from(1, np.concatenate(nights)) < 3
    assert standard_errors_from(1, np.concatenate(days)) < 3


def test_a_step_of_the_logarithm_leaves_the_mean_of_the_price_alone():
    steps = _step(np.random.default_rng(1).standard_normal(1_000_000), np.array(0.04))

    assert steps.std() == pytest.approx(0.2, rel=0.01)
    assert standard_errors_from(1, np.exp(steps)) < 3


def test_prices_that_return_to_a_level_would_be_found_out():
    assert reversals(to_a_level(half_hours())).mean() > 0.6


@pytest.mark.parametrize(
    ("ticker", "least", "most"),
    [("VOD.L", 30, 300), ("7203.T", 1000, 9000), ("SAP.DE", 80, 700), ("BTC-USD", 30_000, 300_000), ("BP.L", 10, 9000)],
)
def test_prices_of_other_exchanges_have_the_size_of_real_ones_and_fill_their_hours(ticker, least, most):
    place = exchange.of(ticker)
    sessions = place.sessions_between(dt.date(2026, 11, 19), dt.date(2026, 11, 20))
    frame = SimulatedSource().bars(ticker, sessions, 60)

    assert frame["close"].between(least, most).all()
    assert frame["ts"].tolist() == [start for session in sessions for start in session.bar_starts(60)]


def test_no_bar_spans_the_lunch_break():
    session = exchange.XTKS.session_on(dt.date(2026, 11, 20))
    minutes, hours = (SimulatedSource().bars("7203.T", [session], size).set_index("ts") for size in (1, 60))
    before_lunch = minutes.loc["2026-11-20T02:00Z":"2026-11-20T02:29Z"]

    assert hours.loc["2026-11-20T02:00Z", ["high", "close"]].tolist() == [
        before_lunch["high"].max(),
        before_lunch["close"].iloc[-1],
    ]
