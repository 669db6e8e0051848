"""Properties that hold whatever comes in: no traceback, nothing lost, and one clear line."""

import contextlib
import csv
import datetime as dt
import gzip
import io
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import strategies as st

from functions.collector.handler import Event
from tests.fuzz.conftest import fuzz
from tests.query.lakes import read_records, write_lake
from tickerlake import bars
from tickerlake.cli import COMMANDS, main
from tickerlake.cli.console import EXIT_CODES
from tickerlake.errors import ConfigError, TickerlakeError
from tickerlake.importers import importing, recorded
from tickerlake.importers.importing import import_objects
from tickerlake.importers.recorded import RecordedObject
from tickerlake.lake.faults import all_faults, quarantine
from tickerlake.lake.layout import Layout
from tickerlake.query import load, names, run
from tickerlake.query.engines.duckdb import DuckDBEngine
from tickerlake.query.formats import as_csv, as_json, as_table
from tickerlake.settings import SETTINGS, Settings

NOON = dt.datetime(2020, 12, 14, 12, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
GOOD = b'{"ticker": "FB", "ts": "2020-12-02 09:30:00-05:00", "high": 101.5, "low": 100.0}\n'
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
FRAGMENTS = st.sampled_from(
    [GOOD, b"{", b"}", b'{"', b"{'", b'\\"', b"\\", b"\n", b"[", b"]", b"high,low,ts,name\n",
     b"1,1,2020-12-02 09:30,A\n", b"\x1f\x8b", gzip.compress(GOOD, mtime=0), b"PAR1", b"\xff\xfe", b"\xef\xbb\xbf",
     b"nan", b"9" * 400, GOOD[:40]]
)  # fmt: skip
CONTENTS = st.lists(FRAGMENTS | st.binary(max_size=30), max_size=20).map(b"".join)
SERVE_OR_ASK = {"demo", "mcp", "dashboard", "watch", "collect", "repair", "doctor", "forecast"}
TEXTS = st.text(max_size=12) | st.sampled_from(
    [
        "",
        "*",
        "'",
        "';--",
        "2026-11-25",
        "2026-13-45",
        "0000-00-00",
        "AAA",
        "AAA,BBB",
        "%(first)s",
        "\0",
        "latest",
        "-1",
    ]
)
SQL = st.lists(
    st.sampled_from(
        ["SELECT", "*", "count(*)", "FROM", "bars", "records", "WHERE", "dt", "=", "'2026-11-25'", "high", "GROUP BY",
         "1",
         ";", "DROP TABLE bars", "COPY bars TO 'x'", "ATTACH 'x'", "read_text('/etc/hostname')", "(", ")", "WITH x AS",
         "--", "/*", "'", '"', "UNION ALL", "INSTALL httpfs", "PRAGMA version", "CAST('x' AS int)", "1/0", "ORDER BY"]
    )
    | st.text(max_size=5),
    max_size=10,
).map(" ".join)  # fmt: skip


class Shelf:
    """A sink that counts what an import stores."""

    def __init__(self):
        self.rejected = []

    def check_sources(self, sources):
        pass

    def merge(self, frame):
        assert bars.broken_rules(frame[~bars.withdrawals(frame)], collected=False).isna().all()
        return len(frame)

    def reports(self):
        return []

    def reject(self, rejected):
        self.rejected += [json.dumps(record.as_dict()) for record in rejected]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two sessions, one file each."""
    return write_lake(tmp_path_factory.mktemp("fuzz") / "lake", read_records("early_close"))


@fuzz(5, records=st.lists(st.dictionaries(st.sampled_from([*recorded.KEYS, "name", "x"]), VALUES | TEXTS), max_size=8))
def test_every_imported_record_is_stored_a_duplicate_or_rejected(records):
    text = "\n".join([json.dumps(record, default=str) for record in records] + [GOOD.decode()])
    report = import_objects([RecordedObject("x", NOON, text.encode())], Shelf(), clock=lambda: NOW)

    assert report.read == report.stored + report.duplicate + report.rejected.total()
    assert report.stored >= 1


NAMES = st.sampled_from([*recorded.KEYS, "name", "Ticker", "x"])


@fuzz(40, records=st.lists(st.dictionaries(NAMES, SCALARS | TEXTS, min_size=1), min_size=1, max_size=4))
def test_lines_are_read_at_once_as_they_are_one_by_one(records):
    text = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    at_once, one_by_one = recorded._lines(text), recorded._together(recorded._objects(text))
    table = recorded._table(text) if at_once else None
    names_differ = len({name for record in records for name in record if name.lower() in ("ticker", "name")}) > 1

    assert at_once or names_differ or set("{}[") & set(text[1:-1].replace("}\n{", ""))
    if at_once:
        assert list(at_once.texts) == list(one_by_one.texts)
        assert repr([*map(list, at_once.columns)]) == repr([*map(list, one_by_one.columns)])
        assert at_once.are_records == one_by_one.are_records
    if table:
        assert table.texts.to_pylist() == list(one_by_one.texts)
        # A table has no whole numbers.
        columns = [[float(value) if isinstance(value, int) else value for value in of] for of in one_by_one.columns]
        assert repr([column.to_pylist() for column in table.columns]) == repr(columns)
        assert table.are_records == one_by_one.are_records


@fuzz(10, contents=st.lists(CONTENTS, max_size=3))
def test_any_bytes_are_imported_without_harm_to_other_files(contents):
    objects = [RecordedObject(str(number), NOON, content) for number, content in enumerate(contents)]
    sink = Shelf()
    report = import_objects([*objects, RecordedObject("good", NOON, GOOD)], sink, clock=lambda: NOW)

    assert report.files == len(contents) + 1
    assert report.read == report.stored + report.duplicate + report.rejected.total()
    assert report.stored >= 1
    assert len(sink.rejected) == report.rejected.total()


@fuzz(100, environment=st.dictionaries(st.sampled_from([item.variable for item in SETTINGS]), st.text(max_size=20)))
def test_any_settings_are_used_or_refused_with_every_fault(environment):
    with contextlib.suppress(ConfigError):
        assert isinstance(Settings.from_environment(environment), Settings)


@fuzz(30, event=VALUES | st.dictionaries(st.sampled_from(["session", "first", "last", "tickers", "x"]), VALUES | TEXTS))
def test_any_event_is_read_or_refused(event):
    with contextlib.suppress(ConfigError):
        assert isinstance(Event.read(event), Event)


@fuzz(
    15,
    name=st.sampled_from(names()),
    values=st.dictionaries(st.sampled_from(["first", "last", "tickers", "as_of", "basis"]), TEXTS | VALUES),
)
def test_any_parameters_are_answered_or_refused(whole, name, values):
    allowed = {field.name for field in load(name).options}
    given = {key: value for key, value in values.items() if key in allowed}
    with contextlib.suppress(TickerlakeError):
        found = run(engine(whole), name, now=NOW, **given)
        assert all(len(row) == len(found.columns) for row in found.rows)


@fuzz(15, text=SQL)
def test_any_statement_only_reads_the_lake(whole, text):
    before = listing(whole)
    with contextlib.suppress(TickerlakeError):
        found = engine(whole).ask(text, limit=100)
        assert not any("/etc" in str(cell) for row in found.rows for cell in row)
        for written in (as_csv(found), as_json(found), as_table(found)):
            assert isinstance(written, str)
        assert json.loads(as_json(found)) is not None
        assert not any(
            cell.startswith(("=", "+", "@")) for row in csv.reader(io.StringIO(as_csv(found))) for cell in row
        )
    assert listing(whole) == before
    assert not Path("x").exists()


@fuzz(
    40,
    command=st.sampled_from(sorted(COMMANDS.keys() - SERVE_OR_ASK)),
    arguments=st.lists(
        TEXTS.filter(lambda text: "\0" not in text)
        | st.sampled_from([*names(), "--first", "--format", "csv", "--limit", "--lake", "lake", "-h", "add", "bash"]),
        max_size=4,
    ),
)  # fmt: skip
def test_any_arguments_end_in_a_documented_exit_code_and_no_traceback(command, arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([command, *arguments])

    assert code in EXIT_CODES
    assert "Traceback" not in err.getvalue()
    assert code == 0 or re.match(r"(?s).*error: .", err.getvalue())


@fuzz(2, data=st.data())
def test_whatever_lies_in_a_lake_good_sessions_are_answered_and_repair_moves_the_rest(whole, tmp_path_factory, data):
    lake = Layout(shutil.copytree(whole, tmp_path_factory.mktemp("lake") / "lake"))
    good, other = lake.files()
    try:
        for number in range(data.draw(st.integers(1, 3))):
            litter(lake, other, number, data)
        expected = [row for row in engine(whole).ask(COUNT).rows if row[0] == good.parent.name.removeprefix("dt=")]
        found = engine(lake.folder).ask(COUNT)
        assert [row for row in found.rows if row[0] == expected[0][0]] == expected
        content = Counter(path.read_bytes() for path in lake.folder.rglob("*") if path.is_file())
        quarantine(lake)
        assert all_faults(lake) == []
        assert engine(lake.folder).ask(COUNT).notes == ()
        assert Counter(path.read_bytes() for path in lake.folder.rglob("*") if path.is_file()) == content
    finally:
        shutil.rmtree(lake.folder)


COUNT = "SELECT dt, count(*) AS bars, max(high) AS high FROM bars GROUP BY dt ORDER BY dt"


def litter(lake, other, number, data):
    """Puts something into the lake that does not belong there, or damages the file `other`."""
    folder = data.draw(
        st.sampled_from([other.parent, lake.bars / "dt=2026-13-45", lake.bars / "dt=foo", lake.splits, lake.log])
    )
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / data.draw(st.sampled_from([f"litter{number}.parquet", f"{number}.txt", f".{number}.parquet"]))
    match data.draw(st.sampled_from(["bytes", "cut", "flipped", "overwritten", "folder", "link", "circle", "empty"])):
        case "bytes":
            place.write_bytes(data.draw(st.binary(max_size=200)))
        case "cut":
            whole = other.read_bytes() or b"?"
            place.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        case "flipped" | "overwritten" as how:
            content = bytearray(other.read_bytes())
            if content:
                at = data.draw(st.integers(0, len(content) - 1))
                content[at] ^= data.draw(st.integers(1, 255))
                (place if how == "flipped" else other).write_bytes(content)
        case "folder":
            place.mkdir(exist_ok=True)
        case "link" | "circle" as how:
            place.unlink(missing_ok=True) if not place.is_dir() else None
            if not place.exists():
                place.symlink_to("nowhere" if how == "link" else place.name)
        case "empty":
            place.touch()


def engine(folder):
    return DuckDBEngine(folder)


def listing(folder):
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*")}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LAKE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(importing, "_ROWS_PER_FRAME", 50)
