"""Events of the schedules."""

import pytest

from functions.events import exchange_of
from tickerlake.errors import ConfigError


@pytest.mark.parametrize(
    "event", [{}, None, {"exchange": "XPAR"}, {"exchange": ["XNYS"]}, {"exchange": "XLON", "tickers": []}]
)
def test_an_event_that_names_no_exchange_is_an_error_that_lists_them(event):
    with pytest.raises(ConfigError, match=r'name an exchange, \{"exchange": "XNYS"\}; known are XNYS, XLON'):
        exchange_of(event)
