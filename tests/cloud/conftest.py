"""One stack for all tests of this folder.

`make test` follows bars through the stack and checks who may do what; `make test-cloud` (CLOUD_TESTS) runs everything.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import os

import pytest

ONLY_ON_REQUEST = {
    "test_alerts",
    *("test_compaction", "test_exchanges", "test_faults", "test_forecasts", "test_keys", "test_outside", "test_sweep"),
}
_SKIP = pytest.mark.skip(reason="runs with `make test-cloud`")

if importlib.util.find_spec("ministack") is None:
    # test_patches.py remains, and is skipped with a reason.
    collect_ignore = [
        "test_access.py",
        "test_alerts.py",
        "test_compaction.py",
        "test_exchanges.py",
        "test_faults.py",
        "test_forecasts.py",
        "test_keys.py",
        "test_outside.py",
        "test_path.py",
        "test_sweep.py",
    ]
else:
    from tests.cloud.local import local_lake
    from tests.cloud.stack import running_guarded_stack, running_stack
    from tests.fakes.yahoo import running_yahoo
    from tickerlake import exchange
    from tickerlake.query import open_engine
    from tickerlake.watchlist import DEFAULT as WATCHLIST

    def pytest_collection_modifyitems(items):
        for item in items:
            if "tests/cloud/" in item.path.as_posix():
                item.add_marker(pytest.mark.cloud)
                item.add_marker(pytest.mark.enable_socket)
                if item.path.stem in ONLY_ON_REQUEST and not os.environ.get("CLOUD_TESTS"):
                    item.add_marker(_SKIP)

    @pytest.fixture(scope="session")
    def cloud_yahoo():
        with running_yahoo() as server:
            yield server

    @pytest.fixture(scope="session")
    def stack(tmp_path_factory, cloud_yahoo):
        with running_stack(tmp_path_factory.mktemp("stack"), cloud_yahoo) as created:
            yield created

    @pytest.fixture(scope="session")
    def guarded(tmp_path_factory, cloud_yahoo):
        """A stack that checks every caller's permissions."""
        with running_guarded_stack(tmp_path_factory.mktemp("guarded"), cloud_yahoo) as created:
            yield created

    @pytest.fixture
    def _points_at_the_stack(stack, monkeypatch):
        stack.failures()  # drops those of earlier tests
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)

    @pytest.fixture
    def engine(stack, _points_at_the_stack):
        return open_engine(stack.settings)

    @pytest.fixture(scope="session")
    def _unused_sessions():
        today = exchange.XNYS.date_at(dt.datetime.now(dt.UTC))
        return iter(exchange.XNYS.sessions_between(today - dt.timedelta(days=56), today - dt.timedelta(days=11)))

    @pytest.fixture
    def session(_unused_sessions):
        """A finished session that no other test collects."""
        return next(_unused_sessions)

    @pytest.fixture
    def next_session(session, _unused_sessions):
        """The one after `session`; no other test collects it either."""
        return next(_unused_sessions)

    @pytest.fixture
    def local(tmp_path):
        """`local(first, last, tickers)` collects sessions into a local lake and opens it."""

        def collected(first, last=None, tickers=WATCHLIST):
            return local_lake(tmp_path / "lake", first, last or first, tickers)

        return collected
