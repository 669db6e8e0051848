from __future__ import annotations

import datetime as dt
import json
import threading

import boto3
import pandas as pd
import pytest

from tests.fakes.aws import RESET, TAKEN_THEN_RESET, refusal
from tests.fakes.firehose import STREAM, Refusing, running_firehose
from tickerlake import bars, record
from tickerlake.errors import ConfigError, SinkError
from tickerlake.exchange import XNYS
from tickerlake.lake import Rejected
from tickerlake.lake import firehose as module
from tickerlake.lake.firehose import ATTEMPTS, BYTES_PER_RECORD, open_firehose
from tickerlake.sources.simulated import SimulatedSource

DAY = dt.date(2026, 11, 20)
COLLECTED = pd.Timestamp("2026-11-20 15:00:00.123", tz="UTC")


@pytest.fixture
def stream(monkeypatch):
    with running_firehose() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def sink(stream, pauses):  # the stream's environment
    return opened(pauses)


def opened(pauses, stream=STREAM, **options):
    sink = open_firehose(stream, **options)
    sink._pause = pauses.append
    return sink


def session_bars(tickers=("META",), day=DAY, collected=COLLECTED):
    frames = [SimulatedSource().bars(ticker, [XNYS.session_on(day)], 5).assign(ticker=ticker) for ticker in tickers]
    frame = pd.concat(frames, ignore_index=True)
    return bars.as_bars(
        bars.placed(frame).assign(bar_minutes=5, source="yahoo", collected_at=collected).astype({"volume": "Int64"})
    )


def test_a_bar_is_one_line_of_json_that_the_table_can_read(sink, stream):
    frame = session_bars().head(1).assign(open=[332.795], high=[336.19], low=[331.65], close=[336.0736])
    frame["volume"] = pd.array([1810280], dtype="Int64")
    assert sink.write(frame).total() == 1
    line = (
        b'{"ticker":"META","exchange":"XNYS","ts":"2026-11-20 14:30:00.000","hour":9,"bar_minutes":5,"open":332.795,'
        b'"high":336.19,"low":331.65,"close":336.0736,"volume":1810280,"currency":"USD","source":"yahoo",'
        b'"collected_at":"2026-11-20 15:00:00.123",'
        b'"dt":"2026-11-20"}\n'
    )
    assert stream.taken == [line]


def test_the_line_has_the_columns_of_the_record_and_the_partition_only(sink, stream):
    sink.write(session_bars().head(1))
    assert list(stream.bars[0]) == [column.name for column in (*record.COLUMNS, record.PARTITION)]


def test_nulls_are_left_out_and_a_zero_is_kept(sink, stream):
    frame = session_bars().head(2)
    frame["open"] = [float("nan"), 1.5]
    frame["volume"] = pd.array([None, 0], dtype="Int64")
    sink.write(frame)
    assert "open" not in stream.bars[0]
    assert "volume" not in stream.bars[0]
    assert (stream.bars[1]["open"], stream.bars[1]["volume"]) == (1.5, 0)


def test_numbers_arrive_unchanged(sink, stream):
    frame = session_bars(("META", "AMZN"))
    sink.write(frame)
    assert [bar["high"] for bar in stream.bars] == frame["high"].tolist()
    assert [bar["volume"] for bar in stream.bars] == frame["volume"].tolist()


def test_no_call_has_more_than_500_records(sink, stream):
    frame = session_bars([f"T{number}" for number in range(13)])
    assert sink.write(frame).total() == 13 * 78
    assert sorted(len(call) for call in stream.calls) == [14, 500, 500]


def test_no_call_has_more_than_four_mebibytes(sink, stream):
    frame = session_bars().head(10).assign(source="x" * 900_000)
    assert sink.write(frame).total() == 10
    assert sorted(len(call) for call in stream.calls) == [2, 4, 4]


def test_a_bar_that_a_whole_answer_lacks_is_sent_without_numbers(pauses, stream):
    held = session_bars()
    sink = opened(pauses, in_force=lambda session: held[held["dt"] == session])
    now = COLLECTED.to_pydatetime() + dt.timedelta(hours=10)
    answered = held[["ticker", "source", "ts"]].drop(index=20)

    assert sink.withdraw(answered, XNYS.session_on(DAY), 5, now) == {"META": 1}

    (sent,) = stream.bars
    assert sent["ts"] == str(held["ts"][20])[:19] + ".000"
    assert sent["collected_at"] == "2026-11-21 01:00:00.123"
    assert not sent.keys() & {"open", "high", "low", "close", "volume"}
    assert sink.withdraw(held[["ticker", "source", "ts"]], XNYS.session_on(DAY), 5, now) == {}
    assert opened(pauses).withdraw(answered, XNYS.session_on(DAY), 5, now) == {}


def test_simulated_bars_are_refused_before_anything_is_sent(sink, stream):
    with pytest.raises(ConfigError, match="simulated bars cannot go to the stream 'tickerlake-bars'"):
        sink.write(session_bars().assign(source="simulated"))
    assert stream.calls == []


def test_an_empty_frame_makes_no_call(sink, stream):
    assert sink.write(bars.empty()).total() == 0
    assert stream.calls == []


def test_only_refused_records_are_sent_again(sink, stream, pauses):
    stream.script = [Refusing(places=[1, 3]), Refusing(places=[0])]
    frame = session_bars().head(5)
    assert sink.write(frame).total() == 5
    lines = stream.calls[0]
    assert stream.calls[1:] == [[lines[1], lines[3]], [lines[1]]]
    assert sorted(stream.taken) == sorted(lines)
    assert len(pauses) == 2


def test_refused_records_of_several_batches_are_retried_in_one_call(sink, stream):
    stream.script = [Refusing(places=[0, 1]), Refusing(places=[5])]
    sink.write(session_bars([f"T{number}" for number in range(10)]))
    assert [len(call) for call in stream.calls] == [500, 280, 3]


def test_pauses_grow_and_no_two_runs_pause_alike(stream):
    runs = []
    for _ in range(2):
        pauses = []
        stream.script = [refusal(503, "ServiceUnavailableException", "Slow down.")] * (ATTEMPTS - 1)
        opened(pauses).write(session_bars().head(1))
        runs.append(pauses)
    for pauses in runs:
        assert all(least <= pause <= least + 1 for pause, least in zip(pauses, [0.5, 1, 2, 4], strict=True))
    assert runs[0] != runs[1]


@pytest.mark.parametrize(
    "fault",
    [
        refusal(400, "ThrottlingException", "Rate exceeded"),
        refusal(503, "ServiceUnavailableException", "Slow down."),
        refusal(500, "InternalFailure", ""),
        refusal(502, "SomethingNew", ""),
        RESET,
    ],
    ids=["throttled", "503", "500", "502", "reset"],
)
def test_a_failed_call_is_retried(sink, stream, fault):
    stream.script = [fault, fault]
    assert sink.write(session_bars().head(3)).total() == 3
    assert len(stream.calls) == 3
    assert len(stream.taken) == 3


def test_a_batch_whose_answer_was_lost_arrives_twice(sink, stream):
    stream.script = [TAKEN_THEN_RESET]
    assert sink.write(session_bars().head(3)).total() == 3
    assert len(stream.taken) == 6


def test_after_the_first_call_four_are_under_way_at_once(sink, stream, monkeypatch):
    put, four = sink._client.put_record_batch, threading.Barrier(4)

    def waiting(**call):
        if stream.calls:
            four.wait(timeout=10)
        return put(**call)

    monkeypatch.setattr(sink._client, "put_record_batch", waiting)
    frame = session_bars([f"T{number}" for number in range(32)])
    assert sink.write(frame).total() == len(frame)
    assert len(stream.calls) == 5
    assert sorted(stream.taken) == sorted(module._lines(frame))


def test_a_throttled_batch_does_not_stop_the_others(sink, stream):
    stream.script = [refusal(400, "ThrottlingException", "Rate exceeded")]
    sink.write(session_bars([f"T{number}" for number in range(10)]))
    assert [len(call) for call in stream.calls] == [500, 280, 500]


def test_the_error_after_the_last_attempt_names_what_was_not_delivered(sink, stream, pauses):
    stream.refused_tickers = frozenset({"AMZN"})
    with pytest.raises(SinkError) as error:
        sink.write(session_bars(("META", "AMZN")))
    assert str(error.value) == (
        "78 of 156 bars were not delivered to the Firehose stream 'tickerlake-bars' after 5 attempts: "
        "AMZN in 2026-11-20 (78 ServiceUnavailableException: Slow down); collect these sessions again"
    )
    assert error.value.undelivered == 78
    assert sink.delivered == {"XNYS": 78}
    assert {bar["ticker"] for bar in stream.bars} == {"META"}
    assert len(stream.calls) == ATTEMPTS
    assert len(pauses) == ATTEMPTS - 1


def test_an_endpoint_that_breaks_every_connection_costs_one_call_per_attempt(sink, stream):
    stream.script = [RESET] * 100
    with pytest.raises(SinkError, match=r"780 of 780 bars .* ConnectionClosedError"):
        sink.write(session_bars([f"T{number}" for number in range(10)]))
    assert len(stream.calls) == ATTEMPTS


def test_a_long_list_of_tickers_is_cut_short(sink, stream):
    stream.script = [refusal(503, "ServiceUnavailableException")] * 100
    with pytest.raises(SinkError, match=r"T0, T1, T10, .* and 3 more in 2026-11-20"):
        sink.write(session_bars([f"T{number}" for number in range(13)]))


@pytest.mark.parametrize(
    ("code", "next_step"),
    [
        ("AccessDeniedException", "allow firehose:PutRecordBatch on this stream"),
        ("ExpiredTokenException", "log in to AWS again"),
        ("InvalidArgumentException", "collect these sessions again"),
    ],
)
def test_a_permanent_fault_is_not_retried(sink, stream, pauses, code, next_step):
    stream.script = [refusal(400, code, "Because.")]
    with pytest.raises(SinkError, match=f"780 of 780 .*780 {code}: Because.; {next_step}"):
        sink.write(session_bars([f"T{number}" for number in range(10)]))
    assert len(stream.calls) == 1
    assert pauses == []


@pytest.mark.usefixtures("stream")
def test_a_missing_stream_is_named(pauses):
    with pytest.raises(SinkError, match=r"'bras'.*ResourceNotFoundException.*check the stream's name and the region"):
        opened(pauses, "bras").write(session_bars().head(1))


@pytest.mark.usefixtures("stream")
def test_without_credentials_nothing_is_retried(pauses, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which keeps the credentials it found
    with pytest.raises(SinkError, match=r"NoCredentialsError.*log in to AWS"):
        opened(pauses).write(session_bars().head(1))
    assert pauses == []


@pytest.mark.usefixtures("stream")
def test_a_missing_region_is_an_error_that_says_how_to_set_it(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match="set AWS_REGION"):
        open_firehose(STREAM)


def test_a_record_over_the_size_limit_does_not_stop_the_others(sink, stream):
    frame = session_bars(("META", "AMZN"))
    frame.loc[frame["ticker"] == "AMZN", "source"] = "x" * BYTES_PER_RECORD
    with pytest.raises(SinkError, match=r"78 of 156 .*AMZN.*RecordTooLarge"):
        sink.write(frame)
    assert {bar["ticker"] for bar in stream.bars} == {"META"}


def test_botocore_does_not_retry(sink):
    assert sink._client.meta.config.retries["total_max_attempts"] == 1


def test_with_skip_repeats_a_delivered_bar_is_not_sent_again(stream, pauses):
    sink = opened(pauses, skip_repeats=True)
    later = COLLECTED + pd.Timedelta(minutes=5)
    assert sink.write(session_bars().head(6)).total() == 6
    assert sink.write(session_bars(collected=later).head(7)).total() == 1
    assert stream.bars[-1]["ts"] == "2026-11-20 15:00:00.000"


def test_a_restatement_is_sent_and_so_is_its_return(stream, pauses):
    sink = opened(pauses, skip_repeats=True)
    frame = session_bars().head(1)
    for high in (500.0, 501.0, 500.0, 500.0):
        sink.write(frame.assign(high=high))
    assert [bar["high"] for bar in stream.bars] == [500.0, 501.0, 500.0]


def test_an_undelivered_bar_is_sent_again(stream, pauses):
    sink = opened(pauses, skip_repeats=True)
    stream.script = [refusal(400, "AccessDeniedException")]
    with pytest.raises(SinkError):
        sink.write(session_bars().head(2))
    assert sink.write(session_bars().head(2)).total() == 2


def test_a_bar_is_sent_again_after_an_unexpected_error(stream, pauses, monkeypatch):
    sink = opened(pauses, skip_repeats=True)
    with monkeypatch.context() as patch:
        patch.setattr(sink, "_client", None)
        with pytest.raises(AttributeError):
            sink.write(session_bars().head(2))
    assert sink.write(session_bars().head(2)).total() == 2
    assert len(stream.taken) == 2


@pytest.mark.usefixtures("stream")
def test_only_the_latest_session_is_remembered(pauses):
    sink = opened(pauses, skip_repeats=True)
    sink.write(session_bars())
    sink.write(session_bars(day=dt.date(2026, 11, 23)))
    assert len(sink._sent) == 78
    assert sink.write(session_bars()).total() == 78


def test_without_skip_repeats_everything_is_sent_each_time(sink, stream):
    for _ in range(2):
        assert sink.write(session_bars()).total() == 78
    assert len(stream.taken) == 156


def test_rejected_records_are_logged_by_rule_as_they_came(sink, stream, monkeypatch):
    logged = []
    monkeypatch.setattr(module._log, "handle", logged.append)

    def rejected(rule, number):
        return Rejected(rule=rule, record=json.dumps({"n": number}), collected_at="2026-11-20T15:00:00", source="yahoo")

    records = [rejected("off-grid", number) for number in range(150)] + [rejected("missing-price", 0)]
    sink.reject(records)
    assert [(record.rule, len(record.records)) for record in logged] == [
        ("off-grid", 100),
        ("off-grid", 50),
        ("missing-price", 1),
    ]
    assert logged[0].records[7]["record"] == '{"n": 7}'
    assert stream.calls == []
