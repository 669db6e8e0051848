"""How a command of this project meets its user: one line for every failure, and documented exit codes."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence

import click

from functions.collector import symbols
from functions.collector.errors import ConfigError, TickerlakeError

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
