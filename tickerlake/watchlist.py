"""The watchlist: which tickers are collected unless a run names others."""

from __future__ import annotations

DEFAULT = ("META", "SHOP", "BYND", "NFLX", "PINS", "XYZ", "TTD", "OKTA", "SNAP", "DDOG", "AMZN")
"""The original project's ten under today's symbols, and AMZN."""
