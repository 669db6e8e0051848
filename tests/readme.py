"""The parts of README.md, SECURITY.md, docs/deploy.md and docs/scale.md that are rendered from the code.

`python -m tests.readme` rewrites them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click

from dashboard.pages import PAGES
from tests import costs
from tests.scale import SCALES, rows
from tickerlake.bars import RULES
from tickerlake.cli import cli
from tickerlake.cli.console import EXIT_CODES
from tickerlake.query import SETTINGS, load, names
from tickerlake.record import COLUMNS, PARTITION

ROOT = Path(__file__).parents[1]
README, SECURITY = ROOT / "README.md", ROOT / "SECURITY.md"
DEPLOY, SCALE = ROOT / "docs" / "deploy.md", ROOT / "docs" / "scale.md"
_SIZES = [f"{size} tickers" for size in costs.SIZES]


def blocks() -> dict[str, str]:
    """What stands between the markers of each block."""
    return {
        "queries": _table(
            ["query", "what it answers", "columns"],
            [
                [f"`{name}`", load(name).purpose, " ".join(f"`{column.name}`" for column in load(name).columns)]
                for name in names()
            ],
        ),
        "record": _table(
            ["column", "type", "what it holds"],
            [[f"`{column.name}`", column.type, column.comment] for column in (*COLUMNS, PARTITION)],
        ),
        "rules": _table(["rule", "a record that"], [[f"`{rule.id}`", rule.description] for rule in RULES]),
        "commands": _table(["command", "what it does"], _commands()),
        "exit-codes": _table(["code", "meaning"], [[f"`{code}`", meaning] for code, meaning in EXIT_CODES.items()]),
        "settings": _table(
            ["variable", "default", "meaning"],
            [[f"`{s.variable}`", f"`{_shown(s.default)}`" if _shown(s.default) else "", s.comment] for s in SETTINGS],
        ),
        "make": _table(["target", "what it does"], [[f"`make {name}`", does] for name, does in make_targets().items()]),
        "roles": _table(["role or policy", "may", "on"], _roles()),
        "costs": _table(["", *_SIZES, "arithmetic"], list(costs.rows())),
        "choices": _table(["USD a month", *_SIZES], list(costs.choices())),
        "scale": _table(["", *(f"{each.tickers:,} tickers, {each.minutes} min" for each in SCALES)], rows()),
        "pages": _table(["page", "what it shows"], [[name, shows] for name, shows in pages().items()]),
    }


def make_targets() -> dict[str, str]:
    """The targets that `make help` lists."""
    found = re.findall(r"^([a-z-]+):.*?## (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def pages() -> dict[str, str]:
    """What each page of the dashboard shows, by its title."""
    return {page.title: page.shows for page in PAGES}


def rendered(text: str) -> str:
    """`text` with every block as the code has it."""
    for name, body in blocks().items():
        text = re.sub(
            rf"(<!-- {name}:[^\n]*-->\n).*?(<!-- /{name} -->)", rf"\1{_escape(body)}\2", text, flags=re.DOTALL
        )
    return text


def every_command(group: click.Group) -> Iterator[click.Command]:
    """The commands of `group`, and theirs."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield command
        if isinstance(command, click.Group):
            yield from every_command(command)


def _commands() -> list[list[str]]:
    rows = []
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        rows.append([f"`tickerlake {name}{_usage(command)}`", command.get_short_help_str(200)])
    return rows


def _roles() -> list[list[str]]:
    policies = json.loads((ROOT / "tests" / "infra" / "policies.json").read_text(encoding="utf-8"))
    return [
        [
            f"`{name.removesuffix('-policy')}`",
            " ".join(f"`{action}`" for action in _list(statement["Action"])),
            " ".join(f"`{_shortened(resource)}`" for resource in _list(statement["Resource"])),
        ]
        for name, policy in policies.items()
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow" and "Principal" not in statement
    ]


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _shortened(arn: str) -> str:
    """A resource without region and account, and without the suffix of a generated name."""
    if ":" not in arn:
        return arn
    _, _, service, _, _, name = arn.split(":", 5)
    return re.sub(r"-[0-9a-f]{7}(?=/|$)", "", f"{service}:{name}")


def _usage(command: click.Command) -> str:
    words = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            words.append(
                (parameter.name or "").upper() if parameter.required else f"[{(parameter.name or '').upper()}]"
            )
        else:
            words.append(f"[{max(parameter.opts, key=len)}]")
    return "".join(f" {word}" for word in words)


def _shown(default: object) -> str:
    return str(int(default)) if isinstance(default, bool) else str(default)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escape(text: str) -> str:
    return text.replace("\\", r"\\")


if __name__ == "__main__":
    for path in (README, SECURITY, DEPLOY, SCALE):
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")
