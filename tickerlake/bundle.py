"""Where the SQL files and the dashboard are: in the root of a clone, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_bundle"
"""`pyproject.toml` puts both folders here in the wheel."""
ROOT = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
QUERIES = ROOT / "queries"
DASHBOARD = ROOT / "dashboard"
