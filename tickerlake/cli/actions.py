"""`tickerlake actions`: the splits that the lake knows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from tickerlake import symbols
from tickerlake.actions import MANUAL, Split, parse_ratio
from tickerlake.cli.console import Date, lake_option
from tickerlake.settings import Settings


@click.group("actions", invoke_without_command=True)
@lake_option
@click.pass_context
def actions_command(ctx: click.Context, lake: Path | None) -> None:
    """Show the splits that the lake knows, or add one that no source delivers.

    \b
    Examples:
      tickerlake actions
      tickerlake actions add NVDA 2026-06-10 10:1
    """  # noqa: D301
    if ctx.invoked_subcommand is None:
        _show(lake or Settings.from_environment().lake)


@actions_command.command("add")
@click.argument("ticker")
@click.argument("ex_date", type=Date(), metavar="DATE")
@click.argument("ratio")
@lake_option
def add_command(ticker: str, ex_date: dt.date, ratio: str, lake: Path | None) -> None:
    """Add a split of TICKER: the first session at the new price, and new shares to old ones.

    Queries then bring older prices to the new basis. A ratio of 1:1 takes an entry back.

    \b
    Examples:
      tickerlake actions add NVDA 2026-06-10 10:1
      tickerlake actions add XYZ 2026-03-02 1:8
    """  # noqa: D301
    from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415  loads pandas

    folder = lake or Settings.from_environment().lake
    (symbol,) = symbols.parse_tickers(ticker)
    now = dt.datetime.now(dt.UTC)
    splits = [Split(name, ex_date, parse_ratio(ratio), MANUAL, now) for name in symbols.names(symbol)]
    if not ParquetSink(folder).report_splits(splits):
        click.echo("nothing new: the lake knows this split")
    _show(folder)


def _show(folder: Path) -> None:
    from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415  loads pandas

    splits = [split for split in ParquetSink(folder).splits() if split.ratio != 1]
    if not splits:
        click.echo(f"no splits in {folder}")
    for split in sorted(splits, key=lambda split: (split.ex_date, split.ticker)):
        click.echo(f"{split.ticker:<6}  {split.ex_date}  {_words(split.ratio):>6}  ({split.source})")


def _words(ratio: float) -> str:
    return f"{ratio:g}:1" if ratio >= 1 else f"1:{1 / ratio:g}"
