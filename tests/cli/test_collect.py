"""`tickerlake` as a user types it: what it prints, how it exits, what it leaves in the lake."""

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.yahoo import HELD, NOT_FOUND, UNAVAILABLE, Bars, LoopbackSession, running_yahoo
from tickerlake import exchange, watchlist
from tickerlake.cli import cli
from tickerlake.cli import collect as commands
from tickerlake.cli.console import run_command
from tickerlake.query import run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.yahoo import YahooSource

ROOT = Path(__file__).parents[2]
SUNDAY = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
RECORDED = ROOT / "tests" / "data" / "recorded"


@pytest.fixture
def now(monkeypatch):
    """The clock of the commands; a test may set another moment."""

    class Clock:
        moment = SUNDAY

    monkeypatch.setattr(commands, "_now", lambda: Clock.moment)
    return Clock


@pytest.fixture
def call(now, monkeypatch, tmp_path, capsys):
    """Runs a command in a folder of its own: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKE_DIR", raising=False)

    def call(*arguments):
        code = run_command(cli, list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def yahoo(now, monkeypatch):
    """A Yahoo server that the commands' own source is led to."""
    with running_yahoo(now=lambda: now.moment) as server:
        source = lambda: YahooSource(session=LoopbackSession(server.origin), pause=lambda seconds: None)  # noqa: E731
        monkeypatch.setattr("tickerlake.sources.yahoo.YahooSource", source)
        yield server


def test_collect_takes_the_last_finished_session_of_the_watchlist_from_yahoo(call, yahoo, tmp_path):
    code, out, err = call("collect")

    assert (code, out, err) == (0, "2026-11-20: 858 bars of 11 tickers, 0 rejected, 0 failed\n", "")
    assert sorted(yahoo.charts) == sorted(watchlist.DEFAULT)
    assert len(yahoo.requests) <= 13
    assert yahoo.most_in_flight <= 4
    frame = run(DuckDBEngine(tmp_path / "lake"), "sessions").frame
    assert frame[["session", "records", "sources"]].to_numpy().tolist() == [["2026-11-20", 858, "yahoo"]]


def test_the_running_session_is_collected_up_to_its_last_finished_bar(call, yahoo, now):
    now.moment = dt.datetime(2026, 11, 20, 15, 2, tzinfo=dt.UTC)

    code, out, _ = call("collect", "--session", "today", "--tickers", "META,AMZN")

    assert code == 0
    assert out == "2026-11-20: 12 bars of 2 tickers, 2 rejected (2 unfinished), 0 failed\n"


def test_a_range_gives_one_line_a_session_oldest_first(call, yahoo):
    code, out, _ = call("collect", "--first", "2026-11-18", "--last", "2026-11-20", "--tickers", "META")

    assert code == 0
    assert [line[:19] for line in out.splitlines()] == [f"2026-11-{day}: 78 bars" for day in (18, 19, 20)]
    assert yahoo.charts == ["META"]


def test_some_failures_exit_with_3_each_named_with_its_reason_and_the_rest_is_stored(call, yahoo, tmp_path):
    yahoo.answers("SNAP", UNAVAILABLE)
    yahoo.answers("BYND", NOT_FOUND)
    yahoo.answers("TTD", Bars(instrument="ETF"))

    code, out, err = call("collect")

    assert code == 3
    assert out == "2026-11-20: 624 bars of 8 tickers, 0 rejected, 3 failed\n"
    told = {line.split()[1]: line for line in err.splitlines()}
    assert "(unavailable)" in told["SNAP"]
    assert "(no-data)" in told["BYND"]
    assert "(wrong-instrument)" in told["TTD"]
    assert len(run(DuckDBEngine(tmp_path / "lake"), "bars").frame) == 624


def test_a_rate_limit_stops_the_run_and_says_so_once(call, yahoo):
    yahoo.rate_limited_from = 1

    code, out, err = call("collect")

    assert code == 1
    assert out == "2026-11-20: 0 bars of 0 tickers, 0 rejected, 11 failed\n"
    assert err.count("rate-limited") <= 5
    assert err.splitlines()[-1].startswith("error: nothing could be collected from yahoo")
    assert len(yahoo.charts) <= 4


def test_fb_after_the_rename_collects_meta_and_says_so(call, yahoo):
    code, _, err = call("collect", "--tickers", "FB")

    assert code == 0
    assert err == "note: FB trades as META since 2022-06-09: collecting META\n"
    assert yahoo.charts == ["META"]


def test_a_session_yahoo_no_longer_serves_is_refused_with_the_oldest_that_works(call, yahoo):
    code, out, err = call("collect", "--session", "2020-12-01")

    assert (code, out) == (2, "")
    assert err == (
        "error: yahoo no longer serves 5-minute bars of 2020-12-01; "
        "the oldest session that can be collected is 2026-09-24\n"
    )
    assert yahoo.requests == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--session", "2026-11-26"], "is not a session of XNYS; the nearest sessions are 2026-11-25 and 2026-11-27"),
        (["--session", "2026-11-21"], "is not a session of XNYS"),
        (["--session", "yesterday"], "write YYYY-MM-DD"),
        (["--session", "2026-11-23"], "has not opened yet; the last finished session is 2026-11-20"),
        (["--session", "2026-11-20", "--first", "2026-11-19"], "give one or the other"),
        (["--last", "2026-11-20"], "--last goes with --first"),
        (["--first", "2026-11-20", "--last", "2026-11-18"], "swap them"),
        (["--first", "2026-11-21", "--last", "2026-11-22"], "is not a session of XNYS"),
        (["--tickers", "META,ME TA"], "ME TA is not a symbol"),
        (["--tickers", ""], "is not a symbol"),
        (["--bar-minutes", "7"], "'7' is not one of '1', '2', '5'"),
        (["--source", "bloomberg"], "'bloomberg' is not one of"),
        (["--sink", "firehose"], "name it with --stream"),
        (["--sink", "firehose", "--stream", "x", "--lake", "y"], "leave --lake out"),
        (["--sink", "firehose", "--stream", "x", "--source", "simulated"], "are not sent to a stream"),
        (["--stream", "x"], "--stream goes with --sink firehose"),
        (["--nonsense"], "--nonsense"),
        (["surplus"], "surplus"),
    ],
)
def test_bad_arguments_exit_with_2_and_one_line_that_says_what_is_allowed(call, arguments, told):
    code, out, err = call("collect", *arguments)

    assert (code, out) == (2, "")
    assert told in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_before_the_first_bar_has_ended_there_is_nothing_to_collect_yet(call, now):
    now.moment = dt.datetime(2026, 11, 20, 14, 33, tzinfo=dt.UTC)

    code, _, err = call("collect", "--session", "today")

    assert code == 2
    assert "opens at 09:30 EST and has no finished 5-minute bar yet" in err


def test_simulated_bars_are_marked_and_go_to_a_lake_of_their_own(call, tmp_path):
    code, out, _ = call("collect", "--source", "simulated")

    assert code == 0
    assert out.splitlines()[0].startswith("SIMULATED")
    assert not (tmp_path / "lake").exists()
    assert set(run(DuckDBEngine(tmp_path / "lake-simulated"), "bars").frame["source"]) == {"simulated"}


def test_simulated_and_real_bars_are_never_mixed(call, yahoo):
    call("collect", "--source", "simulated", "--lake", "a")
    call("collect", "--tickers", "META", "--lake", "b")

    for arguments in (
        ["collect", "--lake", "a"],
        ["collect", "--source", "simulated", "--lake", "b"],
        ["import", str(RECORDED), "--lake", "a"],
    ):
        code, _, err = call(*arguments)
        assert code == 2
        assert "must not be mixed in" in err
        assert "name another folder with --lake" in err


def test_the_lake_may_be_named_by_the_environment(call, yahoo, monkeypatch, tmp_path):
    monkeypatch.setenv("LAKE_DIR", str(tmp_path / "elsewhere"))

    assert call("collect", "--tickers", "META")[0] == 0
    assert (tmp_path / "elsewhere" / "bars").is_dir()


def test_import_takes_in_every_form_and_counts_what_it_read(call, tmp_path):
    code, out, err = call("import", str(RECORDED))

    assert code == 0
    assert out.startswith("read ")
    assert " stored, " in out
    again = call("import", str(RECORDED))
    assert again[0] == 1
    assert again[2].endswith("error: nothing was stored: the lake holds all of it already\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Missing argument 'PATHS...'"),
        (["nowhere"], "nowhere"),
        (["s3://bucket/prefix", "nowhere"], "import one, then the other"),
        ([".", "--timezone", "Mars/Olympus"], "'Mars/Olympus' is no time zone"),
    ],
)
def test_bad_arguments_of_import_exit_with_2_and_one_line(call, arguments, told):
    code, out, err = call("import", *arguments)

    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_an_import_without_a_record_exits_with_1(call, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of the kind\n")

    code, _, err = call("import", "notes.txt")

    assert code == 1
    assert err.splitlines()[-1] == "error: nothing was stored: no record in these paths keeps the rules"


def test_a_lake_that_cannot_be_written_is_told_in_one_line(call, yahoo, tmp_path):
    (tmp_path / "lake").write_text("a file")

    code, _, err = call("collect", "--tickers", "META")

    assert code == 1
    assert err.count("\n") == 1
    assert "cannot write" in err


def command(*arguments, environment, cwd):
    return subprocess.Popen(
        [sys.executable, "-m", "tickerlake", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_unchanged_process_reaches_yahoo_through_a_proxy_and_its_authority(tmp_path):
    finished = exchange.last_finished(dt.datetime.now(dt.UTC))
    with running_yahoo() as server:
        process = command("collect", "--tickers", "META,AMZN", environment=server.environment(), cwd=tmp_path)
        out, err = process.communicate(timeout=60)

    bars = 2 * len(finished.bar_starts(5))
    assert (process.returncode, err) == (0, "")
    assert out == f"{finished.date}: {bars} bars of 2 tickers, 0 rejected, 0 failed\n"


def test_with_the_network_closed_collect_fails_and_never_falls_back(tmp_path):
    process = command("collect", environment={"HTTPS_PROXY": "http://127.0.0.1:9"}, cwd=tmp_path)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Yahoo cannot be reached" in err
    assert "Traceback" not in err
    assert not (tmp_path / "lake").exists()


@pytest.fixture
def interruptible():
    """What a shell starts in the background ignores interrupts, and so would the commands that tests start there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_it_with_130_and_one_line(tmp_path):
    with running_yahoo() as server:
        server.answers("META", HELD)
        process = command("collect", "--tickers", "META", environment=server.environment(), cwd=tmp_path)
        while not server.charts:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        server.released.set()
        _, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "error: interrupted; what was stored stays"
