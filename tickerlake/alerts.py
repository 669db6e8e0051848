"""Alerts: which rules the bars of a session meet, and which messages that makes. Nothing here sends or stores.

`judge` is called after each collection with the bars in force. Each event alerts once: what was sent is passed in and
comes back with what is new. If the vendor restates the bar of an alert, one more message corrects it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from tickerlake import exchange, symbols
from tickerlake.errors import ConfigError

Kind = Literal["new-high", "above", "below"]

_EXAMPLES = "write new_high = 1 for the day, new_high = 20 for 20 sessions, or above = 700.0 or below = 600.0"
_KEPT_SESSIONS = 5


class Bar(NamedTuple):
    """What a rule needs of a bar. Prices in the ticker's currency, on today's basis."""

    ts: dt.datetime
    high: float
    low: float


@dataclass(frozen=True)
class Day:
    """A ticker's session so far, and the highs of those before it, the latest first."""

    ticker: str
    session: str
    bars: Sequence[Bar]
    """Oldest first."""
    earlier_highs: Sequence[float] = ()


@dataclass(frozen=True)
class Rule:
    """One entry of `[[alerts]]`."""

    kind: Kind
    value: float
    """Price of a level; number of sessions of a new high, 1 for the day alone."""
    tickers: tuple[str, ...] = ()
    """Empty for all that are collected."""

    def applies_to(self, ticker: str) -> bool:
        """Whether it watches `ticker`."""
        return not self.tickers or symbols.current_symbol(ticker) in self.tickers

    def says(self, day: Day) -> Bar | None:
        """The bar of `day` that meets this rule; None without one.

        Of a new high the latest: the first bar of the highest price, unless the session began with it or not enough
        earlier sessions are known. Of a level the first that reached it.
        """
        if not day.bars:
            return None
        if self.kind != "new-high":
            return next((bar for bar in day.bars if self.reached(self.price(bar))), None)
        best = max(day.bars, key=lambda bar: bar.high)
        earlier = day.earlier_highs[: int(self.value) - 1]
        if len(earlier) < self.value - 1 or (earlier and best.high <= max(earlier)):
            return None
        return best if earlier or best is not day.bars[0] else None

    def price(self, bar: Bar) -> float:
        """The price of `bar` that this rule looks at."""
        return bar.low if self.kind == "below" else bar.high

    def reached(self, price: float) -> bool:
        """Whether `price` is at the level; true of a new high."""
        return self.kind == "new-high" or (price >= self.value if self.kind == "above" else price <= self.value)

    @property
    def name(self) -> str:
        """`new high`, `new high of 20 sessions`, `above 700`."""
        if self.kind == "new-high":
            return "new high" if self.value == 1 else f"new high of {self.value:g} sessions"
        return f"{self.kind} {self.value:g}"


class Sent(NamedTuple):
    """An alert that was sent: the rule's name, whose bar, and its price."""

    rule: str
    ticker: str
    session: str
    ts: str
    """Start of the bar, ISO 8601, UTC."""
    price: float


@dataclass(frozen=True)
class Message:
    """What a person reads."""

    title: str
    """`NFLX new high 14:35`."""
    text: str
    """`NFLX: new high 1,101.25 USD at 14:35, Fri 20 Nov.`"""


def rules(entries: Iterable[object], where: str = "") -> tuple[Rule, ...]:
    """The rules that the entries of `[[alerts]]` mean. ConfigError names the first entry that cannot be used."""
    return tuple(_rule(entry, f"{where}[[alerts]] number {number}") for number, entry in enumerate(entries, start=1))


def judge(wanted: Sequence[Rule], days: Iterable[Day], sent: Sequence[Sent]) -> tuple[list[Message], list[Sent]]:
    """The messages that `days` give, and what has been sent by then. Corrections come first.

    A new high of several sessions and a level are sent once a session; each new high of the day is sent.
    """
    messages: list[Message] = []
    known = {(each.rule, each.ticker, each.session): each for each in sent}
    by_name = {rule.name: rule for rule in wanted}
    for day in days:
        for key, each in list(known.items()):
            if (each.ticker, each.session) == (day.ticker, day.session) and each.rule in by_name:
                correction, still = _corrected(by_name[each.rule], each, day)
                messages += correction
                if still:
                    known[key] = still
                else:
                    del known[key]
        for rule in wanted:
            bar = rule.says(day) if rule.applies_to(day.ticker) else None
            if bar is None:
                continue
            key = (rule.name, day.ticker, day.session)
            before, price = known.get(key), rule.price(bar)
            if before and (rule.name != "new high" or price <= before.price):
                continue
            known[key] = Sent(rule.name, day.ticker, day.session, bar.ts.astimezone(dt.UTC).isoformat(), price)
            messages.append(_message(rule.name, day, bar.ts, price))
    recent = sorted({each.session for each in known.values()})[-_KEPT_SESSIONS:]
    return messages, [each for each in known.values() if each.session in recent]


def dump(sent: Iterable[Sent]) -> str:
    """`sent` as text, for `load`."""
    return json.dumps([each._asdict() for each in sent], indent=1) + "\n"


def load(text: str) -> list[Sent]:
    """What `dump` wrote. ValueError for any other text."""
    try:
        return [Sent(**{name: kind(row[name]) for name, kind in _FIELDS.items()}) for row in json.loads(text)]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a list of alerts: {error}") from error


_FIELDS: Mapping[str, Any] = {"rule": str, "ticker": str, "session": str, "ts": str, "price": float}


def _corrected(rule: Rule, sent: Sent, day: Day) -> tuple[list[Message], Sent | None]:
    """A message if the alert's bar has another price now, or is gone, and the alert as it stands after that."""
    start = dt.datetime.fromisoformat(sent.ts)
    now = next((rule.price(bar) for bar in day.bars if bar.ts == start), None)
    if now == sent.price:
        return [], sent
    at, currency = _clock(start, sent.ticker), exchange.currency_of(sent.ticker)
    what = f"{sent.rule} {sent.price:,.2f} {currency} at {at}"
    became = "withdrawn by the vendor" if now is None else f"restated to {now:,.2f} {currency}"
    message = Message(f"{sent.ticker} corrected {at}", f"{sent.ticker}: the bar of the {what} was {became}.")
    holds = now is not None and rule.reached(now)
    return [message], sent._replace(price=now) if holds else None


def _message(name: str, day: Day, ts: dt.datetime, price: float) -> Message:
    at, currency = _clock(ts, day.ticker), exchange.currency_of(day.ticker)
    date = dt.date.fromisoformat(day.session)
    return Message(
        f"{day.ticker} {name} {at}",
        f"{day.ticker}: {name}, {price:,.2f} {currency} at {at}, {date:%a} {date.day} {date:%b}.",
    )


def _clock(ts: dt.datetime, ticker: str) -> str:
    return f"{ts.astimezone(exchange.of(ticker).zone):%H:%M}"


def _rule(entry: object, where: str) -> Rule:
    if not isinstance(entry, dict):
        raise ConfigError(f"{where} is not a table; {_EXAMPLES}")
    kinds = [name for name in ("new_high", "above", "below") if name in entry]
    if unknown := sorted(entry.keys() - {"new_high", "above", "below", "tickers"}):
        raise ConfigError(f"{where} has an unknown key {unknown[0]!r}; {_EXAMPLES}, with tickers for only some")
    if len(kinds) != 1:
        raise ConfigError(f"{where} has {' and '.join(kinds) or 'no condition'}; {_EXAMPLES}")
    value = entry[kinds[0]]
    whole = kinds[0] == "new_high"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 < value < 1e6:
        wanted = "a whole number of sessions from 1" if whole else "a price above 0"
        raise ConfigError(f"{where}: {kinds[0]} is {value!r}; it must be {wanted}: {_EXAMPLES}")
    tickers = entry.get("tickers", [])
    if not isinstance(tickers, list) or not all(isinstance(each, str) for each in tickers):
        raise ConfigError(f'{where}: tickers must be a list of symbols; write tickers = ["META"]')
    chosen = tuple(map(symbols.current_symbol, symbols.parse_tickers(",".join(tickers)))) if tickers else ()
    if kinds[0] != "new_high" and not chosen:
        raise ConfigError(f'{where}: a price level needs its ticker; write tickers = ["META"]')
    kind: Kind = "new-high" if whole else "above" if kinds[0] == "above" else "below"
    return Rule(kind, float(value), chosen)
