"""The figures and their labels: pure functions on small frames."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from dashboard import labels
from dashboard.chrome import cards
from dashboard.data import figures
from dashboard.data.figures import Mover
from tickerlake import exchange
from tickerlake.exchange import EXCHANGE_TIME

EVENING = dt.datetime(2026, 11, 20, 23, 0, tzinfo=dt.UTC)
FRIDAY = exchange.session_on(dt.date(2026, 11, 20))
MINUS = "\N{MINUS SIGN}"
NOTHING = float("nan")


def daily(*rows):
    columns = ["ticker", "session", "open", "high", "low", "close"]
    return pd.DataFrame(rows, columns=columns)


def at(time, day="2026-11-20"):
    return pd.Timestamp(f"{day} {time}", tz=EXCHANGE_TIME)


class TestChange:
    def test_it_runs_from_open_to_close(self):
        frame = figures.with_change(daily(("A", "2026-11-20", 100.0, 112.0, 99.0, 110.0)))
        row = frame.iloc[0]
        assert (row["first_price"], row["last_price"], row["has_open"]) == (100.0, 110.0, True)
        assert row["change"] == pytest.approx(0.1)

    def test_without_them_it_runs_between_the_midpoints_of_the_first_and_the_last_bar(self):
        bars = pd.DataFrame(
            {
                "ticker": "A",
                "session": "2026-11-20",
                "ts": [at("15:55"), at("09:30"), at("12:00"), at("09:30")],
                "bar_minutes": [5, 5, 5, 60],
                "high": [112.0, 102.0, 150.0, 900.0],
                "low": [108.0, 98.0, 149.0, 800.0],
            }
        )
        before = daily(("A", "2026-11-20", NOTHING, 112.0, 98.0, NOTHING), ("B", "2026-11-20", 10.0, 12.0, 9.0, 11.0))
        frame = figures.with_change(before, bars)
        assert frame["first_price"].tolist() == [100.0, 10.0]
        assert frame["last_price"].tolist() == [110.0, 11.0]
        assert frame["change"].tolist() == pytest.approx([0.1, 0.1])
        assert frame["has_open"].tolist() == [False, True]
        assert "midpoint" in figures.midpoint_note(frame)
        assert "bars of A" in figures.midpoint_note(frame)
        assert "these bars" in figures.midpoint_note(frame[:1])
        assert figures.midpoint_note(frame[1:]) == ""
        assert "bars of B" in figures.midpoint_note(frame.assign(open=[1.0, 2.0], close=[3.0, NOTHING]))


class TestHourlyHighs:
    def highs(self, *rows):
        columns = ["ticker", "session", "hour", "high", "ts", "touch"]
        return pd.DataFrame(rows, columns=columns)

    def test_each_hour_is_measured_from_the_first_price_of_the_first_session(self):
        highs = self.highs(
            ("A", "2026-11-19", 15, 110.0, at("15:05", "2026-11-19"), 1),
            ("A", "2026-11-20", 9, 120.0, at("09:35"), 1),
            ("A", "2026-11-20", 9, 120.0, at("09:50"), 2),
        )
        frame = figures.with_change(
            daily(("A", "2026-11-20", 150.0, 120.0, 99.0, 110.0), ("A", "2026-11-19", 100.0, 112.0, 99.0, 110.0))
        )
        hours = figures.hourly(highs, frame, EVENING)
        assert hours["change"].tolist() == pytest.approx([0.1, 0.2])
        assert hours["slot"].tolist() == ["2026-11-19 15", "2026-11-20 09"]
        assert hours["touches"].tolist() == [1, 2]
        assert hours["reached"].tolist() == ["15:05 EST", "09:35 EST"]
        assert hours["span"].tolist() == ["15:00\N{EN DASH}16:00", "09:30\N{EN DASH}10:00"]
        assert hours["provisional"].tolist() == [False, False]
        assert hours["has_open"].tolist() == [True, True]

    @pytest.mark.parametrize(
        ("last_bar", "now", "provisional"),
        [
            ("10:50", dt.time(10, 57), [False, True]),
            ("10:55", dt.time(11, 2), [False, False]),
            ("15:55", dt.time(16, 1), [False, False]),
        ],
    )
    def test_an_hour_is_provisional_until_its_last_bar_is_in(self, last_bar, now, provisional):
        highs = self.highs(
            ("A", "2026-11-20", 9, 101.0, at("09:35"), 1), ("A", "2026-11-20", 10, 102.0, at("10:05"), 1)
        )
        frame = figures.with_change(daily(("A", "2026-11-20", 100.0, 102.0, 99.0, 101.0)))
        frame = frame.assign(last_ts=at(last_bar), bar_minutes=5)
        moment = dt.datetime.combine(FRIDAY.date, now, EXCHANGE_TIME)
        assert figures.hourly(highs, frame, moment)["provisional"].tolist() == provisional


class TestMovers:
    def test_they_are_ranked_by_their_change(self):
        frame = figures.with_change(
            daily(
                ("DOWN", "2026-11-20", 100.0, 101.0, 89.0, 90.0),
                ("UP", "2026-11-20", 100.0, 125.0, 99.0, 120.0),
                ("NEW", "2026-11-20", NOTHING, 125.0, 99.0, NOTHING),
            )
        )
        highs = pd.DataFrame(
            {"ticker": ["DOWN", "DOWN", "UP", "UP"], "hour": [9, 10, 9, 10], "high": [101.0, 95.0, 125.0, 125.0]}
        )
        assert figures.movers(frame, highs) == [
            Mover("UP", 125.0, 99.0, 120.0, pytest.approx(0.2), True, 9, [125.0, 125.0]),
            Mover("DOWN", 101.0, 89.0, 90.0, pytest.approx(-0.1), True, 9, [101.0, 95.0]),
        ]

    def test_a_range_runs_from_the_first_price_of_its_first_session_to_the_last_of_its_last(self):
        frame = figures.with_change(
            daily(
                ("A", "2026-11-20", 11.5, 13.0, 11.0, 12.0),
                ("A", "2026-11-19", 10.0, 12.0, 9.0, 11.0),
            )
        )
        assert figures.over_range(frame).to_dict("records") == [
            {
                "ticker": "A",
                "first_price": 10.0,
                "has_open": True,
                "high": 13.0,
                "low": 9.0,
                "last_price": 12.0,
                "change": pytest.approx(0.2),
            }
        ]

    def mover(self, ticker, change, *, has_open=True):
        return Mover(ticker, 12.0, 9.0, 11.0, change, has_open, 9, [12.0])

    def test_the_headline_counts_those_that_rose_and_names_the_ends(self):
        found = [self.mover("A", 0.1), self.mover("B", 0.0), self.mover("C", -0.05)]
        ends = f"A led with +10.00 %, C trailed with {MINUS}5.00 %."
        assert figures.headline(found, running=False) == f"1 of 3 tickers closed above their open. {ends}"
        assert figures.headline(found, running=True).startswith("1 of 3 tickers stand above their open. A leads")
        assert "their first open since 19 Nov 2026." in figures.headline(
            found, running=False, since=dt.date(2026, 11, 19)
        )
        assert figures.headline(found, running=True).endswith(f"C trails with {MINUS}5.00 %.")
        assert figures.headline(found[:1], running=True) == "A stands +10.00 % from its open."
        assert figures.headline(found[:1], running=False) == "A closed +10.00 % from its open."

    def test_the_headline_says_so_where_a_ticker_has_no_open(self):
        found = [self.mover("A", 0.1), self.mover("C", -0.05, has_open=False)]
        assert "above their first price." in figures.headline(found, running=False)
        since = dt.date(2026, 11, 19)
        assert "their first price since 19 Nov 2026." in figures.headline(found, running=False, since=since)
        assert figures.headline([], running=False) == "No prices in this session."
        assert figures.headline([], running=False, since=since) == "No prices in these sessions."


def test_the_first_choice_is_the_watchlist_and_then_the_largest_movers():
    frame = pd.DataFrame({"ticker": [*"ABCDE", "META"], "change": [0.01, -0.09, 0.0, 0.05, 0.02, 0.0]})
    assert figures.first_choice(frame, ["META", "AMZN"], count=3) == ["B", "D", "META"]
    assert figures.first_choice(frame, ["META"], count=6) == frame["ticker"].tolist()


def test_gaps_before_the_newest_bar_count_while_the_session_runs():
    frame = pd.DataFrame({"ticker": ["WHOLE", "GAP"], "bars": [12, 11], "bar_minutes": 5, "last_ts": [at("10:25")] * 2})
    assert figures.incomplete(frame, FRIDAY, dt.datetime(2026, 11, 20, 15, 40, tzinfo=dt.UTC)) == ["GAP"]
    assert figures.incomplete(frame, FRIDAY, EVENING) == ["WHOLE", "GAP"]
    assert figures.incomplete(frame.assign(bars=[78, 77]), FRIDAY, EVENING) == ["GAP"]


def test_sessions_behind_are_those_that_have_closed_since():
    wednesday = dt.datetime(2026, 11, 25, 15, 0, tzinfo=dt.UTC)
    assert figures.sessions_behind(dt.date(2026, 11, 20), wednesday) == 2
    assert figures.sessions_behind(dt.date(2026, 11, 24), wednesday) == 0
    assert figures.sessions_behind(dt.date(2026, 11, 25), wednesday) == 0


def test_sessions_of_two_years_are_named_with_their_year():
    dates = [dt.date(2025, 12, 31), dt.date(2026, 1, 2)]
    assert list(cards.sessions(dates).names.values()) == ["31 Dec 2025", "2 Jan 2026"]
    assert list(cards.sessions(dates[1:]).names.values()) == ["2 Jan"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(20, "just now"), (60, "1 minute ago"), (7300, "2 hours ago"), (86_400 * 3, "3 days ago")],
)
def test_an_age_has_one_unit(seconds, text):
    assert labels.age(EVENING - dt.timedelta(seconds=seconds), EVENING) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (dt.datetime(2026, 7, 1, 14, tzinfo=dt.UTC), f"Wed 1 Jul 2026 10:00 (EDT, UTC{MINUS}04:00)"),
        (dt.datetime(2026, 12, 1, 14, tzinfo=dt.UTC), f"Tue 1 Dec 2026 09:00 (EST, UTC{MINUS}05:00)"),
    ],
)
def test_summer_and_winter_have_their_own_offset(moment, text):
    assert labels.instant(moment) == text


def test_an_early_close_is_announced():
    assert labels.market(dt.datetime(2026, 11, 27, 16, tzinfo=dt.UTC)) == "Open until 13:00 EST (early close)"


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (labels.price(1234.5), "1,234.50"),
        (labels.price(0.12345), "0.1235"),
        (labels.change(-0.0231), f"{MINUS}2.31 %"),
        (labels.delta(-0.0231), "-2.31 %"),
        (labels.count(1, "touch", "touches"), "1 touch"),
        (labels.count(1200, "touch", "touches"), "1,200 touches"),
        (labels.listing(["A", "B", "C"]), "A, B and C"),
        (labels.listing(["A", "B", "C"], shown=2), "A, B and 1 more"),
        (labels.size(999), "999 B"),
        (labels.size(3_400_000), "3.4 MB"),
        (labels.hour_span(9), "09:30\N{EN DASH}10:00"),
        (labels.escape("[x](y) :red[z] $1$ <b>"), r"\[x\](y) \:red\[z\] \$1\$ \<b\>"),
    ],
)
def test_text(made, text):
    assert made == text
