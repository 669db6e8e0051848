"""Settings: where each value comes from, and every fault at once."""

from pathlib import Path

import pytest

from tickerlake import aws
from tickerlake.errors import ConfigError
from tickerlake.settings import SETTINGS, Settings


def test_without_any_variable_every_setting_has_its_default():
    assert Settings.from_environment({}) == Settings()
    assert {item.origin for item in Settings.explain({})} == {"default"}


def test_each_value_is_parsed_and_knows_its_variable():
    environment = {"LAKE_DIR": " /data/lake ", "LAKE_PORT": "443", "LAKE_TLS": "1", "LAKE_REUSE_MINUTES": "0"}
    settings = Settings.from_environment(environment)
    assert (settings.lake, settings.port, settings.tls, settings.reuse_minutes) == (Path("/data/lake"), 443, True, 0)
    changed = {item.variable: item.origin for item in Settings.explain(environment) if item.origin != "default"}
    assert changed == {name: name for name in environment}


@pytest.mark.parametrize(
    ("environment", "region", "origin"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1", "AWS_DEFAULT_REGION"),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-west-2"}, "eu-west-2", "AWS_REGION"),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "LAKE_REGION": "eu-west-3"}, "eu-west-3", "LAKE_REGION"),
        ({"AWS_REGION": " "}, "", "default"),
    ],
)
def test_the_region_falls_back_to_the_variables_of_aws(environment, region, origin):
    (found,) = [item for item in Settings.explain(environment) if item.name == "region"]
    assert (found.value, found.origin) == (region, origin)
    assert Settings.from_environment(environment).region == region


@pytest.mark.parametrize("variable", ["LAKE_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"])
def test_aws_clients_take_the_region_of_each_variable(monkeypatch, variable):
    for name in ("LAKE_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv(variable, "ap-south-1")
    assert aws.client("athena").meta.region_name == "ap-south-1"
    assert aws.client("athena", "eu-north-1").meta.region_name == "eu-north-1"


def test_no_other_module_makes_clients_in_the_region_of_the_environment():
    root = Path(aws.__file__).parent.parent
    folders = ("tickerlake", "dashboard", "functions", "infra")
    modules = [path for folder in folders for path in (root / folder).rglob("*.py")]
    making = {path.relative_to(root).as_posix() for path in modules if "boto3.client(" in path.read_text("utf-8")}
    sessions = {path.relative_to(root).as_posix() for path in modules if "boto3.Session(" in path.read_text("utf-8")}
    # verify's sessions have credentials and a region of their own.
    assert (making, sessions) == (set(), {"tickerlake/aws.py", "infra/verify.py"})


@pytest.mark.parametrize(
    ("variable", "text", "fault"),
    [
        ("LAKE_ENGINE", "oracle", "it must be one of duckdb, athena, trino"),
        ("LAKE_PORT", "0", "it must be a whole number from 1 to 65535"),
        ("LAKE_PORT", "65536", "it must be a whole number from 1 to 65535"),
        ("LAKE_PORT", "٣", "it must be a whole number"),
        ("LAKE_REUSE_MINUTES", "-1", "it must be a whole number from 0 to 10080"),
        ("LAKE_TLS", "yes", "it must be one of 0, 1"),
        ("LAKE_DATABASE", "x; DROP TABLE bars", "use letters, digits"),
        ("AWS_REGION", "us east", "use letters, digits"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_is_allowed(variable, text, fault):
    with pytest.raises(ConfigError) as error:
        Settings.from_environment({variable: text})
    assert str(error.value).startswith(f"{variable} is {text!r}; ")
    assert fault in str(error.value)


def test_every_fault_is_reported_at_once():
    with pytest.raises(ConfigError, match=r"LAKE_ENGINE is 'x'.*; LAKE_PORT is 'y'.*; LAKE_TLS is 'z'"):
        Settings.from_environment({"LAKE_ENGINE": "x", "LAKE_PORT": "y", "LAKE_TLS": "z"})


def test_only_passwords_and_addresses_are_secret_and_never_in_a_repr():
    assert [item.variable for item in SETTINGS if item.secret] == ["LAKE_PASSWORD", "LAKE_ALERT_URLS"]
    assert "hunter2" not in repr(Settings(password="hunter2"))
