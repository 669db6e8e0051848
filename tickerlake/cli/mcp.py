"""`tickerlake mcp`: the named queries as tools for agents."""

from __future__ import annotations

from pathlib import Path

import click

from tickerlake.cli.console import lake_option
from tickerlake.errors import ConfigError
from tickerlake.settings import Settings


@click.command(
    "mcp",
    epilog="""\b
Examples:
  tickerlake mcp --lake lake
  claude mcp add tickerlake -- tickerlake mcp --lake ~/lake
""",
)
@lake_option
def mcp_command(lake: Path | None) -> None:
    """Serve the named queries to agents on standard input and output, read-only.

    An agent starts this command itself and speaks the Model Context Protocol with it. It can run the queries, and
    nothing else: no SQL of its own, no collecting.
    """
    try:
        from tickerlake.mcp import serve  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        if error.name not in ("mcp", "mcp_types"):
            raise
        raise ConfigError(f"this needs the package {error.name}; install it: pip install 'tickerlake[mcp]'") from error
    from tickerlake.query.engines import open_engine  # noqa: PLC0415

    settings = Settings.from_environment().on(lake)
    serve(lambda: open_engine(settings))
