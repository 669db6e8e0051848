"""`tickerlake import`: take in what an earlier deployment wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from tickerlake import exchange
from tickerlake.cli.console import needs_aws, progress
from tickerlake.errors import ConfigError
from tickerlake.importers.importing import import_objects
from tickerlake.importers.recorded import RecordedObject, local_objects
from tickerlake.lake.parquet import ParquetSink, refuse_mixing


@click.command("import")
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--timezone",
    default=exchange.EXCHANGE_TIME.key,
    show_default=True,
    help="Time zone of times that carry no offset.",
)
@click.option(
    "--lake",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the lake; by default $LAKE_DIR, else lake.",
)
def import_command(paths: tuple[str, ...], timezone: str, lake: Path | None) -> int:
    """Take in what an earlier deployment wrote to its bucket: files, folders, or s3:// URLs."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"--timezone: {timezone!r} is no time zone; write one such as America/New_York") from error
    folder = lake or Path(os.environ.get("LAKE_DIR") or "lake")
    with progress(f"import → {folder}") as on_object:
        report = import_objects(
            _objects(paths),
            ParquetSink(folder),
            zone,
            on_object=on_object,
            before_storing=lambda found: refuse_mixing(folder, found),
        )
    click.echo(report.line())
    if report.rejected:
        click.echo(f"rejected records are kept in {folder / 'rejected'}", err=True)
    if not report.stored:
        why = "the lake holds all of it already" if report.duplicate else "no record in these paths keeps the rules"
        click.echo(f"error: nothing was stored: {why}", err=True)
        return 1
    return 0


def _objects(paths: Sequence[str]) -> Iterator[RecordedObject]:
    """The objects that `paths` name, on this machine or in S3; ConfigError where both are named at once."""
    remote = [path for path in paths if path.startswith("s3://")]
    if not remote:
        return local_objects([Path(path) for path in paths])
    if len(remote) < len(paths):
        raise ConfigError("s3:// URLs and local paths cannot be imported at once; import one, then the other")
    with needs_aws():
        from tickerlake.importers.s3 import s3_objects  # noqa: PLC0415

        return s3_objects(remote)
