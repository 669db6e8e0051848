"""Collecting on the clocks of the exchanges until stopped. `schedule` says when.

A run collects the whole session so far, so it also fills what earlier runs missed while the machine slept, was offline
or rate-limited, or had a full disk. Nothing is remembered outside the lake; two watchers on one lake only ask twice.
"""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from tickerlake import exchange, symbols
from tickerlake.collect import FINAL, SessionReport
from tickerlake.errors import RateLimited, TickerlakeError
from tickerlake.exchange import Exchange
from tickerlake.schedule import DELAY, Due, last_sweep, missed, next_run, retry_after
from tickerlake.sources import Source
from tickerlake.upkeep import Upkeep

LONGEST_WAIT = dt.timedelta(minutes=1)
"""No system's timer counts the time that the machine sleeps: look at the clock this often."""
_ASLEEP = dt.timedelta(minutes=2)
_LONGEST_RETRY = dt.timedelta(hours=1)
_MOMENT = dt.timedelta(microseconds=1)


class Watch:
    """Collects the bars of `tickers` from `source` into what `upkeep` keeps.

    `tickers` is called for each run: a person may change the watchlist meanwhile. `say` is called with one line a run.
    `wait` takes seconds. Times are in the time of the exchange, or in UTC if the tickers are of several. Raises
    ConfigError if `tickers` does.
    """

    def __init__(
        self,
        upkeep: Upkeep,
        source: Source,
        bar_minutes: int,
        tickers: Callable[[], Sequence[str]],
        delay: dt.timedelta = DELAY,
        *,
        clock: Callable[[], dt.datetime],
        wait: Callable[[float], object] = time.sleep,
        say: Callable[[str], object] = print,
    ) -> None:
        self._upkeep = upkeep
        self._source = source
        self._bar_minutes = bar_minutes
        self._tickers = tickers
        self._delay = delay
        self._clock = clock
        self._wait = wait
        self._say = say
        self._exchanges = exchange.all_of(tickers())

    def run(self) -> NoReturn:
        """Collects each run when it is due. A run that fails is said, and tried again after growing waits.

        Raises ConfigError, before the first run, if the lake does not take the bars of this source.
        """
        self._upkeep.sink.check_sources({self._source.name})
        now = self._clock()
        self._say(f"watching {symbols.listing(self._tickers())} from {self._source.name}; {self._coming(now)}")
        done: dict[Exchange, dt.datetime] = {}
        failures, retry_at = 0, now
        while True:
            now = self._clock()
            self._look()
            # If the clock was set back, both lie ahead.
            done = {each: min(done.get(each) or self._done(now, each), now) for each in self._exchanges}
            retry_at = min(retry_at, now + _LONGEST_RETRY) if failures else now
            due = self._due(done, now)
            if not due or now < retry_at:
                self._rest(now, retry_at if due else self._next(now).at)
                continue
            try:
                _, failure, rate_limited = self._attempt(due)
            except TickerlakeError as error:
                failure, rate_limited = str(error), False
            if failure:
                failures += 1
                retry_at = self._clock() + retry_after(failures, rate_limited=rate_limited)
                self._say(f"{self._time(self._clock())} {failure}; next try at {self._time(retry_at)}")
                continue
            done, failures = dict.fromkeys(done, now), 0
            if any(each.sweep for each in due):
                self._say(self._coming(self._clock()))

    def once(self) -> int:
        """Collects what is due and is not in the lake yet; returns the exit code. TickerlakeError."""
        self._upkeep.sink.check_sources({self._source.name})
        now = self._clock()
        due = self._due({each: self._done(now, each) for each in self._exchanges}, now)
        if not due:
            self._say(f"nothing is due; {self._coming(now)}")
            return 0
        reports, failure, _ = self._attempt(due)
        if failure:
            self._say(failure)
        if not any(report.bars for report in reports):
            return 1
        return 3 if any(report.failures for report in reports) else 0

    def _attempt(self, due: Sequence[Due]) -> tuple[list[SessionReport], str, bool]:
        """One run, with the upkeep after it: what was collected, and what `_failure` says."""
        sweep = any(each.sweep for each in due)
        reports = self._collect(due, sweep=sweep)
        failure, rate_limited = _failure(reports)
        if sweep and not failure:
            failure, rate_limited = self._upkeep.after_sweep(self._source, self._tickers())
        return reports, failure, rate_limited

    def _collect(self, due: Sequence[Due], *, sweep: bool) -> list[SessionReport]:
        """Collects the sessions of `due` that the source still has, and says one line for each."""
        oldest = self._source.oldest(self._bar_minutes, self._clock())
        sessions = [each.session for each in due if each.session.open >= oldest]
        reports = self._upkeep.collect(
            self._source, sessions, self._tickers(), self._bar_minutes, self._clock, sweep=sweep
        )
        named = len(self._exchanges) > 1
        for report in reports:
            self._say(f"{self._time(self._clock())} {report.line(named=named)}{_reasons(report)}")
        self._upkeep.after_run()
        return reports

    def _look(self) -> None:
        """Looks which exchanges the watchlist is about by now. One that cannot be read is told at the next run."""
        with suppress(TickerlakeError):
            self._exchanges = exchange.all_of(self._tickers())

    def _due(self, done: Mapping[Exchange, dt.datetime], now: dt.datetime) -> list[Due]:
        """The runs of all exchanges that are left to do, oldest session first."""
        runs = (missed(at, now, each, self._bar_minutes, self._delay) for each, at in done.items())
        return sorted(itertools.chain.from_iterable(runs), key=lambda due: due.session)

    def _done(self, now: dt.datetime, place: Exchange) -> dt.datetime:
        """Up to when nothing is left to do at an exchange, from what the lake says was asked."""
        sweep = last_sweep(now, place)
        asked: dict[tuple[str, str], dt.datetime] = {}
        for run in self._upkeep.runs(sweep.at):
            if (run.source, run.bar_minutes) == (self._source.name, self._bar_minutes) and run.outcome in FINAL:
                key = run.ticker, run.session
                asked[key] = max(asked.get(key, run.collected_at), run.collected_at)
        session = place.running(now) or sweep.session
        companies = {symbols.current_symbol(each) for each in self._tickers() if exchange.of(each) == place}

        def asked_until(date: dt.date) -> dt.datetime:
            names = (symbols.as_traded(symbol, date) for symbol in companies)
            return min(asked.get((name, str(date)), sweep.at - _MOMENT) for name in names)

        swept = asked_until(sweep.session.date)
        return swept if swept < sweep.at else max(sweep.at, asked_until(session.date))

    def _next(self, now: dt.datetime) -> Due:
        return next_run(now, self._exchanges, self._bar_minutes, self._delay)

    def _coming(self, now: dt.datetime) -> str:
        return f"next run {self._next(now).at.astimezone(self._zone):%a %Y-%m-%d %H:%M:%S %Z}"

    def _rest(self, now: dt.datetime, until: dt.datetime) -> None:
        """Waits until `until`, or for a while."""
        self._upkeep.beat(now)
        pause = min(until - now, LONGEST_WAIT)
        self._wait(pause.total_seconds())
        woken = self._clock()
        if (asleep := woken - now - pause) > _ASLEEP:
            self._say(f"{self._time(woken)} slept for {str(asleep).split('.')[0]}; catching up")
        elif now - woken > _ASLEEP:
            back = str(now + pause - woken).split(".")[0]
            self._say(f"{self._time(woken)} the clock was set back by {back}; what was collected stays")

    @property
    def _zone(self) -> dt.tzinfo:
        return exchange.shared_zone(self._exchanges)

    def _time(self, moment: dt.datetime) -> str:
        return f"{moment.astimezone(self._zone):%H:%M:%S}"


def _failure(reports: Sequence[SessionReport]) -> tuple[str, bool]:
    """Why a run has to be repeated, and whether that is a rate limit; "" if one ticker may wait for the next run."""
    failures = [failure for report in reports for failure in report.failures if failure.reason not in FINAL]
    limited = [failure for failure in failures if failure.reason == RateLimited.reason]
    if limited or (failures and not any(report.bars for report in reports)):
        return " ".join((limited or failures)[0].message.split()), bool(limited)
    return "", False


def _reasons(report: SessionReport) -> str:
    """The tickers that failed, by reason: ` (no-data: BYND, SNAP)`."""
    tickers: dict[str, list[str]] = defaultdict(list)
    for failure in report.failures:
        tickers[failure.reason].append(failure.ticker)
    reasons = "; ".join(f"{reason}: {symbols.listing(names)}" for reason, names in tickers.items())
    return f" ({reasons})" if reasons else ""
