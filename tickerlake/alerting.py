"""Alerts: reads the bars that the rules in `alerts` look at, and sends the messages of a local lake."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence

from tickerlake import exchange, watchlist
from tickerlake.alerts import Bar, Day, Message, Rule, Sent, dump, judge, load, rules
from tickerlake.errors import ConfigError, LakeEmpty
from tickerlake.exchange import Exchange
from tickerlake.lake.layout import Layout
from tickerlake.query import run
from tickerlake.query.engines import Engine
from tickerlake.query.runner import traded


def news(engine: Engine, layout: Layout, remember: Callable[[str], object], now: dt.datetime) -> list[Message]:
    """The messages about today's session in a local lake that were not sent yet.

    `remember` stores them as sent before anything is sent: a message that is lost is better than one that comes
    again after each restart. Raises ConfigError for rules that cannot be used, QueryFailed, SinkError.
    """
    wanted = rules(watchlist.alerts(layout.config), f"{layout.config}: ")
    if not wanted:
        return []
    sent = _sent(layout)
    places = exchange.all_of(watchlist.read(layout.config))
    today = [day for place in places for day in days(engine, wanted, now, place)]
    messages, after = judge(wanted, today, sent)
    if after != sent:
        remember(dump(after))
    return messages


def days(engine: Engine, wanted: Sequence[Rule], now: dt.datetime, place: Exchange) -> list[Day]:
    """The bars of each ticker of an exchange in the session at `now`, with the highs of the sessions before that rules
    compare with. QueryFailed.
    """
    today = place.date_at(now)
    back = max(int(rule.value) if rule.kind == "new-high" else 1 for rule in wanted)
    sessions = place.sessions_between(today - dt.timedelta(days=back * 2 + 10), today)[-back:]
    if not sessions or sessions[-1].date != today:
        return []
    try:
        tickers = traded(engine, sessions[-1:])
    except LakeEmpty:
        return []
    if not tickers:
        return []
    bars: dict[str, list[Bar]] = defaultdict(list)
    answer = run(engine, "bars", first=today, last=today, tickers=tickers)
    for ticker, *fields in zip(*map(answer.column, ("ticker", "ts", "high", "low")), strict=True):
        bars[ticker].append(Bar(*fields))
    highs: dict[str, list[float]] = defaultdict(list)
    if back > 1:
        answer = run(engine, "daily", first=sessions[0].date, last=today, tickers=tickers)
        for session, ticker, high in sorted(zip(*map(answer.column, ("session", "ticker", "high")), strict=True)):
            if session != str(today):
                highs[ticker].insert(0, high)
    return [Day(ticker, str(today), sorted(mine), highs[ticker]) for ticker, mine in sorted(bars.items())]


def send(messages: Sequence[Message], urls: Sequence[str]) -> list[str]:
    """Sends `messages` to the services that `urls` name, as Apprise writes them; returns what went wrong.

    No address is named: it may hold a password. ConfigError without Apprise.
    """
    try:
        from apprise import Apprise  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise ConfigError("LAKE_ALERT_URLS needs Apprise: pip install 'tickerlake[alerts]'") from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses
    faults = []
    for number, url in enumerate(urls, start=1):
        service = Apprise()
        name = f"address {number} of {len(urls)} in LAKE_ALERT_URLS"
        if not service.add(url):
            faults.append(f"{name} is not one that Apprise knows; alerts are not sent there")
        elif lost := sum(not service.notify(title=each.title, body=each.text) for each in messages):
            faults.append(f"{name} did not take {lost} of {len(messages)} alerts; check it and the network")
    return faults


def _sent(layout: Layout) -> list[Sent]:
    try:
        return load(layout.sent.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read {layout.sent}: {error}; delete it, and today's alerts are sent once more"
        ) from error
