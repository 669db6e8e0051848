"""What `tickerlake query` and `tickerlake sql` share: how rows are written, and where."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from tickerlake.cli.console import lake_option
from tickerlake.errors import ConfigError, TickerlakeError
from tickerlake.query import Answer, Engine, Settings, formats, open_engine

TEXT: dict[str, Callable[[Answer], str]] = {
    "table": formats.as_table,
    "csv": formats.as_csv,
    "json": formats.as_json,
}
ENDINGS = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".txt": "table"}


@dataclass(frozen=True)
class Target:
    """Where rows go, and how many."""

    lake: Path | None
    limit: int | None
    form: str | None
    output: Path | None

    def __post_init__(self) -> None:
        """Refuses what cannot be written, before anything is read."""
        if self.output is None:
            return
        written = ENDINGS.get(self.output.suffix.lower())
        if written is None:
            raise ConfigError(f"-o {self.output}: cannot write such a file; end its name in {', '.join(ENDINGS)}")
        if self.form not in (None, written):
            raise ConfigError(f"--format {self.form} contradicts -o {self.output}; leave --format out")

    @property
    def columns(self) -> bool:
        """True if the file needs the answer's frame."""
        return self.output is not None and ENDINGS[self.output.suffix.lower()] == "parquet"

    def engine(self) -> Engine:
        """The engine of the settings, on `--lake` if given."""
        settings = Settings.from_environment()
        if self.lake is not None:
            if settings.engine != "duckdb":
                raise ConfigError(f"--lake names a folder, but LAKE_ENGINE is {settings.engine}; leave --lake out")
            settings = replace(settings, lake=self.lake)
        return open_engine(settings)

    def show(self, answer: Answer, engine: Engine, name: str = "") -> None:
        """Writes the rows to the file or to standard output; the count, the cost and the notes go to standard error."""
        number = f"{len(answer):,}" if len(answer) else "no"
        count = f"{number} row{'' if len(answer) == 1 else 's'}{f' of {name}' if name else ''}"
        if self.output is not None:
            _write(self.output, answer)
            click.echo(f"{count} → {self.output}", err=True)
        elif self.form in (None, "table"):
            self._show_table(answer, f"{count} from {engine.lake}")
        else:
            click.echo(TEXT[self.form](answer), nl=False)
        if answer.query_id is not None:
            scanned = "" if answer.bytes_scanned is None else f", {answer.bytes_scanned / 1e6:,.1f} MB scanned"
            click.echo(f"query {answer.query_id}: {answer.seconds:.1f} s{scanned}", err=True)
        for note in answer.notes:
            click.echo(f"note: {note}", err=True)

    def _show_table(self, answer: Answer, title: str) -> None:
        width = rows_shown = None
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
            # A user who asks for a number of rows wants to see them all.
            rows_shown = formats.ROWS_SHOWN if self.limit is None else None
        if len(answer):
            click.echo(formats.as_table(answer, width, rows_shown), nl=False)
        click.echo(title)


def row_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--lake`, `--limit`, `--format` and `-o`, and passes them on as one `target`."""

    @wraps(command)
    def with_target(
        *, lake: Path | None, limit: int | None, form: str | None, output: Path | None, **arguments: Any
    ) -> Any:
        return command(target=Target(lake, limit, form, output), **arguments)

    options = (
        lake_option,
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N rows."),
        click.option("--format", "form", type=click.Choice(list(TEXT)), help="How to print rows; by default a table."),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help=f"Write FILE in the format of its ending: {', '.join(ENDINGS)}.",
        ),
    )
    for option in reversed(options):
        with_target = option(with_target)
    return with_target


def _write(output: Path, answer: Answer) -> None:
    """Writes the rows to `output` in the format of its ending, whole or not at all."""
    form = ENDINGS[output.suffix.lower()]
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            temporary = Path(file.name)
            if form == "parquet":
                answer.frame.to_parquet(file, index=False)
            else:
                file.write(TEXT[form](answer).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(output)
    except OSError as error:
        raise TickerlakeError(
            f"cannot write {output}: {error.strerror}; name a file in a folder you can write to"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
