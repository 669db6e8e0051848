"""The server for agents, asked by the official client."""

import datetime as dt
import json
import sys

import anyio
import pytest
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

from tickerlake import exchange, limits
from tickerlake.cli import main
from tickerlake.mcp import MOST_ROWS, answer, tool
from tickerlake.query.catalog import load, names
from tickerlake.query.engines.duckdb import DuckDBEngine


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    session = exchange.XNYS.last_finished(dt.datetime(2026, 3, 14, tzinfo=dt.UTC)).dt
    asked = ["--session", session, "--tickers", "META,AMZN", "--source", "simulated", "--lake", str(folder)]
    assert main(["collect", *asked]) == 0
    return folder


def test_an_agent_lists_the_queries_and_runs_one(lake):
    async def talk():
        command = StdioServerParameters(command=sys.executable, args=["-m", "tickerlake", "mcp", "--lake", str(lake)])
        async with stdio_client(command) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            found = await session.call_tool("hourly_high", {"tickers": ["META"]})
            refused = await session.call_tool("hourly_high", {"tickers": ["ZZZZ"]})
            return tools, found, refused

    tools, found, refused = anyio.run(talk)
    assert [each.name for each in tools] == names()
    assert {each.annotations.read_only_hint for each in tools} == {True}
    assert not found.is_error
    assert [row["hour"] for row in found.structured_content["rows"]] == list(range(9, 16))
    assert json.loads(found.content[0].text) == found.structured_content
    assert refused.is_error
    assert "holds no bars of ZZZZ" in refused.content[0].text


def test_an_answer_is_cut_at_its_limit_and_says_so(lake):
    engine = DuckDBEngine(lake)
    whole = answer(engine, "hourly_high", {}).structured_content
    cut = answer(engine, "hourly_high", {"limit": 5}).structured_content
    exact = answer(engine, "hourly_high", {"limit": 14}).structured_content
    assert (len(whole["rows"]), whole["more"]) == (14, False)
    assert (cut["rows"], cut["more"]) == (whole["rows"][:5], True)
    assert exact == whole


def test_an_agent_may_ask_for_as_much_as_a_visitor_of_the_dashboard_and_for_what_there_is(lake, monkeypatch):
    monkeypatch.setattr(limits, "MOST_TICKERS", 1)
    engine = DuckDBEngine(lake)

    refused = answer(engine, "hourly_high", {})

    assert refused.is_error
    assert refused.content[0].text == "2 tickers are too many at once here; choose at most 1"
    assert not answer(engine, "hourly_high", {"tickers": ["META"]}).is_error
    assert len(answer(engine, "tickers", {}).structured_content["rows"]) == 2


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("hourly_high", {"limit": 0}, f"limit is 0; it must be a whole number from 1 to {MOST_ROWS}"),
        ("hourly_high", {"limit": "9"}, "limit is '9'; it must be"),
        ("hourly_high", {"limit": True}, "limit is True; it must be"),
        ("hourly_high", {"limit": MOST_ROWS + 1}, f"limit is {MOST_ROWS + 1}; it must be"),
        ("hourly_high", {"sql": "DROP TABLE bars"}, "the query hourly_high has no parameter 'sql'"),
        ("hourly_high", {"first": "yesterday"}, "yesterday"),
        ("drop", {}, "there is no query 'drop'"),
    ],
)
def test_what_a_query_does_not_take_is_refused_in_one_line(lake, name, arguments, message):
    refused = answer(DuckDBEngine(lake), name, arguments)
    assert refused.is_error
    assert message in refused.content[0].text
    assert "\n" not in refused.content[0].text


@pytest.mark.parametrize("name", names())
def test_the_arguments_of_a_tool_are_the_options_of_its_query(name):
    query = load(name)
    schema = tool(query).input_schema
    assert set(schema["properties"]) == {field.name for field in query.options} | {"limit"}
    assert tool(query).description.startswith(query.purpose)


def test_a_lake_that_cannot_be_opened_is_an_error_of_the_call(tmp_path):
    refused = answer(DuckDBEngine(tmp_path / "none"), "hourly_high", {})
    assert refused.is_error
    assert "holds no bars; collect some" in refused.content[0].text
