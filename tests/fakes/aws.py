"""A server on loopback that speaks AWS's JSON protocol to the real botocore. The fakes of AWS services share it."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    # botocore's retries pause for real.
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


@dataclass(frozen=True)
class Call:
    """A request: the operation of a JSON service, or the method and path of S3."""

    operation: str
    body: dict[str, Any]
    path: str


@dataclass(frozen=True)
class Reply:
    """An answer, and what happens to the connection."""

    body: dict[str, Any] | bytes = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    then: Literal["sent", "reset", "taken"] = "sent"
    """`reset` breaks the connection before the request counts, `taken` after it."""


RESET = Reply(then="reset")
TAKEN_THEN_RESET = Reply(then="taken")


def s3_refusal(status: int, code: str) -> Reply:
    """A refusal as S3 writes it."""
    return Reply(f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode(), status)


def refusal(status: int, code: str, message: str = "") -> Reply:
    """An error in the form of AWS's JSON protocol."""
    return Reply({"__type": code, "message": message}, status)


@contextlib.contextmanager
def serving(answer: Callable[[Call], Reply]) -> Iterator[str]:
    """Runs a server on 127.0.0.1 that answers with `answer` until the block ends; yields its address."""
    with _Server(("127.0.0.1", 0), answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="fake-aws")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, address: tuple[str, int], answer: Callable[[Call], Reply]) -> None:
        self.answer = answer
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def hang_up(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format, *args) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        self._send(self.server.answer(Call(operation, json.loads(content), self.path)))

    def do_GET(self) -> None:
        self._send(self.server.answer(Call(self.command, {"range": self.headers["Range"]}, self.path)))

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self._send(self.server.answer(Call(self.command, {"content": content}, self.path)))

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, reply: Reply) -> None:
        if reply.then != "sent":
            # Closing with a linger time of zero makes the kernel send RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        headers = {"Content-Type": "application/x-amz-json-1.1", "Content-Length": str(len(body))} | reply.headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
