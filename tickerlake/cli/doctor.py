"""`tickerlake doctor`: what works, what does not, and what to do about it."""

from __future__ import annotations

import datetime as dt
import shutil
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickerlake.cli.console import lake_option

if TYPE_CHECKING:
    from tickerlake.doctor import Finding

_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


@click.command("doctor")
@lake_option
@click.option("--offline", is_flag=True, help="Do not ask the vendor.")
def doctor_command(lake: Path | None, offline: bool) -> int:
    """Check lake, settings, vendor and versions, and say what to do.

    Exits with 0 if nothing needs attention, else with 1. The vendor is asked once, for a few bars.
    """
    from tickerlake.doctor import examine  # noqa: PLC0415

    source = None
    if not offline:
        from tickerlake.sources.yahoo import YahooSource  # noqa: PLC0415  # yfinance takes a second to import

        # A person is waiting: short limits, and no pause between attempts.
        source = YahooSource(timeout=(3, 5), pause=lambda _: None)
    return report(examine(_now(), source, lake))


def report(findings: Iterable[tuple[str, Finding]]) -> int:
    """Prints `findings`, each with its topic. Returns the exit code: 1 if there is a problem."""
    problems, topic = 0, None
    for about, finding in findings:
        if about != topic:
            click.secho(about, bold=True)
            topic = about
        problems += finding.level == "problem"
        click.echo(_lines(finding.what, click.style(f"{finding.level:<7}", fg=_COLOURS[finding.level])))
        if finding.next_step:
            click.echo(_lines(finding.next_step, f"{'':<5}→ "))
    click.echo(f"{problems} problem{'s' if problems > 1 else ''} found" if problems else "Nothing needs attention.")
    return 1 if problems else 0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _lines(text: str, mark: str) -> str:
    """`text` wrapped to the terminal, with `mark`, seven columns wide, in front."""
    width = min(shutil.get_terminal_size().columns, 100) - 10
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return f"  {mark} " + f"\n{'':<10}".join(lines)
