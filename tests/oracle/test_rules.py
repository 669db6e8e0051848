"""The oracle itself: each rule by an example small enough to work out by hand."""

import datetime as dt

import pytest

from tests.fakes.sinks import MemorySink
from tests.oracle import Answer, History, Oracle
from tests.oracle.history import NUMBERS
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.errors import NoData
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.simulated_vendor import Clock

WEDNESDAY, FRIDAY = exchange.XNYS.sessions_between(dt.date(2026, 11, 25), dt.date(2026, 11, 27))
RENAMING = exchange.XNYS.sessions_between(dt.date(2022, 6, 8), dt.date(2022, 6, 9))
EVENING = dt.datetime(2026, 11, 27, 22, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SPLIT = (FRIDAY.date, 10.0)
"""Ten new shares for one, from Friday on."""


def bar(clock, high=10.0, *, session=FRIDAY, low=8.0, close=9.0, volume=100):
    """A bar that starts at this time of day at the exchange."""
    start = dt.datetime.combine(session.date, dt.time.fromisoformat(clock), exchange.XNYS.zone)
    numbers = {"open": close, "high": high, "low": low, "close": close, "volume": volume}
    return {"ts": start.astimezone(dt.UTC), **numbers}


def answer(hours, *rows, source="yahoo", size=30, session=FRIDAY, symbol="AAA", **details):
    """An answer so many hours after Friday evening."""
    return Answer(source, symbol, size, (session,), EVENING + hours * HOUR, rows, **details)


def highs(rows):
    return {f"{row['ts'].astimezone(exchange.XNYS.zone):%H:%M}": row["high"] for row in rows}


def at(hours):
    return EVENING + hours * HOUR


def test_the_latest_answer_up_to_the_moment_counts():
    oracle = Oracle([answer(hours, bar("09:30", 10 + hours)) for hours in (0, 1, 2)])

    assert oracle.bars(at(-1)) == []
    assert [highs(oracle.bars(at(hours)))["09:30"] for hours in (0, 0.9, 1, 2, 9)] == [10, 10, 11, 12, 12]


def test_seeing_the_same_numbers_again_does_not_make_a_bar_newer():
    oracle = Oracle([answer(hours, bar("09:30")) for hours in (0, 1)])

    assert [row["collected_at"] for row in oracle.bars(at(5))] == [at(0)]
    assert [row["records"] for row in oracle.sessions(at(5))] == [1]


@pytest.mark.parametrize(
    "row",
    [
        bar("09:30", None),
        bar("09:30", float("inf")),
        bar("09:30", 7),
        bar("09:30", low=-1),
        bar("09:30", close=11),
        bar("09:30", volume=-1),
        bar("09:31"),
        bar("13:00"),
        bar("09:30", session=WEDNESDAY),
    ],
)
def test_a_row_that_breaks_a_rule_is_as_if_it_had_not_been_given(row):
    assert Oracle([answer(0, row)]).bars(at(1)) == []


def test_a_bar_that_has_not_ended_does_not_count():
    asked_at = FRIDAY.open + dt.timedelta(minutes=29)
    assert Oracle([Answer("yahoo", "AAA", 30, (FRIDAY,), asked_at, (bar("09:30"),))]).bars(at(1)) == []
    # The last bar of 90 minutes is cut short by the close.
    close = Answer("yahoo", "AAA", 90, (FRIDAY,), FRIDAY.close, (bar("12:30"),))
    assert highs(Oracle([close]).bars(at(1))) == {"12:30": 10}


def test_a_bar_that_a_later_answer_lacks_is_withdrawn_and_may_come_back():
    both, one = (bar("09:30"), bar("10:00", 999)), (bar("09:30"),)
    oracle = Oracle([answer(0, *both), answer(1, *one), answer(2, *both)])

    assert highs(oracle.bars(at(0))) == {"09:30": 10, "10:00": 999}
    assert highs(oracle.bars(at(1))) == {"09:30": 10}
    assert highs(oracle.bars(at(2))) == {"09:30": 10, "10:00": 999}
    assert [highs(oracle.withdrawn(at(hours))) for hours in (0, 1, 2)] == [{}, {"10:00": 999}, {}]
    assert oracle.withdrawn(at(1))[0]["withdrawn_at"] == at(1)
    changes = [(row["kind"], row["old_high"], row["new_high"]) for row in oracle.restatements(at(2))]
    assert changes == [("withdrawn", 999, None), ("returned", None, 999)]
    assert oracle.bars(at(2))[1]["collected_at"] == at(2)


def test_a_clock_that_was_set_back_does_not_change_the_order():
    oracle = Oracle([answer(5, bar("09:30", 10)), answer(1, bar("09:30", 11)), answer(2, bar("09:30", 12))])

    assert highs(oracle.bars(at(9))) == {"09:30": 12}
    millisecond = dt.timedelta(milliseconds=1)
    assert [row["new_collected"] for row in oracle.restatements(at(9))] == [
        at(5) + millisecond,
        at(5) + 2 * millisecond,
    ]


def test_the_newest_bars_may_be_late_for_an_hour_after_the_close():
    def later(moment):
        given = Answer("yahoo", "AAA", 30, (FRIDAY,), moment, (bar("09:30"), bar("12:00")))
        return Oracle([Answer("yahoo", "AAA", 30, (FRIDAY,), FRIDAY.close, (bar("09:30"), bar("12:30"))), given])

    assert later(FRIDAY.close + dt.timedelta(minutes=59)).withdrawn(at(9)) == []
    assert highs(later(FRIDAY.close + HOUR).withdrawn(at(9))) == {"12:30": 10}


@pytest.mark.parametrize(
    "later",
    [
        answer(1),
        answer(1, bar("09:30"), bar("10:00", None)),
        answer(1, bar("09:30"), since=FRIDAY.open + HOUR),
        answer(1, bar("09:30"), size=5),
        answer(1, bar("09:30"), source="other"),
        answer(1, bar("09:30"), symbol="BBB"),
        answer(1, bar("09:30", session=WEDNESDAY), session=WEDNESDAY),
    ],
    ids=["no-rows", "no-prices", "part-of-the-session", "size", "source", "ticker", "session"],
)
def test_nothing_else_withdraws_a_bar(later):
    oracle = Oracle([answer(0, bar("09:30"), bar("10:00")), later])

    assert oracle.withdrawn(at(9)) == []
    assert "10:00" in highs(row for row in oracle.bars(at(9)) if row["ticker"] == "AAA")


def test_a_bar_comes_from_the_first_source_that_has_it_in_force():
    answers = [
        answer(0, bar("09:30", 11), bar("10:00", 11), source="first"),
        answer(1, bar("09:30", 12), bar("10:00", 12), bar("10:30", 12), source="second"),
        answer(2, bar("10:00", 11), source="first"),
    ]

    assert highs(Oracle(answers, ["first", "second"]).bars(at(1))) == {"09:30": 11, "10:00": 11, "10:30": 12}
    assert highs(Oracle(answers, ["first", "second"]).bars(at(2))) == {"09:30": 12, "10:00": 11, "10:30": 12}
    assert set(highs(Oracle(answers, ["second"]).bars(at(2))).values()) == {12}
    assert highs(Oracle(answers).bars(at(1)))["09:30"] == 11
    assert [(row["kind"], row["source"]) for row in Oracle(answers).restatements(at(2))] == [("withdrawn", "first")]


def test_the_finest_size_of_a_session_answers_and_only_bars_inside_one_hour_have_an_hourly_high():
    answers = [
        answer(0, bar("09:30", 11), bar("10:30", 11), bar("12:30", 11), size=60),
        answer(0, bar("09:30", 12, session=WEDNESDAY), size=60, session=WEDNESDAY),
    ]
    hourly = Oracle(answers).hourly_high(at(1))
    daily = Oracle(answers).daily(at(1))
    assert hourly == []
    assert [(row["session"], row["high"], row["bars"]) for row in daily] == [
        ("2026-11-25", 12, 1),
        ("2026-11-27", 11, 3),
    ]

    finer = Oracle([*answers, answer(1, bar("09:30"), bar("10:00"), bar("10:30"))])
    assert [(row["hour"], row["touch"], row["high"]) for row in finer.hourly_high(at(1))] == [
        (9, 1, 10), (10, 1, 10), (10, 2, 10),
    ]  # fmt: skip
    assert [(row["high"], row["bar_minutes"]) for row in finer.daily(at(1))] == [(12, 60), (10, 30)]


def test_every_change_is_a_restatement_also_the_one_back():
    rows = [bar("09:30", 10), bar("09:30", 11), bar("09:30", 11), bar("09:30", 10), bar("09:30", 10, volume=200)]
    oracle = Oracle([answer(hours, row) for hours, row in enumerate(rows)])

    changes = oracle.restatements(at(9))
    assert [(row["old_high"], row["new_high"], row["new_volume"]) for row in changes] == [
        (10, 11, 100), (11, 10, 100), (10, 10, 200),
    ]  # fmt: skip
    assert [(row["old_collected"], row["new_collected"]) for row in changes] == [
        (at(0), at(1)), (at(1), at(3)), (at(3), at(4)),
    ]  # fmt: skip
    assert len(oracle.restatements(at(3))) == 2


def test_a_ticker_has_its_name_of_that_day():
    wednesday, thursday = RENAMING
    asked_at = thursday.close + HOUR
    rows = (bar("09:30", session=wednesday), bar("09:30", session=thursday))
    oracle = Oracle([Answer("yahoo", "META", 30, (wednesday, thursday), asked_at, rows)])

    assert [(row["ticker"], row["first_session"]) for row in oracle.tickers(asked_at)] == [
        ("FB", "2022-06-08"), ("META", "2022-06-09"),
    ]  # fmt: skip


def test_a_ticker_is_expected_from_its_first_session_on_while_it_has_that_name():
    answers = [
        answer(0, bar("09:30", session=WEDNESDAY), session=WEDNESDAY),
        answer(0, bar("10:00"), bar("11:00"), bar("12:00"), symbol="BBB"),
        Answer("yahoo", "META", 60, tuple(RENAMING), EVENING, (bar("09:30", session=RENAMING[0]),)),
    ]

    def expected(oracle):
        return {
            (row["ticker"], row["session"]): (row["expected"], row["present"], row["missing"], row["gaps"])
            for row in oracle.coverage(at(1), at(1))
        }

    assert expected(Oracle(answers[:2])) == {
        ("AAA", "2026-11-25"): (13, 1, 12, "10:00-15:30"),
        ("AAA", "2026-11-27"): (7, 0, 7, "09:30-12:30"),
        ("BBB", "2026-11-27"): (7, 3, 4, "09:30, 10:30, 11:30, 12:30"),
    }
    assert {day for ticker, day in expected(Oracle(answers)) if ticker == "FB"} == {"2022-06-08"}


def traded(high, volume=100):
    return bar("09:30", high, session=WEDNESDAY, low=high - 1, close=high - 1, volume=volume)


def test_latest_prices_are_on_the_basis_of_the_last_split_known_and_traded_prices_are_not():
    oracle = Oracle(
        [
            answer(-30, traded(100), session=WEDNESDAY),
            answer(1, bar("09:30", 10.5), actions=(SPLIT,)),
        ]
    )

    assert [row["high"] for row in oracle.daily(at(0))] == [100]
    assert [row["high"] for row in oracle.daily(at(1))] == [10, 10.5]
    assert [row["volume"] for row in oracle.daily(at(1))] == [1000, 100]
    assert [row["high"] for row in oracle.daily(at(1), "as-traded")] == [100, 10.5]


def test_an_adjustment_for_a_known_split_is_not_a_restatement_but_a_change_beside_it_is():
    answers = [
        answer(0, traded(100), session=WEDNESDAY),
        answer(1, traded(10, 1000) | {"low": 9.9, "open": 9.9, "close": 9.9}, session=WEDNESDAY, adjusted=(SPLIT,)),
        answer(2, bar("09:30"), actions=(SPLIT,)),
        answer(3, traded(10, 1010) | {"low": 9.9, "open": 9.9, "close": 9.9}, session=WEDNESDAY, adjusted=(SPLIT,)),
    ]
    oracle = Oracle(answers)

    assert len(oracle.restatements(at(1))) == 1  # nobody has heard of the split yet
    assert oracle.restatements(at(2)) == []
    assert [row["new_volume"] for row in oracle.restatements(at(3))] == [1010]
    assert [row["high"] for row in oracle.bars(at(3))] == pytest.approx([10, 10])
    assert [row["high"] for row in oracle.bars(at(3), "as-traded")] == pytest.approx([100, 10])


def test_rounding_to_four_decimals_is_not_a_restatement():
    ratio = (FRIDAY.date, 3.0)
    cents = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 100}
    thirds = dict.fromkeys(NUMBERS[:4], 3.3333) | {"volume": 300}
    start = {"ts": traded(1)["ts"]}
    oracle = Oracle(
        [
            answer(0, start | cents, session=WEDNESDAY),
            answer(1, start | thirds, session=WEDNESDAY, adjusted=(ratio,)),
            answer(1, bar("09:30"), actions=(ratio,)),
        ]
    )

    assert oracle.restatements(at(2)) == []


def test_a_history_keeps_what_was_answered_and_when_errors_included():
    class Moody(SimulatedSource):
        def bars(self, symbol, sessions, bar_minutes):
            if symbol == "BBB":
                raise NoData("BBB: none")
            return super().bars(symbol, sessions, bar_minutes)

    clock = Clock(EVENING + dt.timedelta(microseconds=1234))
    history, sink = History(Moody(), clock), MemorySink()
    history.since = FRIDAY.open
    (report,) = collect(history, sink, [FRIDAY], ["AAA", "BBB"], 30, clock, since=history.since)

    aaa, bbb = history.answers
    assert [failure.ticker for failure in report.failures] == ["BBB"]
    assert (bbb.symbol, bbb.rows) == ("BBB", ())
    assert (aaa.source, aaa.bar_minutes, aaa.sessions, aaa.since) == ("simulated", 30, (FRIDAY,), FRIDAY.open)
    assert aaa.asked_at == sink.frame()["collected_at"].iloc[0] == EVENING + dt.timedelta(milliseconds=1)
    assert [row["high"] for row in aaa.rows] == sink.frame()["high"].tolist()
