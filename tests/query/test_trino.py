"""The Trino engine against a fake coordinator on loopback; `make test-trino` runs the real one."""

import contextlib
import datetime as dt
import json
import re
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest
import trustme

from tickerlake.errors import ConfigError, LakeEmpty, QueryFailed
from tickerlake.query import Settings, load, names, open_engine, run
from tickerlake.query.engines.trino import TrinoEngine, bind

ID = "20261120_150000_00001_abcde"
PARAMETERS = {
    "first": "2026-11-20",
    "last": "2026-11-20",
    "tickers": ["META", "AMZN"],
    "as_of": "9999-12-31 00:00:00.000",
    "basis": "latest",
    "calendar": "2026-11-20 …",
    "renames": "2022-06-09 FB",
    "settled": "",
    "since": "2026-11-06",
    "sources": ",yahoo,",
}
HIGHS = {
    "ticker": "varchar",
    "session": "varchar(10)",
    "hour": "integer",
    "high": "double",
    "ts": "timestamp(6)",
    "touch": "bigint",
}
HOSTILE = (
    "x') OR ('1' = '1",
    "'; DROP TABLE bars; --",
    "''",
    "%(last)s",
    "?",
    "\\",
    "*/ x /*",
    "Ω\N{RIGHT SINGLE QUOTATION MARK}",
)


class Coordinator(ThreadingHTTPServer):
    """Answers requests from a list, in order, and keeps them."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers = []
        self.asked = []

    def page(self, *, more=False, **given):
        body = {"id": ID, "infoUri": self.url, "stats": {"state": "RUNNING", "physicalInputBytes": 4321}, **given}
        return 200, json.dumps(body | ({"nextUri": f"{self.url}/v1/statement/next"} if more else {}))

    def rows(self, types, rows):
        columns = [
            {
                "name": name,
                "type": type_,
                "typeSignature": {"rawType": type_.split("(")[0], "arguments": [{"value": 6}]},
            }
            for name, type_ in types.items()
        ]
        return self.page(columns=columns, data=rows)

    def error(self, name, message="it says why", type_="USER_ERROR"):
        return self.page(error={"errorName": name, "errorType": type_, "message": message, "errorCode": 1})


class _Handler(BaseHTTPRequestHandler):
    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append((self.command, body, self.headers))
        # The last answer is given for ever.
        answers = self.server.answers
        status, text = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(204 if self.command == "DELETE" else status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def _running(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def coordinator():
    with _running(Coordinator()) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts(monkeypatch):
    monkeypatch.setattr("trino.client.sleep", lambda _seconds: None)


def engine_at(server, *, clock=None, **settings):
    given = Settings(engine="trino", host="127.0.0.1", port=server.server_port, **settings)
    return TrinoEngine(given, clock=clock) if clock else TrinoEngine(given)


def test_each_name_becomes_a_question_mark_and_its_value_is_handed_over_beside_the_text():
    text, values = bind(
        "a = %(last)s AND b IN %(tickers)s AND c > %(first)s AND d = %(last)s", PARAMETERS | {"last": "z"}
    )

    assert text == "a = ? AND b IN (?, ?) AND c > ? AND d = ?"
    assert values == ["z", "META", "AMZN", "2026-11-20", "z"]


def test_nothing_is_in_an_empty_list():
    assert bind("b IN %(tickers)s", {"tickers": []}) == ("b IN (NULL)", [])


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_never_becomes_part_of_the_text(value):
    text, values = bind("a = %(first)s AND b IN %(tickers)s", {"first": value, "tickers": [value, "META"]})

    assert text == "a = ? AND b IN (?, ?)"
    assert values == [value, value, "META"]


@pytest.mark.parametrize("name", names())
def test_every_query_is_bound_whole(name):
    text, values = bind(load(name).sql, PARAMETERS)

    assert "%" not in text
    assert text.count("?") == len(values)


@pytest.mark.parametrize("value", HOSTILE)
def test_what_is_sent_holds_each_value_as_one_quoted_text(coordinator, value):
    coordinator.answers = [coordinator.rows({"n": "bigint"}, [[1]])]

    engine_at(coordinator).run("SELECT 'it''s' AS n WHERE a = %(first)s", {"first": value})

    _, body, _ = coordinator.asked[0]
    texts = [text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", body)]
    assert texts == ["SELECT 'it''s' AS n WHERE a = ?", value]
    assert re.sub(r"'(?:[^']|'')*'", "", body) == "EXECUTE IMMEDIATE  USING "


def test_the_session_is_in_utc_in_the_settings_catalog_and_schema(coordinator, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    coordinator.answers = [coordinator.rows({"n": "bigint"}, [])]

    engine_at(coordinator, catalog="glue", database="lake", user="me").run("SELECT 1 AS n", {})

    _, _, headers = coordinator.asked[0]
    sent = {name: headers[f"X-Trino-{name}"] for name in ("Time-Zone", "Catalog", "Schema", "User", "Source")}
    assert sent == {"Time-Zone": "UTC", "Catalog": "glue", "Schema": "lake", "User": "me", "Source": "tickerlake"}
    assert "Authorization" not in headers


def test_rows_come_from_every_page_with_the_servers_types(coordinator):
    status, page = coordinator.rows(HIGHS, [["META", "2026-11-20", 9, 612.5, "2026-11-20 14:35:00.000000", 1]])
    first = json.dumps(json.loads(page) | {"nextUri": f"{coordinator.url}/v1/statement/2"})
    last = coordinator.rows(HIGHS, [[None, "2026-11-20", 10, None, None, None]])
    coordinator.answers = [coordinator.page(more=True), (status, first), last]

    result = engine_at(coordinator).run(load("hourly_high").sql, PARAMETERS)

    moment = dt.datetime(2026, 11, 20, 14, 35, tzinfo=dt.UTC)
    assert result.rows == [("META", "2026-11-20", 9, 612.5, moment, 1), (None, "2026-11-20", 10, None, None, None)]
    assert (result.query_id, result.bytes_scanned) == (ID, 4321)
    assert result.seconds > 0


def test_no_rows_have_the_types_of_rows(coordinator):
    coordinator.answers = [coordinator.rows(HIGHS, [])]

    answer = engine_at(coordinator).run("SELECT", {})

    assert answer.rows == []
    assert [field.type for field in answer.columns] == [
        "varchar",
        "varchar",
        "integer",
        "double",
        "timestamp",
        "bigint",
    ]


def test_the_runner_gives_exchange_time_from_any_precision(coordinator):
    coordinator.answers = [
        coordinator.rows(
            HIGHS | {"ts": "timestamp(3)"},
            [
                ["META", "2026-11-20", 9, 612.5, "2026-11-20 14:35:00.000", 1],
                ["META", "2026-11-20", 9, 612.5, "2026-11-20 14:40:00", 2],
            ],
        )
    ]

    frame = run(engine_at(coordinator), "hourly_high", first=dt.date(2026, 11, 20), tickers=["META"]).frame

    assert frame["ts"].astype(str).tolist() == ["2026-11-20 09:35:00-05:00", "2026-11-20 09:40:00-05:00"]


def test_the_settings_open_this_engine():
    engine = open_engine(Settings(engine="trino", host="trino.example", port=8443, catalog="glue"))

    assert engine.name == "trino"
    assert engine.lake == "glue.tickerlake at trino.example:8443"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("CATALOG_NOT_FOUND", ConfigError, r"no catalog 'hive'; set LAKE_CATALOG"),
        ("SCHEMA_NOT_FOUND", ConfigError, r"no schema 'tickerlake'; set LAKE_DATABASE"),
        ("TABLE_NOT_FOUND", LakeEmpty, r"no table bars; declare it as docs/trino.md says"),
        ("PERMISSION_DENIED", ConfigError, r"'tickerlake' read .*: it says why; set LAKE_USER"),
        ("SERVER_STARTING_UP", QueryFailed, r"still starting; try again in a minute"),
        (
            "EXCEEDED_TIME_LIMIT",
            QueryFailed,
            r"query fewer sessions or tickers: the limit is the cluster's$",
        ),
        ("EXCEEDED_GLOBAL_MEMORY_LIMIT", QueryFailed, r"it says why; query fewer sessions or tickers$"),
        ("COLUMN_NOT_FOUND", QueryFailed, r"it says why; declare the table bars as docs/trino.md says"),
        (
            "GENERIC_INTERNAL_ERROR",
            QueryFailed,
            r"GENERIC_INTERNAL_ERROR: it says why; see the cluster's pages: .*/ui$",
        ),
    ],
)
@pytest.mark.parametrize("type_", ["USER_ERROR", "EXTERNAL", "INTERNAL_ERROR"])
def test_what_the_server_refuses_is_reported_in_one_line_with_the_next_step(coordinator, name, error, says, type_):
    coordinator.answers = [coordinator.page(more=True), coordinator.error(name, "it says\n  why", type_)]

    with pytest.raises(error, match=says) as raised:
        engine_at(coordinator).run("SELECT 1", {})

    assert "\n" not in str(raised.value)
    if error is QueryFailed:
        assert raised.value.query_id == ID


@pytest.mark.parametrize(
    ("status", "text", "error", "says"),
    [
        (
            401,
            "Unauthorized",
            ConfigError,
            r"user 'tickerlake' with no password \(HTTP 401\); set LAKE_USER and",
        ),
        (403, "", ConfigError, r"\(HTTP 403\); set LAKE_USER and LAKE_PASSWORD"),
        (503, "", QueryFailed, r"is not ready \(HTTP 503\); try again in a minute"),
        (404, "<html>", QueryFailed, r"is not a Trino coordinator \(error 404.*; set LAKE_HOST"),
        (200, "<html>", QueryFailed, r"is not a Trino coordinator .*; set LAKE_HOST"),
    ],
)
def test_what_the_address_answers_otherwise_is_reported_with_the_next_step(coordinator, status, text, error, says):
    coordinator.answers = [(status, text)]

    with pytest.raises(error, match=says):
        engine_at(coordinator).run("SELECT 1", {})


def test_an_address_without_a_server_is_reported_with_the_address():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        engine = TrinoEngine(Settings(engine="trino", host="127.0.0.1", port=port))
        says = rf"cannot reach Trino at http://127\.0\.0\.1:{port}: Connection refused; start the coordinator, or set"
        with pytest.raises(QueryFailed, match=says):
            engine.run("SELECT 1", {})


def test_a_query_over_its_time_is_cancelled_on_the_server(coordinator):
    coordinator.answers = [coordinator.page(more=True)]
    seconds = count()

    with pytest.raises(QueryFailed, match=r"longer than 5 seconds and was cancelled; query fewer") as failed:
        engine_at(coordinator, clock=lambda: next(seconds), timeout_seconds=5).run("SELECT 1", {})

    assert failed.value.query_id == ID
    assert [method for method, *_ in coordinator.asked] == ["POST", *["GET"] * 5, "DELETE"]


def test_ctrl_c_cancels_the_query_on_the_server(coordinator):
    coordinator.answers = [coordinator.page(more=True)]
    calls = count()

    def clock():
        if next(calls) == 3:
            raise KeyboardInterrupt
        return 0

    with pytest.raises(KeyboardInterrupt):
        engine_at(coordinator, clock=clock).run("SELECT 1", {})

    assert coordinator.asked[-1][0] == "DELETE"


@pytest.fixture(scope="module")
def authority():
    """Signs the coordinator's certificate; only a test that says so trusts it."""
    return trustme.CA()


@pytest.fixture
def tls_coordinator(authority):
    server = Coordinator()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_arguments: None  # a client that hangs up is what is tested
    with _running(server):
        yield server


def test_a_password_goes_over_trusted_tls_only(tls_coordinator, authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    tls_coordinator.answers = [tls_coordinator.rows({"n": "bigint"}, [[1]])]

    engine_at(tls_coordinator, user="me", password="hunter2").run("SELECT 1 AS n", {})

    _, _, headers = tls_coordinator.asked[0]
    assert headers["Authorization"] == "Basic bWU6aHVudGVyMg=="


@pytest.mark.parametrize("settings", [{"password": "hunter2"}, {"tls": True}])
def test_a_certificate_of_an_unknown_authority_is_refused_before_anything_is_sent(tls_coordinator, settings):
    with pytest.raises(
        ConfigError, match=r"no trusted TLS .*: certificate verify failed: .*; set LAKE_PORT .*REQUESTS_CA"
    ):
        engine_at(tls_coordinator, **settings).run("SELECT 1", {})

    assert tls_coordinator.asked == []


def test_a_password_is_not_sent_to_a_port_without_tls(coordinator):
    coordinator.handle_error = lambda *_arguments: None
    coordinator.answers = [coordinator.page()]

    with pytest.raises(ConfigError, match="no trusted TLS connection"):
        engine_at(coordinator, password="hunter2").run("SELECT 1", {})

    assert coordinator.asked == []


def test_a_refused_password_is_not_printed(tls_coordinator, authority, tmp_path, monkeypatch):
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    tls_coordinator.answers = [(401, "Access Denied: Invalid credentials")]

    with pytest.raises(ConfigError, match=r"does not accept the user 'me' with a password \(HTTP 401\)") as refused:
        engine_at(tls_coordinator, user="me", password="hunter2").run("SELECT 1", {})

    assert "hunter2" not in str(refused.value)
