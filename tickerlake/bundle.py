"""Where the SQL texts and the dashboard are: at the root of a clone, or inside an installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_bundle"
"""The wheel carries the two folders here; `pyproject.toml` puts them there."""
ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
QUERIES = ROOT / "queries"
DASHBOARD = ROOT / "dashboard"
