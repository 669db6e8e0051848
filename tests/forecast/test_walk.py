"""A forecast knows the past, and nothing else."""

import numpy as np
import pandas as pd
import pytest

from tests.forecast.market import MODELS, SESSIONS, TICKERS, forecast, samples, simulated
from tickerlake.forecast.samples import DIRECTION, TARGETS, Known, moments
from tickerlake.forecast.scores import compare, losses
from tickerlake.forecast.walk import LOOK_BACK, QUANTILES, walk

DAYS = SESSIONS[-60:]
LAST = len(DAYS) - 1
EARLY_CLOSE = next(place for place, session in enumerate(SESSIONS) if session.early_close)
SAID = ["ticker", "session", "hour", "target", "model", "reference", *QUANTILES, "probability", "sessions_used"]


@pytest.fixture(scope="module")
def market():
    return simulated(3, DAYS)


@pytest.fixture(scope="module")
def forecasts(market):
    return forecast(market, DAYS)


def said(hours, place, hour, sessions=DAYS):
    made = forecast(hours, sessions, wanted=range(place, place + 1))
    return made.loc[made["hour"] == hour, SAID].reset_index(drop=True)


@pytest.mark.parametrize("hour", [10, 12, 15])
def test_nothing_after_the_hour_has_begun_changes_its_forecast(market, hour):
    # Removed, altered, and restated as if prices had been ten times as high.
    known = said(market, 50, hour)
    later = (market["session"] > DAYS[50].dt) | ((market["session"] == DAYS[50].dt) & (market["hour"] >= hour))
    noise = np.random.default_rng(1).uniform(0.5, 2, later.sum())
    prices = ["open", "high", "low", "close"]
    altered, restated = market.copy(), market.copy()
    altered.loc[later, prices] = altered.loc[later, prices].mul(noise, axis=0)
    restated.loc[later, prices] *= 10

    for hours in (market[~later], altered, restated):
        pd.testing.assert_frame_equal(said(hours, 50, hour), known)
    pd.testing.assert_frame_equal(said(market[~later], 50, hour, DAYS[:51]), known)


def test_what_was_known_before_the_hour_does_change_its_forecast(market):
    # Else the test above would pass on a forecast of nothing.
    today = (market["session"] == DAYS[50].dt) & (market["hour"] == 11)
    wild = market.copy()
    wild.loc[today, "high"] *= 1.05

    before, after = said(market, 50, 12), said(wild, 50, 12)
    har = before["model"] == "har"
    assert (after["q95"] > 1.2 * before["q95"])[har & (before["target"] != DIRECTION)].all()
    pd.testing.assert_frame_equal(after[~har], before[~har])


def test_a_model_does_not_learn_from_the_session_before_but_its_features_tell_of_it(market):
    outcome = market.copy()
    yesterday = outcome["session"] == DAYS[49].dt
    # The closes stay in the bars, so only outcomes of the direction and the reference of later hours change.
    outcome.loc[yesterday & (outcome["hour"] == 15), "close"] *= 1.001

    coin = said(market, 50, 12)
    pd.testing.assert_frame_equal(said(outcome, 50, 12), coin)
    outcome.loc[yesterday, "high"] *= 1.02
    assert not said(outcome, 50, 12).equals(coin)


def test_older_sessions_than_a_model_looks_back_change_nothing():
    # 60 sessions more than needed give the same forecasts, but for the last digits.
    days = SESSIONS[-LOOK_BACK - 11 :]
    hours = simulated(3, days, TICKERS[:1])
    new = days[10:]
    whole = said(hours, len(days) - 1, 12, days).drop(columns="session")
    short = said(hours[hours["session"] >= new[0].dt], len(new) - 1, 12, new).drop(columns="session")

    pd.testing.assert_frame_equal(short, whole, rtol=1e-9)


def test_quantiles_never_cross_and_probabilities_are_probabilities(forecasts):
    ranges, direction = forecasts[forecasts["target"] != DIRECTION], forecasts[forecasts["target"] == DIRECTION]

    assert (np.diff(ranges[QUANTILES], axis=1) >= 0).all()
    assert direction["probability"].between(0.05, 0.95).all()
    assert ranges["probability"].isna().all()
    assert direction[QUANTILES].isna().all(axis=None)


def test_each_ticker_is_forecast_at_each_full_hour_from_its_21st_session_on(forecasts):
    counted = forecasts.groupby(["session", "ticker", "target", "model"])["hour"].apply(list)

    assert sorted(forecasts["session"].unique()) == list(range(20, 60))
    assert set(counted.map(tuple)) == {tuple(range(10, 16))}
    assert len(counted) == 40 * len(TICKERS) * len(TARGETS) * len(MODELS)
    assert forecasts["outcome"].notna().all()


def test_an_early_close_has_three_full_hours_and_daylight_saving_moves_none():
    assert [moment.hour for moment in moments(SESSIONS[EARLY_CLOSE])] == [10, 11, 12]
    assert {tuple(moment.hour for moment in moments(session)) for session in SESSIONS if not session.early_close} == {
        (10, 11, 12, 13, 14, 15)
    }
    assert moments(SESSIONS[EARLY_CLOSE])[-1].hour_ends == SESSIONS[EARLY_CLOSE].close


def test_outcomes_are_the_highs_and_the_close_that_followed(market):
    found = samples(market, DAYS)
    day = market[(market["session"] == DAYS[40].dt) & (market["ticker"] == "META")].set_index("hour")

    for target, expected in {
        "next-hour-high": day["high"][12] / day["close"][11] - 1,
        "day-high": day["high"].loc[12:].max() / day["close"][11] - 1,
        "close-above": float(day["close"][15] > day["close"][11]),
    }.items():
        rows = found[target]
        row = rows[(rows["session"] == 40) & (rows["ticker"] == "META") & (rows["hour"] == 12)]
        assert row["outcome"].tolist() == [expected]
        assert row["reference"].tolist() == [day["close"][11]]


def test_an_outcome_is_unknown_until_the_last_bar_of_its_time_is_there(market):
    cut = market["last_ts"] < pd.Timestamp(DAYS[LAST].date, tz="America/New_York") + pd.Timedelta(hours=13, minutes=30)
    rows = samples(market[cut], DAYS)
    half = market[cut].copy()
    half.loc[half.index[-1], "last_ts"] -= pd.Timedelta(minutes=5)

    known = {
        target: frame.loc[frame["session"] == LAST, ["hour", "outcome"]].dropna() for target, frame in rows.items()
    }
    assert set(known["next-hour-high"]["hour"]) == {10, 11, 12}
    assert known["day-high"].empty
    assert known["close-above"].empty


def test_a_missing_session_and_a_missing_hour_cost_their_own_forecasts_only(market):
    gone = (market["session"] == DAYS[45].dt) | (
        (market["session"] == DAYS[50].dt) & (market["hour"] == 11) & (market["ticker"] == "META")
    )
    made = forecast(market[~gone], DAYS)
    whole = forecast(market, DAYS)

    lost = len(TICKERS) * 6 + 2  # of META, hour 11 has no bars, and hour 12 no last close
    per_hour = len(TARGETS) * len(MODELS)
    assert len(whole) - len(made) == (lost - 1) * per_hour
    assert made.loc[made["session"] == 59, "sessions_used"].eq(58).all()
    assert np.isfinite(made.loc[made["target"] != DIRECTION, QUANTILES]).all(axis=None)


def test_a_ticker_listed_yesterday_has_no_forecast_and_harms_no_other(market):
    new = market[market["session"] >= DAYS[58].dt].loc[lambda frame: frame["ticker"] == "META"].assign(ticker="NEWCO")
    with_it, without = said(pd.concat([market, new]), 59, 12), said(market, 59, 12)

    pd.testing.assert_frame_equal(with_it, without)


def test_a_company_keeps_its_history_under_a_new_symbol():
    days = SESSIONS[235:270]  # Block traded as SQ before 2025-01-21
    hours = simulated(3, days, ["XYZ"])
    renamed = hours.assign(ticker=np.where(hours["session"] < "2025-01-21", "SQ", "XYZ"))

    made, expected = forecast(renamed, days), forecast(hours, days)
    pd.testing.assert_frame_equal(made[SAID].drop(columns="ticker"), expected[SAID].drop(columns="ticker"))
    assert set(made["ticker"]) == {"SQ", "XYZ"}


def test_a_split_between_two_sessions_changes_no_forecast(market):
    split = market.copy()
    split.loc[split["session"] < DAYS[40].dt, ["open", "high", "low", "close"]] *= 10

    made, expected = forecast(split, DAYS), forecast(market, DAYS)
    relative = [name for name in SAID if name != "reference"]
    pd.testing.assert_frame_equal(made[relative], expected[relative], rtol=1e-9)


def test_shuffled_targets_give_no_skill():
    # Each outcome is another session's: what a model then gains, it gains from the future.
    days = SESSIONS[-110:]
    found = samples(simulated(5, days), days)
    random = np.random.default_rng(5)
    for frame in found.values():
        for rows in frame.groupby(["ticker", "hour"]).groups.values():
            order = random.permutation(rows)
            frame.loc[rows, ["outcome", "size"]] = frame.loc[order, ["outcome", "size"]].to_numpy()
    made = walk([Known(list(range(len(days))), found, found)], MODELS)
    made["loss"] = losses(made)
    for _, rows in made.groupby("target"):
        assert compare(rows, "har", "hour-of-day").statistic < 2
