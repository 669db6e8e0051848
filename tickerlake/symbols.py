"""Ticker symbols: how they are spelled, and which one a company traded under on a given day.

Bars are stored under the symbol *as traded that day*; sources are queried for today's symbol. The two differ if the
company changed its symbol. The old one may name another instrument by now, whose prices would be wrong.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tickerlake import exchange
from tickerlake.errors import ConfigError

SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,5}(-[A-Z]{1,2})?|[A-Z0-9]{1,8}(-[A-Z]{1,2})?\.[A-Z]{1,3}|[A-Z0-9]{2,10}-[A-Z]{3}")
"""A symbol in Yahoo's spelling: `META`, `BRK-B`; with the suffix of another exchange, `VOD.L`; or a pair, `BTC-USD`."""


@dataclass(frozen=True)
class Rename:
    """From the session `on`, the company that traded as `old` trades as `new`."""

    old: str
    new: str
    on: dt.date


RENAMES = (
    # https://investor.atmeta.com/investor-news/press-release-details/2022/Meta-Platforms-Inc.-to-Change-Ticker-Symbol-to-META-on-June-9/
    # FB itself names a fund since 2025-06-24.
    Rename("FB", "META", dt.date(2022, 6, 9)),
    # https://investors.block.xyz/ (announced 2025-01-08); SQ has no instrument since.
    Rename("SQ", "XYZ", dt.date(2025, 1, 21)),
)


def parse_tickers(text: str) -> tuple[str, ...]:
    """`"fb, AMZN"` → `("FB", "AMZN")`: upper-cased, in order, once each.

    ConfigError if one is not a symbol, or has a suffix that no exchange has.
    """
    tickers = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    wrong = [ticker for ticker in tickers if not SYMBOL.fullmatch(ticker)]
    if wrong or not tickers:
        raise ConfigError(
            f"tickers: {', '.join(wrong) or repr(text)} is not a symbol; "
            "write symbols separated by commas, such as META,AMZN, BRK-B, VOD.L or BTC-USD"
        )
    exchange.all_of(tickers)
    return tickers


def is_symbol(text: str) -> bool:
    """Whether `text` is a symbol of an exchange that is known."""
    try:
        return bool(SYMBOL.fullmatch(text) and exchange.of(text))
    except ConfigError:
        return False


def current_symbol(ticker: str) -> str:
    """The company's symbol today: FB → META."""
    for rename in RENAMES:
        if ticker == rename.old:
            return current_symbol(rename.new)
    return ticker


def as_traded(ticker: str, session: dt.date) -> str:
    """The company's symbol in `session`: META → FB before 2022-06-09."""
    symbol = current_symbol(ticker)
    for rename in reversed(RENAMES):
        if symbol == rename.new and session < rename.on:
            symbol = rename.old
    return symbol


def names(ticker: str) -> tuple[str, ...]:
    """Every symbol the company has traded under, the current one first: META → META, FB."""
    found = [current_symbol(ticker)]
    for rename in reversed(RENAMES):
        if rename.new in found:
            found.append(rename.old)
    return tuple(found)


def rename_notes(tickers: Iterable[str], first: dt.date, last: dt.date) -> list[str]:
    """One line for each ticker that is collected or stored under another symbol than the one given."""
    notes = []
    for ticker in tickers:
        for rename in RENAMES:
            if ticker == rename.old and last >= rename.on:
                notes.append(f"{rename.old} trades as {rename.new} since {rename.on}: collecting {rename.new}")
            if ticker == rename.new and first < rename.on:
                notes.append(
                    f"{rename.new} traded as {rename.old} before {rename.on}: stored as {rename.old} until then"
                )
    return notes


def listing(tickers: Sequence[str], shown: int = 10) -> str:
    """`"META, AMZN and 3 more"`: as many as fit in a message."""
    more = len(tickers) - shown
    return ", ".join(tickers[:shown]) + (f" and {more} more" if more > 0 else "")
