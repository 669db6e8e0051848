"""From `pulumi stack output --json` to the `LAKE_` settings."""

import io
import json

import pytest

from infra import settings
from tests.infra.recorder import deployed
from tickerlake.errors import ConfigError


def test_the_outputs_become_the_settings_of_the_athena_engine():
    assert settings.environment(deployed("prod").exports) == {
        "LAKE_ENGINE": "athena",
        "LAKE_REGION": "us-east-1",
        "LAKE_DATABASE": "tickerlake_prod",
        "LAKE_WORKGROUP": "tickerlake-prod",
    }


def test_the_command_reads_stdin_and_writes_lines(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(deployed("dev").exports)))

    settings.main()

    assert capsys.readouterr().out.splitlines()[2:] == ["LAKE_DATABASE=tickerlake_dev", "LAKE_WORKGROUP=tickerlake-dev"]


def test_a_stack_that_is_not_deployed_is_refused():
    with pytest.raises(ConfigError, match="the stack output has no 'tickerlake'; run `pulumi up`"):
        settings.environment({})


@pytest.mark.parametrize(("text", "says"), [("", "is not JSON"), ("{}", "the stack output has no 'tickerlake'")])
def test_the_command_reports_unreadable_input_in_one_line(monkeypatch, text, says):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))

    with pytest.raises(SystemExit, match=says):
        settings.main()
