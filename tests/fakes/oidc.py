"""A fake OpenID Connect provider on loopback: authorization code flow, signed tokens, one user, a page to click."""

from __future__ import annotations

import contextlib
import html
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwk, jwt

CLIENT = ("tickerlake", "a-secret")
USER = "analyst@example.com"


@contextlib.contextmanager
def running_provider() -> Iterator[str]:
    """The provider; gives its address. Its discovery document is at `/.well-known/openid-configuration`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield _issuer(server)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Provider(BaseHTTPRequestHandler):
    key = jwk.RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
        issuer = _issuer(self.server)
        if path == "/.well-known/openid-configuration":
            self._answer({
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "jwks_uri": f"{issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            })  # fmt: skip
        elif path == "/jwks":
            self._answer({"keys": [self.key.as_dict(private=False)]})
        elif path == "/authorize" and query["client_id"] == CLIENT[0]:
            # The code carries the nonce, which the token must repeat.
            back = f"{query['redirect_uri']}?{urlencode({'code': query['nonce'], 'state': query['state']})}"
            self._write(200, f"<a href='{html.escape(back, quote=True)}'>Continue as {USER}</a>", "text/html")
        else:
            self._write(404, "not found", "text/plain")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        claims = {
            "iss": _issuer(self.server),
            "sub": "1",
            "aud": CLIENT[0],
            "email": USER,
            "nonce": form["code"][0],
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
        }
        token = jwt.encode({"alg": "RS256", "kid": "first"}, claims, self.key)
        self._answer({"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def log_message(self, *_: object) -> None:
        """Says nothing: the tests' output is for the tests."""

    def _answer(self, value: object) -> None:
        self._write(200, json.dumps(value), "application/json")

    def _write(self, status: int, body: str, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())


def _issuer(server: object) -> str:
    host, port = server.server_address[:2]  # ty: ignore[unresolved-attribute]
    return f"http://{host}:{port}"
