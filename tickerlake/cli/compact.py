"""`tickerlake compact`: one file for each finished session."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from tickerlake.cli.console import Date, lake_option
from tickerlake.errors import ConfigError, LakeEmpty
from tickerlake.lake.layout import Layout
from tickerlake.settings import Settings


@click.command(
    "compact",
    epilog="""\b
Examples:
  tickerlake compact
  tickerlake compact --session 2026-11-20
  tickerlake compact --all
""",
)
@click.option("--session", type=Date(), help="The session to compact, YYYY-MM-DD. Default: the last finished session.")
@click.option("--all", "every", is_flag=True, help="Compact every finished session.")
@lake_option
def compact_command(session: dt.date | None, every: bool, lake: Path | None) -> int:  # click's flag
    """Make one file of the files of a finished session. Queries answer the same, only faster.

    A session has finished an hour after its close. Every version of a bar is kept. Compact while other commands run, or
    stop it at any moment: nothing is removed before the new file is on disk.
    """
    from tickerlake.lake.compaction import compact, finished  # noqa: PLC0415  # loads DuckDB
    from tickerlake.lake.retention import tidy  # noqa: PLC0415

    if every and session:
        raise ConfigError("--session and --all exclude each other; give one of them")
    settings = Settings.from_environment()
    if lake is None and settings.engine != "duckdb":
        raise ConfigError(
            f"LAKE_ENGINE is {settings.engine}, and this command compacts a lake in a folder only; name it with --lake"
        )
    now = dt.datetime.now(dt.UTC)
    folder = lake or settings.lake
    held = Layout(folder).sessions()
    if not held:
        raise LakeEmpty(f"the lake {str(folder)!r} holds no bars; collect some: tickerlake collect")
    if session and str(session) not in held:
        raise ConfigError(f"the lake {str(folder)!r} holds no bars of {session}; it holds {held[0]} to {held[-1]}")
    wanted = [str(session)] if session else finished(folder, now)
    if not wanted:
        raise ConfigError(f"no session in the lake {str(folder)!r} closed over an hour ago; wait until one has")
    wanted = wanted if every else wanted[-1:]
    failed = 0
    files = files_after = size = size_after = 0
    for done in compact(folder, wanted, now):
        files, size = files + done.files, size + done.size
        files_after, size_after = files_after + done.files_after, size_after + done.size_after
        if done.error:
            failed += 1
            click.echo(f"failed: {done.error}", err=True)
        elif done.changed:
            click.echo(f"{done.session}: {_amounts(done.files, done.size, done.files_after, done.size_after)}")
    sessions = f"{len(wanted)} session{'s' * (len(wanted) != 1)}"
    click.echo(f"{sessions}: {_amounts(files, size, files_after, size_after)}")
    for line in tidy(folder, now):
        click.echo(line)
    return 0 if not failed else 1 if failed == len(wanted) else 3


def _amounts(files: int, size: int, files_after: int, size_after: int) -> str:
    if (files, size) == (files_after, size_after):
        return f"compact already, {_files(files)}, {_bytes(size)}"
    return f"{_files(files)}, {_bytes(size)} → {_files(files_after)}, {_bytes(size_after)}"


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"
