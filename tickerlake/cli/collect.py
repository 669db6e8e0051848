"""`tickerlake collect`: request bars from a source and store them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tickerlake import exchange, symbols, watchlist
from tickerlake.cli.console import Date, Tickers, progress
from tickerlake.cli.vendor import (
    bar_minutes_option,
    check_sink,
    default_lake,
    new_lake_option,
    open_sender,
    sink_options,
    source_option,
)
from tickerlake.errors import ConfigError
from tickerlake.lake import Sink
from tickerlake.lake.layout import Layout
from tickerlake.plan import plan
from tickerlake.sources import open_source

if TYPE_CHECKING:
    from tickerlake.collect import SessionReport


class SessionName(click.ParamType[dt.date | Literal["today", "last"]]):
    """A session's date, `today` or `last`."""

    name = "date"

    def convert(
        self, value: str | dt.date, param: click.Parameter | None, ctx: click.Context | None
    ) -> dt.date | Literal["today", "last"]:
        """The date, or one of the two words."""
        return value if value in {"today", "last"} else Date().convert(value, param, ctx)


@click.command(
    "collect",
    epilog="""\b
Examples:
  tickerlake collect
  tickerlake collect --session today --tickers META,AMZN
  tickerlake collect --first 2026-11-02 --last 2026-11-20
  tickerlake collect --source simulated
""",
)
@click.option("--session", type=SessionName(), help="One session: YYYY-MM-DD, today or last.")
@click.option("--first", type=Date(), help="First session of a range, YYYY-MM-DD.")
@click.option("--last", type=Date(), help="Last session of the range. Default: the last finished session.")
@click.option("--tickers", type=Tickers(), help="Symbols separated by commas. Default: the lake's watchlist.")
@bar_minutes_option
@source_option
@new_lake_option
@sink_options
def collect_command(
    session: dt.date | Literal["today", "last"] | None,
    first: dt.date | None,
    last: dt.date | None,
    tickers: tuple[str, ...] | None,
    bar_minutes: str,
    source: str,
    lake: Path | None,
    sink: str,
    stream: str | None,
    bucket: str | None,
) -> int:
    """Collect bars and store them. By default: the last finished session of your watchlist, from Yahoo."""
    # Loads pandas, which --help does not need.
    from tickerlake.collect import collect, refuse_too_old, request_count  # noqa: PLC0415

    now = _now()
    minutes = int(bar_minutes)
    folder = lake or default_lake(source)
    config = Layout(folder).config
    tickers = tickers or watchlist.read(config)
    sessions = plan(now, exchange.all_of(tickers), session=session, first=first, last=last)
    vendor = open_source(source, config)
    refuse_too_old(vendor, sessions, minutes, now)
    begun = [each for each in sessions if len(each.bar_starts(minutes, until=now))]
    if not begun:
        opened = sessions[0].open.astimezone(sessions[0].exchange.zone)
        raise ConfigError(
            f"{sessions[0].date} opened at {opened:%H:%M %Z} and has no "
            f"finished {minutes}-minute bar yet; wait, or collect the last finished session with --session last"
        )
    target = check_sink(sink, stream, bucket) or folder
    if sink == "firehose":
        sender = open_sender(stream, bucket)
        store: Sink = sender.sink
        gather = partial(sender.collect, vendor)
    else:
        from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415  # pyarrow takes a tenth of a second

        store = ParquetSink(folder)
        gather = partial(collect, vendor, store)
    store.check_sources({vendor.name})
    for note in symbols.rename_notes(tickers, begun[0].date, begun[-1].date):
        click.echo(f"note: {note}", err=True)
    if source == "simulated":
        click.echo("SIMULATED bars, for demonstration only: none of these prices are real")

    total = request_count(vendor, begun, tickers, minutes)
    with progress(f"{source} → {target}", total=total) as on_answer:
        reports = gather(begun, tickers, minutes, _now, on_answer=on_answer)
    return _print_reports(reports, source)


def _print_reports(reports: Sequence[SessionReport], source: str) -> int:
    """Prints one line per session and per reason of a failure; returns the exit code."""
    several = len({report.session.exchange for report in reports}) > 1
    for report in reports:
        click.echo(report.line(named=several))
    failures = _failures(reports)
    collected = sum(report.bars for report in reports)
    if collected and not sum(report.stored for report in reports):
        click.echo("nothing new: the lake already holds these bars")
    if collected or len(failures) > 1:
        for failure in failures:
            click.echo(f"failed: {failure}", err=True)
    if not collected:
        why = failures[0] if len(failures) == 1 else "every ticker failed, for the reasons above"
        click.echo(f"error: nothing was collected from {source}: {why}", err=True)
        return 1
    return 3 if failures else 0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _failures(reports: Sequence[SessionReport]) -> list[str]:
    """One line per reason, with its tickers and sessions."""
    grouped: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for report in reports:
        for failure in report.failures:
            grouped[failure.reason, failure.message].append((report.session.dt, failure.ticker))
    lines = []
    for (reason, message), failures in grouped.items():
        tickers = list(dict.fromkeys(ticker for _, ticker in failures))
        days = sorted({day for day, _ in failures})
        when = days[0] if len(days) == 1 else f"{len(days)} sessions from {days[0]} to {days[-1]}"
        lines.append(f"{symbols.listing(tickers)} in {when} ({reason}): {' '.join(message.split())}")
    return lines
