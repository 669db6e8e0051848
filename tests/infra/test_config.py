"""The stack's settings: what Pulumi.yaml declares, what is refused, and how the watchlist is read and split."""

import datetime as dt
import json
from types import SimpleNamespace

import pytest
import yaml

from infra import config
from infra.config import KEYS, parse
from tests.infra.recorder import ROOT, STACK_FILES, TODAY, stack_config
from tickerlake import exchange, watchlist
from tickerlake.cli import main
from tickerlake.errors import ConfigError
from tickerlake.sources import SOURCES, alpaca, yahoo

REGION = {"aws:region": "us-east-1"}


def refusal(stack: str = "dev", **keys: object) -> str:
    """The message that refuses a configuration with `keys`."""
    given = {f"tickerlake:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in keys.items()}
    with pytest.raises(ConfigError) as refused:
        parse({**REGION, **given}, stack, TODAY)
    return str(refused.value)


def test_pulumi_yaml_declares_every_key_with_its_type_its_description_and_the_same_default():
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    types = {bool: "boolean", int: "integer", str: "string", dt.date: "string"}

    assert declared == {
        item.metadata["key"]: {
            "type": types[type(item.default)],
            "description": item.metadata["description"],
            "default": str(item.default) if isinstance(item.default, dt.date) else item.default,
        }
        for item in KEYS
    }


@pytest.mark.parametrize("stack", STACK_FILES)
def test_the_stack_files_can_be_deployed(stack):
    settings = parse(stack_config(stack), stack, TODAY)

    assert settings.on_destroy == {"dev": "delete", "prod": "refuse"}[stack]


def test_a_region_is_all_that_has_to_be_given():
    settings = parse(REGION, "dev", TODAY)

    assert settings.name == "tickerlake-dev"
    assert settings.bar_minutes == 5
    assert settings.shards == {exchange.XNYS: (settings.tickers,)}


def test_every_fault_is_listed_in_one_message():
    said = refusal(
        watchlist="nowhere/tickerlake.toml",
        barMinutes=3,
        bufferSeconds=30,
        logRetentionDays=45,
        alarmEmail="somebody",
        accountId="12345",
        bucketName="My_Lake",
        scanLimitMb=5,
        onDestroy="yes",
        collect="home",
        firstSession="2027-01-01",
        alarmEmial="you@example.com",
    )

    assert said.count("\n  - ") == 12
    for part in (
        "watchlist: ",
        "nowhere/tickerlake.toml does not exist; create it: tickerlake watchlist add",
        "barMinutes is 3; yahoo serves bars of 1, 2, 5, 15, 30, 60 or 90 minutes",
        "bufferSeconds is 30; it must lie between 60 and 900",
        "logRetentionDays is 45; CloudWatch allows 1, 3, 5,",
        "alarmEmail is 'somebody'; write one e-mail address",
        "accountId is '12345'; an account number has 12 digits",
        "bucketName is 'My_Lake'; use 3 to 63 lower-case letters, digits and dashes",
        "scanLimitMb is 5; it must lie between 10 and 7000000",
        "onDestroy is 'yes'; write refuse, keep or delete",
        "collect is 'home'; write lambda or outside",
        "firstSession is 2027-01-01; it must lie between 1990-01-01 and today, 2026-11-20",
        "alarmEmial is not a key; the keys are accountId, alarmEmail,",
    ):
        assert part in said


def test_each_exchange_has_shards_of_its_own(tmp_path):
    file = tmp_path / "tickerlake.toml"
    file.write_text('tickers = ["VOD.L", "META", "BTC-USD", "BP.L", "NFLX"]\n', encoding="utf-8")
    settings = parse({**REGION, "tickerlake:watchlist": str(file), "tickerlake:tickersPerShard": "2"}, "dev", TODAY)

    assert settings.shards == {
        exchange.XNYS: (("META", "NFLX"),),
        exchange.XLON: (("VOD.L", "BP.L"),),
        exchange.CRYPTO: (("BTC-USD",),),
    }


def test_the_longest_name_of_a_schedule_fits():
    longest = max(map(config.slug, exchange.EXCHANGES.values()), key=len)

    assert len(f"tickerlake-{'x' * 20}-collector-{longest}-collect-1750") <= 64


def test_a_missing_region_is_refused_with_the_command_that_sets_it():
    with pytest.raises(ConfigError, match=r"aws:region is ''; name a region.*\n.*pulumi config set"):
        parse({}, "dev", TODAY)


def test_a_budget_needs_an_address_to_warn():
    assert "monthlyBudgetUsd is 25, but alarmEmail is empty; set both" in refusal(monthlyBudgetUsd=25)


def test_alerts_are_those_of_the_watchlists_file_and_refused_as_there(tmp_path):
    file = tmp_path / "tickerlake.toml"
    given = {"watchlist": str(file), "alerts": True}

    assert f"alerts: {file} has no [[alerts]]; docs/lake.md shows" in refusal(**given)
    file.write_text("[[alerts]]\nabove = 700.0\n")
    assert f"alerts: {file}: [[alerts]] number 1: a price level needs its ticker" in refusal(**given)
    watchlist.remove_alert(file, 0)
    watchlist.add_alert(file, {"above": 700.0, "tickers": ["META"]})
    settings = parse({**REGION, "tickerlake:watchlist": str(file), "tickerlake:alerts": "true"}, "dev", TODAY)
    assert json.loads(settings.rules) == [{"above": 700.0, "tickers": ["META"]}]
    assert parse({**REGION, "tickerlake:watchlist": str(file)}, "dev", TODAY).rules == ""
    file.write_text("[[alerts]]\nnew_high = 1\n" * 250)
    assert "alerts: the rules make a text of 4250 characters; the alerter's environment holds 3500" in refusal(**given)


def test_an_address_for_alerts_needs_alerts():
    assert "alertEmail is you@example.com, but alerts is false; set both" in refusal(alertEmail="you@example.com")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"tickersPerShard": 100}, "between 1 and 76: a run has 240 seconds and sends 4 requests of 10"),
        ({"tickersPerShard": 0}, "tickersPerShard is 0"),
        ({"barMinutes": "five"}, "barMinutes is 'five'; write a whole number"),
        ({"barMinutes": True}, "barMinutes is 'true'; write a whole number"),
        ({"firstSession": "1 Jan 2020"}, "firstSession is '1 Jan 2020'; write a date as YYYY-MM-DD"),
        ({"lookBackMinutes": 5}, "for bars of 5 minutes, collected every 5, it must lie between 10 and 390"),
        ({"barMinutes": 60}, "lookBackMinutes is 30; for bars of 60 minutes"),
        ({"collectorZip": "build/nowhere.zip"}, "which does not exist; run `make package`"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(keys, says):
    assert says in refusal(**keys)


def test_a_stack_name_that_resources_cannot_have_is_refused():
    assert "the stack name is 'My.Stack'" in refusal("My.Stack")


KEY = {"APCA_API_KEY_ID": "an-id", "APCA_API_SECRET_KEY": "a-secret"}


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"source": "bloomberg"}, "source is 'bloomberg'; the function can ask yahoo or alpaca"),
        ({"source": "alpaca"}, 'alpaca needs a key: pulumi config set --secret sourceKey \'{"APCA_API_KEY_ID": '),
        ({"source": "alpaca", "sourceKey": "a-secret"}, "alpaca needs a key"),
        ({"source": "alpaca", "sourceKey": json.dumps({"APCA_API_KEY_ID": "a-secret"})}, "alpaca needs a key"),
        ({"sourceKey": json.dumps(KEY)}, "yahoo takes no key; remove it"),
        ({"source": "alpaca", "barMinutes": 60}, "alpaca serves bars of 1, 2, 5, 15 or 30 minutes"),
    ],
)
def test_a_vendor_that_cannot_be_asked_is_refused_and_its_key_never_shown(keys, says):
    said = refusal(**keys)

    assert says in said
    assert "a-secret" not in said


def test_a_vendor_is_not_asked_for_tickers_of_an_exchange_that_it_lacks(tmp_path):
    file = tmp_path / "tickerlake.toml"
    watchlist.add(file, ["VOD.L", "BTC-USD"])

    said = refusal(watchlist=str(file), source="alpaca", sourceKey=json.dumps(KEY))

    assert "watchlist: alpaca has no bars of VOD.L, BTC-USD; remove them, or set source to yahoo" in said
    assert said.count("\n  - ") == 1


def test_a_key_is_not_shown_with_the_settings():
    config = {**REGION, "tickerlake:source": "alpaca", "tickerlake:sourceKey": json.dumps(KEY)}

    assert "a-secret" not in repr(parse(config, "dev", TODAY))


def test_outside_the_machine_has_the_key():
    assert parse({**REGION, "tickerlake:source": "alpaca", "tickerlake:collect": "outside"}, "dev", TODAY)


def test_a_key_in_plain_text_is_refused(monkeypatch):
    monkeypatch.setattr(config, "CONFIG", SimpleNamespace(get=lambda: {"tickerlake:sourceKey": json.dumps(KEY)}))

    with pytest.raises(ConfigError, match="sourceKey is in plain text .* `pulumi config set --secret sourceKey`"):
        config.load()


def test_the_vendors_are_sources_with_the_keys_that_they_read():
    assert set(config.VENDORS) <= set(SOURCES)
    assert config.VENDORS["alpaca"].key == tuple(setting.variable for setting in alpaca.Key.describe())
    alpaca.AlpacaSource(key=alpaca.Key("", "")).sessions_per_request(max(config.VENDORS["alpaca"].bar_minutes))


@pytest.mark.parametrize(("count", "sizes"), [(50, [50]), (51, [26, 25]), (500, [50] * 10)])
def test_a_long_watchlist_is_split_into_equal_shards(tmp_path, count, sizes):
    tickers = [f"T{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(count)]
    file = tmp_path / "tickerlake.toml"
    file.write_text(f"tickers = {json.dumps(tickers)}\n", encoding="utf-8")
    settings = parse({**REGION, "tickerlake:watchlist": str(file)}, "dev", TODAY)

    shards = settings.shards[exchange.XNYS]
    assert [len(shard) for shard in shards] == sizes
    assert sorted(ticker for shard in shards for ticker in shard) == sorted(tickers)


def test_a_ticker_added_on_the_command_line_is_deployed_from_the_default_file(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "ROOT", tmp_path)
    assert parse(REGION, "dev", TODAY).tickers == watchlist.DEFAULT

    assert main(["watchlist", "add", "NVDA", "--lake", str(tmp_path / "lake")]) == 0

    assert parse(REGION, "dev", TODAY).tickers == (*watchlist.DEFAULT, "NVDA")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('tickers = "META"', "tickers must be a list of symbols"),
        ('tickers = ["TOOLONGAHEAD"]', "TOOLONGAHEAD"),
        (f"tickers = {json.dumps([f'T{number}' for number in range(1000)])}", "move some of them to a second stack"),
    ],
)
def test_a_watchlist_that_cannot_be_deployed_is_refused(tmp_path, text, says):
    file = tmp_path / "tickerlake.toml"
    file.write_text(text + "\n", encoding="utf-8")

    assert says in refusal(watchlist=str(file))


def test_the_time_of_a_shard_is_computed_from_the_collectors_own_limits():
    assert yahoo.YahooSource.parallel == config.REQUESTS_AT_ONCE
    assert yahoo.ANSWER_SECONDS == config.ANSWER_SECONDS
