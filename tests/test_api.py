"""`tickerlake.open`: the lake in two lines of Python."""

import datetime as dt
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tickerlake
from tests.query.lakes import read_records, write_lake
from tickerlake.errors import ConfigError, LakeEmpty
from tickerlake.query import load, names
from tickerlake.settings import SETTINGS

ROOT = Path(__file__).parents[1]


@pytest.fixture
def lake(tmp_path, monkeypatch):
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    return tickerlake.open(write_lake(tmp_path / "lake", read_records("ties")))


def test_two_lines_answer_the_hourly_high_as_a_typed_frame_in_exchange_time(lake):
    frame = lake.hourly_high("AAA", first="2026-11-01")

    assert frame.dtypes.astype(str).to_dict() == {
        "ticker": "str",
        "session": "str",
        "hour": "int64",
        "high": "float64",
        "ts": "datetime64[us, America/New_York]",
        "touch": "Int64",
    }
    assert frame["ticker"].unique().tolist() == ["AAA"]
    assert frame["ts"].iloc[0].isoformat() == "2026-11-20T09:30:00-05:00"


@pytest.mark.parametrize("tickers", ["AAA,BBB", "aaa, bbb", ["AAA", "bbb"], ("AAA", "BBB"), None])
@pytest.mark.parametrize("day", ["2026-11-20", dt.date(2026, 11, 20)])
def test_tickers_are_text_or_a_list_and_dates_text_or_dates(lake, tickers, day):
    assert lake.daily(tickers, first=day, last=day)["ticker"].tolist() == ["AAA", "BBB"]


@pytest.mark.parametrize("name", names())
def test_every_query_is_a_method_with_its_header_as_documentation(lake, name):
    method, query = getattr(lake, name), load(name)

    assert name in dir(lake)
    assert method.__name__ == name
    assert str(inspect.signature(method)).startswith("(tickers=None, *, first=None, last=None, as_of=None,")
    assert all(part in inspect.getdoc(method) for part in (query.purpose, *[f.comment for f in query.columns]))
    assert query.notes in inspect.getdoc(method)


def test_query_and_sql_answer_the_same_as_the_methods(lake):
    assert lake.query("tickers", limit=1)["ticker"].tolist() == ["AAA"]
    assert lake.sql("SELECT DISTINCT ticker FROM bars ORDER BY 1").squeeze().tolist() == ["AAA", "BBB"]
    assert len(lake.sql("SELECT * FROM bars", limit=2)) == 2


def test_a_skipped_file_is_a_warning_where_the_query_is_called(tmp_path):
    folder = write_lake(tmp_path / "lake", read_records("early_close"))
    damaged = sorted(folder.glob("bars/*/*.parquet"))[1]
    damaged.write_text("damaged")

    with pytest.warns(UserWarning, match=f"skipped {damaged}: .*; move it to quarantine: tickerlake repair"):
        frame = tickerlake.open(folder).query("tickers")
    assert len(frame) > 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda lake: lake.hourly_high("ZZZ"), "holds no bars of ZZZ; it holds AAA, BBB"),
        (lambda lake: lake.hourly_high("'; DROP"), "is not a symbol"),
        (lambda lake: lake.hourly_high(first="2026-13-01"), "first: '2026-13-01' is not a date; write YYYY-MM-DD"),
        (lambda lake: lake.hourly_high(frist="2026-11-20"), "has no parameter 'frist'; it has first, last, tickers"),
        (lambda lake: lake.query("hourly_low"), "there is no query 'hourly_low'; the queries are bars, coverage"),
        (lambda lake: lake.sql("DROP TABLE bars"), "DROP is refused"),
        (lambda lake: lake.collect(source="bloomberg"), "unknown source 'bloomberg'"),
        (lambda lake: lake.collect(bar_minutes=7), "bar_minutes is 7; use one of 1, 2, 5"),
        (lambda lake: lake.collect(["no symbol"]), "NO SYMBOL is not a symbol"),
        (lambda lake: lake.collect(session="yesterday"), "'yesterday' is not a date; write YYYY-MM-DD"),
        (lambda lake: lake.collect(source="simulated"), "simulated"),
    ],
)
def test_what_cannot_be_used_is_an_error_with_the_command_s_message(lake, call, says):
    with pytest.raises(ConfigError, match=says):
        call(lake)


def test_a_name_that_is_no_query_is_an_attribute_error_that_names_the_queries(lake):
    with pytest.raises(AttributeError, match="a lake has no query 'hourly_low'; the queries are bars, coverage"):
        _ = lake.hourly_low


def test_it_collects_the_watchlist_and_says_what_came(tmp_path):
    lake = tickerlake.open(tmp_path / "new")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "tickerlake.toml").write_text('tickers = ["META", "AMZN"]')
    with pytest.raises(LakeEmpty):
        lake.daily()

    (report,) = lake.collect(session="2026-11-20", source="simulated", bar_minutes=30)
    reports = lake.collect("SHOP", first=dt.date(2026, 11, 18), last="2026-11-19", source="simulated", bar_minutes=30)

    assert lake.watchlist == ("META", "AMZN")
    assert (report.bars, report.failures) == (26, [])
    assert [each.session.dt for each in reports] == ["2026-11-18", "2026-11-19"]
    assert lake.tickers()["sessions"].tolist() == [1, 1, 2]


def test_without_a_folder_it_is_the_lake_of_the_settings(tmp_path, monkeypatch, lake):
    monkeypatch.setenv("LAKE_DIR", str(tmp_path / "lake"))
    assert len(tickerlake.open().daily()) == 2

    monkeypatch.setenv("LAKE_ENGINE", "trino")
    assert repr(tickerlake.open()) == "<tickerlake trino>"
    with pytest.raises(ConfigError, match="LAKE_ENGINE is trino; only a lake in a folder collects"):
        tickerlake.open().collect()
    assert len(tickerlake.open(tmp_path / "lake").daily()) == 2


def test_importing_the_package_imports_nothing_else():
    code = "import sys; before = set(sys.modules); import tickerlake; print(sorted(set(sys.modules) - before))"

    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert printed in ("['tickerlake']\n", "['__future__', 'tickerlake']\n")
