"""`tickerlake query`: one subcommand a SQL file. Its options are the parameters in the file's header."""

from __future__ import annotations

from typing import Any

import click

from tickerlake.cli.console import Date, Tickers
from tickerlake.cli.rows import Target, row_options
from tickerlake.query import Field, Query, load, names, run
from tickerlake.query.runner import is_required

_TYPES: dict[str, click.ParamType] = {
    "varchar": click.STRING,
    "varchar list": click.STRING,
    "date": Date(),
    "timestamp": click.STRING,
    "integer": click.INT,
    "bigint": click.INT,
    "double": click.FLOAT,
    "boolean": click.BOOL,
}


_WHOLE_LAKE = {
    "first": "the first in the lake",
    "last": "the last in the lake",
    "tickers": "all in the lake",
    "as_of": "now",
}


class _Queries(click.Group):
    """The named queries as subcommands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if ctx.resilient_parsing and cmd_name not in names():
            return None
        return _command(load(cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Queries"):
            entries = []
            for name in names():
                query = load(name)
                entries += [(name, query.purpose), ("", " ".join(map(_spelled, query.options)))]
            formatter.write_dl(entries)
        formatter.write_paragraph()
        formatter.write_text("`tickerlake query NAME --help` explains a query's options and columns.")


@click.group(
    "query",
    cls=_Queries,
    invoke_without_command=True,
    options_metavar="",
    subcommand_metavar="[NAME [OPTIONS]]",
)
@click.pass_context
def query_command(ctx: click.Context) -> None:
    """Run a named query; without a name, list the queries."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


class _QueryCommand(click.Command):
    """A named query, with its columns in the help."""

    query: Query

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Columns"):
            wide = max(len(field.name) for field in self.query.columns)
            columns = [(f"{field.name:{wide}}  {field.type}", field.comment) for field in self.query.columns]
            formatter.write_dl(columns)
        formatter.write_paragraph()
        formatter.write_text("Times are printed in exchange time.")
        if self.query.notes:
            formatter.write_paragraph()
            formatter.write_text(self.query.notes)


def _command(query: Query) -> click.Command:
    @row_options
    def answer(target: Target, **parameters: Any) -> None:
        engine = target.engine()
        found = run(engine, query.name, limit=target.limit, columns=target.columns, **parameters)
        target.show(found, engine, query.name)
        if engine.simulated(parameters.get("first"), parameters.get("last")):
            click.echo("note: these prices are simulated, not real", err=True)

    command = click.command(query.name, cls=_QueryCommand, help=query.purpose)(answer)
    command.query = query
    command.params = [*map(_option, query.options), *command.params]
    return command


def _option(field: Field) -> click.Option:
    default = _WHOLE_LAKE.get(field.name, field.default)
    comment = field.comment.partition("; default ")[0]
    return click.Option(
        [_spelled(field), field.name],
        type=Tickers() if field.name == "tickers" else _TYPES[field.type],
        required=is_required(field),
        help=f"{comment[0].upper()}{comment[1:]}{f'; by default {default}' if default else ''}.",
    )


def _spelled(field: Field) -> str:
    return f"--{field.name.replace('_', '-')}"
