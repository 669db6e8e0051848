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
      bars     each bar in force, once, as the query bars gives it
      records  every record as stored, repeats and corrections included
      actions  splits: ticker, ex_date, ratio, source, collected_at …
      runs     what was asked of which source, as the query runs gives it

    \b
    Columns of bars and records: ticker, exchange, ts (UTC), hour,
    bar_minutes, open, high, low, close, volume, currency, source,
    collected_at (UTC) and dt, the session as text, YYYY-MM-DD.
    A condition on dt makes a question fast and, on Athena, cheap.

    \b
    Example:
      tickerlake sql "SELECT ticker, max(high) FROM bars GROUP BY ticker"

    Times are printed in exchange time. Statements that write are refused.
    """
    if text == "-":
        text = sys.stdin.read()
    engine = target.engine()
    target.show(engine.ask(text, target.limit, columns=target.columns), engine)
    if engine.simulated(None, None):
        click.echo("note: these prices are simulated, not real", err=True)
