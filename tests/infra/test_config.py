"""The stack's settings: what Pulumi.yaml declares, what is refused, and how a watchlist is split."""

import datetime as dt
import json

import pytest
import yaml

from infra import config
from infra.config import KEYS, parse
from tests.infra.recorder import ROOT, STACK_FILES, TODAY, stack_config
from tickerlake.errors import ConfigError
from tickerlake.sources import yahoo

REGION = {"aws:region": "us-east-1"}


def refusal(stack: str = "dev", **keys: object) -> str:
    """What is said of a configuration with `keys`."""
    given = {f"tickerlake:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in keys.items()}
    with pytest.raises(ConfigError) as refused:
        parse({**REGION, **given}, stack, TODAY)
    return str(refused.value)


def test_pulumi_yaml_declares_every_key_with_its_type_its_description_and_the_same_default():
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    types = {bool: "boolean", int: "integer", str: "string", tuple: "array", dt.date: "string"}

    assert declared == {
        item.metadata["key"]: {
            "type": types[type(item.default)],
            "description": item.metadata["description"],
            "default": list(item.default)
            if isinstance(item.default, tuple)
            else str(item.default)
            if isinstance(item.default, dt.date)
            else item.default,
            **({"items": {"type": "string"}} if isinstance(item.default, tuple) else {}),
        }
        for item in KEYS
    }


@pytest.mark.parametrize("stack", STACK_FILES)
def test_the_stack_files_can_be_deployed(stack):
    settings = parse(stack_config(stack), stack, TODAY)

    assert settings.ephemeral is (stack == "dev")


def test_a_region_is_all_that_has_to_be_given():
    settings = parse(REGION, "dev", TODAY)

    assert settings.name == "tickerlake-dev"
    assert settings.bar_minutes == 5
    assert settings.shards == (settings.tickers,)


def test_every_fault_is_listed_in_one_message():
    said = refusal(
        tickers=["META", "fb", "TOOLONGAHEAD"],
        barMinutes=3,
        bufferSeconds=30,
        logRetentionDays=45,
        alarmEmail="somebody",
        accountId="12345",
        bucketName="My_Lake",
        scanLimitMb=5,
        ephemeral="yes",
        firstSession="2027-01-01",
        alarmEmial="you@example.com",
    )

    assert said.count("\n  - ") == 11
    for part in (
        "tickers: 'fb', 'TOOLONGAHEAD' is not a symbol",
        "barMinutes is 3; Yahoo serves bars of 1, 2, 5, 15, 30, 60 or 90 minutes",
        "bufferSeconds is 30; it lies between 60 and 900",
        "logRetentionDays is 45; CloudWatch has 1, 3, 5,",
        "alarmEmail is 'somebody', which is not one e-mail address",
        "accountId is '12345'; an account has 12 digits",
        "bucketName is 'My_Lake'; write 3 to 63 small letters, digits and dashes",
        "scanLimitMb is 5; it lies between 10 and 7000000",
        "ephemeral is 'yes'; write true or false",
        "firstSession is 2027-01-01; it lies between 1990-01-01 and today, 2026-11-20",
        "alarmEmial is no key; the keys are accountId, alarmEmail,",
    ):
        assert part in said


def test_a_missing_region_is_said_and_where_to_set_it():
    with pytest.raises(ConfigError, match=r"aws:region is ''; name a region.*\n.*pulumi config set"):
        parse({}, "dev", TODAY)


def test_a_budget_without_anybody_to_tell_is_half_set():
    assert "monthlyBudgetUsd is 25, but nobody would hear of it; set alarmEmail as well" in refusal(monthlyBudgetUsd=25)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"tickers": "META,AMZN"}, 'write a list of symbols, such as ["META", "AMZN"]'),
        ({"tickers": []}, "tickers: an empty list is not a symbol"),
        ({"tickers": [f"T{number}" for number in range(1000)]}, "give some of them to a second stack"),
        ({"tickersPerShard": 100}, "one run collects 1 to 76 tickers in its 240 seconds, 4 at once at up to 10"),
        ({"tickersPerShard": 0}, "tickersPerShard is 0"),
        ({"barMinutes": "five"}, "barMinutes is 'five'; write a whole number"),
        ({"barMinutes": True}, "barMinutes is 'true'; write a whole number"),
        ({"firstSession": "1 Jan 2020"}, "firstSession is '1 Jan 2020'; write a day as YYYY-MM-DD"),
        ({"lookBackMinutes": 5}, "with bars of 5 minutes, collected every 5, it lies between 10 and a session's 390"),
        ({"barMinutes": 60}, "lookBackMinutes is 30; with bars of 60 minutes"),
        ({"collectorZip": "build/nowhere.zip"}, "where there is no file; build it by `make package`"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_what_can(keys, says):
    assert says in refusal(**keys)


def test_a_stack_whose_name_no_resource_could_bear_is_refused():
    assert "the stack is named 'My.Stack'" in refusal("My.Stack")


@pytest.mark.parametrize(("count", "sizes"), [(50, [50]), (51, [26, 25]), (500, [50] * 10)])
def test_a_long_watchlist_is_split_as_evenly_as_can_be(count, sizes):
    tickers = [f"T{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(count)]
    settings = parse({**REGION, "tickerlake:tickers": json.dumps(tickers)}, "dev", TODAY)

    assert [len(shard) for shard in settings.shards] == sizes
    assert sorted(ticker for shard in settings.shards for ticker in shard) == sorted(tickers)


def test_a_shards_time_is_reckoned_by_how_the_collector_asks():
    assert yahoo.YahooSource.parallel == config.REQUESTS_AT_ONCE
    assert yahoo.ANSWER_SECONDS == config.ANSWER_SECONDS
