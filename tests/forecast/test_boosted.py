"""The machine-learned challenger keeps the rules that all models keep, and its file is not trusted blindly."""

import json

import numpy as np
import pytest

from tests.forecast.market import SESSIONS, forecast, walked
from tickerlake.errors import ConfigError
from tickerlake.forecast.boosted import Boosted, load
from tickerlake.forecast.samples import DIRECTION
from tickerlake.forecast.walk import QUANTILES

DAYS = SESSIONS[-60:]


@pytest.fixture(scope="module")
def market():
    return walked(1, DAYS, ("AMZN", "META"))


@pytest.fixture(scope="module")
def file(market, tmp_path_factory):
    file = tmp_path_factory.mktemp("models") / "boosted.json"
    model = Boosted()
    forecast(market, DAYS, [model], range(58, 59))
    file.write_text(model.as_text())
    return file


def test_its_quantiles_never_cross_and_its_future_changes_nothing(market):
    made = forecast(market, DAYS, [Boosted()], range(50, 51))
    later = (market["session"] > DAYS[50].dt) | ((market["session"] == DAYS[50].dt) & (market["hour"] >= 12))
    altered = market.copy()
    altered.loc[later, ["high", "close"]] *= 1.1

    again = forecast(altered, DAYS, [Boosted()], range(50, 51))
    said, before = [*QUANTILES, "probability"], made["hour"] <= 12
    assert (np.diff(made.loc[made["target"] != DIRECTION, QUANTILES], axis=1) >= 0).all()
    assert made.loc[before, said].equals(again.loc[before, said])
    assert not made.loc[~before, said].equals(again.loc[~before, said])


def test_what_it_learned_is_used_for_later_sessions_and_never_for_earlier_ones(market, file):
    learned = load(file)

    kept = Boosted(file)
    forecast(market, DAYS, [kept], range(59, 60))
    assert kept._fits == learned
    forecast(market, DAYS, [kept], range(40, 41))
    assert all(kept._fits[target].until < DAYS[40].date.toordinal() - 1 for target in learned)


@pytest.mark.parametrize("version", [0, 2])
def test_a_file_of_another_version_is_refused(file, tmp_path, version):
    other = tmp_path / "boosted.json"
    other.write_text(json.dumps(json.loads(file.read_text()) | {"version": version}))

    with pytest.raises(ConfigError, match=f"holds version {version} of boosted, this is version 1 .*; delete the file"):
        Boosted(other)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": "boosted", "version": 1, "targets": {"day-high": {}}}'])
def test_a_file_that_is_no_model_is_refused(tmp_path, text):
    file = tmp_path / "boosted.json"
    file.write_text(text)

    with pytest.raises(ConfigError, match="is not a model; delete it"):
        Boosted(file)
