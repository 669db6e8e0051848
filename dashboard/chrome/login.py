"""Streamlit's own login, where the owner configured one: https://docs.streamlit.io/develop/concepts/connections/authentication"""

from __future__ import annotations

from importlib.util import find_spec

import streamlit as st


def is_admitted() -> bool:
    """Whether the visitor may see the pages: always, unless secrets.toml has `[auth]`; then after a login."""
    return bool(st.user.get("is_logged_in", True))


def ask() -> None:
    """Offer to log in."""
    st.header("Log in to see this lake", anchor=False)
    if find_spec("authlib") is None:
        st.error("Cannot log in: Authlib is missing. The owner installs it with pip install 'streamlit[auth]'.")
        return
    st.button("Log in", icon=":material/login:", on_click=st.login)


def leave() -> None:
    """The button that logs out, for those who logged in."""
    if st.user.get("is_logged_in"):
        st.button("Log out", icon=":material/logout:", key="log out", on_click=st.logout)
