"""The README tells the truth: its blocks are rendered from the code, its commands run, its links lead somewhere."""

import re
import shlex

import pytest

from tests.readme import DEPLOY, README, ROOT, SCALE, SECURITY, blocks, every_command, make_targets, rendered
from tickerlake.cli import COMMANDS, cli
from tickerlake.cli.console import run_command
from tickerlake.query import SETTINGS

TEXT = README.read_text(encoding="utf-8")


def test_the_rendered_blocks_are_as_the_code_has_them():
    assert rendered(TEXT) == TEXT, "run: python -m tests.readme"


@pytest.mark.parametrize("name", blocks())
def test_every_block_has_its_place_and_says_something(name):
    places = [path.read_text(encoding="utf-8").count(f"<!-- {name}:") for path in (README, SECURITY, DEPLOY, SCALE)]

    assert sum(places) == 1
    assert blocks()[name].count("\n") > 2


def test_the_two_commands_of_the_set_up_are_the_first_ones_shown():
    shown = re.findall(r"^make \w+", TEXT, re.MULTILINE)

    assert shown[:2] == ["make run", "make test"]
    assert set(re.findall(r"\bmake ([a-z-]+)\b", " ".join(re.findall(r"`[^`]+`", TEXT)))) <= set(make_targets())


def test_every_option_that_the_text_names_is_one_that_a_command_has():
    options = {option for command in every_command(cli) for parameter in command.params for option in parameter.opts}

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) <= options | {"--help"}


def test_every_command_that_the_text_names_exists():
    named = set(re.findall(r"(?:^|`|\()tickerlake ([a-z]+)\b", TEXT, re.MULTILINE))

    assert named == set(COMMANDS)


def test_every_command_shown_with_its_output_prints_that_output(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    shown_runs = re.findall(r"^\$ (tickerlake .+?)(?=\n\n|\n```)", TEXT, re.MULTILINE | re.DOTALL)
    assert shown_runs
    for line, *output in map(str.splitlines, shown_runs):
        code = run_command(cli, shlex.split(line)[1:])
        printed = capsys.readouterr().out.splitlines()
        assert code == 0
        shown = [row for row in output if row != "…"]
        assert printed[: len(shown)] == shown


def test_the_python_that_is_shown_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_command(cli, ["collect", "--source", "simulated", "--session", "2026-11-20", "--lake", "lake"]) == 0
    (block,) = re.findall(r"```python\n(.+?)```", TEXT, re.DOTALL)
    *setup, expression = block.strip().splitlines()
    names: dict = {}
    exec("\n".join(setup), names)

    assert list(eval(expression, names)["hour"].unique()) == [9, 10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)", TEXT))))
def test_every_link_inside_the_repository_leads_somewhere(target):
    assert (ROOT / target).exists()


def test_its_costs_are_those_of_the_page_with_the_arithmetic():
    shown = TEXT.split("| USD a month |")[1].split("\n\n")[0].splitlines()[2:]

    assert len(shown) == 4
    assert [row for row in shown if row not in blocks()["choices"]] == []


def test_every_failure_of_the_troubleshooting_table_is_one_the_code_can_tell():
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("tickerlake", "functions", "dashboard")
        for path in (ROOT / folder).rglob("*.py")
    ) + (ROOT / "Makefile").read_text(encoding="utf-8")
    table = TEXT.split("## Troubleshooting")[1].split("\n## ")[0]

    for message in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE):
        for part in re.split(r"\s*…\s*", message):
            assert part.rstrip(":") in sources, part
