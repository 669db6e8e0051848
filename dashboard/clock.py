"""The dashboard's clock."""

from __future__ import annotations

import datetime as dt
import os

VARIABLE = "TICKERLAKE_NOW"
"""Environment variable that stops the clock at an instant (ISO 8601 with offset), for screenshots and tests."""


def now() -> dt.datetime:
    """The current time, UTC."""
    stopped = os.environ.get(VARIABLE)
    return dt.datetime.fromisoformat(stopped).astimezone(dt.UTC) if stopped else dt.datetime.now(dt.UTC)
