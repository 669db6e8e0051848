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
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit, urlunsplit

import numpy as np
import pandas as pd
import trustme

from tickerlake import exchange
from tickerlake.exchange import Session
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.yahoo import BrowserSession

CHART = "/v8/finance/chart/"
HOSTS = ("query1.finance.yahoo.com", "query2.finance.yahoo.com", "fc.yahoo.com", "guce.yahoo.com")
JSON = "application/json;charset=utf-8"
HTML = "text/html"


@dataclass(frozen=True)
class Answer:
    """An answer without bars. `then` is what happens to the connection."""

    status: int = 200
    body: str = ""
    content_type: str = JSON
    then: Literal["sent", "cut", "reset", "held"] = "sent"


def refused(status: int, code: str, description: str) -> Answer:
    """A refusal as the chart endpoint writes it."""
    return Answer(status, json.dumps({"chart": {"result": None, "error": {"code": code, "description": description}}}))


NOT_FOUND = refused(404, "Not Found", "No data found, symbol may be delisted")
TOO_MANY = Answer(429, "Edge: Too Many Requests", HTML)
UNAVAILABLE = Answer(503, "<html><body>Service Unavailable</body></html>", HTML)
A_PAGE = Answer(200, "<!DOCTYPE html><html><body>Yahoo Finance</body></html>", HTML)
RIGHT_BACK = Answer(200, "<html><body>Will be right back... Thank you for your patience.</body></html>", HTML)
CUT_JSON = Answer(200, '{"chart":{"result":[{"meta":{"currency":"USD","symbol":"ME')
CUT_OFF = Answer(200, '{"chart":{"result":[{"meta":', then="cut")
"""The connection ends in the middle of the body."""
RESET = Answer(then="reset")
HELD = Answer(then="held")
"""No answer until the server is closed or `released` is set."""


@dataclass(frozen=True)
class Bars:
    """A good answer: `frame` or simulated bars, with oddities."""

    frame: pd.DataFrame | None = None
    """Bars of any sessions, with the columns of a source."""
    instrument: str = "EQUITY"
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


@dataclass(frozen=True)
class Request:
    """A request. `symbol` is None if it was not for a chart."""

    host: str
    path: str
    query: dict[str, str]
    symbol: str | None


@dataclass
class FakeYahoo:
    """The server's answers and the requests it received."""

    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    latency: float = 0.0
    """Duration of a good answer in seconds."""
    rate_limited_from: int | None = None
    """Number of the first chart request, from 1, that is answered with 429, like all after it."""
    silent_proxy: bool = False
    """Whether CONNECT is accepted but never answered."""
    requests: list[Request] = field(default_factory=list)
    most_in_flight: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    authority: Path = field(default_factory=Path)
    """PEM file of the authority that signed the server's certificate."""

    def __post_init__(self) -> None:
        self._scripts: dict[str, list[Answer | Bars]] = {}
        self._lock = threading.Lock()
        self._in_flight = 0

    @property
    def origin(self) -> str:
        """Its address for plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def charts(self) -> list[str]:
        """The symbols of the chart requests, in order of arrival."""
        return [request.symbol for request in self.requests if request.symbol]

    def answers(self, symbol: str, *answers: Answer | Bars) -> None:
        """Sets the answers for `symbol`, one per request; the last one repeats."""
        self._scripts[symbol] = list(answers)

    def environment(self) -> dict[str, str]:
        """Environment variables that make an unchanged program use this server only."""
        proxy = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), self.origin)
        around = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        trust = {name: str(self.authority) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")}
        return proxy | around | trust

    @contextlib.contextmanager
    def answering(self, request: Request) -> Generator[Answer]:
        """Records `request` and returns its answer."""
        with self._lock:
            self.requests.append(request)
            count = len(self.charts)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            yield self._answer(request, count)
        finally:
            with self._lock:
                self._in_flight -= 1

    def _answer(self, request: Request, count: int) -> Answer:
        if request.symbol is None:
            return Answer(200, "A/fake.crumb", HTML) if request.path.endswith("getcrumb") else Answer(404, "", HTML)
        if self.rate_limited_from is not None and count >= self.rate_limited_from:
            return TOO_MANY
        with self._lock:
            script = self._scripts.get(request.symbol, [Bars()])
            answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Answer):
            return answer
        started = time.monotonic()
        ready = chart(request.symbol, request.query, answer, self.now())
        if self.latency:
            # The time to build the answer counts towards its duration.
            self.released.wait(max(0.0, self.latency - (time.monotonic() - started)))
        return ready


def chart(symbol: str, query: dict[str, str], answer: Bars, now: dt.datetime) -> Answer:
    """The chart endpoint's answer at `now`: the bars from `period1` to `period2`, or a refusal."""
    interval = query["interval"]
    if "range" in query:
        session = exchange.last_finished(now)
        return _chart_of(symbol, query, answer, [session], [(session.open, Session.bar_starts(session, 390)[:1])], 390)
    first, last = (dt.datetime.fromtimestamp(int(query[name]), dt.UTC) for name in ("period1", "period2"))
    minutes = int(interval.removesuffix("m"))
    if refusal := _refusal(minutes, first, last, now):
        return refusal
    days = exchange.sessions_between(exchange.exchange_date(first), exchange.exchange_date(last))
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
    meta = {
        "currency": "USD",
        "symbol": symbol,
        "exchangeName": "NMS",
        "instrumentType": answer.instrument,
        "longName": answer.long_name or f"{symbol} Inc.",
        "regularMarketTime": int(rows[-1][0].timestamp()) if rows else None,
        "gmtoffset": -14400,
        "timezone": "EDT",
        "exchangeTimezoneName": "America/New_York",
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
    session = exchange.session_on(exchange.exchange_date(opening))
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
    close = session.open + exchange.FULL_SESSION if full else session.close
    offset = session.open.astimezone(exchange.EXCHANGE_TIME)
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


@contextlib.contextmanager
def running_yahoo(port: int = 0, **settings: Any) -> Generator[FakeYahoo]:
    """Runs a FakeYahoo with `settings` on 127.0.0.1 until the block ends."""
    with tempfile.TemporaryDirectory(prefix="yahoo-") as folder:
        authority, certificate = Path(folder, "authority.pem"), Path(folder, "server.pem")
        authority.write_bytes(_certificates()[0])
        certificate.write_bytes(_certificates()[1])
        yahoo = FakeYahoo(authority=authority, **settings)
        with _Server(("127.0.0.1", port), yahoo, certificate) as server:
            yahoo.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake-yahoo")
            thread.start()
            try:
                yield yahoo
            finally:
                yahoo.released.set()
                server.shutdown()
                thread.join()
                server.hang_up()


class _Server(ThreadingHTTPServer):
    # Close every connection and join its thread, so that none outlives its test.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], yahoo: FakeYahoo, certificate: Path) -> None:
        self.yahoo = yahoo
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate)
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def hang_up(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                # socket.socket's method: the TLS socket's own would remove state that its thread uses.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), OSError):  # clients may disconnect
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    host = ""

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()
        self.connection.close()

    def log_message(self, format, *args) -> None:  # noqa: A002
        pass

    def do_CONNECT(self) -> None:
        self.host = self.path.partition(":")[0]
        if self.server.yahoo.silent_proxy:
            self.server.yahoo.released.wait()
            self.close_connection = True
            return
        if self.host not in HOSTS:
            self.send_error(403, "Not Yahoo")
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        # From here on the connection carries TLS.
        self.close_connection = True
        self.server.connections.discard(self.connection)
        self.rfile.close()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.server.connections.add(self.connection)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        symbol = url.path.removeprefix(CHART) if url.path.startswith(CHART) else None
        with self.server.yahoo.answering(Request(self.host, url.path, query, symbol)) as answer:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        if answer.then == "held":
            self.server.yahoo.released.wait()
            self.close_connection = True
            return
        if answer.then == "reset":
            # Closing with a linger time of zero makes the kernel send RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body) * (2 if answer.then == "cut" else 1)))
        self.end_headers()
        self.wfile.write(body)
        if answer.then == "cut":
            self.close_connection = True


@cache
def _certificates() -> tuple[bytes, bytes]:
    """A certificate authority, and the key and certificate of a server that it signed, as PEM."""
    authority = trustme.CA()
    return authority.cert_pem.bytes(), authority.issue_cert(*HOSTS).private_key_and_cert_chain_pem.bytes()


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
