"""A fake Alpaca on loopback: bars and splits page by page, as https://docs.alpaca.markets/reference describes them."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from tests.fakes.vendor import Answer, FakeVendor, Request
from tickerlake import exchange
from tickerlake.sources.alpaca import Key
from tickerlake.sources.simulated import SimulatedSource

KEY = Key("an-id", "a-secret")


def refused(status: int, message: str) -> Answer:
    """A refusal as the API writes it."""
    return Answer(status, json.dumps({"message": message}))


TOO_RECENT = refused(403, "subscription does not permit querying recent SIP data")


@dataclass
class FakeAlpaca(FakeVendor):
    """The server's answers and the requests it received. A test scripts frames of bars, or an `Answer`."""

    hosts = ("data.alpaca.markets",)
    too_many = refused(429, "too many requests.")

    page: int = 10_000
    """The most bars on a page, whatever is asked for."""
    free_plan: bool = False
    """Whether the consolidated feed is refused for the last 15 minutes."""
    splits: Sequence[tuple[str, str, int, int]] = field(default_factory=list)
    """Splits: symbol, ex-date, new shares, old shares."""

    def symbol_of(self, path: str) -> str | None:
        """The symbol of a request for bars."""
        parts = path.split("/")
        return parts[3] if parts[1:3] == ["v2", "stocks"] and parts[4:] == ["bars"] else None

    def other(self, request: Request) -> Answer:
        """Splits, sorted into two kinds, one on a page."""
        if not self._is_known(request):
            return refused(401, "unauthorized.")
        if request.path != "/v1/corporate-actions":
            return refused(404, "endpoint not found.")
        first, last = request.query["start"], request.query["end"]
        inside = [each for each in self.splits if first <= each[1] <= last]
        place = int(request.query.get("page_token", "0"))
        kinds: dict[str, list[dict]] = {}
        for symbol, ex_date, new, old in inside[place : place + 1]:
            action = {"symbol": symbol, "ex_date": ex_date, "process_date": ex_date, "new_rate": new, "old_rate": old}
            kinds["forward_splits" if new > old else "reverse_splits"] = [action]
        more = str(place + 1) if place + 1 < len(inside) else None
        return Answer(200, json.dumps({"corporate_actions": kinds, "next_page_token": more}))

    def ready(self, request: Request, scripted: pd.DataFrame | None) -> Answer:
        """One page of bars, those before and after the session included."""
        query = request.query
        if not self._is_known(request):
            return refused(403, "forbidden.")
        first, last = (pd.Timestamp(query[name]) for name in ("start", "end"))
        if self.free_plan and query["feed"] == "sip" and last > self.now() - dt.timedelta(minutes=15):
            return TOO_RECENT
        minutes = int(query["timeframe"].removesuffix("Min"))
        frame = self._simulated(str(request.symbol), first, last, minutes) if scripted is None else scripted
        frame = frame[(frame["ts"] >= first) & (frame["ts"] <= last) & (frame["ts"] <= self.now())]
        place = int(base64.b64decode(query["page_token"])) if "page_token" in query else 0
        length = min(self.page, int(query["limit"]))
        rows = [
            {
                "t": f"{row.ts:%Y-%m-%dT%H:%M:%SZ}",
                "o": row.open,
                "h": row.high,
                "l": row.low,
                "c": row.close,
                "v": int(row.volume),
                "n": 10,
                "vw": row.close,
            }
            for row in frame.iloc[place : place + length].itertuples()
        ]
        more = base64.b64encode(str(place + length).encode()).decode() if place + length < len(frame) else None
        return Answer(200, json.dumps({"bars": rows or None, "symbol": request.symbol, "next_page_token": more}))

    def _is_known(self, request: Request) -> bool:
        given = (request.headers.get("apca-api-key-id"), request.headers.get("apca-api-secret-key"))
        return given == (KEY.ident, KEY.secret)

    def _simulated(self, symbol: str, first: pd.Timestamp, last: pd.Timestamp, minutes: int) -> pd.DataFrame:
        days = exchange.XNYS.sessions_between(exchange.XNYS.date_at(first), exchange.XNYS.date_at(last))
        frame = SimulatedSource().bars(symbol.replace(".", "-"), days, minutes)
        early = frame.iloc[:1].assign(ts=frame["ts"].iloc[:1] - pd.Timedelta(hours=2))
        late = frame.iloc[-1:].assign(ts=frame["ts"].iloc[-1:] + pd.Timedelta(hours=2))
        return pd.concat([early, frame, late])
