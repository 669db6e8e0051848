"""`tickerlake watchlist`: show the tickers that are collected by default, add and remove some."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from tickerlake import symbols, watchlist
from tickerlake.cli.console import lake_option
from tickerlake.errors import ConfigError
from tickerlake.lake.layout import Layout
from tickerlake.settings import Settings


@click.command("watchlist")
@click.argument("action", type=click.Choice(["show", "add", "remove"]), default="show", metavar="[show|add|remove]")
@click.argument("tickers", nargs=-1)
@lake_option
def watchlist_command(action: str, tickers: tuple[str, ...], lake: Path | None) -> None:
    """Show, add or remove the tickers that are collected by default.

    The list is `tickers` in the lake's tickerlake.toml; the first `add` creates that file from the default list.
    For one run, `tickerlake collect --tickers` takes other tickers.

    \b
    Examples:
      tickerlake watchlist
      tickerlake watchlist add NVDA BRK-B
      tickerlake watchlist remove SNAP
    """  # noqa: D301
    path = Layout(lake or Settings.from_environment().lake).config
    if action == "show":
        if tickers:
            raise ConfigError(f"show takes no tickers; to add them: tickerlake watchlist add {' '.join(tickers)}")
        _show(watchlist.read(path), path)
        return
    if not tickers:
        raise ConfigError(f"name the tickers to {action}: tickerlake watchlist {action} META")
    given = symbols.parse_tickers(",".join(tickers))
    before = watchlist.read(path)
    after = watchlist.add(path, given) if action == "add" else watchlist.remove(path, given)
    if action == "add":
        for old, new in ((each, symbols.current_symbol(each)) for each in given):
            if old != new:
                click.echo(f"note: {old} trades as {new} today; added {new}", err=True)
            if new in before:
                click.echo(f"note: {new} is on the watchlist already", err=True)
    _show(after, path)


def _show(tickers: tuple[str, ...], path: Path) -> None:
    where = str(path) if watchlist.is_set(path) else "the default list"
    click.echo(f"{len(tickers)} {'ticker' if len(tickers) == 1 else 'tickers'}, from {where}:")
    click.echo(textwrap.fill("  ".join(tickers), 78, break_on_hyphens=False))
