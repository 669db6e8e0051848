"""A query's rows as text: CSV, JSON, or a table for a terminal.

Times are ISO 8601 in exchange time with their offset, prices are unrounded, what is missing is empty (null in
JSON). The table is for reading: it rounds prices to 4 decimals and leaves the seconds away.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from rich.table import Table


def to_csv(frame: pd.DataFrame) -> str:
    """`frame` as CSV with a header line."""
    return _with_iso_times(frame).to_csv(index=False, lineterminator="\n")


def to_json(frame: pd.DataFrame) -> str:
    """`frame` as a JSON array of one object a row."""
    rows = _with_iso_times(frame).astype(object)
    return json.dumps(rows.where(rows.notna(), None).to_dict("records"), indent=1) + "\n"


def to_table(frame: pd.DataFrame, title: str) -> Table:
    """`frame` as a table for a terminal: numbers to the right, times without seconds."""
    from rich.table import Table  # noqa: PLC0415  the dashboard writes CSV alone

    table = Table(title=title, title_justify="left", header_style="bold")
    columns = []
    for name, values in frame.items():
        numeric = pd.api.types.is_numeric_dtype(values)
        table.add_column(str(name), justify="right" if numeric else "left", no_wrap=True)
        columns.append(_readable(values))
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    return table


def _with_iso_times(frame: pd.DataFrame) -> pd.DataFrame:
    times = frame.select_dtypes("datetimetz")
    return frame.assign(**{name: iso_times(times[name]) for name in times})


def iso_times(times: pd.Series) -> pd.Series:
    """Each time as ISO 8601 with its offset: `2026-11-20T09:35:00-05:00`; null stays null."""
    exact = "%Y-%m-%dT%H:%M:%S" if (times.dt.microsecond.fillna(0) == 0).all() else "%Y-%m-%dT%H:%M:%S.%f"
    # strftime writes an offset as -0500; ISO 8601's extended form has a colon in it.
    return times.dt.strftime(exact + "%z").str.replace(r"(\d\d)$", r":\1", regex=True)


def _readable(values: pd.Series) -> list[str]:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        text = values.dt.strftime("%Y-%m-%d %H:%M %Z")
    elif pd.api.types.is_float_dtype(values):
        text = values.map("{:,.4f}".format).str.replace(r"(\.\d\d)0{1,2}$", r"\1", regex=True)
    else:
        text = values.astype("str")
    return text.mask(values.isna(), "").tolist()
