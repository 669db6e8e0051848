"""The dashboard: Streamlit pages over the answers of the named queries. `app.py` is the script to run."""
