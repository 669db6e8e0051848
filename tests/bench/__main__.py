"""`python -m tests.bench [NAME …]`: measures everything, or what is named, and prints one table.

Nothing here passes or fails: machines differ and are shared. A ratio is the figure divided by its baseline; both are
measured in turns in the same run, and the shortest run of each counts. The aim is the highest ratio we accept,
or a limit in its own unit.
"""

from __future__ import annotations

import os
import sys
import time

import click
from rich.console import Console
from rich.table import Table

from tests.bench import collecting, commands, compaction, forecasting, function, pages, queries, sending
from tests.bench.timing import Row

MEASUREMENTS = {
    measurement.__name__.replace("_", "-"): measurement
    for measurement in (
        commands.command_help,
        commands.command_query,
        commands.command_table,
        queries.frame,
        queries.options,
        queries.queries_running,
        queries.queries_month,
        queries.queries_market,
        queries.queries_compacted,
        queries.queries_year,
        compaction.compacting,
        compaction.compacting_minutes,
        compaction.queries_settled,
        compaction.queries_watched,
        collecting.collecting,
        collecting.collecting_many,
        collecting.simulating,
        collecting.importing,
        sending.sending,
        forecasting.forecasts,
        function.function_start,
        function.function_size,
        pages.first_chart,
        pages.clicks,
        pages.ranges,
        pages.hovering,
        pages.visitors,
    )
}


@click.command(
    epilog="\b\nNames:\n" + "\n".join(f"  {name:18} {each.__doc__}" for name, each in MEASUREMENTS.items()),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 150},
)
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(list(MEASUREMENTS)))
@click.option("--minutes", type=float, default=float("inf"), help="Start no measurement after so many minutes.")
def main(names: tuple[str, ...], minutes: float) -> None:
    """Measure how fast Tickerlake is: everything, or what is named. It takes some minutes."""
    rows: list[Row] = []
    end = time.monotonic() + minutes * 60
    try:
        for name in names or MEASUREMENTS:
            if time.monotonic() > end:
                rows.append(Row(name, "not measured"))
                continue
            click.echo(f"measuring {name} ...", err=True)
            for row in MEASUREMENTS[name]():
                click.echo("  " + " | ".join(filter(None, row)), err=True)
                rows.append(row)
    finally:  # what was measured shows even if a later measurement fails
        show(rows)


def show(rows: list[Row]) -> None:
    """Prints the table."""
    table = Table(title=f"Benchmarks, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", title_justify="left")
    for heading in Row._fields:
        table.add_column(heading, justify="right" if heading == "ratio" else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 180).print(table)


if __name__ == "__main__":
    main()
