"""`tickerlake settings`: every setting, its value and where the value comes from."""

from __future__ import annotations

import textwrap

import click

from tickerlake import watchlist
from tickerlake.lake.layout import Layout
from tickerlake.settings import Settings


@click.command("settings")
def settings_command() -> None:
    """Show every setting, its value and where the value comes from.

    A setting is an environment variable; export it in your shell, or put it in front of a command:
    LAKE_DIR=/data/lake tickerlake query sessions
    """
    for item in Settings.explain():
        value = "*****" if item.secret and item.value else _written(item.value)
        origin = "default" if item.origin == "default" else f"from {item.origin}"
        variable = click.style(f"{item.variable:<20}", bold=True)
        click.echo(f"{variable}  {click.style(value, bold=item.origin != 'default')}  ({origin})")
        click.echo(textwrap.fill(item.comment, 78, initial_indent="    ", subsequent_indent="    "))
    config = Layout(Settings.from_environment().lake).config
    tickers = watchlist.read(config)
    click.echo(
        f"\nWatchlist: {len(tickers)} tickers, from {config if watchlist.is_set(config) else 'the default list'}; "
        "see tickerlake watchlist"
    )


def _written(value: object) -> str:
    """`value` as the variable would spell it."""
    return str(int(value)) if isinstance(value, bool) else str(value) or "-"
