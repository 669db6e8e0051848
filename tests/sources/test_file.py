from __future__ import annotations

import datetime as dt
import gzip

import pandas as pd
import pytest

from tests.fakes.sinks import MemorySink
from tickerlake import exchange
from tickerlake.cli import main
from tickerlake.collect import collect
from tickerlake.errors import ConfigError, NoData, Unavailable
from tickerlake.exchange import XNYS
from tickerlake.sources import open_source
from tickerlake.sources.file import FileSource
from tickerlake.sources.simulated import SimulatedSource

FRIDAY = XNYS.session_on(dt.date(2026, 3, 13))
NOW = dt.datetime(2026, 3, 13, 22, tzinfo=dt.UTC)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "exports"
    path.mkdir()
    return path


def simulated(symbol, session=FRIDAY, bar_minutes=5):
    frame = SimulatedSource().bars(symbol, [session], bar_minutes)
    return frame.astype({"ts": "datetime64[us, UTC]", "volume": "Int64"})


def source(folder, **options):
    return FileSource(str(folder), **options)


def collected(vendor, tickers, session=FRIDAY):
    sink = MemorySink()
    [report] = collect(vendor, sink, [session], tickers, 5, lambda: NOW)
    return sink, report


# Formats


def test_a_csv_file_with_the_lakes_names_needs_no_mapping(folder):
    simulated("META").assign(ticker="META").to_csv(folder / "bars.csv", index=False)
    pd.testing.assert_frame_equal(source(folder).bars("META", [FRIDAY], 5), simulated("META"))


def test_a_parquet_file_keeps_its_types(folder):
    simulated("META").assign(ticker="META").to_parquet(folder / "bars.parquet")
    pd.testing.assert_frame_equal(source(folder).bars("META", [FRIDAY], 5), simulated("META"))


def test_columns_local_times_and_bar_ends_are_mapped_by_the_lakes_file(tmp_path, folder):
    frame = simulated("META")
    local = (frame["ts"] + pd.Timedelta(minutes=5)).dt.tz_convert("America/New_York")
    export = pd.DataFrame({"Symbol": "meta", "Date": local.dt.strftime("%m/%d/%Y %I:%M %p"), "Vol": frame["volume"]})
    export = export.assign(**{name.title(): frame[name] for name in ("open", "high", "low", "close")})
    (folder / "2026").mkdir()
    (folder / "2026" / "march.csv.gz").write_bytes(gzip.compress(export.to_csv(index=False).encode()))
    config = tmp_path / "tickerlake.toml"
    config.write_text(
        f"""
[vendor.file]
folder = '{folder}'
name = "broker"
time_zone = "America/New_York"
time_format = "%m/%d/%Y %I:%M %p"
stamped = "end"

[vendor.file.columns]
ticker = "Symbol"
ts = "Date"
open = "Open"
high = "High"
low = "Low"
close = "Close"
volume = "Vol"
"""
    )
    vendor = open_source("file", config)
    assert vendor.name == "broker"
    pd.testing.assert_frame_equal(vendor.bars("META", [FRIDAY], 5), frame)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_currency_that_a_file_states_is_kept_and_without_one_it_is_the_exchanges(folder, form):
    session = exchange.XLON.session_on(FRIDAY.date)
    frame = simulated("IGLN.L", session).assign(ticker="IGLN.L", Ccy="USD")
    frame.loc[0, "Ccy"] = None
    path = folder / f"bars.{form}"
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path)
    sink, _ = collected(source(folder, columns={"currency": "Ccy"}), ["IGLN.L"], session)
    assert sink.frame()["currency"].tolist() == ["GBp", *["USD"] * (len(frame) - 1)]


@pytest.mark.parametrize("date", [dt.date(2026, 3, 6), dt.date(2026, 3, 9), dt.date(2025, 11, 28)])
def test_local_times_follow_the_clock_changes(folder, date):
    session = XNYS.session_on(date)
    frame = simulated("META", session).assign(ticker="META")
    local = frame["ts"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    frame.assign(ts=local).to_parquet(folder / "bars.parquet")
    bars = source(folder, time_zone="America/New_York").bars("META", [session], 5)
    assert bars["ts"].tolist() == list(session.bar_starts(5))


def test_an_offset_in_the_time_beats_the_time_zone(folder):
    frame = simulated("META").assign(ticker="META")
    frame.assign(ts=frame["ts"].dt.tz_convert("Asia/Tokyo").map(pd.Timestamp.isoformat)).to_csv(folder / "a.csv")
    assert source(folder, time_zone="America/New_York").bars("META", [FRIDAY], 5)["ts"].tolist() == frame["ts"].tolist()


def test_without_a_column_for_it_the_ticker_is_the_files_name(folder):
    for ticker in ("META", "brk-b"):
        simulated(ticker.upper()).drop(columns="volume").to_csv(folder / f"{ticker}.csv", index=False)
    assert source(folder).bars("BRK-B", [FRIDAY], 5)["volume"].isna().all()
    sink, _ = collected(source(folder), ["META", "BRK-B"])
    assert sink.tickers() == {"META": 78, "BRK-B": 78}


def test_a_company_is_found_under_the_symbol_of_the_day_and_a_later_namesake_is_not(folder):
    before, after = XNYS.session_on(dt.date(2022, 6, 8)), XNYS.session_on(dt.date(2026, 3, 13))
    pd.concat([simulated("FB", before), simulated("FB", after)]).to_csv(folder / "FB.csv", index=False)
    assert len(source(folder).bars("META", [before], 5)) == 78
    with pytest.raises(NoData):
        source(folder).bars("META", [after], 5)


# Faults


def test_what_is_no_number_or_no_time_is_rejected_and_counted(folder):
    frame = simulated("META").assign(ticker="META").astype(object)
    frame.loc[0, "high"] = "n/a"
    frame.loc[1, "ts"] = "soon"
    frame.loc[2, "volume"] = "-5"
    frame.to_csv(folder / "bars.csv", index=False)
    sink, report = collected(source(folder), ["META"])
    assert report.bars == 75
    assert report.rejected == {"missing-price": 1, "missing-time": 1, "negative-volume": 1}
    assert len(sink.rejected) == 3


def test_times_in_another_format_are_one_clear_line(folder):
    simulated("META").assign(ticker="META", ts="13.03.2026 09:30").to_csv(folder / "bars.csv", index=False)
    with pytest.raises(Unavailable, match=r"the times of .*bars.csv; set time_format under \[vendor.file\]"):
        source(folder).bars("META", [FRIDAY], 5)


def test_a_damaged_file_is_named(folder):
    (folder / "bars.parquet").write_bytes(b"PAR1")
    with pytest.raises(Unavailable, match=r"^cannot read .*bars.parquet: .*; mend the file or move it away$"):
        source(folder).bars("META", [FRIDAY], 5)


def test_a_file_without_a_column_lists_those_that_it_has(folder):
    (folder / "bars.csv").write_text("Symbol,Date\nMETA,2026-03-13\n")
    with pytest.raises(ConfigError, match=r"bars.csv has no column 'ts'; it has Symbol, Date: name them under"):
        source(folder).bars("META", [FRIDAY], 5)


def test_a_ticker_that_no_file_has_is_no_data_and_an_empty_folder_says_what_it_lacks(folder):
    with pytest.raises(Unavailable, match=r"has no file that ends in .csv, .csv.gz, .parquet"):
        source(folder).bars("META", [FRIDAY], 5)
    simulated("META").to_csv(folder / "META.csv", index=False)
    with pytest.raises(NoData, match=r"^SNAP: no file in .* has bars between"):
        source(folder).bars("SNAP", [FRIDAY], 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folder": ""}, "folder is ''; it must be the absolute path of a folder"),
        ({"folder": "exports"}, "folder is 'exports'; it must be the absolute path"),
        ({"folder": 7}, "folder is 7; it must be the absolute path"),
        ({"name": "yahoo"}, "name is 'yahoo'; it must be letters, .* not the name of another source"),
        ({"name": "a b"}, "name is 'a b'"),
        ({"bar_minutes": 7}, "bar_minutes is 7; it must be one of 1, 2, 5"),
        ({"time_zone": "Europe"}, "time_zone is 'Europe'; it must be a name such as America/New_York"),
        ({"time_format": 1}, "time_format is 1; it must be a text such as"),
        ({"stamped": "middle"}, "stamped is 'middle'; it must be one of start, end"),
        ({"columns": {"high": 1}}, "it must be a table of names"),
        ({"columns": {"hi": "High"}}, "columns is 'hi'; it must be named ticker, ts, open"),
    ],
)
def test_options_that_cannot_be_used_are_refused(folder, options, message):
    with pytest.raises(ConfigError, match=message):
        FileSource(**{"folder": str(folder)} | options)


def test_another_bar_size_than_the_files_hold_is_an_argument_that_cannot_be_used(tmp_path, folder, capsys):
    (tmp_path / "tickerlake.toml").write_text(f"[vendor.file]\nfolder = '{folder}'\n")
    assert main(["collect", "--source", "file", "--bar-minutes", "1", "--lake", str(tmp_path)]) == 2
    assert "the files hold 5-minute bars by [vendor.file], not 1-minute bars" in capsys.readouterr().err


def test_the_command_collects_from_the_files_under_the_name_that_the_lake_gives_them(tmp_path, folder, capsys):
    session = exchange.XNYS.last_finished(dt.datetime.now(dt.UTC))
    simulated("META", session).to_csv(folder / "META.csv", index=False)
    (tmp_path / "tickerlake.toml").write_text(f"[vendor.file]\nfolder = '{folder}'\nname = 'broker'\n")
    assert main(["collect", "--source", "file", "--tickers", "META", "--lake", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["query", "sessions", "--format", "json", "--lake", str(tmp_path)]) == 0
    assert '"broker"' in capsys.readouterr().out
