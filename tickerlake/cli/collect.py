"""`tickerlake collect`: ask a source for bars and store them."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import click

from tickerlake import exchange, symbols, watchlist
from tickerlake.cli.console import Date, Tickers, needs_aws, progress
from tickerlake.collect import SessionReport, collect, refuse_too_old
from tickerlake.errors import ConfigError
from tickerlake.exchange import Session
from tickerlake.lake import Sink
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink, refuse_mixing
from tickerlake.record import BAR_MINUTES
from tickerlake.sources import Source
from tickerlake.sources.simulated import SimulatedSource

SOURCES = ("yahoo", "simulated")
SINKS = ("parquet", "firehose")
_NAMED = 10


class SessionDate(Date):
    """A session's date, or `today`."""

    def convert(self, value: str | dt.date, param: click.Parameter | None, ctx: click.Context | None) -> dt.date:
        """The date that `value` names, in exchange time."""
        return exchange.exchange_date(_now()) if value == "today" else super().convert(value, param, ctx)


@click.command("collect")
@click.option("--session", type=SessionDate(), help="One session: YYYY-MM-DD, or today for the running one.")
@click.option("--first", type=Date(), help="The first of several sessions, YYYY-MM-DD.")
@click.option("--last", type=Date(), help="The last of several sessions; by default the last finished one.")
@click.option("--tickers", type=Tickers(), help="Symbols separated by commas; by default the lake's watchlist.")
@click.option(
    "--bar-minutes",
    type=click.Choice([str(size) for size in BAR_MINUTES]),
    default="5",
    show_default=True,
    help="Length of a bar in minutes.",
)
@click.option("--source", type=click.Choice(SOURCES), default="yahoo", show_default=True, help="Where bars come from.")
@click.option(
    "--lake",
    type=click.Path(path_type=Path),
    help="Folder of the lake; by default $LAKE_DIR, else lake, and lake-simulated for simulated bars.",
)
@click.option(
    "--sink",
    type=click.Choice(SINKS),
    default="parquet",
    show_default=True,
    help="What takes the bars: files of the lake, or a Firehose stream.",
)
@click.option("--stream", help="With --sink firehose: name of the stream, by default $COLLECTOR_STREAM.")
def collect_command(
    session: dt.date | None,
    first: dt.date | None,
    last: dt.date | None,
    tickers: tuple[str, ...] | None,
    bar_minutes: str,
    source: str,
    lake: Path | None,
    sink: str,
    stream: str | None,
) -> int:
    """Collect bars from a source: by default those of the last finished session."""
    now = _now()
    wanted = _sessions(session, first, last, now)
    minutes = int(bar_minutes)
    giver = _source(source)
    refuse_too_old(giver, wanted, minutes, now)
    if not len(wanted[0].bar_starts(minutes, until=now)):
        raise ConfigError(
            f"{wanted[0].date} opens at {wanted[0].open.astimezone(exchange.EXCHANGE_TIME):%H:%M %Z} and has no "
            f"finished {minutes}-minute bar yet; collect it later, or leave --session out for the last finished one"
        )
    folder = lake or Path(os.environ.get("LAKE_DIR") or ("lake" if source != "simulated" else "lake-simulated"))
    tickers = tickers or watchlist.read(Layout(folder).config)
    keeper, place = _open_sink(sink, source, lake, stream)
    for note in symbols.rename_notes(tickers, wanted[0].date, wanted[-1].date):
        click.echo(f"note: {note}", err=True)
    if source == "simulated":
        click.echo("SIMULATED bars: invented by a random generator, none of these prices is real")

    windows = math.ceil(len(wanted) / giver.sessions_per_request(minutes))
    companies = {symbols.current_symbol(ticker) for ticker in tickers}
    with progress(f"{source} → {place}", total=windows * len(companies)) as on_answer:
        reports = collect(giver, keeper, wanted, tickers, minutes, _now, on_answer=on_answer)
    for report in reports:
        click.echo(report.line())
    reasons = _reasons(reports)
    if not sum(report.bars for report in reports):
        why = reasons[0] if len(reasons) == 1 else "each ticker failed for a reason of its own"
        for reason in reasons if len(reasons) > 1 else []:
            click.echo(f"failed: {reason}", err=True)
        click.echo(f"error: nothing could be collected from {source}: {why}", err=True)
        return 1
    for reason in reasons:
        click.echo(f"failed: {reason}", err=True)
    return 3 if reasons else 0


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _source(name: str) -> Source:
    if name == "simulated":
        return SimulatedSource()
    # Imported when it is asked: yfinance takes a second to load.
    from tickerlake.sources.yahoo import YahooSource  # noqa: PLC0415

    return YahooSource()


def _sessions(session: dt.date | None, first: dt.date | None, last: dt.date | None, now: dt.datetime) -> list[Session]:
    """The sessions that the arguments name, oldest first, all of them open by `now`."""
    if session and (first or last):
        raise ConfigError("--session names one session, --first and --last several; give one or the other")
    if last and not first:
        raise ConfigError("--last goes with --first; give both, or --session for one session")
    if session:
        wanted = [exchange.session_on(session)]
    elif first:
        finished = exchange.last_finished(now)
        wanted = exchange.sessions_between(first, last or max(finished.date, first))
        if not wanted:
            exchange.session_on(first)
    else:
        wanted = [exchange.last_finished(now)]
    future = [each for each in wanted if each.open > now]
    if future:
        raise ConfigError(
            f"{future[0].date} has not opened yet; the last finished session is {exchange.last_finished(now).date}"
        )
    return wanted


def _open_sink(sink: str, source: str, lake: Path | None, stream: str | None) -> tuple[Sink, str]:
    """The sink that the arguments name, and its name for a person."""
    if sink == "parquet":
        if stream:
            raise ConfigError("--stream goes with --sink firehose; leave it out, or name that sink")
        folder = lake or Path(os.environ.get("LAKE_DIR") or ("lake" if source != "simulated" else "lake-simulated"))
        refuse_mixing(folder, {source})
        return ParquetSink(folder), str(folder)
    name = stream or os.environ.get("COLLECTOR_STREAM")
    if lake or not name:
        raise ConfigError("--sink firehose sends to a stream: name it with --stream, and leave --lake out")
    if source == "simulated":
        raise ConfigError("simulated bars are not sent to a stream, where they would join real ones; leave --sink out")
    with needs_aws():
        from tickerlake.lake.firehose import open_firehose  # noqa: PLC0415

        return open_firehose(name), name


def _reasons(reports: Sequence[SessionReport]) -> list[str]:
    """One line for each reason of a failure, with the tickers and sessions that it stands for."""
    grouped: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for report in reports:
        for failure in report.failures:
            grouped[failure.reason, failure.message].append((report.session.dt, failure.ticker))
    lines = []
    for (reason, message), failures in grouped.items():
        tickers = list(dict.fromkeys(ticker for _, ticker in failures))
        named = ", ".join(tickers[:_NAMED]) + (f" and {len(tickers) - _NAMED} more" if len(tickers) > _NAMED else "")
        days = sorted({day for day, _ in failures})
        when = days[0] if len(days) == 1 else f"{len(days)} sessions from {days[0]} to {days[-1]}"
        lines.append(f"{named} in {when} ({reason}): {' '.join(message.split())}")
    return lines
