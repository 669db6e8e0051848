"""The simulation: the same for the same seed, plausible, and true to the calendar."""

import datetime as dt

import numpy as np
import pandas as pd

from tests.fakes.sinks import MemorySink
from tickerlake import bars, exchange, record
from tickerlake.collect import collect
from tickerlake.sources.simulated import SimulatedSource

WEEK = exchange.sessions_between(dt.date(2026, 11, 23), dt.date(2026, 11, 27))


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

    assert bars.session_dates(frame["ts"]).value_counts().to_dict() == {
        "2026-11-23": 78, "2026-11-24": 78, "2026-11-25": 78, "2026-11-27": 42,
    }  # fmt: skip


def test_every_simulated_bar_keeps_every_rule():
    sink = MemorySink()
    for size in record.BAR_MINUTES:
        collect(SimulatedSource(), sink, WEEK, ["META", "SHOP"], size, lambda: dt.datetime(2026, 12, 1, tzinfo=dt.UTC))

    assert not sink.rejected
    assert (sink.frame()["source"] == "simulated").all()


def test_the_open_and_the_close_are_livelier_than_noon():
    frame = SimulatedSource().bars("META", exchange.sessions_between(dt.date(2026, 1, 2), dt.date(2026, 11, 20)), 5)
    hours = frame["ts"].dt.tz_convert(exchange.EXCHANGE_TIME).dt.hour
    spread = np.log(frame["high"] / frame["low"]).groupby(hours).mean()
    volume = frame["volume"].groupby(hours).mean()

    for measure in (spread, volume):
        assert measure[9] > 1.5 * measure[12]
        assert measure[15] > 1.3 * measure[12]


def test_prices_move_as_stocks_do_from_session_to_session():
    days = exchange.sessions_between(dt.date(2025, 1, 2), dt.date(2026, 11, 20))
    for ticker in ("META", "SHOP", "BYND"):
        frame = SimulatedSource().bars(ticker, days, 30)
        closes = frame.groupby(bars.session_dates(frame["ts"]))["close"].last()
        moves = np.log(closes).diff().dropna().abs()
        assert 0.001 < moves.median() < 0.03
        assert moves.max() < 0.15
        assert closes.between(3, 2000).all()
