"""Bars from Yahoo through yfinance (https://github.com/ranaroussi/yfinance): one request per ticker and window.

yfinance builds the request and reads the answer. Everything else it does is switched off here: the probe for a time
zone, the cookie and the crumb (the chart endpoint needs none of them), the caches on disk and in memory, and the second
request after a refusal, which would count towards the rate limit.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import yfinance
from curl_cffi import requests
from curl_cffi.requests.exceptions import HTTPError, RequestException
from yfinance import _http
from yfinance.data import YfData
from yfinance.exceptions import YFDataException, YFException, YFPricesMissingError, YFRateLimitError

from tickerlake.errors import ConfigError, NoData, RateLimited, SourceError, Unavailable, WrongInstrument
from tickerlake.exchange import Exchange, Session
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
from tickerlake.sources.limits import oldest, yahoo_days

# "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
_DAYS_PER_REQUEST = {1: 8}
# Five sessions span at most seven and a half days, around a long weekend. `bars` splits longer windows anyway.
_SESSIONS_PER_REQUEST = {1: 5}

# yfinance requests 15-minute bars and merges two at a time, because Yahoo answers 30m with 60m bars.
_MERGED = {30: "30min"}


class YahooSource:
    """Bars of equities and cryptocurrencies from Yahoo.

    `instruments` says what else to collect: symbols, and what each is at Yahoo, such as `{"SPY": "ETF"}`.

    `session` sends the requests, `timeout` is the seconds to connect and to answer, `pause` waits between attempts.
    Raises ConfigError if yfinance has no curl_cffi.
    """

    name = "yahoo"
    parallel = 4
    options = ("instruments",)

    def __init__(
        self,
        session: requests.Session | None = None,
        timeout: tuple[float, float] = (CONNECT_SECONDS, ANSWER_SECONDS),
        pause: Callable[[float], None] = time.sleep,
        instruments: Mapping[str, str] | None = None,
    ) -> None:
        kinds = instruments or {}
        if not isinstance(kinds, Mapping) or not all(isinstance(each, str) for each in kinds.values()):
            raise ConfigError(f'[vendor.yahoo] instruments is {kinds!r}; it must be a table such as {{ SPY = "ETF" }}')
        self._instruments = {symbol.upper(): kind.upper() for symbol, kind in kinds.items()}
        if not _http.HAS_CURL_CFFI:
            # yfinance would fall back to plain requests, which Yahoo soon refuses with 429:
            # https://github.com/ranaroussi/yfinance/issues/2422
            raise ConfigError(
                "yfinance found no curl_cffi, and Yahoo refuses other clients; "
                "unset YF_DISABLE_CURL_CFFI, or reinstall tickerlake"
            )
        yfinance.config.debug.hide_exceptions = False
        # yfinance also raises what it logs. On import it turns on DeprecationWarnings, including its own about pandas.
        logging.getLogger("yfinance").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
        self._session = session or BrowserSession()
        self._timeout = timeout
        self._pause = pause
        self._refusals = 0
        self._splits: dict[str, dict[dt.date, float]] = {}

    def sessions_per_request(self, bar_minutes: int) -> int:
        """As many as Yahoo gives in one request; for most bar sizes that is everything it has."""
        return _SESSIONS_PER_REQUEST.get(bar_minutes, yahoo_days(bar_minutes))

    def oldest(self, bar_minutes: int, now: dt.datetime) -> dt.datetime:
        """The earliest bar start to request at `now`."""
        return oldest(self.name, bar_minutes, now)

    def bars(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        """The bars of `symbol` in `sessions`: `ts` in UTC, prices rounded to 4 decimals, volume nullable Int64,
        and the `currency` that Yahoo states.

        Raises RateLimited at the first 429, Unavailable when all attempts have failed, NoData and WrongInstrument.
        """
        windows = [self._window(symbol, window, bar_minutes) for window in _windows(sessions, bar_minutes)]
        return pd.concat(windows, ignore_index=True)

    def actions(self, symbol: str, sessions: Sequence[Session]) -> list[tuple[dt.date, float]]:
        """The splits of `symbol` in `sessions`, which Yahoo delivers with the bars."""
        dates = {session.date for session in sessions}
        return sorted((date, ratio) for date, ratio in self._splits.get(symbol, {}).items() if date in dates)

    def _window(self, symbol: str, sessions: Sequence[Session], bar_minutes: int) -> pd.DataFrame:
        refusals = self._refusals
        return attempt(lambda: self._ask(symbol, sessions, bar_minutes, refusals), self._pause)

    def _ask(self, symbol: str, sessions: Sequence[Session], bar_minutes: int, refusals: int) -> pd.DataFrame:
        """One request. `refusals` is the number of rate limits before this window's first attempt."""
        if self._refusals > refusals:
            raise RateLimited("not retried, because Yahoo rate-limited another ticker (HTTP 429)")
        ticker = yfinance.Ticker(symbol, session=self._session)
        # Set here, the time zone is neither requested from Yahoo nor looked up in the cache on disk.
        place = sessions[0].exchange
        ticker._tz = place.zone.key  # noqa: SLF001
        # YfData is a singleton, and its session would be shared by the whole process.
        data = ticker._data = type.__call__(_Requests, self._session)  # noqa: SLF001
        try:
            history = ticker.history(
                start=sessions[0].open,
                end=sessions[-1].close,
                interval=f"{bar_minutes}m",
                prepost=False,
                auto_adjust=False,
                actions=False,
                keepna=True,  # else rows without prices disappear before they can be rejected
                timeout=self._timeout,
            )
            answer = data.answer["chart"]["result"][0]
            frame = _frame(history, answer, bar_minutes)
            self._splits.setdefault(symbol, {}).update(_splits(answer, place))
        except (YFException, RequestException, LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._source_error(symbol, error) from error
        self._check_instrument(symbol, place, answer["meta"])
        if frame.empty:
            raise NoData(f"{symbol}: Yahoo has no bars between {sessions[0].open} and {sessions[-1].close}")
        return frame.assign(currency=answer["meta"].get("currency"))

    def _check_instrument(self, symbol: str, place: Exchange, meta: dict[str, Any]) -> None:
        """Raises WrongInstrument if Yahoo's `symbol` is not what the exchange trades, or what `instruments` says."""
        expected = self._instruments.get(symbol, "CRYPTOCURRENCY" if place.trades_pairs else "EQUITY")
        if (found := meta["instrumentType"]) == expected:
            return
        name = meta.get("longName") or meta.get("shortName")
        raise WrongInstrument(
            f"{symbol} has the type {found} at Yahoo{f' ({name})' if name else ''}, not {expected}; "
            "use the symbol that the company trades under today; if you do want this instrument, write "
            f'instruments = {{ "{symbol}" = "{found}" }} under [vendor.yahoo] in tickerlake.toml'
        )

    def _source_error(self, symbol: str, error: Exception) -> SourceError:
        """The SourceError for what yfinance or the connection raised."""
        match error:
            case HTTPError(response=requests.Response(status_code=status) as response) if status >= 400:
                return self._refusal(symbol, status, _reason(response))
            case YFRateLimitError():
                return self._refusal(symbol, 429, None)
            case RequestException():
                return unreachable("Yahoo", error, self._timeout)
            case YFPricesMissingError() | KeyError(args=("timestamp",)):
                reason = getattr(error, "yahoo_reason", None) or "it gave no reason"
                return NoData(f"{symbol}: Yahoo has no bars in this window ({reason})")
            case YFDataException() | json.JSONDecodeError():
                return Transient("Yahoo answered with something that is not JSON")
            case _:
                return Unavailable(
                    f"{symbol}: yfinance {yfinance.__version__} cannot read Yahoo's answer "
                    f"({type(error).__name__}: {one_line(str(error))}); look for a newer yfinance"
                )

    def _refusal(self, symbol: str, status: int, reason: str | None) -> SourceError:
        if status == 429:
            self._refusals += 1
            return RateLimited(
                "Yahoo has rate-limited this address (HTTP 429, too many requests); "
                "wait some minutes, then collect again"
            )
        if status == 404:
            return NoData(f"{symbol}: Yahoo has no bars ({reason or 'HTTP 404'}); check the symbol")
        if status == 422:
            return NoData(f"{symbol}: Yahoo refuses this window ({reason or 'HTTP 422'}); collect later sessions")
        if status >= 500:
            return Transient(f"Yahoo answered HTTP {status}")
        return Unavailable(f"{symbol}: Yahoo answered HTTP {status} ({reason or 'without a reason'})")


class BrowserSession(requests.Session):
    """Connections that look like Chrome's to Yahoo. Any answer of 400 and above raises HTTPError.

    Otherwise yfinance would see the error, change its cookie strategy and send another request. One session serves any
    number of threads; each has its own connection.
    """

    def __init__(self) -> None:
        verify: Any = authorities()
        super().__init__(impersonate="chrome", raise_for_status=True, verify=verify)


class _Requests(YfData):
    """yfinance's requests for one ticker, without cookie, crumb and cache. `answer` is the JSON of the last one."""

    _response: requests.Response | None = None

    @property
    def answer(self) -> dict[str, Any]:
        return self._response.json() if self._response is not None else {}

    def get(self, url: str, params: dict | None = None, timeout: Any = 30) -> requests.Response:
        self._response = super().get(url, params, timeout)
        return self._response

    def cache_get(self, url: str, params: dict | None = None, timeout: Any = 30) -> requests.Response:
        # yfinance's cache keeps every answer for the life of the process, broken ones included.
        return self.get(url, params, timeout)

    def _get_cookie_and_crumb(self, timeout: Any = 30) -> tuple[None, str]:  # noqa: ARG002
        return None, self._cookie_strategy


def _windows(sessions: Sequence[Session], bar_minutes: int) -> Iterator[list[Session]]:
    """`sessions` in groups that Yahoo gives in one request each."""
    longest = pd.Timedelta(days=_DAYS_PER_REQUEST.get(bar_minutes, yahoo_days(bar_minutes)))
    window: list[Session] = []
    for session in sessions:
        if window and session.close - window[0].open > longest:
            yield window
            window = []
        window.append(session)
    yield window


def _frame(history: pd.DataFrame, answer: dict[str, Any], bar_minutes: int) -> pd.DataFrame:
    """The frame that yfinance made of Yahoo's answer, with the nulls that yfinance replaced restored.

    yfinance drops repeated rows, a last row at the end of the window, and rows at or after the end of the trading
    period that the answer names. After an early close Yahoo names the usual close, so those rows stay. A last trade
    inside the previous bar (12:00:04) is merged into that bar: the price did occur there, and a running bar is left out
    anyway. Everything else is left to the rules.
    """
    ts = pd.DatetimeIndex(history.index).tz_convert("UTC").as_unit("us")
    given = pd.DatetimeIndex(pd.to_datetime(answer["timestamp"], unit="s", utc=True)).as_unit("us")
    if bar_minutes in _MERGED:
        given = given.floor(_MERGED[bar_minutes])
    traded = given[[volume is not None for volume in answer["indicators"]["quote"][0]["volume"]]]
    prices = history[["Open", "High", "Low", "Close"]].to_numpy(dtype="float64").round(4)
    frame = pd.DataFrame(prices, columns=list(BAR_COLUMNS[1:5]))
    frame.insert(0, "ts", ts)
    # yfinance writes 0 if Yahoo gave no volume, but 0 means that nothing was traded.
    frame["volume"] = pd.arrays.IntegerArray(history["Volume"].to_numpy(dtype="int64"), ~ts.isin(traded))
    # Merging also creates empty bars throughout nights and weekends.
    return frame[ts.isin(given)].reset_index(drop=True)


def _splits(answer: dict[str, Any], place: Exchange) -> dict[dt.date, float]:
    """Each split in `answer`: its ex-date, and new shares for one old share."""
    events = answer.get("events", {}).get("splits", {})
    dated = {place.date_at(dt.datetime.fromtimestamp(each["date"], dt.UTC)): each for each in events.values()}
    return {date: each["numerator"] / each["denominator"] for date, each in dated.items()}


def _reason(response: requests.Response) -> str | None:
    """Yahoo's own reason for a refusal, if it gives one."""
    try:
        return one_line(response.json()["chart"]["error"]["description"])
    except (LookupError, TypeError, ValueError):
        return None
