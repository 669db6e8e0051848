"""`tickerlake query` as a user types it."""

import csv
import datetime as dt
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import tickerlake
from tests.query.lakes import read_records, write_lake
from tickerlake import exchange
from tickerlake.cli import cli
from tickerlake.cli.console import run_command
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query import SETTINGS, load, names
from tickerlake.sources.simulated import SimulatedSource

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Runs the command in a folder of its own: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)

    def call(*arguments):
        code = run_command(cli, ["query", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def lake(tmp_path):
    return write_lake(tmp_path / "lake", read_records("ties"))


def test_without_a_name_it_lists_every_query_with_its_purpose_and_options(call):
    code, out, _ = call()

    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    for name in names():
        assert f"{name} {load(name).purpose} --first --last --tickers" in words


def test_a_table_has_a_row_for_every_touch(call, lake):
    code, out, err = call("hourly_high", "--tickers", "AAA")

    assert (code, err) == (0, "")
    assert out.endswith("\n8 rows of hourly_high from lake\n")
    assert "2026-11-20 10:45 EST" in out


def test_csv_has_the_query_s_columns_and_times_at_the_exchange_with_their_offset(call, lake):
    _, out, _ = call("hourly_high", "--format", "csv")

    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == ["ticker", "session", "hour", "high", "ts", "touch"]
    assert list(rows[0].values()) == ["AAA", "2026-11-20", "9", "50.1", "2026-11-20T09:30:00-05:00", "1"]


def test_json_has_numbers_as_numbers_unrounded(call, lake):
    _, out, _ = call("hourly_high", "--format", "json")

    rows = json.loads(out)
    assert list(rows[7].values()) == ["AAA", "2026-11-20", 12, 52.0002, "2026-11-20T12:15:00-05:00", 1]


def test_what_is_missing_is_null_in_json_and_empty_in_csv(call, tmp_path):
    write_lake(tmp_path / "lake", read_records("gaps"))

    volumes = {
        row["ts"][11:16]: row["volume"] for row in json.loads(call("bars", "--format", "json", "--tickers", "AAA")[1])
    }
    _, out, _ = call("bars", "--format", "csv", "--tickers", "AAA")

    assert (volumes["10:00"], volumes["10:30"], volumes["11:30"]) == (None, 0, 100)
    assert {row["ts"][11:16]: row["volume"] for row in csv.DictReader(io.StringIO(out))}["10:00"] == ""


@pytest.mark.parametrize("ending", ["csv", "json", "txt"])
def test_a_file_is_written_whole_in_the_form_its_name_says(call, lake, tmp_path, ending):
    target = tmp_path / f"out.{ending}"
    target.write_text("old")

    code, out, err = call("hourly_high", "-o", str(target))

    assert (code, out) == (0, "")
    assert err == f"12 rows of hourly_high → {target}\n"
    assert "touch" in target.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", f"out.{ending}"]


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(call, lake, tmp_path):
    code, _, err = call("hourly_high", "-o", str(tmp_path / "nowhere" / "x.csv"))

    assert code == 1
    assert "cannot write" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["hourly_low"], 2, "there is no query 'hourly_low'; the queries are bars, coverage, "),
        (["hourly_high", "--tickers", "MSFT,AAA"], 2, "holds no bars of MSFT; it holds AAA, BBB"),
        (["hourly_high", "--tickers", "'; DROP"], 2, "is not a symbol"),
        (["hourly_high", "--first", "2026-13-01"], 2, "write YYYY-MM-DD"),
        (["hourly_high", "--first", "2026-11-20", "--last", "2026-11-18"], 2, "swap them"),
        (["hourly_high", "--first", "2026-11-26", "--last", "2026-11-26"], 2, "nearest sessions are 2026-11-25 and"),
        (["hourly_high", "--first", "2026-11-18", "--last", "2026-11-19"], 2, "it holds sessions from 2026-11-20 to"),
        (["coverage", "--first", "2030-01-01", "--last", "2030-02-01"], 2, "it holds sessions from 2026-11-20 to"),
        (["hourly_high", "--format", "xml"], 2, "'xml' is not one of 'table', 'csv', 'json'"),
        (["hourly_high", "--lake", "nowhere"], 1, "the lake 'nowhere' holds no bars; collect some: tickerlake"),
        (["hourly_high", "surplus"], 2, "surplus"),
    ],
)
def test_what_cannot_be_answered_is_one_line_with_the_next_step(call, lake, arguments, code, expected):
    result, out, err = call(*arguments)

    assert (result, out) == (code, "")
    assert expected in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_no_restatement_is_an_answer_not_an_error(call, lake):
    code, out, err = call("restatements", "--format", "csv")

    assert (code, err) == (0, "")
    assert out.count("\n") == 1


def test_invented_bars_are_marked_wherever_they_are_shown(call, tmp_path):
    day = exchange.XNYS.session_on(dt.date(2026, 11, 20))
    collect(SimulatedSource(), ParquetSink(tmp_path / "lake"), [day], ["META"], 5, lambda: day.close)

    _, _, err = call("hourly_high")

    assert err == "note: these prices are simulated, not real\n"


def test_every_fault_of_the_settings_is_told_at_once(call, monkeypatch):
    monkeypatch.setenv("LAKE_ENGINE", "oracle")
    monkeypatch.setenv("LAKE_PORT", "99999")
    monkeypatch.setenv("LAKE_DATABASE", "x; DROP TABLE bars")

    code, _, err = call("sessions")

    assert code == 2
    assert all(name in err for name in ("LAKE_ENGINE", "LAKE_PORT", "LAKE_DATABASE"))


def test_a_lake_with_damaged_files_only_is_no_traceback(call, lake):
    next(lake.glob("bars/*/*.parquet")).write_text("damaged")

    code, _, err = call("hourly_high")

    assert code == 1
    assert err.startswith(
        "error: the lake 'lake' has no file of bars that can be read: lake/bars/dt=2026-11-20/0.parquet: "
    )
    assert err.endswith("; move what is damaged to quarantine: tickerlake repair\n")
    assert err.count("\n") == 1


def test_a_reader_that_has_seen_enough_hears_no_complaint(lake, tmp_path):
    command = [sys.executable, "-m", "tickerlake", "query", "bars", "--format", "csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_printing_rows_of_a_local_lake_imports_nothing_slow(lake, tmp_path):
    code = (
        "import sys; from tickerlake.cli import main; main(['query', 'hourly_high', '--tickers', 'AAA']); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'pandas', 'numpy', 'pyarrow', 'rich', 'boto3', "
        "'botocore', 'pyathena', 'trino', 'yfinance', 'exchange_calendars', 'streamlit'}))"
    )

    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert printed.stdout.endswith("8 rows of hourly_high from lake\n[]\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "x.xlsx"], "-o x.xlsx: cannot write such a file; end its name in .csv, .json, .parquet, .txt"),
        (["-o", "x"], "-o x: cannot write such a file"),
        (["-o", "x.csv", "--format", "json"], "--format json contradicts -o x.csv; leave --format out"),
        (["--limit", "0"], "0 is not in the range x>=1"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_lake_is_read(call, tmp_path, arguments, says):
    code, _, err = call("hourly_high", *arguments)

    assert code == 2
    assert says in err
    assert list(tmp_path.iterdir()) == []


def test_a_parquet_file_has_the_types_of_the_frame(call, lake, tmp_path):
    assert call("bars", "-o", "out.PARQUET")[0] == 0

    written = pd.read_parquet(tmp_path / "out.PARQUET")
    pd.testing.assert_frame_equal(written, tickerlake.open(lake).bars())


def test_no_restatement_is_a_line_in_a_table_too(call, lake):
    assert call("restatements") == (0, "no rows of restatements from lake\n", "")


def test_a_limit_is_a_number_of_rows(call, lake):
    assert call("bars", "--limit", "3", "--format", "csv")[1].count("\n") == 1 + 3
    assert call("hourly_high", "--limit", "1")[1].endswith("\n1 row of hourly_high from lake\n")
    # BBB is not among the first rows, which says nothing about the lake.
    assert call("bars", "--limit", "1", "--tickers", "AAA,BBB")[0] == 0


def test_a_terminal_gets_both_ends_of_a_long_table_and_a_pipe_or_a_file_all_of_it(call, tmp_path, monkeypatch):
    day = exchange.XNYS.session_on(dt.date(2026, 11, 20))
    collect(SimulatedSource(), ParquetSink(tmp_path / "lake"), [day], ["META"], 5, lambda: day.close)
    _, piped, _ = call("bars")
    call("bars", "-o", "all.txt")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    _, shown, _ = call("bars")
    _, asked, _ = call("bars", "--limit", "60")

    assert "40 of 78 rows shown\n" in shown
    assert "not shown for lack of width: session, bar_minutes, source, collected_at\n" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert len(shown.splitlines()) == 2 + 40 + 1 + 3
    assert "rows shown" not in asked
    assert len(piped.splitlines()) == 2 + 78 + 1
    assert (tmp_path / "all.txt").read_text() == piped.removesuffix("78 rows of bars from lake\n")


def test_a_folder_of_a_date_that_does_not_exist_is_no_session(call, lake):
    shutil.copytree(lake / "bars" / "dt=2026-11-20", lake / "bars" / "dt=2026-13-45")

    code, out, err = call("coverage", "--format", "csv")

    assert (code, err) == (0, "")
    assert "2026-13-45" not in out


@pytest.mark.parametrize("columns", [{"a": [1]}, {"ticker": ["AAA"], "ts": [pd.Timestamp("2026-11-20 15:00")]}])
def test_a_foreign_parquet_file_in_the_lake_is_named(call, lake, columns):
    pd.DataFrame(columns).to_parquet(lake / "bars" / "dt=2026-11-20" / "foreign.parquet")

    code, _, err = call("hourly_high")

    assert code == 0
    assert "note: skipped lake/bars/dt=2026-11-20/foreign.parquet: it has no column bar_minutes, " in err


def test_only_the_sessions_asked_for_are_opened(call, tmp_path):
    lake = write_lake(tmp_path / "lake", read_records("early_close"))
    first, second = sorted(lake.glob("bars/*/*.parquet"))
    second.write_text("damaged")

    assert "skipped" not in call("hourly_high", "--last", first.parent.name.removeprefix("dt="))[2]
    assert f"note: skipped {second.relative_to(tmp_path)}: " in call("hourly_high")[2]


def test_a_folder_and_a_cloud_engine_contradict_each_other(call, monkeypatch):
    monkeypatch.setenv("LAKE_ENGINE", "trino")

    assert call("bars", "--lake", "lake") == (
        2,
        "",
        "error: --lake names a folder, but LAKE_ENGINE is trino; leave --lake out\n",
    )
