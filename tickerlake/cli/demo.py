"""`tickerlake demo`: a lake of simulated sessions, and the dashboard on it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from tickerlake.cli.dashboard import address_option, port_option, require_streamlit, serve


@click.command("demo")
@click.option(
    "--sessions",
    type=click.IntRange(1, 250),
    metavar="N",
    default=5,
    show_default=True,
    help="How many finished sessions to simulate.",
)
@click.option(
    "--lake",
    type=click.Path(path_type=Path, file_okay=False),
    default="lake-simulated",
    show_default=True,
    help="Folder of the lake.",
)
@port_option
@address_option
def demo_command(sessions: int, lake: Path, port: int, address: str) -> None:
    """Open the dashboard on a lake of simulated sessions.

    No network and no account are needed. The prices are random: they show what Tickerlake does, not any market.
    """
    require_streamlit()
    click.echo(_simulate(lake, sessions, dt.datetime.now(dt.UTC)))
    serve(lake, port, address)


def _simulate(lake: Path, count: int, now: dt.datetime) -> str:
    """Stores the last `count` finished sessions in `lake`; says so in one line."""
    from tickerlake import exchange, watchlist  # noqa: PLC0415  # pandas and the calendar take a second
    from tickerlake.collect import collect  # noqa: PLC0415
    from tickerlake.lake.layout import Layout  # noqa: PLC0415
    from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415
    from tickerlake.sources.simulated import SimulatedSource  # noqa: PLC0415

    tickers = watchlist.read(Layout(lake).config)
    wanted = [session for place in exchange.all_of(tickers) for session in place.last_sessions(now, count)]
    reports = collect(SimulatedSource(), ParquetSink(lake), wanted, tickers, 5, lambda: now)
    bars = sum(report.bars for report in reports)
    first, last = min(wanted).date, max(wanted).date
    span = str(last) if first == last else f"{first} to {last}"
    return f"SIMULATED prices: {bars:,} bars of {len(tickers)} tickers, {span}, are in {lake}."
