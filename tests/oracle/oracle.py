"""The oracle; its rules are in the docstring of `tests.oracle`."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

from tests.oracle.history import NUMBERS, Answer
from tickerlake import exchange
from tickerlake.exchange import Session
from tickerlake.symbols import as_traded

LATE = dt.timedelta(hours=1)
Row = dict[str, Any]
Split = tuple[dt.date, float]
START_OF_TIME, NEVER = dt.datetime.min.replace(tzinfo=dt.UTC), dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True)
class Key:
    """One bar of one source."""

    session: str
    ticker: str
    ts: dt.datetime
    bar_minutes: int
    source: str
    symbol: str
    """The symbol that the source was asked for."""


@dataclass(frozen=True)
class Said:
    """What a source said about a bar."""

    at: dt.datetime
    numbers: dict[str, float | None] | None
    """None where the bar was withdrawn."""
    adjusted: tuple[Split, ...] = ()
    """The splits that the source had adjusted these numbers for: the truth, which the collector is not told."""


@dataclass(frozen=True)
class Report:
    """What was known of a split from a moment on."""

    symbol: str
    split: Split
    source: str
    at: dt.datetime
    adjusted_from: dt.datetime
    """From when on the source is taken to have adjusted."""


class Oracle:
    """Answers the queries from `answers`, in the order in which they came. `preference` lists sources, best first."""

    def __init__(self, answers: Iterable[Answer], preference: Sequence[str] = ()) -> None:
        self._answers = list(answers)
        self._preference = list(preference)
        self._history: dict[Key, list[Said]] = {}
        self._reports: list[Report] = []
        self._whole: dict[tuple[str, str, int], list[tuple[dt.datetime, dt.datetime | None, int, bool]]]
        """By session, ticker and size: when a source said all that it has, from when on, how many bars, all good."""
        self._whole = defaultdict(list)
        for answer in self._answers:
            for session in answer.sessions:
                self._hear(answer, session)
            self._learn(answer)
        self.said = cache(self.said)
        self.known_splits = cache(self.known_splits)

    def bars(self, as_of: dt.datetime, basis: str = "latest") -> list[Row]:
        """Every bar in force, at every size."""
        chosen: dict[tuple, tuple[int, str, Row]] = {}
        for key, said in self._in_force(as_of):
            place = self._preference.index(key.source) if key.source in self._preference else len(self._preference)
            row = {
                "ticker": key.ticker,
                "session": key.session,
                "ts": key.ts,
                "bar_minutes": key.bar_minutes,
                **self._on_basis(key, said, as_of, basis),
                "source": key.source,
                "collected_at": said.at,
            }
            bar = (key.session, key.ticker, key.ts, key.bar_minutes)
            if bar not in chosen or (place, key.source) < chosen[bar][:2]:
                chosen[bar] = (place, key.source, row)
        return [row for _, (_, _, row) in sorted(chosen.items())]

    def hourly_high(self, as_of: dt.datetime, basis: str = "latest") -> list[Row]:
        """Each hour's greatest high, one row for each bar that reached it."""
        hours = defaultdict(list)
        for (session, ticker), bars in self._finest(as_of, basis).items():
            for bar in bars:
                start = bar["ts"].astimezone(exchange.of(ticker).zone)
                if start.minute + bar["bar_minutes"] <= 60:
                    hours[session, ticker, start.hour].append(bar)
        rows = []
        for (session, ticker, hour), bars in sorted(hours.items()):
            high = max(bar["high"] for bar in bars)
            touches = sorted(bar["ts"] for bar in bars if bar["high"] == high)
            rows += [
                {"ticker": ticker, "session": session, "hour": hour, "high": high, "ts": ts, "touch": touch}
                for touch, ts in enumerate(touches, start=1)
            ]
        return rows

    def daily(self, as_of: dt.datetime, basis: str = "latest") -> list[Row]:
        """Each ticker's session in one row."""
        rows = []
        for (session, ticker), bars in sorted(self._finest(as_of, basis).items()):
            known = {name: [bar[name] for bar in bars if bar[name] is not None] for name in NUMBERS}
            rows.append(
                {
                    "ticker": ticker,
                    "session": session,
                    "open": known["open"][0] if known["open"] else None,
                    "high": max(known["high"]),
                    "low": min(known["low"]),
                    "close": known["close"][-1] if known["close"] else None,
                    "volume": sum(known["volume"]) if known["volume"] else None,
                    "bars": len(bars),
                    "bar_minutes": bars[0]["bar_minutes"],
                    "first_ts": bars[0]["ts"],
                    "last_ts": bars[-1]["ts"],
                    "sources": ", ".join(sorted({bar["source"] for bar in bars})),
                    "collected_at": max(bar["collected_at"] for bar in bars),
                }
            )
        return rows

    def restatements(self, as_of: dt.datetime, basis: str = "latest") -> list[Row]:
        """Every change of a bar within a source, with its numbers before and after on the basis."""
        rows = []
        for key, sayings in self._sorted(as_of):
            for before, after in pairwise(sayings):
                if before.numbers is not None and after.numbers is not None and self._same(key, before, after, as_of):
                    continue
                old, new = (
                    dict.fromkeys(NUMBERS) if said.numbers is None else self._on_basis(key, said, as_of, basis)
                    for said in (before, after)
                )
                rows.append(
                    {
                        "ticker": key.ticker,
                        "session": key.session,
                        "ts": key.ts,
                        "bar_minutes": key.bar_minutes,
                        "source": key.source,
                        "kind": "withdrawn" if not after.numbers else "restated" if before.numbers else "returned",
                        **{f"old_{name}": old[name] for name in NUMBERS},
                        **{f"new_{name}": new[name] for name in NUMBERS},
                        "old_collected": before.at,
                        "new_collected": after.at,
                    }
                )
        return rows

    def withdrawn(self, as_of: dt.datetime) -> list[Row]:
        """The bars that were given and are not in force, with the numbers they had and the moment they went."""
        rows = []
        for key, sayings in self._sorted(as_of):
            if sayings[-1].numbers is None:
                rows.append(
                    {
                        "ticker": key.ticker,
                        "session": key.session,
                        "ts": key.ts,
                        "bar_minutes": key.bar_minutes,
                        "source": key.source,
                        **sayings[-2].numbers,
                        "withdrawn_at": sayings[-1].at,
                    }
                )
        return rows

    def sessions(self, as_of: dt.datetime) -> list[Row]:
        """How much of each exchange's sessions was collected."""
        days = defaultdict(list)
        for key, sayings in self._sorted(as_of):
            place = exchange.of(key.ticker).code
            days[key.session, place] += [(key, said) for said in sayings if said.numbers is not None]
        return [
            {
                "session": session,
                "exchange": place,
                "tickers": len({key.ticker for key, _ in records}),
                "records": len(records),
                "sources": ", ".join(sorted({key.source for key, _ in records})),
                "first_ts": min(key.ts for key, _ in records),
                "last_ts": max(key.ts for key, _ in records),
                "collected_at": max(said.at for _, said in records),
            }
            for (session, place), records in sorted(days.items())
        ]

    def tickers(self, as_of: dt.datetime) -> list[Row]:
        """From when to when each ticker was collected."""
        days = defaultdict(set)
        for key, _ in self._sorted(as_of):
            days[key.ticker].add(key.session)
        return [
            {"ticker": ticker, "first_session": min(held), "last_session": max(held), "sessions": len(held)}
            for ticker, held in sorted(days.items())
        ]

    def coverage(self, as_of: dt.datetime, now: dt.datetime) -> list[Row]:
        """Which of the expected bars are in force, per ticker, session and size, from the first session to the last."""
        held: dict[tuple[str, str], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        bars = self.bars(as_of)
        first, last = (dt.date.fromisoformat(pick(bar["session"] for bar in bars)) for pick in (min, max))
        places = exchange.all_of(bar["ticker"] for bar in bars)
        calendar = {(day.dt, place): day for place in places for day in place.sessions_between(first, last)}
        for bar in bars:
            starts = _starts(calendar[bar["session"], exchange.of(bar["ticker"])], bar["bar_minutes"], now)
            if bar["ts"] in starts:
                held[bar["session"], bar["ticker"]][bar["bar_minutes"]].add(starts.index(bar["ts"]))
        rows = []
        for day in sorted({day for day, _ in calendar}):
            for ticker in sorted({ticker for _, ticker in held}):
                session = calendar.get((day, exchange.of(ticker)))
                if session is None:
                    continue
                mine = {day: sizes for (day, name), sizes in held.items() if name == ticker}
                traded = as_traded(ticker, session.date) == ticker and min(mine) <= session.dt
                if session.open >= now or not traded:
                    continue
                finest = min(size for sizes in mine.values() for size in sizes)
                for size, places in sorted(mine.get(session.dt, {finest: set()}).items()):
                    starts = _starts(session, size, now)
                    missing = [place for place in range(len(starts)) if place not in places]
                    absent, silent = (
                        self._absent(session, ticker, size, missing, len(places), as_of, only_good=good)
                        for good in (False, True)
                    )
                    rows.append(
                        {
                            "ticker": ticker,
                            "session": session.dt,
                            "bar_minutes": size,
                            "expected": len(starts),
                            "present": len(places),
                            "missing": len(missing),
                            "absent": len(absent),
                            "halted": sum(min(places) < place < max(places) for place in silent if places),
                            "gaps": _gaps(session, starts, missing),
                        }
                    )
        return rows

    def _absent(
        self,
        session: Session,
        ticker: str,
        size: int,
        missing: Sequence[int],
        present: int,
        as_of: dt.datetime,
        *,
        only_good: bool,
    ) -> list[int]:
        """Which of the bars `missing` a source does not have: asked late enough, it gave no more than are held.

        `only_good` leaves out answers with records that break a rule.
        """
        length = dt.timedelta(minutes=size)
        answers = [
            (at, since)
            for at, since, bars, good in self._whole[session.dt, ticker, size]
            if at <= as_of and bars <= present and (good or not only_good)
        ]
        return [
            place
            for place in missing
            for start in [_starts(session, size)[place]]
            if any(start + length + LATE <= at and (since is None or since <= start) for at, since in answers)
        ]

    def said(self, as_of: dt.datetime) -> dict[Key, list[Said]]:
        """What each source said about each bar, in order, without repeating itself."""
        upto = {key: [said for said in sayings if said.at <= as_of] for key, sayings in self._history.items()}
        return {key: sayings for key, sayings in upto.items() if sayings}

    def known_splits(self, symbol: str, source: str, as_of: dt.datetime) -> dict[Split, dt.datetime]:
        """The splits of `symbol` that were known by then, and from when on `source` was taken to have adjusted."""
        known: dict[Split, list[Report]] = defaultdict(list)
        for report in self._reports:
            if report.symbol == symbol and report.at <= as_of:
                known[report.split].append(report)
        chosen = {
            split: max(
                sorted(reports, key=lambda report: report.source),
                key=lambda report: (report.source == source, report.at),
            )
            for split, reports in sorted(known.items())
        }
        return {split: report.adjusted_from for split, report in chosen.items()}

    def _learn(self, answer: Answer) -> None:
        """Hears of the splits in `answer`, and compares what each source gave before with what it gave after."""
        mine = (answer.symbol, answer.source)
        heard = {report.split for report in self._reports if (report.symbol, report.source) == mine}
        for split in set(answer.actions) - heard:
            self._report(Report(answer.symbol, split, answer.source, answer.asked_at, _midnight(split[0])))
        sources = {key.source for key in self._history if key.symbol == answer.symbol}
        while sum(self._reconsider(answer, source) for source in sources):
            pass

    def _reconsider(self, answer: Answer, source: str) -> bool:
        """Whether the bars of `source` show that it has adjusted for a split at another moment than was taken."""
        changed = False
        for split, taken in self.known_splits(answer.symbol, source, NEVER).items():
            pairs = list(self._compared(answer, source, split))
            waited = max(
                (
                    report.at
                    for report in self._reports
                    if (report.symbol, report.source, report.split, report.adjusted_from)
                    == (answer.symbol, source, split, NEVER)
                ),
                default=START_OF_TIME,
            )
            moments = {moment for before, after, _ in pairs for moment in (before, after)}
            possible = [_midnight(split[0]), NEVER, *sorted(moments, reverse=True)]
            moment = next(
                moment
                for moment in [taken, *(each for each in possible if each > waited)]
                if all((before < moment <= after) == adjusted for before, after, adjusted in pairs)
            )
            if moment != taken:
                self._report(Report(answer.symbol, split, source, answer.asked_at, moment))
                changed = True
        return changed

    def _report(self, new: Report) -> None:
        """Adds a report, in place of what the same answer brought before it."""
        self._reports = [each for each in self._reports if replace(each, adjusted_from=new.adjusted_from) != new]
        self._reports.append(new)

    def _compared(self, answer: Answer, source: str, split: Split) -> Iterator[tuple[dt.datetime, dt.datetime, bool]]:
        """Two moments at which a bar before the split was given, and whether it was adjusted for it in between."""
        starts = {row["ts"] for row in answer.rows if any(_counts(row, answer, session) for session in answer.sessions)}
        for key, sayings in self._history.items():
            if (key.symbol, key.source) == (answer.symbol, source) and key.session < split[0].isoformat():
                given = [said for said in sayings if said.numbers is not None]
                for before, after in pairwise(given):
                    yield before.at, after.at, (split in before.adjusted) != (split in after.adjusted)
                again = source == answer.source and key.bar_minutes == answer.bar_minutes and key.ts in starts
                if again and sayings[-1].at < answer.asked_at:
                    yield sayings[-1].at, answer.asked_at, False

    def _hear(self, answer: Answer, session: Session) -> None:
        ticker = as_traded(answer.symbol, session.date)
        adjusted = tuple(split for split in answer.adjusted if split[0] > session.date)
        mine = [row for row in answer.rows if row["ts"].astimezone(session.exchange.zone).date() == session.date]
        if answer.error in ("", "no-data", "wrong-instrument"):
            starts = {row["ts"] for row in mine if _counts(row, answer, session)}
            good = all(_counts(row, answer, session) or _is_left_out(row, answer, session) for row in mine)
            said = (answer.asked_at, answer.since, len(starts), good)
            self._whole[session.dt, ticker, answer.bar_minutes].append(said)
        for row in mine:
            if _counts(row, answer, session):
                key = Key(session.dt, ticker, row["ts"], answer.bar_minutes, answer.source, answer.symbol)
                self._say(key, Said(answer.asked_at, {name: row[name] for name in NUMBERS}, adjusted))
        if answer.since is not None or not mine:
            return
        starts = {row["ts"] for row in mine}
        closed = answer.asked_at >= session.close + LATE
        for key in self._history:
            same = (key.session, key.ticker, key.bar_minutes, key.source) == (
                session.dt, ticker, answer.bar_minutes, answer.source,
            )  # fmt: skip
            ended = key.ts + dt.timedelta(minutes=key.bar_minutes) <= answer.asked_at
            if same and ended and key.ts not in starts and (closed or key.ts < max(starts)):
                self._say(key, Said(answer.asked_at, None))

    def _say(self, key: Key, said: Said) -> None:
        sayings = self._history.setdefault(key, [])
        if sayings:
            if (sayings[-1].numbers, sayings[-1].adjusted) == (said.numbers, said.adjusted):
                return
            if sayings[-1].numbers is None and said.numbers is None:
                return
            said = replace(said, at=max(said.at, sayings[-1].at + dt.timedelta(milliseconds=1)))
        sayings.append(said)

    def _in_force(self, as_of: dt.datetime) -> Iterator[tuple[Key, Said]]:
        for key, sayings in self._sorted(as_of):
            if sayings[-1].numbers is not None:
                yield key, sayings[-1]

    def _sorted(self, as_of: dt.datetime) -> list[tuple[Key, list[Said]]]:
        order = ("session", "ticker", "ts", "bar_minutes", "source")
        return sorted(self.said(as_of).items(), key=lambda item: [getattr(item[0], name) for name in order])

    def _finest(self, as_of: dt.datetime, basis: str) -> dict[tuple[str, str], list[Row]]:
        """By session and ticker the bars of the smallest size."""
        days = defaultdict(list)
        for bar in self.bars(as_of, basis):
            days[bar["session"], bar["ticker"]].append(bar)
        return {
            day: [bar for bar in bars if bar["bar_minutes"] == min(each["bar_minutes"] for each in bars)]
            for day, bars in days.items()
        }

    def _on_basis(self, key: Key, said: Said, as_of: dt.datetime, basis: str) -> dict[str, float | None]:
        return _scaled(said.numbers, self._to_traded(key, said, as_of) / self._from_traded(key, as_of, basis))

    def _to_traded(self, key: Key, said: Said, as_of: dt.datetime) -> float:
        """What prices are multiplied with to undo the adjustments that are known of by then."""
        known = self.known_splits(key.symbol, key.source, as_of)
        return math.prod(
            ratio
            for (ex_date, ratio), moment in known.items()
            if ex_date.isoformat() > key.session and moment <= said.at
        )

    def _from_traded(self, key: Key, as_of: dt.datetime, basis: str) -> float:
        if basis == "as-traded":
            return 1
        known = self.known_splits(key.symbol, key.source, as_of)
        return math.prod(ratio for ex_date, ratio in known if ex_date.isoformat() > key.session)

    def _same(self, key: Key, before: Said, after: Said, as_of: dt.datetime) -> bool:
        """Whether two sayings differ by nothing but splits and their rounding to four decimals and whole shares."""
        old, new = (self._to_traded(key, said, as_of) for said in (before, after))
        if old == new:
            return before.numbers == after.numbers
        for name in NUMBERS:
            one, other = before.numbers[name], after.numbers[name]
            if one is None or other is None:
                if one != other:
                    return False
            elif name == "volume":
                if abs(one / old - other / new) > 1.01 * (0.5 / old + 0.5 / new):
                    return False
            elif abs(one * old - other * new) > 1.01 * 0.5e-4 * (old + new):
                return False
        return True


def _midnight(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(), dt.UTC)


def _counts(row: Row, answer: Answer, session: Session) -> bool:
    start, high, low = row["ts"], row["high"], row["low"]
    if start not in _starts(session, answer.bar_minutes) or (answer.since is not None and start < answer.since):
        return False
    if _end(row, answer, session) > answer.asked_at:
        return False
    if high is None or low is None or not (math.isfinite(high) and math.isfinite(low)):
        return False
    if any(row[name] is not None and not low <= row[name] <= high for name in ("open", "close")):
        return False
    return 0 < low <= high and (row["volume"] is None or row["volume"] >= 0)


def _is_left_out(row: Row, answer: Answer, session: Session) -> bool:
    """Whether it was not asked for, or had not ended yet."""
    start = row["ts"]
    traded = any(begin <= start < end for begin, end in session.parts)
    running = traded and _end(row, answer, session) > answer.asked_at
    return running or (answer.since is not None and start < answer.since)


def _end(row: Row, answer: Answer, session: Session) -> dt.datetime:
    """When a bar ends: the close, or the lunch break, cuts the last one short."""
    end = next(end for begin, end in session.parts if begin <= row["ts"] < end)
    return min(row["ts"] + dt.timedelta(minutes=answer.bar_minutes), end)


@cache
def _starts(session: Session, bar_minutes: int, now: dt.datetime = NEVER) -> list[dt.datetime]:
    """When the session's bars start that have begun by the full minute of `now`; anew after a lunch break."""
    until, length = now.replace(second=0, microsecond=0), dt.timedelta(minutes=bar_minutes)
    return [
        start
        for begin, end in session.parts
        for start in (begin + place * length for place in range(-((begin - end) // length)))
        if start < until
    ]


def _gaps(session: Session, starts: Sequence[dt.datetime], missing: Sequence[int]) -> str:
    """The starts of the missing bars at the exchange: `10:00, 11:30-12:30`."""
    runs: list[list[str]] = []
    for number, place in enumerate(missing):
        clock = f"{starts[place].astimezone(session.exchange.zone):%H:%M}"
        if number and missing[number - 1] == place - 1:
            runs[-1].append(clock)
        else:
            runs.append([clock])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _scaled(numbers: dict[str, float | None], factor: float) -> dict[str, float | None]:
    if factor == 1:
        return numbers
    return {
        name: None
        if value is None
        else math.floor(value / factor + 0.5)
        if name == "volume"
        else round(value * factor, 6)
        for name, value in numbers.items()
    }
