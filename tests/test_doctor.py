"""The doctor: each check passes on a sound lake and fails on one broken in its way."""

import datetime as dt
import os
import shutil

import pandas as pd
import pytest

from tests.fakes.vendor import UNAVAILABLE
from tests.fakes.yahoo import NOT_FOUND, LoopbackSession, running_yahoo
from tickerlake import doctor, exchange, watchlist
from tickerlake.collect import collect
from tickerlake.doctor import Finding
from tickerlake.lake.layout import Layout
from tickerlake.lake.parquet import ParquetSink
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.sources.simulated import SimulatedSource
from tickerlake.sources.yahoo import YahooSource

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
DAYS = ["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A week of three tickers, complete."""
    folder = tmp_path_factory.mktemp("doctor") / "lake"
    sessions = exchange.XNYS.sessions_between(dt.date(2026, 11, 16), dt.date(2026, 11, 20))
    collect(SimulatedSource(), ParquetSink(folder), sessions, ["META", "AMZN", "SNAP"], 5, lambda: NOW)
    watchlist.add(folder / "tickerlake.toml", ["META"])
    (folder / "tickerlake.toml").write_text('tickers = ["META", "AMZN", "SNAP"]\n')
    return folder


@pytest.fixture
def lake(sound, tmp_path, monkeypatch):
    """A copy of the sound lake, to break; no setting is set."""
    for name in os.environ:
        if name.startswith(("LAKE_", "AWS_")):
            monkeypatch.delenv(name)
    return shutil.copytree(sound, tmp_path / "lake")


def findings(lake, level=None, source=None):
    return [finding for _, finding in doctor.examine(NOW, source, lake) if level in (None, finding.level)]


def problem(lake):
    """The one problem of `lake`."""
    (found,) = findings(lake, "problem")
    return found


def partition(lake, day):
    return Layout(lake).partition(day)


def rewrite(lake, day, change):
    (file,) = partition(lake, day).iterdir()
    change(pd.read_parquet(file, partitioning=None)).to_parquet(file, index=False)


def test_a_sound_lake_needs_nothing(lake):
    assert {finding.level for finding in findings(lake)} == {"ok"}
    whole = " ".join(finding.what for finding in findings(lake))
    assert f"{lake}, 5 files, " in whole
    assert "5 sessions, 2026-11-16 to 2026-11-20, 1,170 records, SIMULATED" in whole
    assert "no gaps in the sessions held" in whole


def test_every_problem_and_note_has_a_next_step(lake):
    (partition(lake, DAYS[0]) / "x.parquet").write_text("damaged")
    (lake / "bars" / "dt=2026-13-45").mkdir()
    broken = [finding for finding in findings(lake) if finding.level != "ok"]
    assert len(broken) == 2
    assert all(finding.next_step for finding in broken)


@pytest.mark.parametrize("make", [lambda lake: None, lambda lake: lake.mkdir()])
def test_without_bars_it_says_how_to_start(tmp_path, lake, make):
    empty = tmp_path / "empty"
    make(empty)
    assert problem(empty) == Finding(
        "problem",
        f"no bars in {empty} yet",
        f"tickerlake collect --lake {empty}, or look around first: tickerlake demo",
    )


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_checked(lake):
    file = partition(lake, DAYS[1]) / "x.parquet"
    file.write_text("damaged")
    assert problem(lake).what.startswith(f"{file} cannot be used and is skipped: ")
    assert problem(lake).next_step == f"move it to quarantine and fill the gap: tickerlake repair --lake {lake}"
    assert "no gaps in the sessions held" in " ".join(finding.what for finding in findings(lake))


def test_a_file_of_another_program_is_named_with_what_is_wrong(lake):
    rewrite(lake, DAYS[1], lambda frame: frame.drop(columns=["close", "source"]))
    found = [finding.what for finding in findings(lake) if finding.level == "problem"]
    assert any("it has no column close, source" in what for what in found)


def test_a_session_in_many_files_comes_with_the_command_that_puts_them_together(lake):
    (file,) = partition(lake, DAYS[0]).iterdir()
    for number in range(20):
        shutil.copy(file, file.with_name(f"{number}.parquet"))
    (found,) = findings(lake, "note")
    assert found.what == "too many files, so queries are slow: 2026-11-16 (21)"
    assert found.next_step == f"tickerlake compact --all --lake {lake}"


@pytest.mark.parametrize("name", ["dt=2026-13-45", "dt=foo", "notes.txt"])
def test_strays_under_bars_are_named(lake, name):
    (lake / "bars" / name).mkdir()
    assert problem(lake).what == f"{lake / 'bars' / name} is not part of the lake and is never read"


def test_files_of_interrupted_runs_are_counted_but_not_those_being_written(lake):
    incoming = lake / ".incoming"
    incoming.mkdir(exist_ok=True)
    for name, age in (("old", 7200), ("new", 10)):
        (incoming / name).write_text("")
        os.utime(incoming / name, (NOW.timestamp() - age,) * 2)
    (note,) = findings(lake, "note")
    assert note.what == f"1 unfinished file in {incoming} from interrupted runs"


def test_a_missing_session_between_others_is_named_with_the_command_that_collects_it(lake):
    shutil.rmtree(partition(lake, DAYS[2]))
    assert problem(lake) == Finding(
        "problem",
        "session 2026-11-18 is missing",
        f"tickerlake collect --source simulated --lake {lake} --session 2026-11-18",
    )
    assert findings(lake, "note") == []


def held(*days, code="XNYS"):
    """Rows of the query `sessions`."""
    return [{"session": day, "exchange": code, "sources": "yahoo", "records": 78} for day in days]


def test_a_missing_session_that_the_vendor_has_forgotten_is_no_problem():
    rows = held(DAYS[0], DAYS[4])
    forgotten = exchange.XNYS.session_on(dt.date(2026, 11, 18)).open + dt.timedelta(minutes=1)
    found = list(doctor.check_sessions(rows, "lake", ["META"], NOW, forgotten, "collect"))
    assert [(finding.level, finding.what) for finding in found] == [
        ("ok", "lake: 2 sessions, 2026-11-16 to 2026-11-20, 156 records, from yahoo"),
        ("problem", "session 2026-11-19 is missing"),
        ("note", "2 sessions missing that the vendor no longer serves: 2026-11-17, 2026-11-18"),
    ]


def test_a_session_counts_as_missing_once_it_has_closed():
    rows = held("2026-11-18", "2026-11-20")
    missing = exchange.XNYS.session_on(dt.date(2026, 11, 19))
    for now, count in ((missing.close - dt.timedelta(seconds=1), 0), (missing.close, 1)):
        found = list(doctor.check_sessions(rows, "lake", ["META"], now, missing.open, "collect"))
        assert [finding.level for finding in found[1:]] == ["problem"] * count


def test_a_session_is_missing_where_another_exchange_has_one_that_day_but_not_before_the_first_one_held():
    rows = sorted(held(*DAYS) + held(DAYS[1], DAYS[3], code="XLON"), key=lambda row: row["session"])
    long_ago = dt.datetime.min.replace(tzinfo=dt.UTC)
    found = list(doctor.check_sessions(rows, "lake", ["META", "VOD.L", "SAP.DE"], NOW, long_ago, "collect"))
    assert [finding.what for finding in found] == [
        "lake: 5 sessions, 2026-11-16 to 2026-11-20, 546 records, from yahoo",
        "session 2026-11-18 is missing",
        "session 2026-11-20 is missing",
    ]


def test_many_missing_sessions_end_with_one_command_for_the_rest():
    rows = held("2026-10-01", "2026-11-20")
    *_, rest = doctor.check_sessions(
        rows, "lake", ["META"], NOW, dt.datetime.min.replace(tzinfo=dt.UTC), "tickerlake collect"
    )
    assert rest.what == "30 more sessions are missing, up to 2026-11-19"
    assert rest.next_step == "tickerlake collect --first 2026-10-09 --last 2026-11-19"


def test_simulated_and_real_bars_in_one_lake_are_a_problem():
    rows = [{"session": DAYS[0], "exchange": "XNYS", "sources": "simulated, yahoo", "records": 78}]
    _, mixed = doctor.check_sessions(rows, "lake", ["META"], NOW, NOW, "collect")
    assert (mixed.level, mixed.what) == ("problem", "simulated and real bars are in one lake")


def test_gaps_of_the_watchlist_are_notes_and_other_tickers_do_not_matter(lake):
    rewrite(lake, DAYS[1], lambda frame: frame[frame["ticker"] != "META"])
    rewrite(lake, DAYS[2], lambda frame: frame.drop(frame.index[frame["ticker"] == "AMZN"][3:5]))
    rewrite(lake, DAYS[3], lambda frame: frame[frame["ticker"] != "SNAP"])
    (lake / "tickerlake.toml").write_text('tickers = ["META", "AMZN", "NVDA"]')
    assert [finding.what for finding in findings(lake, "note")] == [
        "on the watchlist, but not in the lake yet: NVDA",
        "no bars at all: META 2026-11-17",
        "2 single bars are missing, of AMZN",
    ]
    assert findings(lake, "problem") == []
    assert [finding.next_step for finding in findings(lake, "note")] == [
        f"tickerlake collect --source simulated --lake {lake}",
        f"tickerlake collect --source simulated --lake {lake} --session 2026-11-17",
        f"often nothing traded; see them: tickerlake query coverage --lake {lake}",
    ]


def test_a_watchlist_that_cannot_be_read_is_a_problem(lake):
    (lake / "tickerlake.toml").write_text("tickers = [")
    assert "is not valid TOML" in problem(lake).what


def test_a_lake_in_the_cloud_is_asked_for_its_sessions_only(lake, monkeypatch):
    monkeypatch.setenv("LAKE_ENGINE", "athena")
    monkeypatch.setattr("tickerlake.query.open_engine", lambda settings: DuckDBEngine(lake))
    shutil.rmtree(partition(lake, DAYS[2]))
    (lake / "bars" / "dt=foo").mkdir()
    found = [finding for about, finding in doctor.examine(NOW, None) if about == "Lake"]
    assert [finding.what.partition(": ")[2] or finding.what for finding in found] == [
        "4 sessions, 2026-11-16 to 2026-11-20, 936 records, SIMULATED",
        "session 2026-11-18 is missing",
    ]


def test_a_cloud_that_cannot_be_reached_is_a_problem_with_its_reason(lake, monkeypatch):
    monkeypatch.setenv("LAKE_ENGINE", "athena")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.chdir(lake.parent)
    found = [finding for about, finding in doctor.examine(NOW, None) if about == "Lake"]
    assert [finding.level for finding in found] == ["problem"]
    assert "no region" in found[0].what


def test_settings_that_cannot_be_used_and_misspelt_ones_are_named():
    found = list(doctor.check_settings({"LAKE_PORT": "x", "LAKE_DRI": "data", "LAKE_FORMATION_ROLE": "ours"}))
    assert [(finding.level, finding.what[:40]) for finding in found] == [
        ("problem", "LAKE_PORT is 'x'; it must be a whole num"),
        ("note", "LAKE_DRI is not a setting and has no eff"),
    ]
    assert found[1].next_step == "if you mean LAKE_DIR, rename it"
    (ok,) = doctor.check_settings({"LAKE_DIR": "data", "AWS_REGION": "eu-west-1"})
    assert ok == Finding("ok", "set: LAKE_DIR, LAKE_REGION (from AWS_REGION)")


@pytest.mark.parametrize(
    ("answer", "level", "expected"),
    [
        (None, "ok", "yahoo answers: 7 hourly bars of META on 2026-11-20"),
        (UNAVAILABLE, "problem", "yahoo does not answer: "),
        (NOT_FOUND, "note", "yahoo answers, but: META"),
    ],
)
def test_the_vendor_is_asked_for_one_ticker(answer, level, expected):
    with running_yahoo(now=lambda: NOW) as yahoo:
        if answer is not None:
            yahoo.answers("META", answer)
        source = YahooSource(session=LoopbackSession(yahoo.origin), pause=lambda _: None)
        found = doctor.check_vendor(source, "FB", NOW)
        assert set(yahoo.charts) == {"META"}
    assert (found.level, found.what[: len(expected)]) == (level, expected)


def test_versions_that_are_missing_or_too_new_are_named():
    installed = {"python": "3.14.0", "duckdb": "2.0.1", "yfinance": None, "pandas": "3.1.1", "streamlit": None}
    ok, *rest = doctor.check_versions(installed)
    assert "duckdb 2.0.1, yfinance not installed, pandas 3.1.1, streamlit not installed" in ok.what
    assert [(finding.level, finding.what.split()[0], finding.next_step) for finding in rest] == [
        ("note", "python", "use Python below 3.14"),
        ("note", "duckdb", "pip install 'duckdb<2'"),
        ("problem", "yfinance", "pip install --force-reinstall tickerlake"),
    ]


def test_the_versions_installed_here_are_supported():
    assert [finding.level for finding in doctor.check_versions(doctor.installed_versions())] == ["ok"]


class TestCommand:
    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch):
        monkeypatch.setattr("tickerlake.cli.doctor._now", lambda: NOW)
        monkeypatch.setenv("COLUMNS", "80")

    def test_a_sound_lake_exits_with_0(self, lake, capsys):
        assert command("--offline", "--lake", str(lake)) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert out.splitlines()[-1] == "Nothing needs attention."
        headings = [line for line in out.splitlines()[:-1] if not line.startswith(" ")]
        assert headings == ["Versions", "Settings", "Watchlist", "Lake"]

    def test_a_problem_exits_with_1_within_80_columns(self, lake, capsys, monkeypatch):
        monkeypatch.chdir(lake.parent)
        shutil.rmtree(partition(lake, DAYS[2]))
        (lake / "bars" / "dt=foo").mkdir()
        assert command("--offline") == 1
        out = capsys.readouterr().out
        assert out.splitlines()[-1] == "2 problems found"
        assert "→  tickerlake collect --source simulated --session 2026-11-18" in out
        assert max(map(len, out.splitlines())) <= 80

    def test_it_asks_yahoo_unless_told_not_to(self, lake, capsys):
        assert command("--lake", str(lake)) == 1  # tests have no way out
        assert "yahoo does not answer: Yahoo cannot be reached" in " ".join(capsys.readouterr().out.split())


def command(*arguments):
    from tickerlake.cli import main

    return main(["doctor", *arguments])


def test_a_jump_that_looks_like_a_split_comes_with_the_command_that_adds_it():
    row = {"ticker": "NVDA", "session": "2026-06-10", "ratio": "10:1", "previous_close": 1208.9, "open": 121.79}
    rows = [row | {"known_ratio": float("nan")}, row | {"known_ratio": 10.0}]

    unknown, known = doctor.check_splits(rows, " --lake data")

    assert unknown.what == "NVDA went from 1208.9 to 121.79 on 2026-06-10, near 10:1, and no split is known"
    assert unknown.next_step == "if it was one: tickerlake actions add NVDA 2026-06-10 10:1 --lake data"
    assert known.next_step.endswith("tickerlake actions add NVDA 2026-06-10 10:1 --adjusted-from never --lake data")
    assert next(reversed(list(doctor.check_splits(rows * 4)))).what == "3 more jumps may be splits"


def test_it_says_when_yahoo_forgets_what_is_missing(lake):
    sessions = exchange.XNYS.sessions_between(dt.date(2026, 11, 16), dt.date(2026, 11, 17))
    source = SimulatedSource()
    source.name = "yahoo"
    shutil.rmtree(lake / "bars")
    collect(source, ParquetSink(lake), sessions, ["META", "AMZN", "SNAP"], 30, lambda: NOW)

    said = [finding for finding in findings(lake, "note") if "forgets" in finding.what]

    # Wednesday to Friday, of three tickers.
    assert [finding.what for finding in said] == [
        "117 bars of 3 sessions are missing; yahoo forgets 2026-11-18 in 55 days"
    ]
    assert said[0].next_step == f"ask for them: tickerlake repair --lake {lake}"


def test_a_ticker_with_bars_in_two_currencies_is_a_problem():
    [found] = doctor.check_currencies([("VOD.L", "GBP", "GBp")])
    assert (found.level, found.what) == (
        "problem",
        "VOD.L has bars in GBP and in GBp: their prices cannot be compared",
    )
