"""Alerts: which bars are news, once each, and what a watcher sends."""

import datetime as dt
import json
import re
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.test_watch import ROOT, Machine, clock
from tickerlake.alerting import send
from tickerlake.alerts import Bar, Day, Message, Rule, dump, judge, load, rules
from tickerlake.errors import ConfigError
from tickerlake.lake.layout import Layout

DAY_HIGH = Rule("new-high", 1)
HIGH_OF_3 = Rule("new-high", 3)
OPEN = clock("2026-11-20T09:30")


def day(*highs, earlier=(), ticker="NFLX", gone=()):
    """A session of 5-minute bars with these highs, and lows one below, without those at the places `gone`."""
    bars = [Bar(OPEN + dt.timedelta(minutes=5 * place), high, high - 1) for place, high in enumerate(highs)]
    return Day(ticker, "2026-11-20", [bar for place, bar in enumerate(bars) if place not in gone], earlier)


def titles(wanted, *days):
    """The titles of what each of `days`, one after the other, makes of `wanted`."""
    found, sent = [], []
    for each in days:
        messages, sent = judge(wanted, [each], sent)
        found.append([message.title for message in messages])
    return found


@pytest.mark.parametrize(
    ("highs", "said"),
    [
        ([10.0], []),
        ([10.0, 9.0], []),
        ([10.0, 11.0], ["NFLX new high 09:35"]),
        ([10.0, 11.0, 11.0], ["NFLX new high 09:35"]),
        ([10.0, 10.0], []),
        ([], []),
    ],
)
def test_a_new_high_of_the_day_is_above_what_the_session_began_with(highs, said):
    assert titles([DAY_HIGH], day(*highs)) == [said]


def test_a_high_is_sent_once_and_a_higher_one_again():
    assert titles([DAY_HIGH], day(10, 11), day(10, 11), day(10, 11, 10.5), day(10, 11, 10.5, 12)) == [
        ["NFLX new high 09:35"],
        [],
        [],
        ["NFLX new high 09:45"],
    ]


def test_a_new_high_of_several_sessions_is_sent_once_a_session_and_needs_them_all():
    assert titles([HIGH_OF_3], day(10, earlier=[9, 9.5]), day(10, 11, earlier=[9, 9.5])) == [
        ["NFLX new high of 3 sessions 09:30"],
        [],
    ]
    for earlier in ([9.0], [10.0, 9.0], []):
        assert titles([HIGH_OF_3], day(10, earlier=earlier)) == [[]]
    assert titles([HIGH_OF_3], day(10, earlier=[9, 9, 12])) == [["NFLX new high of 3 sessions 09:30"]]


def test_a_level_is_sent_at_the_first_bar_that_reaches_it():
    wanted = [Rule("above", 11, ("NFLX",)), Rule("below", 9, ("NFLX",))]

    assert titles(wanted, day(10, 11, 12, 10), day(10, 11, 12, 10, 13)) == [
        ["NFLX above 11 09:35", "NFLX below 9 09:30"],
        [],
    ]
    assert titles(wanted, day(10, 12, ticker="META")) == [[]]


def test_a_restated_bar_is_corrected_by_one_more_message():
    sent = judge([DAY_HIGH], [day(10, 11)], [])[1]

    messages, after = judge([DAY_HIGH], [day(10, 10.8)], sent)

    assert [message.text for message in messages] == [
        "NFLX: the bar of the new high 11.00 USD at 09:35 was restated to 10.80 USD."
    ]
    assert judge([DAY_HIGH], [day(10, 10.8)], after) == ([], after)


def test_a_withdrawn_bar_is_corrected_and_the_next_high_is_news_again():
    assert titles([DAY_HIGH], day(10, 12), day(10, 12, 11, gone=[1]), day(10, 12, 11, gone=[1])) == [
        ["NFLX new high 09:35"],
        ["NFLX corrected 09:35", "NFLX new high 09:40"],
        [],
    ]


def test_a_level_that_a_restated_bar_no_longer_reaches_may_be_sent_again():
    level = [Rule("above", 11, ("NFLX",))]

    assert titles(level, day(10, 11), day(10, 10.9), day(10, 10.9, 11.5)) == [
        ["NFLX above 11 09:35"],
        ["NFLX corrected 09:35"],
        ["NFLX above 11 09:40"],
    ]


def test_what_was_sent_survives_a_restart_and_five_sessions():
    sent = judge([DAY_HIGH], [day(10, 11)], [])[1]
    assert load(dump(sent)) == sent
    older = [sent[0]._replace(session=f"2026-11-{number}") for number in range(10, 16)]
    assert [each.session for each in judge([], [], older)[1]] == [each.session for each in older[1:]]
    for text in ("", "{}[", "[1]", '[{"rule": 1}]'):
        with pytest.raises(ValueError):  # noqa: PT011  # any of its kinds
            load(text)


def test_rules_are_read_from_tables():
    entries = [{"new_high": 1}, {"new_high": 20, "tickers": ["FB"]}, {"below": 500, "tickers": ["META"]}]

    assert rules(entries) == (DAY_HIGH, Rule("new-high", 20, ("META",)), Rule("below", 500, ("META",)))


def test_the_documented_rules_can_be_used():
    (block,) = re.findall(r"```toml\n(\[\[alerts.*?)```", (ROOT / "docs" / "lake.md").read_text(), re.DOTALL)

    assert [rule.name for rule in rules(tomllib.loads(block)["alerts"])] == [
        "new high",
        "new high of 20 sessions",
        "above 700",
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (5, "is not a table"),
        ({}, "has no condition"),
        ({"new_high": 1, "above": 2.0}, "has new_high and above"),
        ({"new_high": 1, "hig": 2}, "unknown key 'hig'"),
        ({"new_high": 0}, "a whole number of sessions from 1"),
        ({"new_high": 1.5}, "a whole number of sessions from 1"),
        ({"new_high": True}, "a whole number of sessions from 1"),
        ({"above": "7", "tickers": ["META"]}, "a price above 0"),
        ({"above": 7.0}, "needs its ticker"),
        ({"new_high": 1, "tickers": "META"}, "must be a list of symbols"),
        ({"new_high": 1, "tickers": ["=1"]}, "not a"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(entry, message):
    with pytest.raises(ConfigError, match=message):
        rules([{"new_high": 1}, entry], "x.toml: ")


@pytest.fixture
def server():
    """A web hook on loopback; gives its Apprise URL, with a secret, and what it was sent."""
    received = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if "refuse" not in self.path else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    hook = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    yield f"json://user:hunter2@127.0.0.1:{hook.server_port}", received
    hook.shutdown()
    hook.server_close()


def test_a_watcher_sends_each_new_high_once_also_after_a_restart(tmp_path, server, monkeypatch):
    url, received = server
    machine = Machine(tmp_path / "lake")
    machine.lake.mkdir()
    Layout(machine.lake).config.write_text('[[alerts]]\nnew_high = 1\ntickers = ["AMZN"]\n')
    monkeypatch.setenv("LAKE_ALERT_URLS", f"{url}/ok")

    machine.run("2026-11-20T11:59", "2026-11-20T12:02", ("AMZN",))
    machine.run("2026-11-20T12:04", "2026-11-20T12:32", ("AMZN",))

    assert [each["title"] for each in received] == [f"AMZN new high {start}" for start in ("10:00", "11:30", "12:00")]
    assert received[-1]["message"] == "AMZN: new high, 247.50 USD at 12:00, Fri 20 Nov."
    assert machine.said[-1] == f"12:30:30 alert: {received[-1]['message']}"


def test_a_service_that_fails_is_named_by_its_place_and_no_secret_is_shown(server, caplog):
    url, _ = server
    faults = send([Message("a", "b")], ["nonsense://hunter2", f"{url}/refuse", f"{url}/ok"])

    assert faults == [
        "address 1 of 3 in LAKE_ALERT_URLS is not one that Apprise knows; alerts are not sent there",
        "address 2 of 3 in LAKE_ALERT_URLS did not take 1 of 1 alerts; check it and the network",
    ]
    assert "hunter2" not in caplog.text
