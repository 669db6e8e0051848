"""A fake Yahoo on loopback: the chart endpoint, the cookie and the crumb, over real HTTP.

It answers as the real one was observed to, odd rows and refusals included, with simulated bars on the real calendar.
Connect with `YahooSource(LoopbackSession(server.origin))`, or run an unchanged program with `server.environment()`: it
then comes through a CONNECT proxy with its own certificate authority. `python -m tests.fakes.yahoo --port N` runs the
server by hand and prints that environment.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import shlex
import signal
import sys
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import pandas as pd

from tests.fakes.vendor import HTML, Answer, FakeVendor, Request
from tickerlake import exchange
from tickerlake.exchange import Session
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.yahoo import BrowserSession

CHART = "/v8/finance/chart/"
NAMES = {"XNYS": "NMS", "XLON": "LSE", "XETR": "GER", "XTKS": "JPX", "24/7": "CCC"}
"""What Yahoo calls each exchange."""
HOSTS = ("query1.finance.yahoo.com", "query2.finance.yahoo.com", "fc.yahoo.com", "guce.yahoo.com")


def refused(status: int, code: str, description: str) -> Answer:
    """A refusal as the chart endpoint writes it."""
    return Answer(status, json.dumps({"chart": {"result": None, "error": {"code": code, "description": description}}}))


NOT_FOUND = refused(404, "Not Found", "No data found, symbol may be delisted")
TOO_MANY = Answer(429, "Edge: Too Many Requests", HTML)
RIGHT_BACK = Answer(200, "<html><body>Will be right back... Thank you for your patience.</body></html>", HTML)
CUT_JSON = Answer(200, '{"chart":{"result":[{"meta":{"currency":"USD","symbol":"ME')
CUT_OFF = Answer(200, '{"chart":{"result":[{"meta":', then="cut")
"""The connection ends in the middle of the body."""


@dataclass(frozen=True)
class Bars:
    """A good answer: `frame` or simulated bars, with oddities."""

    frame: pd.DataFrame | None = None
    """Bars of any sessions, with the columns of a source."""
    instrument: str = ""
    """By default what the symbol's exchange trades."""
    currency: str = ""
    """By default the exchange's."""
    long_name: str = ""
    null_prices: Collection[pd.Timestamp] = ()
    null_volumes: Collection[pd.Timestamp] = ()
    live: pd.Timestamp | None = None
    """The last trade as an extra row, off the grid and without volume."""
    splits: Sequence[tuple[dt.datetime, int, int]] = ()
    """Splits that come with the bars: the open of the ex-date, new shares and old shares."""
    rows_after_close: int = 0
    """Number of rows after each close. The answer then names the trading period of a full session."""
    without_rows: bool = False
    without_meta: Collection[str] = ()


@dataclass
class FakeYahoo(FakeVendor):
    """Yahoo's answers and the requests it received."""

    hosts = HOSTS
    too_many = TOO_MANY

    def symbol_of(self, path: str) -> str | None:
        """The symbol of a chart request."""
        return path.removeprefix(CHART) if path.startswith(CHART) else None

    def other(self, request: Request) -> Answer:
        """The crumb, and 404 for the page that sets a cookie."""
        return Answer(200, "A/fake.crumb", HTML) if request.path.endswith("getcrumb") else Answer(404, "", HTML)

    def ready(self, request: Request, scripted: Bars | None) -> Answer:
        """A chart."""
        return chart(str(request.symbol), request.query, scripted or Bars(), self.now())


def chart(symbol: str, query: dict[str, str], answer: Bars, now: dt.datetime) -> Answer:
    """The chart endpoint's answer at `now`: the bars from `period1` to `period2`, or a refusal."""
    interval, place = query["interval"], exchange.of(symbol)
    if "range" in query:
        session = place.last_finished(now)
        return _chart_of(symbol, query, answer, [session], [(session.open, Session.bar_starts(session, 390)[:1])], 390)
    first, last = (dt.datetime.fromtimestamp(int(query[name]), dt.UTC) for name in ("period1", "period2"))
    minutes = int(interval.removesuffix("m"))
    if refusal := _refusal(minutes, first, last, now):
        return refusal
    days = place.sessions_between(place.date_at(first), place.date_at(last))
    running_or_over = [session for session in days if session.open <= now and session.close > first]
    starts = [(session.open, session.bar_starts(minutes)) for session in running_or_over]
    kept = [(opening, grid[(grid >= first) & (grid < last) & (grid <= now)]) for opening, grid in starts]
    return _chart_of(symbol, query, answer, running_or_over, kept, minutes)


def _refusal(minutes: int, first: dt.datetime, last: dt.datetime, now: dt.datetime) -> Answer | None:
    days = {1: 30, 60: 730}.get(minutes, 60)
    asked = f"{minutes}m data not available for startTime={first.timestamp():.0f} and endTime={last.timestamp():.0f}. "
    if first < now - dt.timedelta(days=days):
        return refused(422, "Unprocessable Entity", f"{asked}The requested range must be within the last {days} days.")
    if minutes == 1 and last - first > dt.timedelta(days=8):
        only = "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
        return refused(422, "Unprocessable Entity", asked + only)
    return None


def _chart_of(
    symbol: str,
    query: dict[str, str],
    answer: Bars,
    sessions: Sequence[Session],
    kept: Sequence[tuple[dt.datetime, pd.DatetimeIndex]],
    minutes: int,
) -> Answer:
    rows = [row for opening, grid in kept for row in _rows(symbol, answer, opening, grid, minutes)]
    if answer.live is not None and rows:
        rows.append((answer.live, *[rows[-1][4]] * 4, 0))
    if answer.without_rows:
        rows = []
    place = exchange.of(symbol)
    offset = (rows[-1][0] if rows else sessions[-1].open).astimezone(place.zone)
    meta = {
        "currency": answer.currency or exchange.currency_of(symbol),
        "symbol": symbol,
        "exchangeName": NAMES[place.code],
        "instrumentType": answer.instrument or ("CRYPTOCURRENCY" if place.suffix is None else "EQUITY"),
        "longName": answer.long_name or f"{symbol} Inc.",
        "regularMarketTime": int(rows[-1][0].timestamp()) if rows else None,
        "gmtoffset": int((offset.utcoffset() or dt.timedelta()).total_seconds()),
        "timezone": offset.tzname(),
        "exchangeTimezoneName": place.zone.key,
        "priceHint": 2,
        "tradingPeriods": [[_period(session, full=answer.rows_after_close > 0)] for session in sessions],
        "dataGranularity": query["interval"],
        "range": query.get("range", ""),
        "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
    }
    result: dict[str, Any] = {"meta": {name: value for name, value in meta.items() if name not in answer.without_meta}}
    if rows:
        result["timestamp"] = [int(row[0].timestamp()) for row in rows]
        names = ("open", "high", "low", "close", "volume")
        quote = {name: [row[place] for row in rows] for place, name in enumerate(names, 1)}
    else:
        quote = {}
    result["indicators"] = {"quote": [quote]}
    if answer.splits:
        result["events"] = {
            "splits": {
                f"{open_.timestamp():.0f}": {
                    "date": int(open_.timestamp()),
                    "numerator": new,
                    "denominator": old,
                    "splitRatio": f"{new}:{old}",
                }
                for open_, new, old in answer.splits
            }
        }
    return Answer(200, json.dumps({"chart": {"result": [result], "error": None}}))


def _rows(
    symbol: str, answer: Bars, opening: dt.datetime, grid: pd.DatetimeIndex, minutes: int
) -> list[tuple[Any, ...]]:
    """Rows of one session: start, four prices widened from 32 bits as Yahoo's are, and volume."""
    if grid.empty:
        return []
    place = exchange.of(symbol)
    session = place.session_on(place.date_at(opening))
    frame = SimulatedSource().bars(symbol, [session], minutes) if answer.frame is None else answer.frame
    frame = frame[frame["ts"].isin(grid)]
    rows = []
    for row in frame.itertuples():
        prices: list[float | None] = [float(np.float32(price)) for price in (row.open, row.high, row.low, row.close)]
        if row.ts in answer.null_prices:
            prices = [None] * 4
        volume = None if row.ts in answer.null_prices or row.ts in answer.null_volumes else int(row.volume)
        rows.append((row.ts, *prices, volume))
    after = pd.date_range(session.close, periods=answer.rows_after_close, freq=f"{minutes}min")
    return rows + [(ts, *rows[-1][1:5], 0) for ts in after]


def _period(session: Session, *, full: bool) -> dict[str, Any]:
    place = session.exchange
    usual = dt.datetime.combine(session.date, place.closes, place.zone)
    close = usual if full and place.opens != place.closes else session.close
    offset = session.open.astimezone(place.zone)
    return {
        "timezone": offset.tzname(),
        "start": int(session.open.timestamp()),
        "end": int(close.timestamp()),
        "gmtoffset": int((offset.utcoffset() or dt.timedelta()).total_seconds()),
    }


class LoopbackSession(BrowserSession):
    """YahooSource's HTTP session, with every address replaced by `origin`."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self._origin = urlsplit(origin)

    def request(self, method, url, **kwargs):
        asked = urlsplit(url)
        return super().request(
            method, urlunsplit((self._origin.scheme, self._origin.netloc, asked.path, asked.query, "")), **kwargs
        )


running_yahoo = FakeYahoo.running


def main() -> None:
    """Runs the server until interrupted and prints the environment variables for its clients."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.yahoo", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; by default a free one")
    parser.add_argument("--latency-ms", type=float, default=0, help="milliseconds before each answer with bars")
    parser.add_argument("--rate-limited-from", type=int, help="the request from which on all are answered with 429")
    arguments = parser.parse_args()
    # SIGTERM is the usual end; the certificate must be removed then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    settings = {"latency": arguments.latency_ms / 1000, "rate_limited_from": arguments.rate_limited_from}
    with running_yahoo(arguments.port, **settings) as yahoo:
        for name, value in yahoo.environment().items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
