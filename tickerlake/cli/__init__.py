"""The command `tickerlake`. Each verb is a module of this folder, imported only when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

import tickerlake
from tickerlake.cli.console import run_command


class Verb(NamedTuple):
    """Where a verb's click command is, and its line in the list of commands."""

    module: str
    command: str
    summary: str
    """The first paragraph of the command's docstring, repeated here so that the list imports no verb."""


COMMANDS = {
    "demo": Verb("demo", "demo_command", "Open the dashboard on a lake of simulated sessions."),
    "collect": Verb(
        "collect",
        "collect_command",
        "Collect bars and store them. By default: the last finished session of your watchlist, from Yahoo.",
    ),
    "watch": Verb("watch", "watch_command", "Collect on the exchange's clock until stopped."),
    "repair": Verb("repair", "repair_command", "Ask the vendor once more for bars and sessions that are missing."),
    "import": Verb(
        "importing",
        "import_command",
        "Import bars from files, folders or s3:// URLs.",
    ),
    "query": Verb("query", "query_command", "Run a named query; without a name, list the queries."),
    "sql": Verb(
        "sql",
        "sql_command",
        "Answer a SELECT over the lake; TEXT is the statement, or - to read it from standard input.",
    ),
    "watchlist": Verb(
        "watchlist", "watchlist_command", "Show, add or remove the tickers that are collected by default."
    ),
    "actions": Verb(
        "actions", "actions_command", "Show the splits that the lake knows, or add one that no source delivers."
    ),
    "forecast": Verb(
        "forecast",
        "forecast_command",
        "Forecast the next hour's high, the day's high and the direction, and store the forecasts.",
    ),
    "compact": Verb(
        "compact",
        "compact_command",
        "Make one file of the files of a finished session. Queries answer the same, only faster.",
    ),
    "mcp": Verb("mcp", "mcp_command", "Serve the named queries to agents on standard input and output, read-only."),
    "dashboard": Verb("dashboard", "dashboard_command", "Serve the dashboard on this machine."),
    "settings": Verb("settings", "settings_command", "Show every setting, its value and where the value comes from."),
    "doctor": Verb("doctor", "doctor_command", "Check lake, settings, vendor and versions, and say what to do."),
    "completion": Verb("completion", "completion_command", "Print the completion script of your shell."),
}
"""Every verb, in the order of the help."""

_EXAMPLES = """\b
Examples:
  tickerlake demo                          look around, no network needed
  tickerlake collect                       the last finished session
  tickerlake collect --first 2026-11-16    every session since that day
  tickerlake watch                         every bar from now on, until Ctrl-C
  tickerlake query hourly_high --tickers META,AMZN
  tickerlake sql "SELECT count(*) FROM bars"
  tickerlake watchlist add NVDA            collect it from now on

`tickerlake COMMAND --help` explains a command.
"""


class _Verbs(click.Group):
    """Imports a verb's module when the verb is called or its own help is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            verb = COMMANDS[cmd_name]
            return getattr(import_module(f"tickerlake.cli.{verb.module}"), verb.command)
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        from difflib import get_close_matches  # noqa: PLC0415  # only a mistyped command needs it

        near = get_close_matches(cmd_name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(COMMANDS)}"
        raise click.UsageError(f"there is no command {cmd_name!r}; {hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        # click's own list would import every verb and cut the summaries to one line.
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in COMMANDS.items()])


@click.group(
    cls=_Verbs,
    name="tickerlake",
    epilog=_EXAMPLES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(tickerlake.__version__, message="tickerlake %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A small lake of stock bars that you own: collect bars, keep every correction, query them."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    return run_command(cli, arguments)
