"""The one clock of the dashboard."""

from __future__ import annotations

import datetime as dt
import os

VARIABLE = "TICKERLAKE_NOW"
"""Stops the clock at an instant, ISO 8601 with its offset: for screenshots and for tests in a browser."""


def now() -> dt.datetime:
    """The instant that the dashboard calls now, UTC."""
    stopped = os.environ.get(VARIABLE)
    return dt.datetime.fromisoformat(stopped).astimezone(dt.UTC) if stopped else dt.datetime.now(dt.UTC)
