"""`tickerlake watch`: collect on the exchange's clock until stopped."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path

import click

from tickerlake import watchlist
from tickerlake.cli.console import Tickers
from tickerlake.cli.service import Service, service
from tickerlake.cli.vendor import (
    bar_minutes_option,
    check_sink,
    default_lake,
    new_lake_option,
    open_sender,
    sink_options,
    source_option,
)
from tickerlake.errors import ConfigError
from tickerlake.lake.layout import Layout
from tickerlake.schedule import DELAY
from tickerlake.sources import open_source


@click.command(
    "watch",
    epilog="""\b
Examples:
  tickerlake watch
  tickerlake watch --once                  from cron, every five minutes
  tickerlake watch --install               as a service of your account
  tickerlake watch --sink firehose --stream NAME --bucket NAME
""",
)
@click.option("--tickers", type=Tickers(), help="Symbols separated by commas. Default: the lake's watchlist.")
@bar_minutes_option
@source_option
@new_lake_option
@sink_options
@click.option(
    "--delay",
    type=click.IntRange(0, 3600),
    default=int(DELAY.total_seconds()),
    show_default=True,
    help="Seconds from the end of a bar to its run: the vendor takes a moment.",
)
@click.option("--once", is_flag=True, help="Collect what is due now, then exit: for cron.")
@click.option("--install", is_flag=True, help="Write a service that runs this, and say how to turn it on.")
@click.option("--uninstall", is_flag=True, help="Remove that service.")
def watch_command(
    tickers: tuple[str, ...] | None,
    bar_minutes: str,
    source: str,
    lake: Path | None,
    sink: str,
    stream: str | None,
    bucket: str | None,
    delay: int,
    once: bool,
    install: bool,
    uninstall: bool,
) -> int:
    """Collect on the exchange's clock until stopped.

    A run follows each bar of a session, and a sweep of the whole session an hour after the close. A run that fails is
    tried again after growing waits; each run fills the gaps of those before it.
    """
    if once + install + uninstall > 1:
        raise click.UsageError("--once, --install and --uninstall exclude each other", click.get_current_context())
    if once and sink == "firehose":
        raise ConfigError(
            "--once needs to read what was collected, and --sink firehose only sends; leave --once out, or run "
            "tickerlake collect --session today --sink firehose"
        )
    folder = lake or default_lake(source)
    target = check_sink(sink, stream, bucket) or folder.resolve()
    if install or uninstall:
        arguments = ["--lake", str(folder.resolve()), "--source", source]
        arguments += ["--bar-minutes", bar_minutes, "--delay", str(delay)]
        arguments += ["--tickers", ",".join(tickers)] if tickers else []
        if stream and bucket and sink == "firehose":
            arguments += ["--sink", sink, "--stream", stream, "--bucket", bucket]
        unit = service(arguments, str(target), os.environ, sys.platform)
        return _install(unit) if install else _uninstall(unit)
    from tickerlake.lake.presence import watching  # noqa: PLC0415
    from tickerlake.upkeep import FolderUpkeep, Upkeep  # noqa: PLC0415  # loads pandas, which --help does not need
    from tickerlake.watch import Watch  # noqa: PLC0415

    local = FolderUpkeep(folder, _now, click.echo)
    upkeep: Upkeep = open_sender(stream, bucket, skip_repeats=True) if sink == "firehose" else local
    watch = Watch(
        upkeep,
        open_source(source, Layout(folder).config),
        int(bar_minutes),
        lambda: tickers or watchlist.read(Layout(folder).config),
        dt.timedelta(seconds=delay),
        clock=_now,
        say=click.echo,
    )
    if once or sink == "firehose":
        return watch.once() if once else watch.run()
    with watching(Layout(folder).watching, _now()) as other:
        if other:
            local.sends_alerts = False
            click.echo(f"another watcher collects into {folder}: {other.line()}; two do no harm, they only ask twice")
        return watch.run()


def _install(unit: Service) -> int:
    unit.install()
    click.echo(f"wrote {unit.path}")
    for title, commands in (("turn it on", unit.start), ("see what it says", (unit.log,))):
        click.echo(f"{title}:")
        for command in commands:
            click.echo(f"  {command}")
    click.echo("remove it:")
    for command in (*unit.stop, "tickerlake watch --uninstall"):
        click.echo(f"  {command}")
    click.echo(
        "It does not see the variables of this shell, such as HTTPS_PROXY; add them to the file if you need them."
    )
    return 0


def _uninstall(unit: Service) -> int:
    if not unit.uninstall():
        click.echo(f"nothing to remove: there is no {unit.path}")
        return 0
    click.echo(f"removed {unit.path}; if it still runs, stop it:")
    for command in unit.stop:
        click.echo(f"  {command}")
    return 0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
