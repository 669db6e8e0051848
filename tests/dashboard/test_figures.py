"""The figures and their labels: pure functions on small frames."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from dashboard import labels
from dashboard.data import days, figures, high_hour, measures
from tickerlake import exchange
from tickerlake.exchange import XNYS

EVENING = dt.datetime(2026, 11, 20, 23, 0, tzinfo=dt.UTC)
FRIDAY = exchange.XNYS.session_on(dt.date(2026, 11, 20))
MINUS = "\N{MINUS SIGN}"
NOTHING = float("nan")


def daily(*rows):
    columns = ["ticker", "session", "open", "high", "low", "close"]
    return pd.DataFrame(rows, columns=columns)


def at(time, day="2026-11-20"):
    return pd.Timestamp(f"{day} {time}", tz=XNYS.zone)


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
        hours = figures.hourly(highs, frame, EVENING, XNYS)
        assert hours["change"].tolist() == pytest.approx([0.1, 0.2])
        assert hours["slot"].tolist() == ["2026-11-19 15", "2026-11-20 09"]
        assert hours["touches"].tolist() == [1, 2]
        assert hours["reached"].tolist() == ["15:05 EST", "09:35 EST"]
        assert hours["span"].tolist() == ["15:00\N{EN DASH}16:00", "09:30\N{EN DASH}10:00"]
        assert hours["provisional"].tolist() == [False, False]
        assert set(hours["basis"]) == {"first open"}

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
        moment = dt.datetime.combine(FRIDAY.date, now, XNYS.zone)
        assert figures.hourly(highs, frame, moment, XNYS)["provisional"].tolist() == provisional


class TestMeasures:
    TOPS = pd.DataFrame(
        {"ticker": "A", "high": [103.0, 102.0], "reached": ["09:35 EST", "10:00 EST"], "is_top": [True, False]}
    )

    def compared(self, now, *past):
        """Hours 9 and 10 of A, against as many sessions as there are pairs of highs in `past`; opens at 100."""
        sessions = [f"2026-10-{day:02}" for day in range(1, len(past) + 1)]
        highs = [
            {"ticker": "A", "session": session, "hour": hour, "high": high, "touch": touch}
            for session, pair in zip([*sessions, "2026-11-20"], [*past, now], strict=True)
            for hour, high in zip((9, 10), pair, strict=True)
            for touch in (1, 2)
        ]
        opens = pd.DataFrame({"ticker": "A", "session": [*sessions, "2026-11-20"], "first_price": 100.0})
        over = measures.over_open(pd.DataFrame(highs), opens)
        is_now = over["session"] == "2026-11-20"
        return over[is_now], over[~is_now]

    def test_an_hour_is_compared_with_the_same_hour_of_earlier_sessions(self):
        past = [(101.0, 103.0), (102.0, 103.0), (103.0, 103.0), (104.0, 103.0), (105.0, 103.0)]
        found = measures.against(*self.compared((103.0, 104.0), *past))
        assert found["value"].tolist() == pytest.approx([0.03, 0.04])
        assert found["percentile"].tolist() == [50.0, 100.0]
        assert found["usual"].tolist() == pytest.approx([0.03, 0.03])
        assert found["past"].tolist() == [5, 5]
        assert found["unusual"].tolist() == [False, True]

    def test_nothing_is_unusual_without_enough_earlier_sessions(self):
        few = measures.against(*self.compared((103.0, 104.0), *[(101.0, 101.0)] * 4))
        assert few["unusual"].tolist() == [False, False]
        none = measures.against(*self.compared((103.0, 104.0)))
        assert (none["past"].tolist(), none["percentile"].isna().all()) == ([0, 0], True)
        assert measures.unusual(few, self.TOPS) == "Too few earlier sessions to say what is unusual: it takes 5."

    def test_the_days_high_is_compared_with_those_of_earlier_days(self):
        now, past = self.compared((103.0, 102.0), *[(101.0, 102.9)] * 5)
        assert measures.unusual(measures.against(measures.days(now), measures.days(past)), self.TOPS) == (
            "Unusual: A (103.00 at 09:35 EST), highest over the open in 6 sessions."
        )
        now, past = self.compared((103.0, 102.0), *[(101.0, 103.0)] * 5)
        assert measures.unusual(measures.against(measures.days(now), measures.days(past)), self.TOPS) == (
            "No high is unusual: each is within those of 5 earlier sessions, over the open."
        )

    def test_a_range_runs_from_the_lowest_to_the_highest_and_is_unknown_without_a_first_price(self):
        hourly = pd.DataFrame(
            {"ticker": ["A", "B"], "session": "2026-11-20", "hour": 10, "high": [103.0, 9.0], "low": [99.0, 8.0]}
        )
        daily = pd.DataFrame({"ticker": ["A"], "session": "2026-11-20", "first_price": 100.0})
        found = measures.ranges(hourly, daily)
        assert found["value"].tolist() == pytest.approx([0.04, NOTHING], nan_ok=True)
        ranked = measures.against(found, found)
        assert ranked["percentile"].tolist() == pytest.approx([50.0, NOTHING], nan_ok=True)
        assert ranked["past"].tolist() == [1, 0]

    HOURS = pd.DataFrame(
        {
            "ticker": ["A", "A", "B"],
            "high": [102.0, 104.0, 51.0],
            "change": [0.02, 0.04, 0.02],
            "usual": [0.01, 0.04, NOTHING],
            "percentile": [90.0, 80.0, 20.0],
            "basis": "open",
            "reached": ["09:35 EST", "10:05 EST", "09:30 EST"],
            "span": ["09:30-10:00", "10:00-11:00", "09:30-10:00"],
        }
    )

    def test_changes_are_measured_from_the_open_the_previous_close_or_the_usual_day(self):
        assert measures.measured_from(self.HOURS, "open", pd.Series()) is self.HOURS
        closes = measures.measured_from(self.HOURS, "close", pd.Series({"A": 80.0}))
        assert closes["change"].tolist() == pytest.approx([0.275, 0.3])
        assert set(closes["basis"]) == {"previous close"}
        usual = measures.measured_from(self.HOURS, "usual", pd.Series())
        assert usual["change"].tolist() == pytest.approx([102 / 101 - 1, 0.0])
        assert set(usual["basis"]) == {"usual day"}

    def test_hours_count_the_bars_that_were_restated_or_withdrawn(self):
        hours_ = pd.DataFrame({"ticker": ["A", "A", "B"], "session": "2026-11-20", "hour": [9, 10, 10]})
        times = [at("10:00"), at("10:00"), at("10:05")]
        changes = pd.DataFrame({"ticker": "A", "session": "2026-11-20", "ts": times})
        assert measures.with_restated(hours_, changes)["restated"].tolist() == [0, 2, 0]
        assert measures.with_restated(hours_, changes[:0])["restated"].tolist() == [0, 0, 0]

    def test_words_and_rows_follow_the_measure(self):
        frame = measures.with_top(self.HOURS)
        assert frame["is_top"].tolist() == [False, True, True]
        assert measures.ranked(frame, "price") == ["A", "B"]
        assert measures.words(frame, "price") == (
            "A leads: 104.00 at 10:05 EST, +4.00 % from its open; B trails: +2.00 %."
        )
        assert measures.words(frame[:2], "percentile") == "A leads: percentile 90, 09:30-10:00."
        assert measures.words(frame.assign(percentile=[1.0, 2.0, 3.0]), "percentile") == (
            "B leads: percentile 3, 09:30-10:00; A trails: 2."
        )
        assert measures.words(frame[:0], "price") == "No hourly highs in these sessions."
        sessions = frame.drop(columns="reached").assign(slot="2026-11-20")
        assert measures.words(sessions[:2], "percent") == "A leads: 104.00 on 20 Nov, +4.00 % from its open."


class TestWhenTheHighComes:
    def answer(self, highs, *, sessions=60, ties=0, ticker="A"):
        """Two hours that chance holds equally often."""
        return pd.DataFrame(
            {
                "ticker": ticker,
                "hour": [9, 10],
                "sessions": sessions,
                "highs": [highs, sessions - highs],
                "lows": sessions // 2,
                "high_ties": [ties, 0],
                "low_ties": 0,
                "high_share": [highs / sessions, 1 - highs / sessions],
                "low_share": 0.5,
                "chance": 0.5,
                "chance_from": 0.4,
                "chance_to": 0.6,
            }
        )

    def test_shares_are_per_minute_because_the_first_hour_has_thirty(self):
        frame = high_hour.compared(self.answer(30), XNYS)
        assert frame["extreme"].tolist() == ["high", "high", "low", "low"]
        assert frame["rate"].tolist() == pytest.approx([0.5 / 0.3, 0.5 / 0.6] * 2)
        assert frame[["start", "end"]].to_numpy().tolist()[:2] == [[570, 600], [600, 660]]
        assert frame[["least", "most"]].to_numpy().tolist()[0] == [24, 36]

    def test_all_tickers_count_as_one_that_is_watched_as_long(self):
        frame = high_hour.compared(pd.concat([self.answer(20), self.answer(40, ticker="B")]), XNYS)
        (pooled,) = (
            frame[(frame["ticker"] == high_hour.POOLED) & (frame["hour"] == 9) & (frame["extreme"] == "high")][
                ["sessions", "count", "share"]
            ]
            .to_numpy()
            .tolist()
        )
        assert pooled == [60, 30, 0.5]

    def test_odds_are_those_of_a_coin(self):
        assert high_hour.odds(10, 10, 0.5) == pytest.approx(2 / 1024)
        assert high_hour.odds(0, 10, 0.5) == pytest.approx(2 / 1024)
        assert high_hour.odds(5, 10, 0.5) == 1
        assert high_hour.odds(5, 10, NOTHING) == 1

    def test_what_chance_explains_is_not_worth_a_claim(self):
        # 38 of 60 heads come about once in 20 tries, and four tries are shown.
        assert high_hour.words(high_hour.compared(self.answer(38), XNYS)) == (
            "Nothing to see: in 60 sessions no hour held a high or a low more or less often than chance alone explains."
        )

    def test_what_chance_does_not_explain_is_told(self):
        frame = high_hour.compared(self.answer(50), XNYS)
        assert high_hour.unusual(frame).tolist() == [True, True, False, False]
        assert high_hour.words(frame) == (
            "Not by chance: A: 09:30\N{EN DASH}10:00 held the high in 50 of 60 sessions (chance: 24 to 36); "
            "A: 10:00\N{EN DASH}11:00 held the high in 10 of 60 sessions (chance: 24 to 36)."
        )

    def test_ties_that_favour_early_hours_are_no_habit(self):
        frame = high_hour.compared(pd.concat([self.answer(50, ties=7), self.answer(30, ticker="B")]), XNYS)
        assert high_hour.words(frame).endswith("alone explains. Left out for their ties: A.")

    def test_few_sessions_tell_nothing(self):
        frame = high_hour.compared(self.answer(19, sessions=19), XNYS)
        assert high_hour.words(frame) == "19 sessions: too few to tell a habit from chance; it takes 20."


class TestAcrossDays:
    def bars(self, *closes, session="2026-11-20"):
        rows = [
            {"ticker": "A", "session": session, "ts": at(f"09:{30 + 5 * place}"), "bar_minutes": 5, "close": close}
            for place, close in enumerate(closes)
        ]
        return pd.DataFrame(rows).assign(high=104.0, low=100.0)

    DAILY = pd.DataFrame(
        {
            "ticker": "A",
            "session": ["2026-11-18", "2026-11-19", "2026-11-20"],
            "bar_minutes": 5,
            "first_price": 100.0,
            "change": 0.0,
            "high": [104.0, 110.0, 101.0],
            "low": 99.0,
        }
    )

    def courses(self):
        given = [("2026-11-18", (101.0, 103.0)), ("2026-11-19", (103.0,)), ("2026-11-20", (102.0, NOTHING))]
        bars = pd.concat([self.bars(*closes, session=session) for session, closes in given])
        return days.courses(bars, self.DAILY)

    def test_a_course_is_the_change_since_the_open_at_each_time_of_the_day(self):
        found = self.courses()
        mine = found[found["session"] == "2026-11-20"]
        assert mine["at"].tolist() == ["09:35", "09:40"]
        assert mine["change"].tolist() == pytest.approx([0.02, 0.02])  # the second has no close: midpoint 102

    def test_a_course_without_an_open_starts_at_the_midpoint_of_its_first_bar(self):
        found = days.courses(self.bars(NOTHING, 102.0, 153.0), self.DAILY.assign(first_price=NOTHING))
        assert found["change"].tolist() == pytest.approx([0.0, 0.0, 0.5])

    def test_bands_compare_the_same_time_of_other_sessions(self):
        found = self.courses()
        bands = days.bands(found[found["session"] < "2026-11-20"])
        assert bands["q50"].tolist() == pytest.approx([0.02, 0.03])
        assert bands["sessions"].tolist() == [2, 1]
        mine, past = found[found["session"] == "2026-11-20"], found[found["session"] < "2026-11-20"]
        assert days.place(mine, past, "open") == (
            "At 09:40 +2.00 % from the open: higher than in 0 of 1 earlier session; the median is +3.00 %."
        )
        assert days.place(found[:0], found, "open") == ""
        assert "from the first price; no earlier session" in days.place(found, found[:0], "first price")

    def test_the_calendar_has_every_session_of_the_exchange(self):
        coverage = pd.DataFrame(
            {"session": ["2026-11-18", "2026-11-20"], "state": ["complete", "partial"], "missing": [0, 3]}
        )
        restated = pd.DataFrame({"session": "2026-11-18", "ts": [1, 1, 2], "bar_minutes": 5, "source": "yahoo"})
        sessions = exchange.XNYS.sessions_between(dt.date(2026, 11, 18), dt.date(2026, 11, 27))
        frame = days.calendar(sessions, self.DAILY, coverage, restated).set_index("session")
        assert frame.index.tolist()[-1] == "2026-11-27"
        assert frame["early_close"].tolist() == [False] * 6 + [True]
        assert frame["range"].tolist()[:3] == pytest.approx([0.05, 0.11, 0.02])
        assert frame["restated"].tolist()[:3] == [2, 0, 0]
        assert frame["missing"].tolist()[2] == 3
        assert frame.loc["2026-11-27", ["weekday", "monday"]].tolist() == ["Fri", "2026-11-23"]


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
    assert figures.sessions_behind(dt.date(2026, 11, 20), wednesday, XNYS) == 2
    assert figures.sessions_behind(dt.date(2026, 11, 24), wednesday, XNYS) == 0
    assert figures.sessions_behind(dt.date(2026, 11, 25), wednesday, XNYS) == 0


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
    assert labels.instant(moment, XNYS) == text


def test_an_early_close_is_announced():
    assert labels.market(dt.datetime(2026, 11, 27, 16, tzinfo=dt.UTC), XNYS) == "Open until 13:00 EST (early close)"


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
        (labels.hour_span(9, XNYS), "09:30\N{EN DASH}10:00"),
        (labels.code("a`![x](y)` \n b"), "`a'![x](y)' b`"),
        (labels.escape("[x](y) :red[z] $1$ <b>"), r"\[x\](y) \:red\[z\] \$1\$ \<b\>"),
    ],
)
def test_text(made, text):
    assert made == text
