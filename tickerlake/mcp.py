"""The named queries as tools for agents, over the Model Context Protocol (https://modelcontextprotocol.io).

Read-only: an agent can run the queries of `tickerlake query`, one at a time, on as many sessions and tickers as a
visitor of a read-only dashboard, and get at most `MOST_ROWS` rows of each. It cannot collect, write, or run SQL of its
own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import anyio
import mcp_types as mcp
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

import tickerlake
from tickerlake import limits
from tickerlake.errors import ConfigError, LakeEmpty, TickerlakeError
from tickerlake.query.catalog import Field, Query, load, names
from tickerlake.query.engines import Engine
from tickerlake.query.formats import as_json
from tickerlake.query.runner import is_required, run

ROWS = 100
"""Rows of an answer unless a call asks for more."""
MOST_ROWS = 1_000

_INSTRUCTIONS = (
    "Bars of stocks as a vendor gave them, with every correction. Sessions are dates of the exchange, times carry "
    "their offset. hourly_high answers what each ticker's highest price was in every hour; coverage what is missing."
)
_WHOLE_LAKE = ("runs", "sessions", "splits", "tickers")
"""They say what the lake holds, and an agent needs them to ask for less of it."""
_SCHEMAS: dict[str, dict[str, Any]] = {
    "varchar": {"type": "string"},
    "varchar list": {"type": "array", "items": {"type": "string"}},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
    "integer": {"type": "integer"},
    "bigint": {"type": "integer"},
    "double": {"type": "number"},
    "boolean": {"type": "boolean"},
}


def tool(query: Query) -> mcp.Tool:
    """The query as a tool: its options are the arguments, its header is the description."""
    properties = {field.name: _SCHEMAS[field.type] | {"description": field.comment} for field in query.options}
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "description": f"most rows; default {ROWS}"}
    return mcp.Tool(
        name=query.name,
        description="\n".join([query.purpose, "", "Columns:", *map(_line, query.columns), "", query.notes]).rstrip(),
        input_schema={
            "type": "object",
            "properties": properties | {"limit": limit},
            "required": [field.name for field in query.options if is_required(field)],
            "additionalProperties": False,
        },
        annotations=mcp.ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )


def answer(engine: Engine, name: str, arguments: dict[str, Any]) -> mcp.CallToolResult:
    """Runs the query `name`: its rows, whether there are more, and what a reader should know. Errors are one line."""
    limit = arguments.get("limit", ROWS)
    if type(limit) is not int or not 1 <= limit <= MOST_ROWS:
        return _failed(f"limit is {limit!r}; it must be a whole number from 1 to {MOST_ROWS}")
    parameters = {key: value for key, value in arguments.items() if key != "limit"}
    try:
        if name not in _WHOLE_LAKE:
            _check(engine, parameters)
        found = run(engine, name, limit=limit + 1, **parameters)
        rows = json.loads(as_json(found))
    except TickerlakeError as error:
        return _failed(str(error))
    content = {"rows": rows[:limit], "more": len(rows) > limit, "notes": list(found.notes)}
    return mcp.CallToolResult(content=[mcp.TextContent(text=json.dumps(content))], structured_content=content)


def _check(engine: Engine, parameters: dict[str, Any]) -> None:
    """ConfigError if the bars that `parameters` choose are more than one question may ask for. QueryFailed."""
    chosen = {key: parameters[key] for key in ("first", "last", "tickers", "as_of") if key in parameters}
    try:
        held = run(engine, "tickers", **chosen).column("sessions")
    except (ConfigError, LakeEmpty):
        return  # there are none, or the query itself says what it cannot use
    limits.check(tickers=len(held), sessions=max(held, default=0))


def serve(open_engine: Callable[[], Engine]) -> None:
    """Serves the queries on standard input and output until the client hangs up."""
    anyio.run(_serve, server(open_engine))


def server(open_engine: Callable[[], Engine]) -> Server[Any]:
    """The server. The engine is opened by the first call, and answers one call at a time."""
    opened = cache(open_engine)
    one_at_a_time = anyio.Lock()

    def ask(name: str, arguments: dict[str, Any]) -> mcp.CallToolResult:
        try:
            engine = opened()
        except TickerlakeError as error:
            return _failed(str(error))
        return answer(engine, name, arguments)

    async def list_tools(context: Any, params: Any) -> mcp.ListToolsResult:  # noqa: ARG001
        return mcp.ListToolsResult(tools=[tool(load(name)) for name in names()])

    async def call_tool(context: Any, params: mcp.CallToolRequestParams) -> mcp.CallToolResult:  # noqa: ARG001
        async with one_at_a_time:
            return await anyio.to_thread.run_sync(ask, params.name, params.arguments or {})

    return Server(
        "tickerlake",
        version=tickerlake.__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _serve(serving: Server[Any]) -> None:
    async with stdio_server() as (read, write):
        await serving.run(read, write, serving.create_initialization_options())


def _line(field: Field) -> str:
    return f"  {field.name} ({field.type}): {field.comment}"


def _failed(message: str) -> mcp.CallToolResult:
    return mcp.CallToolResult(content=[mcp.TextContent(text=message)], is_error=True)
