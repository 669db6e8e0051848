"""Options of the commands that ask a vendor, and where its bars go: the folder of a lake, or a stream."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tickerlake.cli.console import needs_aws
from tickerlake.errors import ConfigError
from tickerlake.record import BAR_MINUTES
from tickerlake.settings import Settings
from tickerlake.sources import SOURCES

if TYPE_CHECKING:
    from tickerlake.sender import Sender

SINKS = ("parquet", "firehose")
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


def sink_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--sink`, and the stream and the bucket that belong to a Firehose one."""
    for option in (
        click.option(
            "--bucket", envvar="COLLECTOR_BUCKET", help="Bucket of the stream's lake. Default: $COLLECTOR_BUCKET."
        ),
        click.option("--stream", envvar="COLLECTOR_STREAM", help="Firehose stream. Default: $COLLECTOR_STREAM."),
        click.option(
            "--sink",
            type=click.Choice(SINKS),
            default="parquet",
            show_default=True,
            help="Where to store bars: files of the lake, or a Firehose stream.",
        ),
    ):
        command = option(command)
    return command


def check_sink(sink: str, stream: str | None, bucket: str | None) -> str | None:
    """The stream that a Firehose sink sends to; None for files. ConfigError for options that do not go together."""
    if sink == "firehose":
        if not stream or not bucket:
            raise ConfigError(
                "--sink firehose sends to a stack: name its stream with --stream, and its bucket with --bucket"
            )
        return stream
    context = click.get_current_context()
    for name in ("stream", "bucket"):
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            raise ConfigError(f"--{name} needs --sink firehose; add it, or leave --{name} out")
    return None


def open_sender(stream: str | None, bucket: str | None, *, skip_repeats: bool = False) -> Sender:
    """What collects into the stream and the bucket of a stack. ConfigError."""
    with needs_aws():
        from tickerlake import sender  # noqa: PLC0415

        return sender.open_sender(str(stream), str(bucket), partial(click.echo, err=True), skip_repeats=skip_repeats)
