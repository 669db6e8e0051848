"""Collecting: request bars from a source, check them against the rules, store them in a sink, report.

The source, the sink and the clock are arguments. A ticker that fails does not affect the others. A rate limit stops all
further requests, because they would prolong it.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import pandas as pd

from tickerlake import bars, exchange, symbols
from tickerlake.actions import Split
from tickerlake.errors import ConfigError, NoData, NotAsked, RateLimited, SourceError, WrongInstrument
from tickerlake.exchange import Session
from tickerlake.lake import Rejected, Run, Sink
from tickerlake.record import milliseconds
from tickerlake.sources import BAR_COLUMNS, Source

BARS_AT_ONCE = 200_000
"""A window's tickers are requested in groups of so many bars: with the checks, a bar takes about 1 kB."""
ANSWERED = "answered"
"""Outcome of a run that brought valid bars."""
FINAL = (ANSWERED, NoData.reason, WrongInstrument.reason)
"""Outcomes of runs in which the source said what it has. After any other, it may have more."""
Answers = dict[str, pd.DataFrame | SourceError]


@dataclass(frozen=True)
class Failure:
    """A ticker without bars in a session, and why."""

    ticker: str
    reason: str
    """The `reason` of the SourceError, such as `no-data` or `rate-limited`."""
    message: str


@dataclass
class SessionReport:
    """The result of collecting one session."""

    session: Session
    bars: int = 0
    """Bars that keep the rules, new or not."""
    stored: int = 0
    """Bars that were new to the sink."""
    tickers: int = 0
    """Tickers with at least one such bar."""
    withdrawn: int = 0
    """Stored bars that the source no longer gives."""
    unfinished: int = 0
    """Rows of bars that had not ended yet. They are left to a later collection."""
    rejected: Counter[str] = field(default_factory=Counter)
    """How many records broke each rule, by rule id."""
    failures: list[Failure] = field(default_factory=list)

    def add(self, part: SessionReport) -> None:
        """Adds what other tickers of the same session brought."""
        self.bars += part.bars
        self.stored += part.stored
        self.tickers += part.tickers
        self.withdrawn += part.withdrawn
        self.unfinished += part.unfinished
        self.rejected += part.rejected
        self.failures += part.failures

    def line(self, *, named: bool = False) -> str:
        """One line for a person: `2026-11-20: 858 bars of 11 tickers, 858 new, 0 rejected, 0 failed`.

        `named` adds the exchange: `2026-11-20 London: …`.
        """
        where = f" {self.session.exchange.name}" if named else ""
        rules = ", ".join(f"{count} {rule}" for rule, count in sorted(self.rejected.items()))
        return (
            f"{self.session.date}{where}: {self.bars} bars of {self.tickers} ticker{'s' * (self.tickers != 1)}, "
            f"{self.stored} new, {f'{self.withdrawn} withdrawn, ' if self.withdrawn else ''}"
            f"{f'{self.unfinished} unfinished, ' if self.unfinished else ''}"
            f"{self.rejected.total()} rejected{f' ({rules})' if rules else ''}, {len(self.failures)} failed"
        )


def collect(
    source: Source,
    sink: Sink,
    sessions: Sequence[Session],
    tickers: Sequence[str],
    bar_minutes: int,
    clock: Callable[[], dt.datetime],
    *,
    since: dt.datetime | None = None,
    on_answer: Callable[[str], None] = lambda _: None,
    stop: Event | None = None,
) -> list[SessionReport]:
    """Collects the bars of `tickers` in `sessions` into `sink`; returns one report per session, oldest first.

    Each ticker is requested in the sessions of its own exchange. Sessions are requested in windows as long as the
    source allows, tickers in groups of at most `BARS_AT_ONCE` bars, and each group's window is stored before the next
    request. `since` leaves out bars that start before it.
    `on_answer` is called with each ticker of each window. Setting `stop` ends the requests; what has arrived is stored.
    Raises ConfigError, before any request, if the sink does not take this source's bars, and SinkError if the sink
    fails; what was stored before stays.
    """
    sink.check_sources({source.name})
    stop = stop or Event()
    requested = list(dict.fromkeys(symbols.current_symbol(ticker) for ticker in tickers))
    length = source.sessions_per_request(bar_minutes)
    reports = {session: SessionReport(session) for session in sessions}
    for place, mine in exchange.by_exchange(sessions).items():
        traded = [symbol for symbol in requested if exchange.of(symbol) == place]
        for start in range(0, len(mine), length):
            window = mine[start : start + length]
            for group in _groups(traded, window, bar_minutes):
                # Taken before the first request: a bar that ends while answers arrive may be incomplete in them.
                now = milliseconds(clock())
                answers = _request(source, window, group, bar_minutes, stop, on_answer)
                parts, runs, good = _store(sink, source.name, window, answers, bar_minutes, now, since)
                for part in parts:
                    reports[part.session].add(part)
                # After the bars: a split that cannot be stored is reported again, bars may be gone by then.
                sink.report_splits(_splits(source, window, answers, now), now, good)
                sink.log(runs)
    return list(reports.values())


def request_count(source: Source, sessions: Sequence[Session], tickers: Sequence[str], bar_minutes: int) -> int:
    """How often `collect` calls `on_answer`: once for each ticker and each window of its exchange's sessions."""
    length = source.sessions_per_request(bar_minutes)
    windows = {place: math.ceil(len(mine) / length) for place, mine in exchange.by_exchange(sessions).items()}
    return sum(windows.get(exchange.of(symbol), 0) for symbol in {symbols.current_symbol(each) for each in tickers})


def refuse_too_old(source: Source, sessions: Sequence[Session], bar_minutes: int, now: dt.datetime) -> None:
    """Raises ConfigError, naming the oldest available session, if `source` no longer has the first of `sessions`."""
    oldest = source.oldest(bar_minutes, now)
    earliest = min(sessions, key=lambda session: session.open)
    if earliest.open < oldest:
        first = next(
            session
            for session in earliest.exchange.sessions_between(oldest.date() - dt.timedelta(days=1), now.date())
            if session.open >= oldest
        )
        raise ConfigError(
            f"{source.name} no longer serves {bar_minutes}-minute bars of {earliest.date}; "
            f"the oldest session that can be collected is {first.date}"
        )


def _groups(requested: Sequence[str], window: Sequence[Session], bar_minutes: int) -> list[Sequence[str]]:
    """The symbols in groups that bring at most `BARS_AT_ONCE` bars in `window`, or of one symbol."""
    bars_each = sum((session.close - session.open) // dt.timedelta(minutes=bar_minutes) + 1 for session in window)
    size = max(1, BARS_AT_ONCE // bars_each)
    return [requested[first : first + size] for first in range(0, len(requested), size)]


def _request(
    source: Source,
    window: Sequence[Session],
    symbols_wanted: Sequence[str],
    bar_minutes: int,
    stop: Event,
    on_answer: Callable[[str], None],
) -> Answers:
    """Each symbol's frame, or the error that it failed with."""

    def request(symbol: str) -> pd.DataFrame | SourceError:
        if stop.is_set():
            return NotAsked("the run was stopped")
        try:
            return source.bars(symbol, window, bar_minutes)
        except RateLimited as error:
            stop.set()
            return error
        except SourceError as error:
            return error

    answers: Answers = {}
    with ThreadPoolExecutor(max_workers=source.parallel) as pool:
        futures = {pool.submit(request, symbol): symbol for symbol in symbols_wanted}
        try:
            for future in as_completed(futures):
                answers[futures[future]] = future.result()
                on_answer(futures[future])
        except KeyboardInterrupt:
            stop.set()  # else the pool would still ask for the others
            raise
    return {symbol: answers[symbol] for symbol in symbols_wanted}


def _store(
    sink: Sink,
    source: str,
    window: Sequence[Session],
    answers: Answers,
    bar_minutes: int,
    now: dt.datetime,
    since: dt.datetime | None,
) -> tuple[list[SessionReport], list[Run], pd.DataFrame]:
    """Checks one window's answers against the rules and stores each session's bars, which come last in the result."""
    frame = bars.with_hours(_records(source, answers, bar_minutes, now))
    if since is not None:
        frame = frame[~(frame["ts"] < since)]
    unfinished = bars.unfinished(frame)
    ended = frame[~unfinished]
    broken = bars.broken_rules(ended)
    # A source may answer with more sessions than requested.
    broken = broken.mask(broken.isna() & ~ended["dt"].isin([session.dt for session in window]), "outside-session")
    good = ended[broken.isna()]
    rejected = ended[broken.notna()].assign(rule=broken.dropna())

    reports: list[SessionReport] = []
    runs: list[Run] = []
    for session in window:
        report = SessionReport(session)
        in_session = good[good["dt"] == session.dt]
        stored = sink.write(bars.as_bars(in_session)) if not in_session.empty else Counter[str]()
        withdrawn = Counter[str]()
        if since is None:
            answered = frame.loc[frame["dt"] == session.dt, ["ticker", "source", "ts"]]
            withdrawn = sink.withdraw(answered, session, bar_minutes, now)
        report.stored, report.withdrawn = stored.total(), withdrawn.total()
        report.bars, report.tickers = len(in_session), in_session["ticker"].nunique()
        due = session.bar_starts(bar_minutes, until=now)
        if since is not None:
            due = due[due >= since]
        if len(due):
            report.failures = _failures(session, answers, set(in_session["symbol"].unique()))
            refused = rejected.loc[rejected["dt"] == session.dt, "ticker"]
            counts = {
                # A source may repeat a row.
                "bars": Counter(in_session.drop_duplicates(["ticker", "ts"])["ticker"]),
                "stored": stored,
                "withdrawn": withdrawn,
                "rejected": Counter(refused),
            }
            tickers = [symbols.as_traded(symbol, session.date) for symbol in answers]
            until = min(due[-1].to_pydatetime() + dt.timedelta(minutes=bar_minutes), session.close)
            runs += _runs(report, tickers, counts, (due[0].to_pydatetime(), until), bar_minutes, source, now)
        reports.append(report)

    def nearest(date: object) -> SessionReport:
        fallback = reports[0] if str(date) < window[0].dt else reports[-1]
        return next((report for report in reports if report.session.dt == date), fallback)

    for date, rule in rejected[["dt", "rule"]].itertuples(index=False, name=None):
        nearest(date).rejected[rule] += 1
    for date, count in frame.loc[unfinished, "dt"].value_counts().items():
        nearest(date).unfinished += count
    sink.reject([_rejected(row) for row in rejected.to_dict("records")])
    return reports, runs, good


def _runs(
    report: SessionReport,
    tickers: Sequence[str],
    counts: Mapping[str, Counter[str]],
    window: tuple[dt.datetime, dt.datetime],
    bar_minutes: int,
    source: str,
    now: dt.datetime,
) -> list[Run]:
    """One run for each of `tickers`: what was asked, and what came of it."""
    outcomes = {failure.ticker: failure.reason for failure in report.failures}
    return [
        Run(
            ticker=ticker,
            exchange=report.session.exchange.code,
            session=report.session.dt,
            since=window[0],
            until=window[1],
            bar_minutes=bar_minutes,
            **{name: count[ticker] for name, count in counts.items()},
            outcome=outcomes.get(ticker, ANSWERED),
            source=source,
            collected_at=now,
        )
        for ticker in tickers
    ]


def _splits(source: Source, window: Sequence[Session], answers: Answers, now: dt.datetime) -> list[Split]:
    """The splits that came with the answers, under each symbol that the company's earlier bars are stored under."""
    return [
        Split(ticker, ex_date, ratio, source.name, now)
        for symbol, answer in answers.items()
        if not isinstance(answer, SourceError)
        for ex_date, ratio in source.actions(symbol, window)
        for ticker in symbols.names(symbol)
    ]


def _records(source: str, answers: Answers, bar_minutes: int, now: dt.datetime) -> pd.DataFrame:
    """All bars as records, with the `symbol` they were requested under."""
    frames = [
        frame[[*BAR_COLUMNS, *frame.columns.intersection(["currency"])]].assign(ticker=symbol, symbol=symbol)
        for symbol, frame in answers.items()
        if isinstance(frame, pd.DataFrame) and not frame.empty
    ]
    if not frames:
        return bars.empty().assign(symbol="")
    records = pd.concat(frames, ignore_index=True)
    records["ts"] = records["ts"].astype("datetime64[us, UTC]")
    records["volume"] = records["volume"].astype("Int64")
    records = bars.placed(records).assign(
        bar_minutes=bar_minutes,
        source=source,
        collected_at=pd.Timestamp(now).as_unit("us"),
    )
    pairs = records[["symbol", "dt"]].drop_duplicates()
    pairs["ticker"] = [
        symbol if pd.isna(date) else symbols.as_traded(symbol, dt.date.fromisoformat(date))
        for symbol, date in pairs.itertuples(index=False, name=None)
    ]
    return records.drop(columns="ticker").merge(pairs, on=["symbol", "dt"], how="left")


def _failures(session: Session, answers: Answers, collected: set[str]) -> list[Failure]:
    failures = []
    for symbol, answer in answers.items():
        if isinstance(answer, SourceError):
            error = answer
        elif symbol not in collected:
            error = NoData(f"{symbol}: no valid bars in {session.date}")
        else:
            continue
        failures.append(Failure(symbols.as_traded(symbol, session.date), error.reason, str(error)))
    return failures


def _rejected(row: dict[str, Any]) -> Rejected:
    values = {name: None if pd.isna(value) else value for name, value in row.items()}
    return Rejected(
        rule=str(row["rule"]),
        record=json.dumps({name: values[name] for name in BAR_COLUMNS}, default=str),
        collected_at=pd.Timestamp(row["collected_at"]).isoformat(),
        source=str(row["source"]),
        ticker=values["ticker"],
        ts=pd.Timestamp(values["ts"]).isoformat() if values["ts"] is not None else None,
    )
