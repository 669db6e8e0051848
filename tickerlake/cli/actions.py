"""`tickerlake actions`: the splits that the lake knows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from tickerlake import exchange, symbols
from tickerlake.actions import MANUAL, NEVER, Split, in_force, parse_ratio, ratio_text
from tickerlake.cli.console import Date, lake_option
from tickerlake.errors import ConfigError
from tickerlake.query import open_engine, types
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
        _show(Settings.from_environment().on(lake))


@actions_command.command("add")
@click.argument("ticker")
@click.argument("ex_date", type=Date(), metavar="DATE")
@click.argument("ratio")
@click.option(
    "--adjusted-from", metavar="TIME", help="From when on sources give adjusted prices, or never; default: from DATE."
)
@lake_option
def add_command(ticker: str, ex_date: dt.date, ratio: str, adjusted_from: str | None, lake: Path | None) -> None:
    """Add a split of TICKER: the first session at the new price, and new shares to old ones.

    Queries then bring older prices to the new basis. A ratio of 1:1 takes an entry back.

    \b
    Examples:
      tickerlake actions add NVDA 2026-06-10 10:1
      tickerlake actions add XYZ 2026-03-02 1:8 --adjusted-from never
    """  # noqa: D301
    from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415  loads pandas

    settings = Settings.from_environment().on(lake)
    if settings.engine != "duckdb":
        raise ConfigError(
            f"LAKE_ENGINE is {settings.engine}, and this command adds splits to a lake in a folder only; "
            "for the lake in S3, put a line of JSON under actions/ in its bucket, as docs/deploy.md shows"
        )
    (symbol,) = symbols.parse_tickers(ticker)
    now = dt.datetime.now(dt.UTC)
    moment = _moment(adjusted_from, exchange.of(symbol).zone)
    splits = [Split(name, ex_date, parse_ratio(ratio), MANUAL, now, moment) for name in symbols.names(symbol)]
    if not ParquetSink(settings.lake).report_splits(splits, now):
        click.echo("nothing new: the lake knows this split")
    _show(settings)


def _moment(text: str | None, zone: dt.tzinfo) -> dt.datetime | None:
    if text is None or text == "never":
        return NEVER if text else None
    return dt.datetime.fromisoformat(types.parse("--adjusted-from", "timestamp", text, zone)).replace(tzinfo=dt.UTC)


def _show(settings: Settings) -> None:
    if settings.engine == "duckdb":
        from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415  loads pandas

        lake, reports = str(settings.lake), ParquetSink(settings.lake).reports()
    else:
        engine = open_engine(settings)
        rows = engine.run("SELECT ticker, ex_date, ratio, source, collected_at FROM actions", {}).rows
        lake, reports = engine.lake, [Split(row[0], dt.date.fromisoformat(row[1]), *row[2:]) for row in rows]
    splits = [split for split in in_force(reports) if split.ratio != 1]
    if not splits:
        click.echo(f"no splits in {lake}")
    for split in sorted(splits, key=lambda split: (split.ex_date, split.ticker)):
        click.echo(f"{split.ticker:<6}  {split.ex_date}  {ratio_text(split.ratio):>6}  ({split.source})")
