"""How much one question may ask for where others ask: visitors of a read-only dashboard, and agents."""

from __future__ import annotations

from tickerlake.errors import ConfigError

MOST_TICKERS = 100
MOST_SESSIONS = 260
MOST_TICKER_SESSIONS = 6_000
"""Sessions times tickers: 20 tickers over a year, or 100 over a quarter."""


def check(*, tickers: int = 0, sessions: int = 0) -> None:
    """ConfigError if so many `sessions` of so many `tickers` are more than one question should take."""
    for asked, most, what in (
        (tickers, MOST_TICKERS, "tickers"),
        (sessions, MOST_SESSIONS, "sessions"),
        (tickers * sessions, MOST_TICKER_SESSIONS, "sessions times tickers"),
    ):
        if asked > most:
            raise ConfigError(f"{asked:,} {what} are too many at once here; choose at most {most:,}")
