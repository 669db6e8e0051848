"""`tickerlake repair`: ask once more for what is missing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from tickerlake import watchlist
from tickerlake.cli.console import Date, Tickers
from tickerlake.cli.vendor import LAKE_HELP, default_lake, source_option
from tickerlake.lake.layout import Layout
from tickerlake.sources import open_source


@click.command(
    "repair",
    epilog="""\b
Examples:
  tickerlake repair
  tickerlake repair --first 2026-11-02 --last 2026-11-20
""",
)
@click.option("--first", type=Date(), help="First session, YYYY-MM-DD. Default: the oldest that the vendor serves.")
@click.option("--last", type=Date(), help="Last session. Default: the last finished session.")
@click.option("--tickers", type=Tickers(), help="Symbols separated by commas. Default: the lake's watchlist.")
@source_option
@click.option("--lake", type=click.Path(path_type=Path, file_okay=False), help=LAKE_HELP)
def repair_command(
    first: dt.date | None, last: dt.date | None, tickers: tuple[str, ...] | None, source: str, lake: Path | None
) -> int:
    """Ask the vendor once more for bars and sessions that are missing.

    First, damaged files move to the folder quarantine in the lake, so that their bars count as missing. The vendor is
    asked only for what it may still have: a gap is asked for after its session has closed and once more a day later,
    then left alone.
    """
    from tickerlake.repair import repair, total  # noqa: PLC0415  # loads pandas, which --help does not need

    folder = lake or default_lake(source)
    config = Layout(folder).config
    tickers = tickers or watchlist.read(config)
    reports = repair(folder, open_source(source, config), tickers, _now, first, last)
    if not reports:
        click.echo(f"nothing to ask for: {source} has answered for every gap in its reach, or there is none")
        return 0
    for report in reports:
        click.echo(report.line())
    whole = total(reports)
    if len(reports) > 1:
        click.echo(whole.line())
    if whole.unanswered.total() == whole.missing:
        return 1
    return 3 if whole.unanswered else 0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
