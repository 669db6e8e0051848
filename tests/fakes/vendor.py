"""What the fake vendors share: a server on loopback that answers, refuses and breaks off as real ones were seen to."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qs, urlsplit

import trustme

JSON = "application/json;charset=utf-8"
HTML = "text/html"


@dataclass(frozen=True)
class Answer:
    """An answer as it is sent. `then` is what happens to the connection."""

    status: int = 200
    body: str = ""
    content_type: str = JSON
    then: Literal["sent", "cut", "reset", "held"] = "sent"
    headers: Mapping[str, str] = field(default_factory=dict)


UNAVAILABLE = Answer(503, "<html><body>Service Unavailable</body></html>", HTML)
A_PAGE = Answer(200, "<!DOCTYPE html><html><body>Welcome</body></html>", HTML)
RESET = Answer(then="reset")
HELD = Answer(then="held")
"""No answer until the server is closed or `released` is set."""


@dataclass(frozen=True)
class Request:
    """A request. `symbol` is None if it was not for the bars of one."""

    host: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    symbol: str | None


@dataclass
class FakeVendor:
    """The server's answers and the requests it received. A vendor's own class builds the good answers."""

    hosts: ClassVar[Sequence[str]] = ()
    too_many: ClassVar[Answer] = Answer(429)

    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    latency: float = 0.0
    """Duration of a good answer in seconds."""
    rate_limited_from: int | None = None
    """Number of the first request for bars, from 1, that is answered with 429, like all after it."""
    silent_proxy: bool = False
    """Whether CONNECT is accepted but never answered."""
    requests: list[Request] = field(default_factory=list)
    most_in_flight: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    authority: Path = field(default_factory=Path)
    """PEM file of the authority that signed the server's certificate."""

    def __post_init__(self) -> None:
        self._scripts: dict[str, list[Any]] = {}
        self._lock = threading.Lock()
        self._in_flight = 0

    def symbol_of(self, path: str) -> str | None:
        """The symbol whose bars are at `path`, or None."""
        raise NotImplementedError

    def other(self, request: Request) -> Answer:
        """The answer to a request that is not for the bars of one symbol."""
        raise NotImplementedError

    def ready(self, request: Request, scripted: Any) -> Answer:
        """The good answer to `request`, made of what a test set for the symbol, or of None."""
        raise NotImplementedError

    @property
    def origin(self) -> str:
        """Its address for plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def charts(self) -> list[str]:
        """The symbols whose bars were requested, in order of arrival."""
        return [request.symbol for request in self.requests if request.symbol]

    def answers(self, symbol: str, *answers: Any) -> None:
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
            return self.other(request)
        if self.rate_limited_from is not None and count >= self.rate_limited_from:
            return self.too_many
        with self._lock:
            script = self._scripts.get(request.symbol, [None])
            answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Answer):
            return answer
        started = time.monotonic()
        ready = self.ready(request, answer)
        if self.latency:
            # The time to build the answer counts towards its duration.
            self.released.wait(max(0.0, self.latency - (time.monotonic() - started)))
        return ready

    @classmethod
    @contextlib.contextmanager
    def running(cls, port: int = 0, **settings: Any) -> Generator[Self]:
        """Runs one with `settings` on 127.0.0.1 until the block ends."""
        with tempfile.TemporaryDirectory(prefix="vendor-") as folder:
            authority, certificate = Path(folder, "authority.pem"), Path(folder, "server.pem")
            signed_by, key_and_chain = certificates(*cls.hosts)
            authority.write_bytes(signed_by)
            certificate.write_bytes(key_and_chain)
            vendor = cls(authority=authority, **settings)
            with _Server(("127.0.0.1", port), vendor, certificate) as server:
                vendor.port = server.server_address[1]
                thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="vendor")
                thread.start()
                try:
                    yield vendor
                finally:
                    vendor.released.set()
                    server.shutdown()
                    thread.join()
                    server.hang_up()


class _Server(ThreadingHTTPServer):
    # Close every connection and join its thread, so that none outlives its test.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], vendor: FakeVendor, certificate: Path) -> None:
        self.vendor = vendor
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
        if self.server.vendor.silent_proxy:
            self.server.vendor.released.wait()
            self.close_connection = True
            return
        if self.host not in self.server.vendor.hosts:
            self.send_error(403, "Another host")
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
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.host, url.path, query, headers, self.server.vendor.symbol_of(url.path))
        with self.server.vendor.answering(request) as answer:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        if answer.then == "held":
            self.server.vendor.released.wait()
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
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        if answer.then == "cut":
            self.close_connection = True


@cache
def certificates(*hosts: str) -> tuple[bytes, bytes]:
    """A certificate authority, and the key and certificate of a server for `hosts` that it signed, as PEM."""
    authority = trustme.CA()
    return authority.cert_pem.bytes(), authority.issue_cert(*hosts).private_key_and_cert_chain_pem.bytes()
