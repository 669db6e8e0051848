"""The queries answered again, slowly and plainly in Python, from the records as they were stored.

It shares nothing with the SQL: tests hold both against the same answer files and against random lakes.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from tickerlake.exchange import Session

NEW_YORK = ZoneInfo("America/New_York")
Record = dict[str, Any]


def bars(records: Iterable[Record]) -> list[Record]:
    """Each bar once, as it was collected last."""
    latest: dict[tuple, Record] = {}
    for record in records:
        key = (record["ticker"], record["bar_minutes"], record["ts"])
        if key not in latest or record["collected_at"] > latest[key]["collected_at"]:
            latest[key] = record
    order = sorted(latest.values(), key=lambda r: (session(r), r["ticker"], r["ts"], r["bar_minutes"]))
    return [{"ticker": r["ticker"], "session": session(r), **r} for r in order]


def hourly_high(records: Iterable[Record]) -> list[Record]:
    """Each hour's greatest high, one row per bar that reached it, at the finest bar size that did."""
    hours = defaultdict(list)
    for bar in bars(records):
        hours[bar["session"], bar["ticker"], bar["ts"].astimezone(NEW_YORK).hour].append(bar)
    rows = []
    for (day, ticker, hour), inside in sorted(hours.items()):
        high = max(bar["high"] for bar in inside)
        reached = [bar for bar in inside if bar["high"] == high]
        finest = min(bar["bar_minutes"] for bar in reached)
        times = sorted(bar["ts"] for bar in reached if bar["bar_minutes"] == finest)
        rows += [
            {"ticker": ticker, "session": day, "hour": hour, "high": high, "ts": ts, "touch": touch}
            for touch, ts in enumerate(times, start=1)
        ]
    return rows


def coverage(records: Iterable[Record], sessions: Iterable[Session], now: dt.datetime) -> list[Record]:
    """Per ticker and session, which of the expected bars are there."""
    held: dict[tuple, set[int]] = defaultdict(set)
    sizes: dict[str, int] = {}
    by_day = {each.dt: each for each in sessions}
    for bar in bars(records):
        day = by_day.get(bar["session"])
        if day is None or bar["ts"] >= min(day.close, now):
            continue
        ticker, size = bar["ticker"], bar["bar_minutes"]
        held[ticker, day.dt, size].add(int((bar["ts"] - day.open).total_seconds() // 60 // size))
        sizes[ticker] = min(size, sizes.get(ticker, size))
    rows = []
    for day in by_day.values():
        for ticker in sorted(sizes):
            present = {size: places for (t, d, size), places in sorted(held.items()) if (t, d) == (ticker, day.dt)}
            for size, places in (present or {sizes[ticker]: set()}).items():
                minutes = (min(day.close, now) - day.open).total_seconds() / 60
                expected = -int(-minutes // size)
                rows.append(
                    {
                        "ticker": ticker,
                        "session": day.dt,
                        "bar_minutes": size,
                        "expected": expected,
                        "present": len(places),
                        "missing": expected - len(places),
                        "gaps": _gaps([place for place in range(expected) if place not in places], day, size),
                    }
                )
    return rows


def tickers(records: Iterable[Record]) -> list[Record]:
    """From when to when each ticker is held."""
    days = defaultdict(set)
    for record in records:
        days[record["ticker"]].add(session(record))
    return [
        {"ticker": t, "first_session": min(d), "last_session": max(d), "sessions": len(d)}
        for t, d in sorted(days.items())
    ]


def sessions_held(records: Iterable[Record]) -> list[Record]:
    """How much of each session is stored."""
    days = defaultdict(list)
    for record in records:
        days[session(record)].append(record)
    return [
        {
            "session": day,
            "tickers": len({r["ticker"] for r in inside}),
            "records": len(inside),
            "sources": ", ".join(sorted({r["source"] for r in inside})),
            "first_ts": min(r["ts"] for r in inside),
            "last_ts": max(r["ts"] for r in inside),
            "collected_at": max(r["collected_at"] for r in inside),
        }
        for day, inside in sorted(days.items())
    ]


def daily(records: Iterable[Record]) -> list[Record]:
    """Each ticker's session in one row; what is counted is counted at the finest bar size."""
    days = defaultdict(list)
    for bar in bars(records):
        days[bar["session"], bar["ticker"]].append(bar)
    rows = []
    for (day, ticker), inside in sorted(days.items()):
        size = min(bar["bar_minutes"] for bar in inside)
        finest = [bar for bar in inside if bar["bar_minutes"] == size]
        opens = [bar["open"] for bar in finest if bar["open"] is not None]
        closes = [bar["close"] for bar in finest if bar["close"] is not None]
        volumes = [bar["volume"] for bar in finest if bar["volume"] is not None]
        rows.append(
            {
                "ticker": ticker,
                "session": day,
                "open": opens[0] if opens else None,
                "high": max(bar["high"] for bar in inside),
                "low": min(bar["low"] for bar in inside),
                "close": closes[-1] if closes else None,
                "volume": sum(volumes) if volumes else None,
                "bars": len(finest),
                "bar_minutes": size,
                "first_ts": finest[0]["ts"],
                "last_ts": finest[-1]["ts"],
                "sources": ", ".join(sorted({bar["source"] for bar in inside})),
                "collected_at": max(bar["collected_at"] for bar in inside),
            }
        )
    return rows


def restatements(records: Iterable[Record]) -> list[Record]:
    """The bars whose last collected numbers are not those collected first."""
    versions = defaultdict(list)
    for record in sorted(records, key=lambda r: r["collected_at"]):
        versions[session(record), record["ticker"], record["ts"], record["bar_minutes"]].append(record)
    rows = []
    for (day, ticker, ts, size), collected in sorted(versions.items()):
        first, last = collected[0], collected[-1]
        if any(first[name] != last[name] for name in ("high", "low", "close", "volume")):
            rows.append(
                {
                    "ticker": ticker,
                    "session": day,
                    "ts": ts,
                    "bar_minutes": size,
                    "versions": len({record["collected_at"] for record in collected}),
                    **{f"first_{name}": first[name] for name in ("high", "low", "close", "volume")},
                    **{f"last_{name}": last[name] for name in ("high", "low", "close", "volume")},
                    "first_collected": first["collected_at"],
                    "last_collected": last["collected_at"],
                }
            )
    return rows


def session(record: Record) -> str:
    """The date at the exchange on which a bar starts."""
    return record["ts"].astimezone(NEW_YORK).date().isoformat()


def _gaps(missing: list[int], day: Session, size: int) -> str:
    def clock(place: int) -> str:
        return (day.open + dt.timedelta(minutes=place * size)).astimezone(NEW_YORK).strftime("%H:%M")

    runs: list[list[int]] = []
    for place in missing:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(clock(r[0]) if len(r) == 1 else f"{clock(r[0])}-{clock(r[-1])}" for r in runs)
