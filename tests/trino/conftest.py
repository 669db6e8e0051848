"""A cluster to compare with: the one that TRINO_URL names, else a server of our own."""

import datetime as dt
import os
from urllib.parse import urlsplit

import pytest

from tests.trino import server
from tests.trino.cluster import Cluster
from tickerlake import exchange
from tickerlake.collect import collect
from tickerlake.lake.parquet import ParquetSink
from tickerlake.sources.simulated import SimulatedSource

TICKERS = [f"S{number:03}" for number in range(500)]
LAST = dt.date(2026, 11, 20)
COLLECTED = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _no_internet():
    """In place of the fixture of this name that every other test has: TRINO_URL may name any host."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if url := os.environ.get("TRINO_URL"):
        parts = urlsplit(url)
        yield Cluster(
            parts.hostname,
            parts.port or (443 if parts.scheme == "https" else 8080),
            catalog=os.environ.get("LAKE_CATALOG", "memory"),
            user=os.environ.get("LAKE_USER", "tickerlake"),
            password=os.environ.get("LAKE_PASSWORD", ""),
            tls=parts.scheme == "https",
        )
        return
    try:
        jars = server.jars()
    except server.NoServer as error:
        pytest.skip(str(error))
    with server.serving(jars, tmp_path_factory.mktemp("trino")) as url:
        yield Cluster("127.0.0.1", urlsplit(url).port, statement_characters=3_000_000)


@pytest.fixture(scope="session")
def large_lakes(tmp_path_factory):
    """Lakes of 500 simulated tickers by their number of sessions: one, and as many as TRINO_SESSIONS says."""
    lakes = {}
    for count in (1, int(os.environ.get("TRINO_SESSIONS", "252"))):
        days = exchange.XNYS.sessions_between(LAST - dt.timedelta(days=2 * count + 10), LAST)[-count:]
        lakes[count] = tmp_path_factory.mktemp(f"lake-{count}")
        collect(SimulatedSource(), ParquetSink(lakes[count]), days, TICKERS, 5, lambda: COLLECTED)
    return lakes
