"""What visitors may do: everything on the owner's machine, only look on a server for others."""

from __future__ import annotations

import ipaddress
import os

import streamlit as st

from tickerlake import limits

VARIABLE = "TICKERLAKE_READ_ONLY"
"""Environment variable: `1` for a dashboard that only shows, `0` for one that also collects."""


def is_read_only() -> bool:
    """Whether visitors may only look. By default so unless the server listens on this machine alone."""
    given = os.environ.get(VARIABLE)
    return given != "0" if given else not is_on_this_machine()


def is_on_this_machine() -> bool:
    """Whether the server listens on this machine alone."""
    return _is_loopback(st.get_option("server.address"))


def for_owner(advice: str) -> str:
    """`advice` to run a command; empty for visitors, who may only look."""
    return "" if is_read_only() else advice


def check(*, tickers: int = 0, sessions: int = 0) -> None:
    """ConfigError if a visitor of a read-only dashboard asks for more than one page should take."""
    if is_read_only():
        limits.check(tickers=tickers, sessions=sessions)


def _is_loopback(address: str | None) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address or "0.0.0.0").is_loopback  # noqa: S104
    except ValueError:
        return False
