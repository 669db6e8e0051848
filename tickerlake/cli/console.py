"""What all commands share: one line for every failure, the exit codes, and the types of their options."""

from __future__ import annotations

import datetime as dt
import os
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from tickerlake import symbols
from tickerlake.errors import ConfigError, TickerlakeError

EXIT_CODES = {
    0: "done; collecting or importing what is already there counts as done",
    1: "nothing could be done, or `doctor` found a problem",
    2: "an argument or a setting cannot be used",
    3: "some tickers or sessions failed, each named with its reason; the rest is done",
    130: "interrupted; what was stored stays",
}


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Runs `command` and returns its exit code; a failure is one line on standard error."""
    # Warnings of libraries are for developers. A filter is not enough: pandas swaps the filters in several threads.
    show, warnings.showwarning = warnings.showwarning, lambda *_, **__: None  # ty: ignore[invalid-assignment]
    try:
        code = command.main(args=arguments, prog_name=command.name, standalone_mode=False)
        # A short answer is still in the buffer: flush it here, where a closed pipe is caught.
        sys.stdout.flush()
    except click.UsageError as error:
        hint = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        message, code = f"{error.format_message().rstrip('.')}{hint}", 2
    except click.ClickException as error:
        message, code = error.format_message(), 1
    except TickerlakeError as error:
        message, code = str(error), 2 if isinstance(error, ConfigError) else 1
    except (click.Abort, KeyboardInterrupt):
        message, code = "interrupted; what was stored stays", 130
    except (BrokenPipeError, SystemExit):
        # click exits by itself after shell completion, and when the reader of its output, such as `head`, has left.
        _discard_output()
        return 0
    else:
        return code if isinstance(code, int) else 0
    finally:
        warnings.showwarning = show
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return code


class Date(click.ParamType[dt.date]):
    """A date, `YYYY-MM-DD`."""

    name = "date"

    def convert(self, value: str | dt.date, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """The date in `value`, or a usage error that shows how to write one."""
        if isinstance(value, dt.date):
            return value
        from tickerlake.plan import parse_date  # noqa: PLC0415  # slow to import, and not every command takes a date

        try:
            return parse_date(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class Tickers(click.ParamType[tuple[str, ...]]):
    """Ticker symbols separated by commas."""

    name = "tickers"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The symbols in `value`, in capitals, once each, or a usage error that names what is not a symbol."""
        if isinstance(value, tuple):
            return value
        try:
            return symbols.parse_tickers(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


lake_option = click.option(
    "--lake",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the lake; by default $LAKE_DIR, else lake.",
)
"""`--lake`, for every command that reads one."""


@contextmanager
def needs_aws() -> Generator[None]:
    """Turns a missing AWS package into a line that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        raise ConfigError(f"AWS needs the package {error.name}; install it: pip install 'tickerlake[aws]'") from error


@contextmanager
def progress(title: str, total: int | None = None) -> Generator[Callable[[str], None]]:
    """A progress bar on standard error while the block runs, if that is a terminal."""
    from rich.console import Console  # noqa: PLC0415  # slow to import, and few commands show progress
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[latest]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total, latest="")
        yield lambda latest: progress.update(task, advance=1, latest=latest)


def _discard_output() -> None:
    """Lets the interpreter flush standard output at its end without a complaint about the closed pipe."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
