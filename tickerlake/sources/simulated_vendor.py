"""A simulated vendor that misbehaves as real ones do, for tests and demonstrations.

What it answers depends on when it is asked: bars come late, change, disappear and come back; prices are brought to a
new basis after a split. Everything follows from the seed and the clock, so that a history can be played again. Each
fault is a field of `Behaviour`, and all of them are off by default.

Mixed bar sizes need no field: ask for several sizes. A wrong clock is the collector's fault, not the vendor's: give
`collect` a `WrongClock` and the vendor the clock behind it.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from tickerlake import exchange
from tickerlake.errors import NoData
from tickerlake.exchange import Session
from tickerlake.sources.simulated import TICK, SimulatedSource
from tickerlake.symbols import Rename

_PRICES = ["open", "high", "low", "close"]


@dataclass(frozen=True)
class VendorSplit:
    """From the session `ex_date`, one old share of `symbol` is `ratio` new ones: 10 forward, 0.1 in reverse."""

    symbol: str
    ex_date: dt.date
    ratio: float
    adjusted_after: dt.timedelta | None = dt.timedelta(0)
    """How long after the ex-date begins, in exchange time, older bars move to the new basis; None for never."""
    announced: bool = True
    """Whether `actions` delivers it."""


@dataclass(frozen=True)
class Behaviour:
    """What a vendor gets wrong. Shares are between 0 and 1, each bar drawn by itself."""

    late: float = 0
    """Share of bars that appear some minutes after their end."""
    late_minutes: int = 30
    """The longest delay of a late bar."""
    restated: float = 0
    """Share of bars whose numbers change one to three times; the second change of half of them takes back the first."""
    withdrawn: float = 0
    """Share of bars that show a bad tick and are withdrawn; half of them come back with good numbers."""
    unpriced: float = 0
    """Share of bars that have no prices and no volume at first."""
    settled_hours: float = 48
    """When the last of these changes has come, counted from the end of the bar."""
    halted: float = 0
    """Share of a ticker's sessions with a halt: up to an hour of bars that never come."""
    repeated: float = 0
    """Share of rows that one answer holds twice."""
    off_grid: float = 0
    """Share of bars with a second row that starts some seconds later."""
    running: bool = False
    """Whether answers end with the unfinished bar, and the last trade as a row of its own."""
    one_minute_days: int | None = None
    """How many days 1-minute bars are kept; None for ever."""
    splits: tuple[VendorSplit, ...] = ()
    """Splits, each with the vendor's way to deal with it."""
    renames: tuple[Rename, ...] = ()
    """Until the day `on` the company is found under `old` only, from then on under `new` only."""
    listed: tuple[tuple[str, dt.date], ...] = ()
    """First sessions of symbols; before it they have no bars."""


class SimulatedVendor(SimulatedSource):
    """The simulated market as a vendor shows it at the moment `clock` tells."""

    def __init__(self, seed: int, clock: Callable[[], dt.datetime], behaviour: Behaviour | None = None) -> None:
        super().__init__(seed)
        self._clock = clock
        self._behaviour = behaviour or Behaviour()
        self._faults = lru_cache(maxsize=1024)(self._drawn)

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:
        """The earliest bar start that the vendor keeps at `now`."""
        days = self._behaviour.one_minute_days
        return super().oldest(bar_minutes, now) if bar_minutes > 1 or days is None else now - dt.timedelta(days=days)

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions` as known now: USD, shares as nullable Int64. NoData if there are none."""
        now = self._clock()
        company = self._company(symbol, now)
        oldest = self.oldest(bar_minutes, now)
        listed = dict(self._behaviour.listed).get(company, dt.date.min)
        answers = [
            self._session(company, session, bar_minutes, now)
            for session in sessions
            if session.open <= now and session.open >= oldest and session.date >= listed
        ]
        answers = [answer for answer in answers if not answer.empty]
        if not answers:
            raise NoData(f"{symbol}: no bars between {sessions[0].open} and {sessions[-1].close}")
        return pd.concat(answers, ignore_index=True)

    def actions(self, symbol: str, sessions: Sequence[Session]) -> list[tuple[dt.date, float]]:
        """The splits of `symbol` in `sessions` as known now: ex-date, and new shares for one old share."""
        now = self._clock()
        company = self._company(symbol, now)
        dates = {session.date for session in sessions}
        return [
            (split.ex_date, split.ratio)
            for split in sorted(self._behaviour.splits, key=lambda split: split.ex_date)
            if split.symbol == company and split.announced and split.ex_date in dates and _begins(split) <= now
        ]

    def _company(self, symbol: str, now: dt.datetime) -> str:
        """The symbol that the company ends up with. NoData if the vendor does not use `symbol` at `now`."""
        today = exchange.of(symbol).date_at(now)
        for rename in self._behaviour.renames:
            if symbol == rename.old and today < rename.on:
                return rename.new
            if symbol == rename.old or (symbol == rename.new and today < rename.on):
                raise NoData(f"{symbol}: no such symbol")
        return symbol

    def _session(self, company: str, session: Session, bar_minutes: int, now: dt.datetime) -> pd.DataFrame:
        shown = self._faults(company, session, bar_minutes).shown(now)
        if self._behaviour.running and session.open <= now < session.close:
            shown = pd.concat([shown, self._unfinished(company, session, bar_minutes, now)])
        return self._on_its_basis(company, session, now, shown)

    def _drawn(self, company: str, session: Session, bar_minutes: int) -> _Faults:
        seed = (self._seed, zlib.crc32(company.encode()), session.date.toordinal(), bar_minutes)
        market = super().bars(company, [session], bar_minutes)
        return _Faults(self._behaviour, np.random.default_rng(seed), market, session, bar_minutes)

    def _unfinished(self, company: str, session: Session, bar_minutes: int, now: dt.datetime) -> pd.DataFrame:
        """The running bar, of its minutes so far, and a row for the last trade at the second it was made."""
        start = session.bar_starts(bar_minutes)
        start = start[start <= now][-1]
        minutes = super().bars(company, [session], 1)
        minutes = minutes[(minutes["ts"] >= start) & (minutes["ts"] <= now)]
        bar: dict[str, Any] = {
            "ts": start,
            "open": minutes["open"].iloc[0],
            "high": minutes["high"].max(),
            "low": minutes["low"].min(),
            "close": minutes["close"].iloc[-1],
            "volume": minutes["volume"].sum(),
        }
        trade = dict.fromkeys(_PRICES, bar["close"]) | {"ts": pd.Timestamp(now).floor("s"), "volume": 0}
        frame = pd.DataFrame([bar, trade])
        return frame.assign(ts=frame["ts"].dt.as_unit("us"), volume=frame["volume"].astype("Int64"))

    def _on_its_basis(self, company: str, session: Session, now: dt.datetime, frame: pd.DataFrame) -> pd.DataFrame:
        """Simulated prices are on the basis after all splits: here as traded, less what the vendor has adjusted."""
        later = [split for split in self._behaviour.splits if split.symbol == company and split.ex_date > session.date]
        if not later:
            return frame
        adjusted = [s for s in later if s.adjusted_after is not None and _begins(s) + s.adjusted_after <= now]
        traded, given = (np.prod([split.ratio for split in splits]) for splits in (later, adjusted))
        prices = frame[_PRICES].mul(traded).round(4).clip(lower=TICK).div(given).round(4)
        volume = (frame["volume"].astype("float64") / traded * given).round().astype("Int64")
        return frame.assign(**prices, volume=volume)


class _Faults:
    """What happens to the bars of one ticker and session: drawn all at once, whenever the vendor is asked."""

    def __init__(
        self,
        behaviour: Behaviour,
        random: np.random.Generator,
        market: pd.DataFrame,
        session: Session,
        bar_minutes: int,
    ) -> None:
        count = len(market)
        self._behaviour = behaviour
        self._market = market
        self._chance = dict(zip(_FAULTS, random.random((len(_FAULTS), count)), strict=True))
        self._size = random.random((3, count))
        self._kind = random.integers(0, 5, (3, count))
        self._changes = random.integers(1, 4, count)
        self._takes_back, self._comes_back = random.random((2, count)) < 0.5
        self._hours = np.sort(random.random((3, count)), axis=0) * behaviour.settled_hours
        self._delay = np.where(self._happens("late"), random.integers(1, behaviour.late_minutes + 1, count) / 60, 0)
        first, length = random.integers(0, count), random.integers(0, max(1, 60 // bar_minutes)) + 1
        halted = random.random() < behaviour.halted
        self._halted = halted & (np.arange(count) >= first) & (np.arange(count) < first + length)
        ends = market["ts"] + pd.Timedelta(minutes=bar_minutes)
        for begin, end in session.parts:
            inside = (market["ts"] >= begin) & (market["ts"] < end)
            ends = ends.mask(inside & (ends > end), pd.Timestamp(end).as_unit("us"))
        self._ends = ends

    def shown(self, now: dt.datetime) -> pd.DataFrame:
        """The rows of the bars that have ended, as the vendor shows them at `now`."""
        age = ((pd.Timestamp(now) - self._ends) / pd.Timedelta(hours=1)).to_numpy()  # hours
        columns = self._restated(age)
        withdrawn = self._happens("withdrawn")
        bad = withdrawn & (age < self._hours[0])
        gone = withdrawn & ~bad & ~(self._comes_back & (age >= self._hours[1]))
        columns["high"] = np.where(bad, (columns["high"] * (1.2 + self._size[0])).round(4), columns["high"])
        unpriced = self._happens("unpriced") & (age < self._hours[2])
        columns = {name: np.where(unpriced, np.nan, values) for name, values in columns.items()}

        frame = pd.DataFrame({"ts": self._market["ts"], **columns}).astype({"volume": "Int64"})
        shown = (age >= self._delay) & ~gone & ~self._halted
        stray, again = (shown & self._happens(fault) for fault in ("off_grid", "repeated"))
        if not (stray | again).any():
            return frame[shown]
        strays = frame[stray].assign(ts=frame["ts"][stray] + pd.Timedelta(seconds=37))
        return pd.concat([frame[shown], strays, frame[again]])

    def _restated(self, age: np.ndarray) -> dict[str, np.ndarray]:
        """Every bar in its version at this age. Open and close stay between high and low."""
        market = {name: self._market[name].to_numpy(dtype=float) for name in (*_PRICES, "volume")}
        version = np.minimum((self._hours <= age).sum(axis=0), self._changes) * self._happens("restated")
        columns = dict(market)
        for change, (size, kind) in enumerate(zip(self._size, self._kind, strict=True), start=1):
            changed = (version == change) & ~((change == 2) & self._takes_back)
            factor = 1 + 0.002 * (1 + size)
            restated = {
                "high": (market["high"] * factor).round(4),
                "low": np.maximum((market["low"] / factor).round(4), TICK),
                "close": market["open"],
                "volume": market["volume"] + 100 * change,
            }
            for number, (column, values) in enumerate(restated.items()):
                mine = changed & ((kind == number) | (kind == len(restated)))  # the last kind changes all of them
                columns[column] = np.where(mine, values, columns[column])
        return columns

    def _happens(self, fault: str) -> np.ndarray:
        return self._chance[fault] < getattr(self._behaviour, fault)


_FAULTS = ("late", "restated", "withdrawn", "unpriced", "repeated", "off_grid")


class Clock:
    """A clock that stands still until it is set: `clock.now = …`."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        """The moment it was set to."""
        return self.now


class WrongClock:
    """A clock that is wrong by `errors`: pairs of a true moment and what is added to the time from then on.

    `WrongClock(clock, (noon, timedelta(minutes=5)))` runs five minutes fast from noon; a negative error sets it back.
    """

    def __init__(self, clock: Callable[[], dt.datetime], *errors: tuple[dt.datetime, dt.timedelta]) -> None:
        self._clock = clock
        self._errors = sorted(errors)

    def __call__(self) -> dt.datetime:
        """What the wrong clock shows."""
        now = self._clock()
        return now + next((error for since, error in reversed(self._errors) if since <= now), dt.timedelta(0))


def _begins(split: VendorSplit) -> dt.datetime:
    return dt.datetime.combine(split.ex_date, dt.time(), exchange.of(split.symbol).zone)
