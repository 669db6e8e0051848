"""`tickerlake sql`: a question of your own."""

from __future__ import annotations

import sys

import click

from tickerlake.cli.rows import Target, row_options


@click.command("sql")
@click.argument("text")
@row_options
def sql_command(text: str, target: Target) -> None:
    r"""Answer a SELECT over the lake; TEXT is the statement, or - to read it from standard input.

    \b
    Tables:
      bars     each bar once: of its records, the one collected last
      records  every record as stored, repeats and corrections included

    \b
    Columns: ticker, ts (UTC), bar_minutes, open, high, low, close, volume,
    source, collected_at (UTC) and dt, the session as text, YYYY-MM-DD.
    A condition on dt makes a question fast and, on Athena, cheap.

    \b
    Example:
      tickerlake sql "SELECT ticker, max(high) FROM bars GROUP BY ticker"

    Times are printed in exchange time. Statements that write are refused.
    """
    if text == "-":
        text = sys.stdin.read()
    engine = target.engine()
    target.show(engine.ask(text, target.limit), engine)
    if engine.simulated(None, None):
        click.echo("note: these prices are simulated, not real", err=True)
