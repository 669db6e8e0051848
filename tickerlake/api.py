"""The lake in Python: what `tickerlake.open` returns."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickerlake import exchange, symbols, watchlist
from tickerlake.errors import ConfigError
from tickerlake.lake.layout import Layout
from tickerlake.plan import parse_date, plan
from tickerlake.query import Answer, Engine, Query, Settings, load, names, open_engine, run, types
from tickerlake.query.runner import is_required
from tickerlake.record import BAR_MINUTES

if TYPE_CHECKING:
    import pandas as pd

    from tickerlake.collect import SessionReport


class Lake:
    """A lake of bars. Every named query is a method that returns a pandas frame.

        lake = tickerlake.open("lake")
        lake.hourly_high("META", first="2026-11-01")
        lake.daily(["META", "AMZN"], first=date(2026, 11, 1))
        lake.sql("SELECT ticker, max(high) AS high FROM bars GROUP BY ticker")

    Frames are typed. Their timestamps are in the time of the exchange, or in UTC if the tickers are of several. Dates
    are text, YYYY-MM-DD, or `date`; tickers are one text or a list. What cannot be used or answered raises a
    TickerlakeError that says what can. What a reader should know about an answer, such as a damaged file that was
    skipped, is a warning.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def query(self, name: str, **parameters: Any) -> pd.DataFrame:
        """The answer to the named query `name`; `parameters` are those of its header, and `limit`."""
        return _frame(run(self._engine, name, columns=True, **parameters))

    def sql(self, text: str, *, limit: int | None = None) -> pd.DataFrame:
        """The answer to one SELECT over `bars` (each bar once, latest record wins) and `records` (all, as stored)."""
        return _frame(self._engine.ask(text, limit, columns=True))

    def collect(
        self,
        tickers: str | Sequence[str] | None = None,
        *,
        session: dt.date | str | None = None,
        first: dt.date | str | None = None,
        last: dt.date | str | None = None,
        source: str = "yahoo",
        bar_minutes: int = 5,
    ) -> list[SessionReport]:
        """Collects bars into this lake, by default the watchlist's of the last finished session.

        `session` is a date, "today" or "last"; `first` and `last` name several sessions. Returns one report a
        session, oldest first, with the tickers that failed. Raises ConfigError, SinkError.
        """
        from tickerlake.collect import collect, refuse_too_old  # noqa: PLC0415  # slow to import; reading needs none
        from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415
        from tickerlake.sources import open_source  # noqa: PLC0415

        if self._settings.engine != "duckdb":
            raise ConfigError(f"LAKE_ENGINE is {self._settings.engine}; only a lake in a folder collects from Python")
        if bar_minutes not in BAR_MINUTES:
            raise ConfigError(f"bar_minutes is {bar_minutes!r}; use one of {', '.join(map(str, BAR_MINUTES))}")
        now = dt.datetime.now(dt.UTC)
        # "today" and "last" are the planner's own words.
        day: Any = session if session in ("today", "last") else _date(session)
        wanted = ",".join(types.parse("tickers", "varchar list", tickers or self.watchlist))
        asked = symbols.parse_tickers(wanted)
        sessions = plan(now, exchange.all_of(asked), session=day, first=_date(first), last=_date(last))
        vendor = open_source(source, Layout(self._settings.lake).config)
        refuse_too_old(vendor, sessions, bar_minutes, now)
        sink = ParquetSink(self._settings.lake)
        return collect(vendor, sink, sessions, asked, bar_minutes, lambda: dt.datetime.now(dt.UTC))

    @property
    def watchlist(self) -> tuple[str, ...]:
        """The tickers that are collected unless others are named."""
        return watchlist.read(Layout(self._settings.lake).config)

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self._settings)

    def __getattr__(self, name: str) -> Callable[..., pd.DataFrame]:
        if name.startswith("_") or name not in names():
            raise AttributeError(f"a lake has no query {name!r}; the queries are {', '.join(names())}")
        return _method(self, load(name))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *names()]

    def __repr__(self) -> str:
        settings = self._settings
        return f"<tickerlake {settings.lake if settings.engine == 'duckdb' else settings.engine}>"


def open_lake(folder: str | Path | None) -> Lake:
    """The lake in `folder`; without one, the lake of the settings (`LAKE_ENGINE`, `LAKE_DIR` …)."""
    return Lake(Settings.from_environment().on(None if folder is None else Path(folder)))


def _frame(answer: Answer) -> pd.DataFrame:
    for note in answer.notes:
        warnings.warn(note, stacklevel=3)
    return answer.frame


def _method(lake: Lake, query: Query) -> Callable[..., pd.DataFrame]:
    """A function that runs `query`, with the header as its docstring and its parameters as its signature."""

    def method(tickers: str | Sequence[str] | None = None, **parameters: Any) -> pd.DataFrame:
        return lake.query(query.name, **parameters if tickers is None else {"tickers": tickers, **parameters})

    method.__name__ = method.__qualname__ = query.name
    method.__doc__ = _doc(query)
    # The tickers come first; everything else is given by name.
    options = sorted(query.options, key=lambda field: field.name != "tickers")
    given = [
        Parameter(
            field.name,
            Parameter.POSITIONAL_OR_KEYWORD if field.name == "tickers" else Parameter.KEYWORD_ONLY,
            default=Parameter.empty if is_required(field) else field.default,
        )
        for field in options
    ]
    method.__signature__ = Signature(  # ty: ignore[missing-attribute]
        [*given, Parameter("limit", Parameter.KEYWORD_ONLY, default=None)], return_annotation="pandas.DataFrame"
    )
    return method


def _doc(query: Query) -> str:
    lines = [query.purpose]
    for heading, fields in (("Parameters", query.options), ("Columns", query.columns)):
        lines += ["", f"{heading}:", *(f"    {field.name:<15} {field.type:<12} {field.comment}" for field in fields)]
    return "\n".join([*lines, "", query.notes]).rstrip()


def _date(value: dt.date | str | None) -> dt.date | None:
    return parse_date(value) if isinstance(value, str) else value
