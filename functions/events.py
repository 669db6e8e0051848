"""What the functions' schedules send."""

from __future__ import annotations

from tickerlake.errors import ConfigError
from tickerlake.exchange import EXCHANGES, Exchange


def exchange_of(event: object) -> Exchange:
    """The exchange that `event` names, and it alone. ConfigError."""
    code = event.get("exchange") if isinstance(event, dict) and len(event) == 1 else None
    if not isinstance(code, str) or code not in EXCHANGES:
        raise ConfigError(
            f'the event is {event!r}; name an exchange, {{"exchange": "XNYS"}}; known are {", ".join(EXCHANGES)}'
        )
    return EXCHANGES[code]
