"""`tickerlake sql` as a user types it."""

import io
import json

import pytest

from tests.query.lakes import read_records, write_lake
from tickerlake.cli import cli
from tickerlake.cli.console import run_command
from tickerlake.query import SETTINGS


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Runs the command beside a lake: (exit code, standard output, standard error)."""
    write_lake(tmp_path / "lake", read_records("restatements"))
    monkeypatch.chdir(tmp_path)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)

    def call(*arguments):
        code = run_command(cli, ["sql", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_question_is_answered_as_a_table(call):
    code, out, err = call("SELECT 'max' AS what, max(high) AS high FROM bars WHERE ticker LIKE '%'")

    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["what", "high"]
    assert out.endswith("\n1 row from lake\n")


def test_a_dash_reads_the_statement_from_standard_input(call, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("-- how many\nSELECT count(*) AS n FROM records;\n"))

    assert json.loads(call("-", "--format", "json")[1]) == [{"n": 20}]


def test_formats_limit_and_files_are_those_of_query(call, tmp_path):
    assert call("SELECT ts FROM records ORDER BY ts", "--limit", "2", "-o", "out.csv")[0] == 0

    assert (tmp_path / "out.csv").read_text().startswith("ts\n2026-")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("DELETE FROM bars", 2, "DELETE is refused; write one statement that only reads"),
        ("SELECT 1; SELECT 2", 2, "more than one statement is refused"),
        ("SELECT hihg FROM bars", 1, 'Candidate bindings: "high"'),
        ("SELEKT 1", 1, 'syntax error at or near "SELEKT"'),
        ("SELECT * FROM read_text('/etc/hostname')", 1, "Cannot access file"),
    ],
)
def test_what_cannot_be_answered_is_one_line(call, text, code, says):
    result, out, err = call(text)

    assert (result, out) == (code, "")
    assert says in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
