"""`tickerlake import`: read bars from files into the lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from tickerlake import exchange
from tickerlake.cli.console import lake_option, needs_aws, progress
from tickerlake.errors import ConfigError
from tickerlake.lake.layout import Layout
from tickerlake.settings import Settings

if TYPE_CHECKING:
    from tickerlake.importers.recorded import RecordedObject

_FILES_SHOWN = 10
_CHARACTERS_SHOWN = 120


@click.command(
    "import",
    epilog="""\b
Examples:
  tickerlake import other-lake
  tickerlake import bars.parquet bars.csv --timezone Europe/London
  tickerlake import s3://my-old-bucket/2020/12
""",
)
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--timezone",
    default=exchange.XNYS.zone.key,
    show_default=True,
    help="Time zone of times without an offset. A lake's own files are always UTC.",
)
@lake_option
def import_command(paths: tuple[str, ...], timezone: str, lake: Path | None) -> int:
    """Import bars from files, folders or s3:// URLs.

    Reads Parquet, CSV and JSON with the columns ticker, ts, high and low and, if present, open, close, volume,
    bar_minutes, source and collected_at. A folder may be another lake.
    """
    # These load pandas and pyarrow, which --help does not need.
    from tickerlake.importers.importing import import_objects  # noqa: PLC0415
    from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"--timezone {timezone!r} is not a time zone; write one such as America/New_York") from error
    folder = lake or Settings.from_environment().lake
    sink = ParquetSink(folder)
    with progress(f"import → {folder}") as on_object:
        report = import_objects(_objects(paths), sink, zone, on_object=on_object)
    for path in paths:
        sink.report_splits(ParquetSink(Path(path)).reports(), dt.datetime.now(dt.UTC))
    click.echo(report.line())
    for file in report.without_bars[:_FILES_SHOWN]:
        click.echo(f"no bars in {file[:_CHARACTERS_SHOWN]}", err=True)
    if len(report.without_bars) > _FILES_SHOWN:
        click.echo(f"no bars in {len(report.without_bars) - _FILES_SHOWN} more files", err=True)
    if report.rejected:
        click.echo(f"rejected records are kept in {Layout(folder).rejections}", err=True)
    if not report.stored and report.duplicate:
        click.echo("nothing new: the lake already holds these bars")
    if not report.stored and not report.duplicate:
        click.echo("error: nothing was imported: these paths hold no valid bars", err=True)
        return 1
    return 0


def _objects(paths: Sequence[str]) -> Iterator[RecordedObject]:
    """The files or S3 objects under `paths`. ConfigError for both at once."""
    from tickerlake.importers.recorded import local_objects  # noqa: PLC0415

    remote = [path for path in paths if path.startswith("s3://")]
    if not remote:
        return local_objects([Path(path) for path in paths])
    if len(remote) < len(paths):
        raise ConfigError("s3:// URLs and local paths cannot be imported together; import one, then the other")
    with needs_aws():
        from tickerlake.importers.s3 import s3_objects  # noqa: PLC0415

        return s3_objects(remote)
