import datetime as dt
import json
from threading import Event

import pandas as pd
import pytest

from tests.fakes.sinks import MemorySink
from tickerlake import exchange
from tickerlake.collect import collect, refuse_too_old
from tickerlake.errors import ConfigError, NoData, RateLimited, Unavailable
from tickerlake.lake.firehose import FirehoseSink
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.simulated import SimulatedSource

FRIDAY = exchange.XNYS.session_on(dt.date(2026, 11, 20))
SHORT = exchange.XNYS.session_on(dt.date(2026, 11, 27))
LATER = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)


class ScriptedSource(SimulatedSource):
    """Simulated bars, with errors for some tickers and extra rows for others."""

    parallel = 1

    def __init__(self, errors=None, extra=None):
        super().__init__()
        self.errors, self.extra, self.requested = errors or {}, extra or {}, []

    def bars(self, symbol, window, bar_minutes):
        self.requested.append(symbol)
        if symbol in self.errors:
            raise self.errors[symbol]
        frame = super().bars(symbol, window, bar_minutes)
        return pd.concat([frame, self.extra[symbol]], ignore_index=True) if symbol in self.extra else frame


def row(ts, high=10.0, low=9.0):
    return pd.DataFrame(
        {"ts": [pd.Timestamp(ts)], "open": [low], "high": [high], "low": [low], "close": [low], "volume": [0]}
    )


def at(moment):
    return lambda: moment


def test_a_finished_session_is_stored_and_reported_in_one_line():
    sink = MemorySink()

    (report,) = collect(SimulatedSource(), sink, [FRIDAY], ["META", "AMZN"], 5, at(LATER))

    assert report.line() == "2026-11-20: 156 bars of 2 tickers, 156 new, 0 rejected, 0 failed"
    assert (report.bars, report.stored, report.failures) == (156, 156, [])
    assert sink.frame()["collected_at"].unique().tolist() == [pd.Timestamp(LATER)]


def test_a_ticker_that_fails_is_reported_and_does_not_affect_the_others():
    source = ScriptedSource({"SNAP": Unavailable("answered 503"), "BYND": NoData("delisted")})
    sink = MemorySink()

    (report,) = collect(source, sink, [FRIDAY], ["META", "SNAP", "BYND", "AMZN"], 5, at(LATER))

    assert set(sink.frame()["ticker"]) == {"META", "AMZN"}
    assert [(each.ticker, each.reason) for each in report.failures] == [("SNAP", "unavailable"), ("BYND", "no-data")]


def test_the_first_rate_limit_ends_the_requests_and_keeps_what_has_arrived():
    source = ScriptedSource({"SNAP": RateLimited("too many requests")})
    sink = MemorySink()
    days = exchange.XNYS.sessions_between(FRIDAY.date - dt.timedelta(days=30), FRIDAY.date)  # more than one window

    reports = collect(source, sink, days, ["META", "SNAP", "AMZN", "TTD"], 5, at(LATER))

    assert source.requested == ["META", "SNAP"]
    assert set(sink.frame()["ticker"]) == {"META"}
    assert [each.reason for each in reports[0].failures] == ["rate-limited", "not-asked", "not-asked"]
    assert {each.reason for each in reports[-1].failures} == {"not-asked"}
    assert [each.ticker for each in reports[-1].failures] == ["META", "SNAP", "AMZN", "TTD"]


def test_the_running_session_is_collected_up_to_its_last_finished_bar():
    now = FRIDAY.open + dt.timedelta(minutes=62)
    sink = MemorySink()

    (report,) = collect(SimulatedSource(), sink, [FRIDAY], ["META"], 5, at(now))

    assert report.bars == 12
    assert (report.unfinished, report.rejected, sink.rejected) == (66, {}, [])
    assert report.line() == "2026-11-20: 12 bars of 1 ticker, 12 new, 66 unfinished, 0 rejected, 0 failed"
    assert sink.frame()["ts"].max() == pd.Timestamp(FRIDAY.open + dt.timedelta(minutes=55))


def test_the_lunch_break_ends_the_mornings_last_bar():
    tokyo = exchange.XTKS.session_on(FRIDAY.date)
    sink = MemorySink()

    # At 11:31: the hour's bar from 11:00 ended with the morning, at 11:30.
    (report,) = collect(
        SimulatedSource(), sink, [tokyo], ["7203.T"], 60, at(tokyo.open + dt.timedelta(hours=2, minutes=31))
    )

    assert (report.bars, report.unfinished) == (3, 3)
    assert len(tokyo.bar_starts(60, until=tokyo.open + dt.timedelta(hours=2, minutes=29))) == 2
    assert len(tokyo.bar_starts(60, until=tokyo.open + dt.timedelta(hours=2, minutes=30))) == 3


def test_a_bar_that_ends_while_answers_arrive_counts_as_unfinished():
    start = FRIDAY.open + dt.timedelta(minutes=9, seconds=59)
    moments = iter([start, start + dt.timedelta(minutes=10)])
    sink = MemorySink()

    collect(SimulatedSource(), sink, [FRIDAY], ["META"], 5, lambda: next(moments))

    assert len(sink.frame()) == 1


def test_extra_rows_are_rejected_by_rule_and_counted():
    extra = pd.concat([row("2026-11-27T17:00:04Z"), row("2026-11-27T18:30:00Z"), row("2026-11-20T15:00:00Z")])
    sink = MemorySink()

    (report,) = collect(ScriptedSource(extra={"META": extra}), sink, [SHORT], ["META"], 5, at(LATER))

    assert report.bars == 42
    assert report.rejected == {"off-grid": 1, "outside-session": 2}
    assert [(each.rule, each.ts) for each in sink.rejected] == [
        ("off-grid", "2026-11-27T17:00:04+00:00"),
        ("outside-session", "2026-11-27T18:30:00+00:00"),
        ("outside-session", "2026-11-20T15:00:00+00:00"),
    ]
    assert json.loads(sink.rejected[0].record)["high"] == 10.0


def test_every_row_is_either_stored_or_rejected():
    extra = pd.concat([row("2026-11-20T15:00:04Z"), row("2026-11-20T15:00:08Z", high=8.0), row("2026-11-21T15:00:00Z")])
    sink = MemorySink()

    (report,) = collect(ScriptedSource(extra={"META": extra}), sink, [FRIDAY], ["META", "AMZN"], 5, at(LATER))

    assert report.bars + report.rejected.total() == 78 + 78 + 3
    assert report.rejected.total() == len(sink.rejected)


def test_a_ticker_without_valid_bars_counts_as_failed():
    class Empty(SimulatedSource):
        def bars(self, symbol, window, bar_minutes):
            return super().bars(symbol, window, bar_minutes).head(0)

    (report,) = collect(Empty(), MemorySink(), [FRIDAY], ["META"], 5, at(LATER))

    assert [(each.ticker, each.reason) for each in report.failures] == [("META", "no-data")]


def test_bars_are_requested_under_todays_symbol_and_stored_under_that_days():
    days = exchange.XNYS.sessions_between(dt.date(2022, 6, 8), dt.date(2022, 6, 9))
    source, sink = ScriptedSource(), MemorySink()

    collect(source, sink, days, ["FB", "META"], 5, at(LATER))

    assert source.requested == ["META"]
    assert sink.frame().groupby("dt")["ticker"].unique().map(list).to_dict() == {
        "2022-06-08": ["FB"],
        "2022-06-09": ["META"],
    }


def test_bars_before_since_are_left_out_and_not_missed():
    sink = MemorySink()
    since = FRIDAY.open + dt.timedelta(hours=6)

    (report,) = collect(SimulatedSource(), sink, [FRIDAY], ["META"], 5, at(LATER), since=since)

    assert (report.bars, report.failures) == (6, [])


def test_stop_ends_the_requests_and_what_has_arrived_is_stored():
    stop, source, sink = Event(), ScriptedSource(), MemorySink()

    def on_answer(symbol):
        if symbol == "AMZN":
            stop.set()

    (report,) = collect(source, sink, [FRIDAY], ["META", "AMZN"], 5, at(LATER), stop=stop, on_answer=on_answer)
    (second,) = collect(source, sink, [FRIDAY], ["META", "AMZN"], 5, at(LATER), stop=stop)

    assert report.bars == 156
    assert second.bars == 0
    assert len(source.requested) == 2


def test_a_sink_that_refuses_the_source_is_asked_before_the_source():
    source = ScriptedSource()

    with pytest.raises(ConfigError, match="simulated bars cannot go to the stream"):
        collect(source, FirehoseSink(None, "bars"), [FRIDAY], ["META"], 5, at(LATER))
    assert source.requested == []


def test_each_session_is_written_once_over_several_windows():
    days = exchange.XNYS.sessions_between(dt.date(2026, 9, 1), dt.date(2026, 11, 20))
    sink = MemorySink()

    reports = collect(SimulatedSource(), sink, days, ["META"], 30, at(LATER))

    assert [report.session for report in reports] == days
    assert [frame["dt"].iloc[0] for frame in sink.frames] == [day.dt for day in days]


def test_a_session_that_is_too_old_is_refused_with_the_oldest_available():
    class Forgetful(SimulatedSource):
        name = "yahoo"

        def oldest(self, bar_minutes, now):
            return now - pd.Timedelta(days=59)

    now = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
    with pytest.raises(ConfigError, match="2020-12-01; the oldest session that can be collected is 2026-09-24"):
        refuse_too_old(Forgetful(), [exchange.XNYS.session_on(dt.date(2020, 12, 1))], 5, now)
    refuse_too_old(Forgetful(), [exchange.XNYS.session_on(dt.date(2026, 9, 24))], 5, now)


def test_many_tickers_are_collected_in_groups_and_reported_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tickerlake.collect.BARS_AT_ONCE", 250)  # two tickers of these two sessions
    tickers = ["META", "AMZN", "SNAP", "TTD", "NVDA"]
    source = ScriptedSource({"SNAP": NoData("delisted")}, {"NVDA": row("2026-11-20T15:00:04Z")})

    first = collect(source, ParquetSink(tmp_path), [FRIDAY, SHORT], tickers, 5, at(LATER))
    again = collect(source, ParquetSink(tmp_path), [FRIDAY, SHORT], tickers, 5, at(LATER))

    assert [report.line() for report in first] == [
        "2026-11-20: 312 bars of 4 tickers, 312 new, 1 rejected (1 off-grid), 1 failed",
        "2026-11-27: 168 bars of 4 tickers, 168 new, 0 rejected, 1 failed",
    ]
    assert [(report.bars, report.stored) for report in again] == [(312, 0), (168, 0)]
    assert len(list(tmp_path.glob("bars/dt=2026-11-20/*.parquet"))) == 3
