"""The smallest Streamlit page with an Altair chart and a button: the baseline for the dashboard's speed."""

import datetime as dt

import altair as alt
import pandas as pd
import streamlit as st

FRIDAY = dt.date(2026, 11, 20)

st.title("Bare")
if st.button("Earlier"):
    st.session_state["back"] = st.session_state.get("back", 0) + 1
back = st.session_state.get("back", 0)
day = FRIDAY - dt.timedelta(days=back)
st.header(f"{day:%a} {day.day} {day:%b %Y}")
highs = pd.DataFrame(
    [(f"T{ticker:03}", hour, ticker + hour + back) for ticker in range(11) for hour in range(9, 16)],
    columns=["ticker", "hour", "high"],
)
st.altair_chart(
    alt.Chart(highs).mark_line(point=True).encode(x="hour:O", y="high:Q", color="ticker:N", tooltip=["ticker", "high"])
)
