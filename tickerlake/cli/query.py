"""Asking the lake from a terminal: `tickerlake query NAME`."""

from __future__ import annotations

import datetime as dt
import io
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click
import pandas as pd
from rich.console import Console
from rich.table import Table

from tickerlake.cli.console import Date, Tickers
from tickerlake.errors import TickerlakeError
from tickerlake.query import SETTINGS, Engine, Settings, load, names, open_engine, run
from tickerlake.query.formats import to_csv, to_json, to_table
from tickerlake.query.runner import EVERY_TICKER

FORMATS = ("table", "csv", "json")
_WIDE = 240


@click.command("query")
@click.argument("name", required=False)
@click.option("--lake", type=click.Path(path_type=Path), help="Folder of the lake; by default $LAKE_DIR, else lake.")
@click.option("--first", type=Date(), help="First session, YYYY-MM-DD; by default the lake's first.")
@click.option("--last", type=Date(), help="Last session, YYYY-MM-DD; by default the lake's last.")
@click.option("--tickers", type=Tickers(), help="Symbols separated by commas; by default all the lake holds.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How to write the rows; by default what the name after -o ends with, else table.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write instead.")
@click.option("--settings", "show_settings", is_flag=True, help="Print the settings in force and stop.")
def query_command(
    name: str | None,
    lake: Path | None,
    first: dt.date | None,
    last: dt.date | None,
    tickers: tuple[str, ...] | None,
    form: str | None,
    output: Path | None,
    show_settings: bool,
) -> None:
    """Run the query NAME on the lake; without a name, list the queries there are."""
    console = _console()
    settings = Settings.from_environment()
    if lake is not None:
        settings = replace(settings, lake=lake)
    if show_settings:
        console.print(_settings_table(settings))
        return
    if name is None:
        console.print(_catalog_table())
        return
    load(name)  # an unknown name is told before the lake is looked for
    engine = open_engine(settings)
    result = run(engine, name, first=first, last=last, tickers=tickers or (EVERY_TICKER,))
    form = form or _form(output)
    if output is not None:
        _write(output, _text(result.frame, form, name))
        click.echo(f"{len(result.frame)} rows of {name} → {output}", err=True)
    elif form == "table":
        console.print(to_table(result.frame, title=f"{name}: {len(result.frame)} rows from {engine.lake}"))
    else:
        click.echo(_text(result.frame, form, name), nl=False)
    _tell_cost(result.seconds, result.bytes_scanned, result.query_id)
    _tell_simulated(engine, first, last)


def _console() -> Console:
    # A table that goes to a file or a pipe is never cut to the width of a screen.
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


def _form(output: Path | None) -> str:
    ending = output.suffix.removeprefix(".") if output else ""
    return ending if ending in FORMATS else "table"


def _text(frame: pd.DataFrame, form: str, name: str) -> str:
    if form == "csv":
        return to_csv(frame)
    if form == "json":
        return to_json(frame)
    console = Console(width=_WIDE, record=True, file=io.StringIO())
    console.print(to_table(frame, title=name))
    return console.export_text()


def _write(output: Path, text: str) -> None:
    """Writes `text` to `output` whole or not at all."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=output.parent, prefix=f".{output.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(output)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise TickerlakeError(
            f"cannot write {output}: {error.strerror}; name a file in a folder you may write"
        ) from error


def _catalog_table() -> Table:
    table = Table(title="Queries: tickerlake query NAME", title_justify="left", header_style="bold")
    for heading in ("name", "what it tells", "parameters"):
        table.add_column(heading)
    for name in names():
        query = load(name)
        # The calendar is filled in from the exchange's own.
        options = [f"--{field.name}" for field in query.parameters if field.name != "calendar"]
        table.add_row(name, query.purpose, " ".join(options))
    return table


def _settings_table(settings: Settings) -> Table:
    table = Table(title="Settings in force", title_justify="left", header_style="bold")
    for heading in ("variable", "value", "meaning"):
        table.add_column(heading)
    for setting in SETTINGS:
        value = str(getattr(settings, setting.name))
        table.add_row(setting.variable, "*****" if setting.secret and value else value, setting.comment)
    return table


def _tell_cost(seconds: float, bytes_scanned: int | None, query_id: str | None) -> None:
    if query_id is not None:
        scanned = f", {bytes_scanned / 1e6:,.1f} MB scanned" if bytes_scanned is not None else ""
        click.echo(f"query {query_id}: {seconds:.1f} s{scanned}", err=True)


def _tell_simulated(engine: Engine, first: dt.date | None, last: dt.date | None) -> None:
    """Invented prices are marked wherever they are shown. Only a local lake can hold them."""
    if (
        engine.name == "duckdb"
        and (run(engine, "sessions", first=first, last=last).frame["sources"] == "simulated").any()
    ):
        click.echo("note: SIMULATED bars, none of these prices is real", err=True)
