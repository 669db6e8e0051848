"""Rows as text: CSV, JSON, or a table for people.

CSV and JSON keep everything: times are ISO 8601 in exchange time with their offset, prices are unrounded, null is
empty (`null` in JSON). In CSV, text that a spreadsheet would run as a formula begins with an apostrophe. The table
rounds prices to 4 decimals and leaves out seconds. It is written here because Rich takes 16 times as long as CSV.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tickerlake.query.answer import Answer
from tickerlake.query.catalog import Field

if TYPE_CHECKING:
    import pandas as pd

ROWS_SHOWN = 40
"""A longer table is elided in the middle on a terminal."""
PROVENANCE = (
    "collected_at",
    "old_collected",
    "new_collected",
    "source",
    "sources",
    "first_ts",
    "last_ts",
    "bar_minutes",
)
"""Columns that a narrow table leaves out first, in this order."""
_GAP = "  "
_LEAST_TEXT = 12
_NUMBERS = ("integer", "bigint", "double")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(answer: Answer) -> str:
    """The rows as CSV with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(inert(field.name) for field in answer.columns)
    text = {field.type: inert for field in answer.columns if field.type not in _NUMBERS}
    writer.writerows(_exact(answer, text | {"boolean": lambda value: str(value).lower()}))
    return buffer.getvalue()


def as_json(answer: Answer) -> str:
    """The rows as a JSON array of objects."""
    names = [field.name for field in answer.columns]
    # JSON has no infinity.
    rows = _exact(answer, {"double": lambda value: value if math.isfinite(value) else None})
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=1) + "\n"


def as_table(answer: Answer, width: int | None = None, rows_shown: int | None = None) -> str:
    """The rows as aligned text.

    With `width`, in characters, columns are left out until a line fits: provenance first, prices last. With
    `rows_shown`, the middle of a longer table is left out. The lines under the table name what is missing.
    """
    rows = answer.rows
    cut = rows_shown is not None and len(rows) > rows_shown
    if cut:
        half = rows_shown // 2
        rows = [*rows[:half], *rows[-half:]]
    shown = {}
    for place, field in enumerate(answer.columns):
        heading, show = _printable(field.name), _SHOW.get(field.type, _printable)
        values = [row[place] for row in rows]
        cells = _prices(values) if field.type == "double" else ["" if each is None else show(each) for each in values]
        shown[place] = [heading, *cells]
    widths = {place: max(map(_width, cells)) for place, cells in shown.items()}
    kept, widths = _fit(answer.columns, widths, width)

    lines = _lines([shown[place] for place in kept], [widths[place] for place in kept], answer.columns, kept)
    lines.insert(1, _GAP.join("─" * widths[place] for place in kept))
    if cut:
        lines.insert(2 + len(rows) // 2, "…")
        lines.append(f"{len(rows):,} of {len(answer.rows):,} rows shown")
    if left_out := [_printable(field.name) for place, field in enumerate(answer.columns) if place not in kept]:
        lines.append(f"not shown for lack of width: {', '.join(left_out)}")
    return "\n".join(lines) + "\n"


def to_csv(frame: pd.DataFrame) -> str:
    """A pandas frame as the same CSV."""
    times, text = frame.select_dtypes("datetimetz"), frame.select_dtypes(["str", "object"])
    cells = {name: iso_times(times[name]) for name in times} | {name: text[name].map(inert) for name in text}
    return frame.assign(**cells).rename(columns=inert).to_csv(index=False, lineterminator="\n")


def inert(value: Any) -> Any:
    """`value`; text that a spreadsheet would run as a formula with an apostrophe in front.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if not isinstance(value, str):
        return value
    text = f"'{value}" if value.startswith(_FORMULA) else value
    return text.replace("\r", "\n")  # the csv module does not quote a carriage return, which ends the row elsewhere


def iso_times(times: pd.Series) -> pd.Series:
    """Each time as ISO 8601 with its offset, `2026-11-20T09:35:00-05:00`; null stays null."""
    exact = "%Y-%m-%dT%H:%M:%S" if (times.dt.microsecond.fillna(0) == 0).all() else "%Y-%m-%dT%H:%M:%S.%f"
    # strftime writes the offset as -0500; ISO 8601's extended form has a colon in it.
    return times.dt.strftime(exact + "%z").str.replace(r"(\d\d)$", r":\1", regex=True)


def _exact(answer: Answer, converters: dict[str, Callable[[Any], Any]]) -> list[tuple[Any, ...]]:
    columns: list[Sequence[Any]] = []
    for field, values in zip(answer.columns, zip(*answer.rows, strict=True), strict=False):
        convert = converters.get(field.type)
        if field.type == "timestamp":
            convert = _iso(values)
        columns.append([None if value is None else convert(value) for value in values] if convert else values)
    return list(zip(*columns, strict=True))


def _iso(values: Sequence[dt.datetime | None]) -> Callable[[dt.datetime], str]:
    """One precision for the whole column."""
    whole = not any(value.microsecond for value in values if value is not None)
    precision = "seconds" if whole else "microseconds"
    text = lru_cache(maxsize=None)(lambda value, _fold: value.isoformat(timespec=precision))
    # An hour comes twice when summer time ends; its two times are equal but for their fold.
    return lambda value: text(value, value.fold)


def _fit(columns: Sequence[Field], widths: dict[int, int], width: int | None) -> tuple[list[int], dict[int, int]]:
    """The columns that fit into `width`, and how wide each is."""
    kept, widths = list(widths), dict(widths)

    def excess() -> int:
        return sum(widths[place] for place in kept) + len(_GAP) * (len(kept) - 1) - (width or 0)

    if width is None or excess() <= 0:
        return kept, widths
    names = {field.name: place for place, field in enumerate(columns)}
    spare = [*PROVENANCE, *(["session"] if "ts" in names else [])]  # ts shows the date too
    for name in spare:
        if excess() > 0 and names.get(name) in kept:
            kept.remove(names[name])
    # Then long text is cut, and at last columns go from the right.
    texts = [place for place in kept if columns[place].type == "varchar"]
    if texts and excess() > 0:
        longest = max(texts, key=widths.__getitem__)
        widths[longest] = max(min(_LEAST_TEXT, widths[longest]), widths[longest] - excess())
    while excess() > 0 and len(kept) > 1:
        kept.pop()
    if excess() > 0:
        widths[kept[0]] -= excess()
    return kept, widths


def _lines(
    shown: Sequence[Sequence[str]], widths: Sequence[int], columns: Sequence[Field], kept: Sequence[int]
) -> list[str]:
    padded = []
    for cells, width, place in zip(shown, widths, kept, strict=True):
        to_the_right = columns[place].type in _NUMBERS
        padded.append([_pad(cell, width, to_the_right=to_the_right) for cell in cells])
    return [_GAP.join(cells).rstrip() for cells in zip(*padded, strict=True)]


def _pad(text: str, width: int, *, to_the_right: bool) -> str:
    missing = width - _width(text)
    if missing < 0:
        while text and _width(text) > width - 1:
            text = text[:-1]
        text += "…"
        missing = width - _width(text)
    return " " * missing + text if to_the_right else text + " " * missing


def _width(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _printable(value: object) -> str:
    """`value` as text without anything that a terminal would act on."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _prices(values: Sequence[float | None]) -> list[str]:
    """A column's numbers with the same decimals, two to four, so that their points stand in line."""
    texts = ["" if value is None else f"{value:,.4f}" for value in values]
    given = [text for text in texts if text]
    surplus = next((count for count in (2, 1) if all(text.endswith("0" * count) for text in given)), 0)
    return [text[: len(text) - surplus] if text else "" for text in texts]


@lru_cache(maxsize=10_000)
def _minute(value: dt.datetime, _fold: int) -> str:
    return f"{value:%Y-%m-%d %H:%M %Z}"


_SHOW: dict[str, Callable[[Any], str]] = {
    "timestamp": lambda value: _minute(value, value.fold),
    "boolean": lambda value: str(value).lower(),
    "integer": str,
    "bigint": str,
}
