"""How a command of this project meets its user: one line for every failure, and documented exit codes."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import click

from tickerlake import symbols
from tickerlake.errors import ConfigError, TickerlakeError

EXIT_CODES = {
    0: "everything asked for was done",
    1: "nothing could be done: the reason is on the last line",
    2: "an argument or a setting cannot be used",
    3: "some tickers failed, each named with its reason; the rest was stored",
    130: "interrupted; what had been stored stays",
}


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Runs `command` and returns its exit code; what goes wrong is told in one line on standard error."""
    # A library's warning is for who develops. Filters alone do not hold: pandas swaps them in several threads at once.
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    logging.captureWarnings(capture=True)
    try:
        code = command.main(args=arguments, standalone_mode=False)
    except click.UsageError as error:
        hint = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        return _fail(f"{error.format_message().rstrip('.')}{hint}", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 1)
    except ConfigError as error:
        return _fail(str(error), 2)
    except TickerlakeError as error:
        return _fail(str(error), 1)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; what had been stored stays", 130)
    finally:
        logging.captureWarnings(capture=False)
    return code if isinstance(code, int) else 0


class Date(click.ParamType[dt.date]):
    """A session's date, `YYYY-MM-DD`."""

    name = "date"

    def convert(self, value: str | dt.date, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """The date that `value` spells, or a usage error that shows how to spell one."""
        if isinstance(value, dt.date):
            return value
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date; write one as YYYY-MM-DD, such as 2026-11-20", param, ctx)


class Tickers(click.ParamType[tuple[str, ...]]):
    """Ticker symbols separated by commas."""

    name = "tickers"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The symbols in `value`, upper-cased, once each, or a usage error naming what is no symbol."""
        if isinstance(value, tuple):
            return value
        try:
            return symbols.parse_tickers(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


def _fail(message: str, code: int) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return code


@contextmanager
def needs_aws() -> Generator[None]:
    """Says what to install where the driver for AWS, which the local flow does not need, is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        raise ConfigError(f"talking to AWS needs the package {error.name}; install it: pip install boto3") from error


@contextmanager
def progress(title: str, total: int | None = None) -> Generator[Callable[[str], None]]:
    """A progress bar on standard error while the block runs, where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415  a command that shows no progress need not load it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[latest]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total, latest="")
        yield lambda latest: progress.update(task, advance=1, latest=latest)
