"""`tickerlake dashboard`: serve the dashboard on this machine."""

from __future__ import annotations

import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from tickerlake import bundle
from tickerlake.cli.console import lake_option
from tickerlake.errors import ConfigError, TickerlakeError

address_option = click.option(
    "--address",
    metavar="ADDRESS",
    default="localhost",
    show_default=True,
    help="Address to listen on; 0.0.0.0 opens it to your network.",
)
port_option = click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    metavar="PORT",
    default=8501,
    show_default=True,
    help="Port to listen on.",
)


@click.command("dashboard")
@lake_option
@port_option
@address_option
@click.option("--read-only", is_flag=True, help="Visitors only look: no collecting, no settings, limited questions.")
def dashboard_command(lake: Path | None, port: int, address: str, *, read_only: bool) -> None:
    """Serve the dashboard on this machine.

    Open the address it prints in a browser; Ctrl-C stops it. On an address that others can reach it is read-only. It
    needs the extra `dashboard`: pip install 'tickerlake[dashboard]'
    """
    require_streamlit()
    if read_only:
        os.environ["TICKERLAKE_READ_ONLY"] = "1"
    serve(lake, port, address)


def require_streamlit() -> None:
    """ConfigError, with what to install, where Streamlit is missing."""
    if find_spec("streamlit") is None:
        raise ConfigError("the dashboard needs Streamlit; install it: pip install 'tickerlake[dashboard]'")


def serve(lake: Path | None, port: int, address: str) -> None:
    """Serves the dashboard until Ctrl-C, on the folder `lake` or the lake of the settings."""
    _require_free(address, port)
    if lake is not None:
        os.environ |= {"LAKE_ENGINE": "duckdb", "LAKE_DIR": str(lake)}
    click.echo(f"The dashboard is at http://{address}:{port}. Ctrl-C stops it.")
    sys.stdout.flush()
    from streamlit.web import cli as streamlit  # noqa: PLC0415  # takes a second

    app = str(bundle.DASHBOARD / "app.py")
    options = [f"--server.address={address}", f"--server.port={port}", "--logger.hideWelcomeMessage=true"]
    try:
        streamlit.main(["run", app, *options], standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        pass
    except SystemExit as end:
        if end.code:
            raise TickerlakeError("the dashboard could not be served; the reason is above") from end
    _leave()


def _leave() -> None:
    """Ends the process at once.

    Streamlit's threads may still be inside C++ libraries, and Python before 3.14 can abort if it ends normally then:
    https://github.com/python/cpython/issues/87135
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _require_free(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        # As servers do: a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {address}:{port}: {error.strerror}; name another port with --port"
            ) from error
