"""A vendor with a key: Pulumi stores it, the function reads it when it runs, and nobody sees it."""

from __future__ import annotations

import json

import pytest

from tests.cloud.stack import RunFailed, create_beside
from tests.fakes.alpaca import KEY, FakeAlpaca

GOOD = json.dumps({"APCA_API_KEY_ID": KEY.ident, "APCA_API_SECRET_KEY": KEY.secret})
STALE = json.dumps({"APCA_API_KEY_ID": KEY.ident, "APCA_API_SECRET_KEY": "a-stale-secret"})
PARAMETER = "/tickerlake-keyed-collector/key"


@pytest.fixture(scope="module")
def keyed(guarded):
    """A stack that collects from Alpaca, with a key that Alpaca no longer accepts."""
    config = {"tickerlake:source": "alpaca", "tickerlake:sourceKey": STALE}
    with FakeAlpaca.running() as alpaca:
        yield create_beside(guarded, "keyed", config, alpaca)


def test_a_new_key_counts_without_a_deployment_and_is_never_logged(keyed, monkeypatch):
    event = {"session": "last", "tickers": ["META"]}
    with pytest.raises(RunFailed, match=r"Alpaca refuses this key .*check APCA_API_KEY_ID"):
        keyed.invoke(event)

    keyed.client("ssm").put_parameter(Name=PARAMETER, Value=GOOD, Type="SecureString", Overwrite=True)
    report = keyed.invoke(event)

    assert (report["delivered"], report["failed"]) == (78, 0)
    written = json.dumps(keyed.log())
    assert written.count("Alpaca refuses this key") >= 1
    assert not [secret for secret in (KEY.ident, KEY.secret, "a-stale-secret") if secret in written]


@pytest.mark.parametrize(
    ("value", "says"),
    [("not JSON", "holds no JSON object of texts"), (None, "cannot read the vendor's key from the SSM parameter")],
)
def test_a_key_that_cannot_be_read_fails_the_run_and_says_what_to_do(keyed, value, says):
    parameters = keyed.client("ssm")
    if value is None:
        parameters.delete_parameter(Name=PARAMETER)
    else:
        parameters.put_parameter(Name=PARAMETER, Value=value, Type="SecureString", Overwrite=True)

    with pytest.raises(RunFailed, match=says):
        keyed.invoke({"session": "last", "tickers": ["META"]})
