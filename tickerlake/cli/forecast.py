"""`tickerlake forecast`: forecasts, and how good they were."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from tickerlake import exchange, watchlist
from tickerlake.cli.collect import SessionName
from tickerlake.cli.console import Date, Tickers, lake_option, progress
from tickerlake.errors import ConfigError, TickerlakeError
from tickerlake.lake.layout import Layout
from tickerlake.plan import plan
from tickerlake.query import Engine, Settings, open_engine, run

if TYPE_CHECKING:
    import pandas as pd

    from tickerlake.forecast.boosted import Boosted


@click.group(
    "forecast",
    invoke_without_command=True,
    epilog="""\b
Examples:
  tickerlake forecast                      this hour, if the exchange is open
  tickerlake forecast --first 2026-01-02   back-test sessions since then
  tickerlake forecast score
""",
)
@click.option("--session", type=SessionName(), help="One session: YYYY-MM-DD, today or last.")
@click.option("--first", type=Date(), help="First session of a range, YYYY-MM-DD.")
@click.option("--last", type=Date(), help="Last session of the range. Default: the last finished session.")
@click.option("--tickers", type=Tickers(), help="Symbols separated by commas. Default: all in the lake.")
@click.option("--boosted", is_flag=True, help="Also by the machine-learned model; needs tickerlake[forecast].")
@lake_option
@click.pass_context
def forecast_command(
    ctx: click.Context,
    session: dt.date | Literal["today", "last"] | None,
    first: dt.date | None,
    last: dt.date | None,
    tickers: tuple[str, ...] | None,
    boosted: bool,
    lake: Path | None,
) -> int | None:
    """Forecast the next hour's high, the day's high and the direction, and store the forecasts.

    By default: the running session, or the last finished one, at every full hour so far. A forecast made within five
    minutes of its hour's start is live; any other is back-tested, and labelled so. Not investment advice.
    """
    if ctx.invoked_subcommand is not None:
        return None
    from tickerlake.forecast.making import MODELS, joined, make, without_stored  # noqa: PLC0415  loads pandas
    from tickerlake.lake.parquet import ParquetSink  # noqa: PLC0415

    settings = Settings.from_environment().on(lake)
    if settings.engine != "duckdb":
        raise ConfigError(
            f"LAKE_ENGINE is {settings.engine}, and this command stores forecasts in a folder only; "
            "`tickerlake forecast score` reads those of every lake"
        )
    now = _now()
    named = session or first or last
    places = exchange.all_of(tickers or watchlist.read(Layout(settings.lake).config))
    running = [place for place in places if not named and place.running(now)]
    sessions = plan(now, running or places, session="today" if running else session, first=first, last=last)
    engine, sink = open_engine(settings), ParquetSink(settings.lake)
    challenger = _challenger(settings.lake) if boosted else None
    models = [*MODELS, *([challenger] if challenger else [])]
    with progress("forecasting", total=len(sessions)) as on_session:
        made = joined(
            [
                make(engine, mine, now, tickers=tickers, models=models, on_session=on_session)
                for mine in exchange.by_exchange(sessions).values()
            ]
        )
    if challenger:
        sink.store_model(challenger.as_text())
    new = without_stored(engine, made.forecasts)
    sink.store_forecasts(new)
    for ticker, count in made.short.items():
        click.echo(f"failed: {ticker}: not enough history: {count} earlier sessions, and 20 are needed", err=True)
    if made.forecasts.empty:
        why = (
            "not enough history" if made.short else f"no full hour of {sessions[-1].date} with bars before it has begun"
        )
        raise TickerlakeError(f"no forecast was made: {why}; collect more sessions, or name another with --session")
    _show(engine, made.forecasts)
    stored = f"{len(new):,} new" if len(new) else "nothing new"
    first_made, last_made = made.forecasts["session"].min(), made.forecasts["session"].max()
    span = first_made if first_made == last_made else f"{first_made} to {last_made}"
    click.echo(f"{span}: {len(made.forecasts):,} forecasts, {stored}")
    return 3 if made.short else 0


@forecast_command.command("score")
@click.option("--first", type=Date(), help="First session, YYYY-MM-DD. Default: the first in the lake.")
@click.option("--last", type=Date(), help="Last session. Default: the last in the lake.")
@click.option("--tickers", type=Tickers(), help="Symbols separated by commas. Default: all in the lake.")
@lake_option
def score_command(
    first: dt.date | None, last: dt.date | None, tickers: tuple[str, ...] | None, lake: Path | None
) -> None:
    """Score the stored forecasts, and say in one sentence whether they are of any use."""
    from tickerlake.forecast.samples import DIRECTION  # noqa: PLC0415  loads pandas
    from tickerlake.forecast.scores import BASELINE  # noqa: PLC0415
    from tickerlake.forecast.verdict import verdict  # noqa: PLC0415

    engine = open_engine(Settings.from_environment().on(lake))
    span: dict[str, Any] = {"first": first, "last": last, "tickers": tickers}
    scores = run(engine, "forecast_scores", **span)
    if not len(scores):
        raise TickerlakeError(f"{engine.lake} has no forecast that can be scored yet; make some: tickerlake forecast")
    found = verdict(run(engine, "forecasts", **span).frame)
    click.echo(f"{'target':<15} {'model':<14} {'kind':<12} {'sessions':>8} {'skill':>14} {'DM':>6} {'in 90 %':>8}")
    for row in scores.frame.to_dict("records"):
        model = f"{row['model']}{' *' if found.champions.get(row['target']) == row['model'] else ''}"
        skill = statistic = ""
        if row["model"] != BASELINE:
            margin = "" if row["margin"] != row["margin"] else f" ± {100 * row['margin']:.1f}"
            skill = f"{100 * row['skill']:.1f}{margin} %"
            statistic = "" if row["statistic"] != row["statistic"] else f"{row['statistic']:.1f}"
        inside = "" if row["target"] == DIRECTION else f"{100 * row['inside']:.1f} %"
        what = f"{row['target']:<15} {model:<14} {row['kind']:<12} {row['sessions']:>8}"
        click.echo(f"{what} {skill:>14} {statistic:>6} {inside:>8}".rstrip())
    click.echo("* champion: the model to trust, by the evidence")
    click.echo(found.sentence)


def _show(engine: Engine, forecasts: pd.DataFrame) -> None:
    """Prints the latest moment's forecasts, one line a ticker, by each target's champion."""
    from tickerlake.forecast.verdict import verdict  # noqa: PLC0415  loads pandas

    champions = verdict(run(engine, "forecasts").frame).champions
    latest = forecasts[forecasts["known_until"] == forecasts["known_until"].max()]
    chosen = latest[latest["model"] == latest["target"].map(champions)]
    at = latest["known_until"].iloc[0].tz_convert(exchange.shared_zone(exchange.all_of(latest["ticker"].unique())))
    models = ", ".join(f"{target} by {champions[target]}" for target in champions)
    click.echo(f"{at:%Y-%m-%d %H:%M %Z}: {models}; highs: 5 %, 50 %, 95 %")
    click.echo(f"{'ticker':<7} {'last':>10} {'next hour high':>30} {'day high':>30} {'closes above':>12}")
    for ticker, rows in chosen.groupby("ticker"):
        by_target = {row["target"]: row for row in rows.to_dict("records")}
        hour, day, close = (by_target[target] for target in ("next-hour-high", "day-high", "close-above"))
        direction = f"{100 * close['probability']:.0f} %"
        click.echo(f"{ticker:<7} {close['reference']:>10.2f} {_prices(hour):>30} {_prices(day):>30} {direction:>12}")


def _prices(row: dict[str, Any]) -> str:
    return " ".join(f"{row['reference'] * (1 + row[name]):9.2f}" for name in ("q05", "q50", "q95"))


def _challenger(lake: Path) -> Boosted:
    from tickerlake.forecast.boosted import Boosted  # noqa: PLC0415  loads pandas

    return Boosted(Layout(lake).model)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
