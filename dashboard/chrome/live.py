"""Parts of a page that update by themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

import streamlit as st

from dashboard import clock
from dashboard.chrome import errors
from dashboard.data.lake import Lake
from tickerlake.errors import TickerlakeError

REFRESH = dt.timedelta(seconds=20)
"""How often pages look for new bars while a session runs."""


def live(part: Callable[..., None], every: dt.timedelta | None) -> Callable[..., None]:
    """`part` of a page as a fragment that runs again `every` so often. Its errors are shown in its place."""

    @wraps(part)
    def guarded(*arguments: Any, **named: Any) -> None:
        try:
            part(*arguments, **named)
        except TickerlakeError as error:
            errors.show(error, start_over=False)

    return st.fragment(guarded, run_every=every)


def interval(lake: Lake, dates: Collection[dt.date]) -> dt.timedelta | None:
    """`REFRESH` if the running session is among `dates`; None, for never, otherwise: the past does not change."""
    if lake.as_of is not None:
        return None
    now = clock.now()
    return REFRESH if lake.exchange.date_at(now) in dates and lake.exchange.running(now) else None
