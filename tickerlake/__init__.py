"""Tickerlake: a small lake of stock bars that you own. It remembers what the vendor said, and when.

import tickerlake

tickerlake.open("lake").hourly_high("META", first="2026-11-01")
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of `typing` takes longer to import than this package
if TYPE_CHECKING:
    from pathlib import Path

    from tickerlake.api import Lake

__version__ = "0.1.0"
__all__ = ["open"]


def open(folder: str | Path | None = None) -> Lake:  # noqa: A001  # tickerlake.open reads well
    """The lake in `folder`; without one, the lake of the settings (`LAKE_ENGINE`, `LAKE_DIR` …). See `Lake`."""
    from tickerlake.api import open_lake  # noqa: PLC0415  # `import tickerlake` stays instant

    return open_lake(folder)
