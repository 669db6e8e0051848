"""Why a button or a field could not do what it was asked, shown once beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import streamlit as st

from dashboard import labels
from tickerlake.errors import TickerlakeError


@contextlib.contextmanager
def kept(place: str) -> Generator[None]:
    """Keeps an error of the block for `show`; the block ends there."""
    try:
        yield
    except TickerlakeError as error:
        st.session_state[f"{place} refusal"] = str(error)


def show(place: str) -> None:
    """Shows the error that `kept` has for `place`, if any."""
    if refusal := st.session_state.pop(f"{place} refusal", None):
        st.error(labels.escape(refusal))
