"""Bars from Alpaca's market data API (https://docs.alpaca.markets/reference/stockbars), which needs a free key.

The key comes from APCA_API_KEY_ID and APCA_API_SECRET_KEY, as in Alpaca's own clients. The free plan allows 200
requests a minute, and shows the consolidated feed 15 minutes late. Bars go back to 2016.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from curl_cffi import requests
from curl_cffi.requests.exceptions import RequestException

from tickerlake import exchange
from tickerlake.errors import ConfigError, NoData, RateLimited, SourceError, Unavailable
from tickerlake.exchange import Session
from tickerlake.settings import EnvironmentSettings, setting
from tickerlake.sources import BAR_COLUMNS
from tickerlake.sources.http import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    Transient,
    attempt,
    authorities,
    one_line,
    unreachable,
)

ORIGIN = "https://data.alpaca.markets"
FEEDS = ("sip", "iex")
BARS_PER_PAGE = 10_000
DELAY = dt.timedelta(minutes=16)
"""How far the free plan stays behind on the consolidated feed, with a minute to spare."""

_FIRST = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
_ACTIONS_PER_PAGE = 1000
# Splits are found by the day they are processed, which may follow the ex-date.
_PROCESSING = dt.timedelta(days=10)
_KEEP_SPLITS = dt.timedelta(hours=1)
# Trades before and after the session come along: from 4:00 to 20:00.
_MINUTES_A_DAY = 16 * 60
# Larger bars start on the full hour, and the exchange opens at half past.
_MOST_MINUTES = 30
_LONGEST_WAIT = 60.0


@dataclass(frozen=True)
class Key(EnvironmentSettings):
    """The key of an Alpaca account, from the environment."""

    ident: str = setting("APCA_API_KEY_ID", str, "the id of your Alpaca key", secret=True)
    secret: str = setting("APCA_API_SECRET_KEY", str, "the secret of your Alpaca key", secret=True)


class AlpacaSource:
    """Bars of US equities and funds from Alpaca.

    `feed` is `sip`, every US exchange, or `iex`, the trades of one small exchange without a delay. `clock` tells the
    time, and `pause` waits between attempts. Raises ConfigError for another feed, or if the key is not set.
    """

    name = "alpaca"
    parallel = 4
    options = ("feed",)

    def __init__(
        self,
        feed: str = "sip",
        origin: str = ORIGIN,
        key: Key | None = None,
        timeout: tuple[float, float] = (CONNECT_SECONDS, ANSWER_SECONDS),
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if feed not in FEEDS:
            raise ConfigError(f"[vendor.alpaca] feed is {feed!r}; it must be one of {', '.join(FEEDS)}")
        key = key or Key.from_environment()
        verify: Any = authorities()
        headers = {"APCA-API-KEY-ID": key.ident, "APCA-API-SECRET-KEY": key.secret}
        self._session = requests.Session(headers=headers, verify=verify, allow_redirects=False)
        self._feed, self._origin, self._timeout, self._clock, self._pause = feed, origin, timeout, clock, pause
        self._delayed = False
        self._lock = threading.Lock()
        self._splits: tuple[Any, dt.datetime, list[tuple[str, dt.date, float]]] | None = None

    def sessions_per_request(self, bar_minutes: int) -> int:
        """As many as fit on one page. Raises ConfigError for bars that do not start with the session."""
        if bar_minutes > _MOST_MINUTES:
            raise ConfigError(
                f"Alpaca's {bar_minutes}-minute bars start on the full hour, not with the session; "
                f"collect bars of at most {_MOST_MINUTES} minutes"
            )
        return max(1, BARS_PER_PAGE * bar_minutes // _MINUTES_A_DAY)

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:  # noqa: ARG002
        """The start of Alpaca's history."""
        return _FIRST

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions`, in USD and shares, adjusted for splits as Yahoo's are.

        Raises RateLimited, Unavailable, and NoData. Alpaca does not say whether a symbol is a fund.
        """
        if (place := exchange.of(symbol)) != exchange.XNYS:
            raise NoData(f"{symbol} trades in {place.name}, and Alpaca serves US exchanges only; name another --source")
        self._known_splits(sessions)  # a failure here fails the ticker, so that no split goes unseen
        first, last = sessions[0].open, sessions[-1].close
        try:
            rows = self._rows(symbol, first, last, bar_minutes)
        except _TooRecent:
            self._delayed = True
            rows = self._rows(symbol, first, last, bar_minutes)
        frame = _frame(rows)
        inside = pd.Series(data=False, index=frame.index)
        for session in sessions:
            inside |= (frame["ts"] >= session.open) & (frame["ts"] < session.close)
        if not inside.any():
            raise NoData(f"{symbol}: Alpaca has no bars between {first} and {last}; check the symbol")
        return frame[inside].reset_index(drop=True)

    def actions(self, symbol: str, sessions: Sequence[Session]) -> list[tuple[dt.date, float]]:
        """The splits of `symbol` in `sessions`, as ex-date and new shares for one old share."""
        dates = {session.date for session in sessions}
        found = self._known_splits(sessions)
        return sorted((date, ratio) for ticker, date, ratio in found if ticker == _spelled(symbol) and date in dates)

    def _rows(self, symbol: str, first: dt.datetime, last: dt.datetime, bar_minutes: int) -> list[dict[str, Any]]:
        if self._delayed:
            last = min(last, self._clock() - DELAY)
            if last <= first:
                raise NoData(
                    f"{symbol}: your plan at Alpaca shows the consolidated feed 15 minutes late; "
                    'collect again later, or set feed = "iex" under [vendor.alpaca]'
                )
        parameters = {
            "timeframe": f"{bar_minutes}Min",
            "start": _instant(first),
            # Alpaca counts the end in.
            "end": _instant(last - dt.timedelta(seconds=1)),
            "adjustment": "split",
            "feed": self._feed,
            "limit": str(BARS_PER_PAGE),
        }
        pages = self._pages(f"/v2/stocks/{_spelled(symbol)}/bars", parameters, symbol)
        return [row for page in pages for row in page.get("bars") or []]

    def _known_splits(self, sessions: Sequence[Session]) -> list[tuple[str, dt.date, float]]:
        """Every company's splits around `sessions`. One request serves all tickers of a window."""
        window, now = (sessions[0].date, sessions[-1].date), self._clock()
        with self._lock:
            if self._splits is None or self._splits[0] != window or now - self._splits[1] > _KEEP_SPLITS:
                parameters = {
                    "types": "forward_split,reverse_split",
                    "start": (window[0] - _PROCESSING).isoformat(),
                    "end": (window[1] + _PROCESSING).isoformat(),
                    "limit": str(_ACTIONS_PER_PAGE),
                }
                pages = self._pages("/v1/corporate-actions", parameters, "splits")
                self._splits = (window, now, [split for page in pages for split in _splits(page)])
            return self._splits[2]

    def _pages(self, path: str, parameters: dict[str, str], what: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            asked = parameters | ({"page_token": token} if token else {})
            page = attempt(lambda asked=asked: self._get(path, asked, what), self._pause)
            yield page
            token = page.get("next_page_token")
            if not token:
                return

    def _get(self, path: str, parameters: dict[str, str], what: str) -> dict[str, Any]:
        for wait_allowed in (True, False):
            try:
                response = self._session.get(f"{self._origin}{path}", params=parameters, timeout=self._timeout)
            except RequestException as error:
                raise unreachable("Alpaca", error, self._timeout) from error
            if not (wait_allowed and response.status_code == 429):
                break
            wait = self._seconds_to_wait(response)
            if wait is None:
                break
            self._pause(wait)
        if response.status_code != 200:
            raise self._refusal(response, what)
        try:
            page = response.json()
        except ValueError as error:
            raise Transient("Alpaca answered with something that is not JSON") from error
        if not isinstance(page, dict):
            raise Unavailable(f"{what}: Alpaca's answer is not an object; look for a newer tickerlake")
        return page

    def _seconds_to_wait(self, response: requests.Response) -> float | None:
        """How long until Alpaca counts requests anew; None if it does not say, or if that is too long."""
        reset = response.headers.get("X-RateLimit-Reset", "")
        if not re.fullmatch(r"\d{1,12}", reset):
            return None
        wait = max(0.0, int(reset) - self._clock().timestamp()) + 0.1
        return wait if wait <= _LONGEST_WAIT else None

    def _refusal(self, response: requests.Response, what: str) -> SourceError:
        status, reason = response.status_code, _reason(response)
        match status:
            case 429:
                return RateLimited(
                    "Alpaca has rate-limited this key (HTTP 429; the free plan allows 200 requests a minute); "
                    "wait a minute, then collect again"
                )
            case 403 if "recent SIP data" in reason and not self._delayed:
                return _TooRecent(reason)
            case 401 | 403:
                return Unavailable(
                    f"Alpaca refuses this key (HTTP {status}: {reason}); check APCA_API_KEY_ID and APCA_API_SECRET_KEY"
                )
            case 400 | 404 | 422:
                return NoData(f"{what}: Alpaca has no bars ({reason}); check the symbol")
            case _ if status >= 500:
                return Transient(f"Alpaca answered HTTP {status}")
            case _:
                return Unavailable(f"{what}: Alpaca answered HTTP {status} ({reason})")


class _TooRecent(Unavailable):
    """The plan does not show the newest trades of this feed."""


def _spelled(symbol: str) -> str:
    """`symbol` as Alpaca writes it: `BRK.B` for Yahoo's `BRK-B`."""
    return symbol.replace("-", ".")


def _splits(page: dict[str, Any]) -> list[tuple[str, dt.date, float]]:
    """Each split on `page`: its symbol at Alpaca, its ex-date, and new shares for one old share."""
    try:
        kinds = page.get("corporate_actions") or {}
        return [
            (str(each["symbol"]), dt.date.fromisoformat(each["ex_date"]), each["new_rate"] / each["old_rate"])
            for kind in ("forward_splits", "reverse_splits")
            for each in kinds.get(kind) or []
        ]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unavailable(f"tickerlake cannot read Alpaca's splits ({one_line(str(error))})") from error


def _frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    try:
        columns = {name: [row.get(name[0]) for row in rows] for name in BAR_COLUMNS}
        frame = pd.DataFrame(columns)
        frame["ts"] = pd.to_datetime(frame["ts"].astype(str), utc=True, format="ISO8601").astype("datetime64[us, UTC]")
        frame["volume"] = pd.array([None if volume is None else round(volume) for volume in columns["volume"]], "Int64")
        return frame.astype(dict.fromkeys(("open", "high", "low", "close"), "float64"))
    except (AttributeError, TypeError, ValueError) as error:
        raise Unavailable(f"tickerlake cannot read Alpaca's answer ({one_line(str(error))})") from error


def _instant(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _reason(response: requests.Response) -> str:
    """Alpaca's own reason for a refusal, if it gives one."""
    try:
        return one_line(str(response.json()["message"]))
    except (LookupError, TypeError, ValueError):
        return "without a reason"
