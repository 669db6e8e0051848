"""The command `tickerlake`. Each verb is a module of this folder, imported only when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import click

import tickerlake
from tickerlake.cli.console import run_command

COMMANDS = {
    "collect": ("tickerlake.cli.collect", "collect_command"),
    "import": ("tickerlake.cli.importing", "import_command"),
    "query": ("tickerlake.cli.query", "query_command"),
}
"""Each verb, and where its click command is."""


class _Verbs(click.Group):
    """Imports a verb's module when the verb is called or its help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        return getattr(import_module(module), name)


@click.group(
    cls=_Verbs,
    name="tickerlake",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(tickerlake.__version__, message="tickerlake %(version)s")
def cli() -> None:
    """A small lake of stock bars that you own: collect them, keep every correction, query them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    return run_command(cli, arguments)
