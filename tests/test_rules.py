import datetime as dt

import numpy as np
import pandas as pd
import pytest

from tickerlake import bars, record

SESSION = "2026-11-20"
OPEN = pd.Timestamp("2026-11-20T14:30:00Z")
CLOSE = pd.Timestamp("2026-11-20T21:00:00Z")
LATER = pd.Timestamp("2026-11-20T22:00:00Z")


def one(**changes):
    row = {
        "ticker": "META", "ts": OPEN, "bar_minutes": 5, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5,
        "volume": 100, "source": "yahoo", "collected_at": LATER, "dt": SESSION,
        "exchange": "XNYS", "hour": 9, "currency": "USD",
    }  # fmt: skip
    frame = pd.DataFrame([{**row, **changes}])
    for name in ("ts", "collected_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.as_unit("us")
    return frame.astype({"volume": "Int64"} | dict.fromkeys(record.PRICES, float))


def broken(**changes):
    return bars.broken_rules(one(**changes)).iloc[0]


def test_a_good_bar_breaks_no_rule():
    assert broken() is None


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("missing-ticker", {"ticker": None}),
        ("missing-ticker", {"ticker": ""}),
        ("not-a-symbol", {"ticker": "=1+1"}),
        ("not-a-symbol", {"ticker": "meta"}),
        ("not-a-symbol", {"ticker": "META\n"}),
        ("missing-time", {"ts": pd.NaT, "dt": None}),
        ("missing-price", {"high": np.nan}),
        ("missing-price", {"low": None}),
        ("missing-price", {"high": np.inf}),
        ("not-positive", {"low": 0.0}),
        ("not-positive", {"open": -1.0}),
        ("high-below-low", {"high": 8.0}),
        ("price-outside-bar", {"close": 11.01}),
        ("price-outside-bar", {"open": 8.99}),
        ("negative-volume", {"volume": -1}),
        ("outside-session", {"ts": OPEN - pd.Timedelta(minutes=5)}),
        ("outside-session", {"ts": pd.Timestamp("2026-11-20T21:00:00Z")}),
        ("outside-session", {"ts": pd.Timestamp("2026-11-21T15:00:00Z"), "dt": "2026-11-21"}),
        ("outside-session", {"ts": pd.Timestamp("2026-11-27T18:00:00Z"), "dt": "2026-11-27"}),
        ("off-grid", {"ts": OPEN + pd.Timedelta(seconds=4)}),
        ("off-grid", {"ts": OPEN + pd.Timedelta(minutes=1)}),
    ],
)
def test_each_rule_names_the_record_that_breaks_it(rule, changes):
    assert broken(**changes) == rule


def test_every_rule_is_tested_above():
    tested = {case[0] for case in test_each_rule_names_the_record_that_breaks_it.pytestmark[0].args[1]}

    assert tested == {rule.id for rule in bars.RULES}


@pytest.mark.parametrize(
    "changes",
    [
        {"volume": None},
        {"volume": 0},
        {"open": None, "close": None},
        {"high": 9.0, "low": 9.0, "open": 9, "close": 9},
        {"high": 0.02, "low": 0.01, "open": 0.01, "close": 0.02},
    ],
)
def test_rare_but_valid_bars_are_kept(changes):
    assert broken(**changes) is None


@pytest.mark.parametrize(
    ("running", "changes"),
    [
        (True, {"collected_at": OPEN + pd.Timedelta(minutes=4, seconds=59)}),
        # The last trade, as a row of its own.
        (True, {"ts": OPEN + pd.Timedelta(minutes=6, seconds=4), "collected_at": OPEN + pd.Timedelta(minutes=7)}),
        (False, {"collected_at": OPEN + pd.Timedelta(minutes=5)}),
        (False, {"ts": CLOSE - pd.Timedelta(minutes=5), "collected_at": CLOSE}),
        # The last hour's bar of 60 minutes ends with the session, half an hour early.
        (False, {"ts": CLOSE - pd.Timedelta(minutes=30), "bar_minutes": 60, "collected_at": CLOSE}),
        # Faults, however new they are.
        (False, {"ts": OPEN - pd.Timedelta(minutes=5), "collected_at": OPEN - pd.Timedelta(minutes=1)}),
        (False, {"ts": CLOSE, "collected_at": CLOSE - pd.Timedelta(minutes=1)}),
        (False, {"ts": pd.NaT, "dt": None, "collected_at": OPEN}),
    ],
)
def test_a_bar_is_unfinished_until_it_or_its_session_ends(running, changes):
    assert bars.unfinished(one(**changes)).tolist() == [running]


def test_an_imported_record_may_lie_off_the_grid_but_not_outside_the_session():
    assert bars.broken_rules(one(ts=OPEN + pd.Timedelta(seconds=4)), collected=False).iloc[0] is None
    assert bars.broken_rules(one(ts=OPEN - pd.Timedelta(hours=1)), collected=False).iloc[0] == "outside-session"


def test_a_bar_belongs_to_its_date_and_hour_in_exchange_time():
    ts = pd.to_datetime(["2026-11-20T01:00:00Z", "2026-11-20T05:00:00Z", "2026-07-20T03:59:00Z", None], utc=True)

    placed = bars.placed(pd.DataFrame({"ticker": "META", "ts": ts}))

    assert placed["dt"].tolist()[:3] == ["2026-11-19", "2026-11-20", "2026-07-19"]
    assert placed["hour"].tolist()[:3] == [20, 0, 23]
    assert placed[["dt", "hour"]].iloc[3].isna().all()
    assert placed[["exchange", "currency"]].iloc[0].tolist() == ["XNYS", "USD"]


def test_each_ticker_is_placed_in_the_time_of_its_own_exchange():
    ts = pd.to_datetime(["2026-11-20T00:30:00Z"] * 5, utc=True)
    tickers = ["META", "7203.T", "VOD.L", "BTC-EUR", "7203.T"]

    placed = bars.placed(pd.DataFrame({"ticker": tickers, "ts": ts}))

    assert placed[["exchange", "dt", "hour", "currency"]].to_numpy().tolist() == [
        ["XNYS", "2026-11-19", 19, "USD"],
        ["XTKS", "2026-11-20", 9, "JPY"],
        ["XLON", "2026-11-20", 0, "GBp"],
        ["24/7", "2026-11-20", 0, "EUR"],
        ["XTKS", "2026-11-20", 9, "JPY"],
    ]


def test_the_currency_that_a_vendor_states_stays():
    frame = pd.DataFrame({"ticker": ["VOD.L", "HSBA.L"], "ts": pd.to_datetime(["2026-11-20T09:00Z"] * 2)})

    assert bars.placed(frame.assign(currency=["USD", None]))["currency"].tolist() == ["USD", "GBp"]


def test_a_bar_in_the_lunch_break_is_outside_the_session_and_the_afternoon_has_a_grid_of_its_own():
    times = ["11:00", "11:25", "11:30", "12:25", "12:30", "12:31", "13:30", "15:30"]
    ts = pd.to_datetime([f"2026-11-20T{time}+09:00" for time in times]).tz_convert("UTC")
    prices = dict.fromkeys(record.PRICES, 1.0)
    frame = bars.placed(pd.DataFrame({"ticker": "7203.T", "ts": ts, "volume": 1, **prices}))

    broken = dict(zip(times, bars.broken_rules(frame.assign(bar_minutes=60)), strict=True))

    assert broken == {
        "11:00": None,
        "11:25": "off-grid",
        "11:30": "outside-session",
        "12:25": "outside-session",
        "12:30": None,
        "12:31": "off-grid",
        "13:30": None,
        "15:30": "outside-session",
    }


def test_an_empty_frame_has_the_types_of_a_full_one():
    assert bars.empty().dtypes.to_dict() == bars.as_bars(one()).dtypes.to_dict()


def test_a_frame_without_a_column_is_not_a_frame_of_bars():
    with pytest.raises(ValueError, match="collected_at"):
        bars.as_bars(one().drop(columns="collected_at"))


def test_times_are_truncated_to_milliseconds():
    moment = dt.datetime(2026, 11, 20, 22, 0, 0, 999_999, tzinfo=dt.UTC)

    assert record.milliseconds(moment).microsecond == 999_000
