"""Scores, the champion and the sentence, on markets whose truth is known."""

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.forecast.market import MODELS, SESSIONS, changing, forecast, simulated, steady, walked
from tests.query.lakes import write_case
from tickerlake.forecast import scores
from tickerlake.forecast.boosted import Boosted
from tickerlake.forecast.models import LEVELS, quantiles
from tickerlake.forecast.samples import TARGETS
from tickerlake.forecast.verdict import verdict
from tickerlake.forecast.walk import QUANTILES
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine

FULL = bool(os.environ.get("FORECAST_TESTS"))
SEEDS = range(40 if FULL else 1)
DAYS = SESSIONS[-300:] if FULL else SESSIONS[-285:]
TICKERS = ("AMZN", "META", "NFLX", "SNAP") if FULL else ("AMZN", "META")


def target(forecasts, name):
    return forecasts[forecasts["target"] == name]


def models():
    return (*MODELS, Boosted()) if FULL else MODELS


@pytest.mark.parametrize("count", [1, 2, 14, 99, 1000])
def test_quantiles_are_those_of_numpy(count):
    values = np.random.default_rng(count).standard_normal(count)

    assert quantiles(values) == pytest.approx(np.quantile(values, LEVELS, method="weibull"))


QUARTERS = dict(zip(QUANTILES, (0.0, 0.0, 0.01, 0.03, 0.04), strict=True))


def test_losses_are_pinball_and_brier():
    rows = pd.DataFrame(
        {
            "target": ["next-hour-high", "close-above", "close-above"],
            "outcome": [0.02, 1.0, math.nan],
            **{name: [value, math.nan, math.nan] for name, value in QUARTERS.items()},
            "probability": [math.nan, 0.6, 0.6],
        }
    )

    found = scores.losses(rows)
    expected = (0.05 * 0.02 + 0.25 * 0.02 + 0.5 * 0.01 + 0.25 * 0.01 + 0.05 * 0.02) / 5
    assert found.tolist()[:2] == pytest.approx([expected, 0.16])
    assert math.isnan(found[2])


def test_diebold_and_marianos_statistic_by_hand():
    # Differences 1 and 3 in two sessions: mean 2, variance 1, and the lag's product -0.5 weighs 2 x 5/6.
    rows = pd.DataFrame(
        [
            {"ticker": "A", "session": day, "hour": 10, "model": model, "loss": loss}
            for day, pair in enumerate([(1.0, 2.0), (1.0, 4.0)])
            for model, loss in zip(("har", "hour-of-day"), pair, strict=True)
        ]
    )

    found = scores.compare(rows, "har", "hour-of-day")
    error = math.sqrt((1 - 2 * 5 / 6 * 0.5) / 2)
    assert (found.sessions, found.forecasts) == (2, 2)
    assert found.skill == pytest.approx(1 - 1 / 3)
    assert found.statistic == pytest.approx(2 / error)
    assert found.margin == pytest.approx(1.96 * error / 3)


def test_sessions_that_resemble_each_other_count_less_than_as_many_independent_ones():
    random = np.random.default_rng(2)
    shocks = random.standard_normal(250)
    similar = np.convolve(shocks, np.ones(5), "valid")

    def statistic(differences):
        rows = pd.DataFrame({"session": range(len(differences)), "ticker": "A", "hour": 10})
        ours, theirs = rows.assign(model="har", loss=1.0), rows.assign(model="hour-of-day", loss=1.5 + differences)
        return scores.compare(pd.concat([ours, theirs]), "har", "hour-of-day").statistic

    assert statistic(similar) < 0.7 * statistic(random.permutation(similar))


@pytest.mark.parametrize(("sessions", "champion"), [(249, "hour-of-day"), (250, "har")])
def test_a_challenger_needs_250_sessions(sessions, champion):
    rows = pd.DataFrame({"session": range(sessions), "ticker": "A", "hour": 10})
    losses = 1 + 0.1 * np.random.default_rng(1).standard_normal(sessions)
    better = pd.concat([rows.assign(model="hour-of-day", loss=losses + 0.1), rows.assign(model="har", loss=losses)])

    assert scores.champion(better) == champion
    assert scores.champion(better.assign(loss=1.0)) == "hour-of-day"


@pytest.fixture(scope="module", params=SEEDS)
def martingale(request):
    return forecast(simulated(request.param, DAYS, TICKERS), DAYS, models())


@pytest.fixture(scope="module", params=SEEDS)
def noise(request):
    return forecast(walked(request.param, DAYS, TICKERS, steady), DAYS, models())


CLAIMS: dict[str, list[bool]] = {"direction": [], "ranges": []}


def test_the_sentence_claims_no_direction_on_the_martingale(martingale):
    claimed = "Direction: forecast" in verdict(martingale).sentence
    CLAIMS["direction"].append(claimed)

    assert FULL or not claimed


def test_the_sentence_claims_no_skill_at_all_where_volatility_never_changes(noise):
    claimed = "better than" in verdict(noise).sentence.replace("no better than", "")
    CLAIMS["ranges"].append(claimed)

    assert FULL or not claimed


def test_of_40_seeds_the_sentence_claims_skill_in_fewer_than_5_per_cent():
    for claims in CLAIMS.values():
        assert len(claims) == len(SEEDS)
        assert sum(claims) < max(1, 0.05 * len(claims))


def test_the_90_per_cent_band_holds_90_per_cent(martingale):
    for name in ("next-hour-high", "day-high"):
        for model in ("hour-of-day", "har"):
            rows = target(martingale, name)[target(martingale, name)["model"] == model]
            assert 0.87 <= scores.coverage(rows) <= 0.93
            assert scores.calibration(rows).to_numpy() == pytest.approx(LEVELS, abs=0.03)
            assert np.histogram(scores.pit(rows), bins=4)[0] / len(rows) == pytest.approx([0.25] * 4, abs=0.05)


@pytest.fixture(scope="module")
def restless():
    return forecast(walked(1, DAYS, TICKERS, changing), DAYS)


def test_changing_volatility_is_found_and_makes_har_the_champion(restless):
    found = verdict(restless)

    assert found.champions["next-hour-high"] == found.champions["day-high"] == "har"
    assert found.sentence.startswith("Next hour's high: range forecast ")
    assert found.sentence.endswith("Direction: no better than a coin over 265 sessions, back-tested.") or FULL


@pytest.fixture(scope="module")
def patterned():
    return forecast(walked(1, DAYS, TICKERS, steady, trend=0.1), DAYS)


def test_a_planted_pattern_of_the_direction_is_found(patterned):
    found = verdict(patterned)

    assert found.champions["close-above"] == "har"
    assert "Direction: forecast " in found.sentence


def test_the_sentence_speaks_of_the_live_forecasts_once_they_are_enough(restless):
    cases = {0: "sessions, back-tested.", 20: "sessions, mostly back-tested.", 70: "over 70 sessions."}
    for count, says in cases.items():
        recent = restless["session"] >= len(DAYS) - count
        mixed = restless.assign(kind=np.where(recent, "live", "back-tested"))

        assert says in verdict(mixed).sentence.split("Day's high")[0]


def test_the_query_gives_the_scores_that_python_gives(tmp_path):
    engine = DuckDBEngine(write_case(tmp_path, "forecasts"))

    rows = run(engine, "forecasts").frame
    assert rows["loss"].to_numpy() == pytest.approx(scores.losses(rows).to_numpy(), abs=1e-9, nan_ok=True)
    for row in run(engine, "forecast_scores").frame.to_dict("records"):
        same = rows[(rows["target"] == row["target"]) & (rows["kind"] == row["kind"])]
        same = same[(same["version"] == row["version"]) | (same["model"] == "hour-of-day")]
        found = scores.compare(same, row["model"], "hour-of-day")
        assert (found.sessions, found.forecasts) == (row["sessions"], row["forecasts"])
        for name in ("skill", "margin", "statistic"):
            assert row[name] == pytest.approx(getattr(found, name), abs=1e-5, nan_ok=True)
        if row["target"] != "close-above":
            own = same[same["model"] == row["model"]]
            assert row["inside"] == pytest.approx(scores.coverage(own))
            assert [row[f"below_{name}"] for name in QUANTILES] == pytest.approx(scores.calibration(own).tolist())


@pytest.mark.skipif(FULL, reason="the page shows the markets of the default suite")
def test_the_page_shows_the_scores_on_each_market(martingale, noise, restless, patterned):
    page = (Path(__file__).parents[2] / "docs" / "forecast.md").read_text(encoding="utf-8")
    markets = {
        "noise: the same volatility every day": noise,
        "the simulation: volatility of its own every day": martingale,
        "volatility that stays high or low for weeks": restless,
        "a planted pattern: sessions go on as they began": patterned,
    }
    for name, rows in markets.items():
        found = [scores.compare(target(rows, each), "har", "hour-of-day") for each in TARGETS]
        cells = [f"{100 * each.skill:.1f} % ({each.statistic:.1f})" for each in found]
        assert f"| {name} | {' | '.join(cells)} |" in page
