"""`tickerlake collect` and `import` as a user types them: output, exit codes, the lake."""

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fakes.vendor import HELD, UNAVAILABLE
from tests.fakes.yahoo import NOT_FOUND, Bars, LoopbackSession, running_yahoo
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
    """The clock of the commands. A test may set another moment."""

    class Clock:
        moment = SUNDAY

    monkeypatch.setattr(commands, "_now", lambda: Clock.moment)
    return Clock


@pytest.fixture
def call(now, monkeypatch, tmp_path, capsys):
    """Runs a command in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKE_DIR", raising=False)

    def call(*arguments):
        code = run_command(cli, list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def yahoo(now, monkeypatch):
    """A Yahoo server that the source of the commands connects to."""
    with running_yahoo(now=lambda: now.moment) as server:
        source = lambda: YahooSource(session=LoopbackSession(server.origin), pause=lambda seconds: None)  # noqa: E731
        monkeypatch.setattr("tickerlake.sources.yahoo.YahooSource", source)
        yield server


def test_collect_stores_the_last_finished_session_of_the_watchlist_from_yahoo(call, yahoo, tmp_path):
    code, out, err = call("collect")

    assert (code, out, err) == (0, "2026-11-20: 858 bars of 11 tickers, 858 new, 0 rejected, 0 failed\n", "")
    assert sorted(yahoo.charts) == sorted(watchlist.DEFAULT)
    assert len(yahoo.requests) <= 13
    assert yahoo.most_in_flight <= 4
    frame = run(DuckDBEngine(tmp_path / "lake"), "sessions").frame
    assert frame[["session", "records", "sources"]].to_numpy().tolist() == [["2026-11-20", 858, "yahoo"]]


def test_the_running_session_is_collected_up_to_its_last_finished_bar(call, yahoo, now):
    now.moment = dt.datetime(2026, 11, 20, 15, 2, tzinfo=dt.UTC)

    code, out, _ = call("collect", "--session", "today", "--tickers", "META,AMZN")

    assert code == 0
    assert out == "2026-11-20: 12 bars of 2 tickers, 12 new, 2 unfinished, 0 rejected, 0 failed\n"


def test_a_range_prints_one_line_per_session_oldest_first(call, yahoo):
    code, out, _ = call("collect", "--first", "2026-11-18", "--last", "2026-11-20", "--tickers", "META")

    assert code == 0
    assert [line[:19] for line in out.splitlines()] == [f"2026-11-{day}: 78 bars" for day in (18, 19, 20)]
    assert yahoo.charts == ["META"]


def test_partial_failure_exits_with_3_names_each_reason_and_stores_the_rest(call, yahoo, tmp_path):
    yahoo.answers("SNAP", UNAVAILABLE)
    yahoo.answers("BYND", NOT_FOUND)
    yahoo.answers("TTD", Bars(instrument="ETF"))

    code, out, err = call("collect")

    assert code == 3
    assert out == "2026-11-20: 624 bars of 8 tickers, 624 new, 0 rejected, 3 failed\n"
    failed = {line.split()[1]: line for line in err.splitlines()}
    assert "(unavailable)" in failed["SNAP"]
    assert "(no-data)" in failed["BYND"]
    assert "(wrong-instrument)" in failed["TTD"]
    assert len(run(DuckDBEngine(tmp_path / "lake"), "bars").frame) == 624


def test_a_rate_limit_stops_the_run_and_says_so_once(call, yahoo):
    yahoo.rate_limited_from = 1

    code, out, err = call("collect")

    assert code == 1
    assert out == "2026-11-20: 0 bars of 0 tickers, 0 new, 0 rejected, 11 failed\n"
    assert err.count("(rate-limited)") == 1
    assert err.splitlines()[-1].startswith("error: nothing was collected from yahoo")
    assert len(yahoo.charts) <= 4


def test_fb_after_the_rename_collects_meta_and_says_so(call, yahoo):
    code, _, err = call("collect", "--tickers", "FB")

    assert code == 0
    assert err == "note: FB trades as META since 2022-06-09: collecting META\n"
    assert yahoo.charts == ["META"]


def test_a_session_that_is_too_old_for_yahoo_is_refused_with_the_oldest_available(call, yahoo):
    code, out, err = call("collect", "--session", "2020-12-01")

    assert (code, out) == (2, "")
    assert err == (
        "error: yahoo no longer serves 5-minute bars of 2020-12-01; "
        "the oldest session that can be collected is 2026-09-24\n"
    )
    assert yahoo.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--session", "2026-11-26"], "is not a session of XNYS; the nearest sessions are 2026-11-25 and 2026-11-27"),
        (["--session", "2026-11-21"], "is not a session of XNYS"),
        (["--session", "yesterday"], "write YYYY-MM-DD"),
        (["--session", "2026-11-23"], "has not opened yet; the last finished session is 2026-11-20"),
        (["--session", "2026-11-20", "--first", "2026-11-19"], "give one or the other"),
        (["--last", "2026-11-20"], "last needs first"),
        (["--first", "2026-11-20", "--last", "2026-11-18"], "swap them"),
        (["--first", "2026-11-21", "--last", "2026-11-22"], "is not a session of XNYS"),
        (["--tickers", "META,ME TA"], "ME TA is not a symbol"),
        (["--tickers", ""], "is not a symbol"),
        (["--bar-minutes", "7"], "'7' is not one of '1', '2', '5'"),
        (["--source", "bloomberg"], "unknown source 'bloomberg'; use one of yahoo, alpaca, file, simulated"),
        (["--sink", "firehose"], "name its stream with --stream"),
        (["--sink", "firehose", "--stream", "x"], "and its bucket with --bucket"),
        (["--stream", "x"], "--stream needs --sink firehose"),
        (["--bucket", "x"], "--bucket needs --sink firehose"),
        (["--nonsense"], "--nonsense"),
        (["surplus"], "surplus"),
    ],
)
def test_bad_arguments_exit_with_2_and_one_line(call, arguments, message):
    code, out, err = call("collect", *arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_before_the_first_bar_has_ended_there_is_nothing_to_collect(call, now):
    now.moment = dt.datetime(2026, 11, 20, 14, 33, tzinfo=dt.UTC)

    code, _, err = call("collect", "--session", "today")

    assert code == 2
    assert "opened at 09:30 EST and has no finished 5-minute bar yet" in err


def test_simulated_bars_are_marked_and_go_to_their_own_lake(call, tmp_path):
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
        assert "cannot share a lake" in err
        assert "name another folder with --lake" in err


def test_the_environment_may_name_the_lake(call, monkeypatch, tmp_path):
    monkeypatch.setenv("LAKE_DIR", str(tmp_path / "elsewhere"))

    assert call("collect", "--source", "simulated", "--tickers", "META")[0] == 0
    assert (tmp_path / "elsewhere" / "bars").is_dir()


def test_collecting_again_succeeds_and_says_that_nothing_is_new(call, yahoo):
    call("collect", "--tickers", "META")

    code, out, err = call("collect", "--tickers", "META")

    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "2026-11-20: 78 bars of 1 ticker, 0 new, 0 rejected, 0 failed",
        "nothing new: the lake already holds these bars",
    ]


def test_a_range_that_reaches_into_the_future_ends_today(call):
    code, out, _ = call("collect", "--source", "simulated", "--first", "2026-11-19", "--last", "2026-12-31")

    assert code == 0
    assert [line[:10] for line in out.splitlines()[1:]] == ["2026-11-19", "2026-11-20"]


def test_the_lakes_watchlist_is_collected_unless_tickers_are_named(call, yahoo, tmp_path):
    watchlist.add(tmp_path / "mine" / "tickerlake.toml", ["AAPL"])
    watchlist.remove(tmp_path / "mine" / "tickerlake.toml", watchlist.DEFAULT)

    assert call("collect", "--lake", "mine")[0] == 0
    assert yahoo.charts == ["AAPL"]
    assert call("collect", "--lake", "mine", "--tickers", "META")[0] == 0
    assert yahoo.charts == ["AAPL", "META"]


def test_a_foreign_file_in_the_partition_stops_nothing(call, yahoo, tmp_path):
    folder = tmp_path / "lake" / "bars" / "dt=2026-11-20"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"price": [1.5]}), folder / "foreign.parquet")

    code, out, _ = call("collect", "--tickers", "META")

    assert code == 0
    assert "78 new" in out


def test_import_reads_every_form_and_importing_again_succeeds(call):
    code, out, _ = call("import", str(RECORDED))
    assert code == 0
    assert out.startswith("read ")

    code, out, _ = call("import", str(RECORDED))
    assert code == 0
    assert out.splitlines()[1:] == ["nothing new: the lake already holds these bars"]


def test_another_lake_is_imported_whole(call):
    call("collect", "--source", "simulated", "--tickers", "META", "--lake", "theirs")
    call("actions", "add", "META", "2026-11-23", "10:1", "--lake", "theirs")

    code, out, err = call("import", "theirs", "--lake", "ours")

    assert (code, err) == (0, "")
    assert out == "read 78 records from 1 file: 78 stored, 0 duplicate, 0 rejected\n"
    assert "META    2026-11-23    10:1  (manual)" in call("actions", "--lake", "ours")[1]


def test_a_parquet_file_without_bars_is_named_with_the_missing_columns(call, tmp_path):
    pq.write_table(pa.table({"price": [1.5]}), tmp_path / "other.parquet")

    code, out, err = call("import", "other.parquet")

    assert code == 1
    assert out == "read 1 record from 1 file: 0 stored, 0 duplicate, 1 rejected (1 unreadable)\n"
    assert err.splitlines() == [
        "no bars in other.parquet: a Parquet file without the columns ticker, ts, high, low",
        "rejected records are kept in lake/rejected",
        "error: nothing was imported: these paths hold no valid bars",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'PATHS...'"),
        (["nowhere"], "nowhere"),
        (["s3://bucket/prefix", "nowhere"], "import one, then the other"),
        ([".", "--timezone", "Mars/Olympus"], "'Mars/Olympus' is not a time zone"),
    ],
)
def test_bad_arguments_of_import_exit_with_2_and_one_line(call, arguments, message):
    code, out, err = call("import", *arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_an_import_without_a_record_exits_with_1(call, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of the kind\n")

    code, _, err = call("import", "notes.txt")

    assert code == 1
    assert err.splitlines()[-1] == "error: nothing was imported: these paths hold no valid bars"


def test_a_lake_that_cannot_be_written_is_one_line(call, yahoo, tmp_path):
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


def test_a_real_process_reaches_yahoo_through_a_proxy_and_its_authority(tmp_path):
    finished = exchange.XNYS.last_finished(dt.datetime.now(dt.UTC))
    with running_yahoo() as server:
        process = command("collect", "--tickers", "META,AMZN", environment=server.environment(), cwd=tmp_path)
        out, err = process.communicate(timeout=60)

    bars = 2 * len(finished.bar_starts(5))
    assert (process.returncode, err) == (0, "")
    assert out == f"{finished.date}: {bars} bars of 2 tickers, {bars} new, 0 rejected, 0 failed\n"


def test_with_the_network_closed_collect_fails_and_never_falls_back(tmp_path):
    process = command("collect", environment={"HTTPS_PROXY": "http://127.0.0.1:9"}, cwd=tmp_path)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "Yahoo cannot be reached" in err
    assert "Traceback" not in err
    assert [path.name for path in (tmp_path / "lake").iterdir() if path.name[0] != "."] == ["runs"]


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
