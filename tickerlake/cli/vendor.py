"""Options of the commands that ask a vendor, and the lake that its bars go to."""

from __future__ import annotations

from pathlib import Path

import click

from tickerlake.record import BAR_MINUTES
from tickerlake.settings import Settings
from tickerlake.sources import SOURCES

SIMULATED_LAKE = Path("lake-simulated")
LAKE_HELP = "Folder of the lake. Default: $LAKE_DIR, else lake (lake-simulated for simulated bars)."

source_option = click.option(
    "--source", default="yahoo", show_default=True, help=f"Vendor to ask: {', '.join(SOURCES)}, or one you installed."
)
bar_minutes_option = click.option(
    "--bar-minutes",
    type=click.Choice([str(size) for size in BAR_MINUTES]),
    default="5",
    show_default=True,
    help="Length of a bar in minutes.",
)
new_lake_option = click.option("--lake", type=click.Path(path_type=Path), help=LAKE_HELP)
"""`--lake`, for commands that may create it."""


def default_lake(source: str) -> Path:
    """The folder that bars of `source` go to unless one is named: simulated bars have one of their own."""
    lake = next(setting for setting in Settings.explain() if setting.name == "lake")
    return SIMULATED_LAKE if source == "simulated" and lake.origin == "default" else lake.value
