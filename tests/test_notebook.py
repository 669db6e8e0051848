"""Runs the notebook in docs/ on a simulated lake, in a kernel of this interpreter."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.simulated import SimulatedSource

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "analysis.ipynb"
TICKERS = ("META", "AMZN", "NFLX")
SESSIONS = exchange.XNYS.sessions_between(date(2026, 11, 19), date(2026, 11, 20))


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The outputs of the code cells, in order."""
    folder = tmp_path_factory.mktemp("notebook")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    collect(SimulatedSource(), ParquetSink(folder / "lake"), SESSIONS, TICKERS, 5, lambda: now)
    homes = dict.fromkeys(("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"), str(folder))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env=os.environ | homes | {"PYTHONPATH": str(ROOT), "LAKE_DIR": str(folder / "lake")})
    return [cell.outputs[-1].data for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_in_git_has_no_outputs():
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_notebook_answers_with_every_hour_of_every_ticker(executed):
    highs = executed[1]["text/html"]
    assert all(highs.count(f"<td>{ticker}</td>") >= 7 for ticker in TICKERS)


def test_the_notebook_draws_the_hours_and_the_way_through_the_session(executed):
    hourly, path = (drawn(output["text/html"]) for output in executed[2:4])
    assert rows(hourly, "hour") == {(ticker, hour) for ticker in TICKERS for hour in range(9, 16)}
    assert len(rows(path, "time")) == len(TICKERS) * 78
    for chart in (hourly, path):
        assert chart["title"]["subtitle"] == "Simulated prices, for demonstration only"


def test_the_notebook_compares_the_last_two_sessions_per_ticker(executed):
    comparison = executed[-1]["text/html"]
    assert all(session.dt in comparison for session in SESSIONS)
    assert all(f"<th>{ticker}</th>" in comparison for ticker in TICKERS)


def drawn(html):
    """The Vega-Lite specification that Altair's page is given."""
    return json.JSONDecoder().raw_decode(html, html.index('({"config"') + 1)[0]


def rows(chart, column):
    (data,) = chart["datasets"].values()
    return {(row["ticker"], row[column]) for row in data}
