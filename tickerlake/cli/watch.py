"""`tickerlake watch`: collect on the exchange's clock until stopped."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from tickerlake.cli.collect import default_lake
from tickerlake.cli.console import Tickers
from tickerlake.record import BAR_MINUTES
from tickerlake.schedule import DELAY
from tickerlake.sources import SOURCES, open_source


@click.command(
    "watch",
    epilog="""\b
Examples:
  tickerlake watch
  tickerlake watch --once                  from cron, every five minutes
""",
)
@click.option("--tickers", type=Tickers(), help="Symbols separated by commas. Default: the lake's watchlist.")
@click.option(
    "--bar-minutes",
    type=click.Choice([str(size) for size in BAR_MINUTES]),
    default="5",
    show_default=True,
    help="Length of a bar in minutes.",
)
@click.option("--source", type=click.Choice(list(SOURCES)), default="yahoo", show_default=True, help="Vendor to ask.")
@click.option(
    "--lake",
    type=click.Path(path_type=Path),
    help="Folder of the lake. Default: $LAKE_DIR, else lake (lake-simulated for simulated bars).",
)
@click.option(
    "--delay",
    type=click.IntRange(0, 3600),
    default=int(DELAY.total_seconds()),
    show_default=True,
    help="Seconds from the end of a bar to its run: the vendor takes a moment.",
)
@click.option("--once", is_flag=True, help="Collect what is due now, then exit: for cron.")
def watch_command(
    tickers: tuple[str, ...] | None, bar_minutes: str, source: str, lake: Path | None, delay: int, once: bool
) -> int:
    """Collect on the exchange's clock until stopped.

    A run follows each bar of a session, and a sweep of the whole session an hour after the close. A run that fails is
    tried again after growing waits; each run fills the gaps of those before it.
    """
    from tickerlake.watch import Watch  # noqa: PLC0415  # loads pandas, which --help does not need

    watch = Watch(
        lake or default_lake(source),
        open_source(source),
        int(bar_minutes),
        tickers,
        dt.timedelta(seconds=delay),
        clock=_now,
        say=click.echo,
    )
    return watch.once() if once else watch.run()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
