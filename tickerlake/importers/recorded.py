"""Reads bars from text files, such as the objects that an earlier deployment of this pipeline wrote to S3.

The form is detected: JSON objects, one per line, without separators, pretty-printed or in an array; Python dicts; CSV
with a header. Each may be UTF-8 or, with a byte-order mark, UTF-16, and may be compressed with gzip. Text between
records that is not a record becomes a piece of its own, and reading goes on at the next record.

This module only reads. It applies no rule, rounds no price and changes no name.
"""

from __future__ import annotations

import ast
import codecs
import csv
import datetime as dt
import json
import os
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from tickerlake.errors import ConfigError
from tickerlake.lake.layout import Layout
from tickerlake.record import milliseconds

KEYS = {
    "ticker": ("ticker", "symbol", "name", "company", "stock"),
    "ts": ("ts", "timestamp", "datetime", "time"),
    "bar_minutes": ("bar_minutes",),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "currency": ("currency",),
    "source": ("source",),
    "collected_at": ("collected_at",),
}
"""For each column of the record, the keys it may have, in any case. The first one present counts."""

LONGEST_PIECE = 4000
"""Characters kept of text that is not a record: enough to recognise it."""
LONGEST_RECORD = 100_000
"""Characters that a JSON object or a Python dict may have. A bar takes about 200."""
LARGEST_EXPANSION = 100
"""How many times its size a gzip file may unpack to. Bars take 10 to 35 times; gzip can reach 1,000 times."""


@dataclass(frozen=True)
class RecordedObject:
    """One file or S3 object: its name, when it was written (UTC), and its bytes."""

    name: str
    collected_at: dt.datetime
    content: bytes


class Records(NamedTuple):
    """Consecutive records of an object, with the pieces of text between them that are not records, as columns."""

    texts: Sequence[str] | pa.StringArray
    """Each as it came; a row of a table as JSON."""
    columns: Sequence[Sequence[Any] | pa.Array]
    """The values of each of `KEYS`: text, numbers, datetimes from a table, or None if missing."""
    are_records: Sequence[bool]
    """False for a piece of text."""


def not_a_record(text: str) -> Records:
    """`text` that is not a record."""
    return _together([(text, None)])


def local_objects(paths: Sequence[Path]) -> Iterator[RecordedObject]:
    """The files under `paths` (files, or folders and everything below them), in the order they were written.

    Each file is read once. Hidden files in folders are skipped, and in a lake everything but its bars. Raises
    ConfigError for a path that does not exist or cannot be read.
    """
    found = {file.resolve(): file for path in reversed(paths) for file in _files(path)}
    # A file name may hold bytes that are not text; they are escaped for messages.
    named = ((os.fsencode(file.as_posix()).decode(errors="backslashreplace"), file) for file in found.values())
    written = sorted((_written(file), name, file) for name, file in named)
    for collected_at, name, file in written:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise _unusable(file, error) from error
        yield RecordedObject(name, collected_at, content)


# STREAM-VERSION-YYYY-MM-DD-HH-MM-SS-UUID: https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html
_FIREHOSE_NAME = re.compile(r"-(\d{4})-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def collected_at_in(name: str) -> dt.datetime | None:
    """The UTC time in the name of an object that Firehose wrote; None for other names."""
    found = _FIREHOSE_NAME.search(name)
    if found is None:
        return None
    try:
        return dt.datetime(*map(int, found.groups()), tzinfo=dt.UTC)
    except ValueError:
        return None


def read_records(content: bytes) -> Iterator[Records]:
    """The records of an object in order, and the pieces of text between them, in blocks.

    Takes time in proportion to the size, and memory for a few megabytes of text at a time, whatever the bytes are. Text
    without any record is one piece; an empty object has none. A gzip file that is damaged, or that unpacks to more than
    `LARGEST_EXPANSION` times its size, is read up to there; the last piece then says so.
    """
    problems: list[str] = []
    header = None
    for number, text in enumerate(_blocks(_texts(content, problems))):
        if number == 0:
            header = _header(_first_line(text))
        if header is None:
            block = _lines(text) or _together(_objects(text))
        else:
            rows, header = _rows(text, header)
            block = _together(rows)
        yield _together(_pieces(text)) if len(block.texts) and not any(block.are_records) else block
    yield from (not_a_record(f"gzip: {problem}") for problem in problems)


def read_times(values: Sequence[Any] | pa.Array, timezone: dt.tzinfo) -> pd.DatetimeIndex:
    """`values` as instants (UTC): datetimes, text, or seconds or milliseconds since 1970. NaT for anything else.

    A time without an offset is in `timezone`. It is NaT in the hour that a clock change repeats or skips.
    """
    # The bars of all tickers share their starts, so there are few distinct values.
    codes, distinct = factorized(values)
    moments = [*(_moment(value, timezone) for value in distinct), None]
    return pd.DatetimeIndex(moments, dtype="datetime64[us, UTC]").take(codes)


def factorized(values: Sequence[Any] | pa.Array) -> tuple[np.ndarray, Sequence[Any]]:
    """For each value the place among the distinct ones, -1 if it is missing; and those."""
    if isinstance(values, pa.Array):
        encoded = values.dictionary_encode()
        return encoded.indices.fill_null(-1).to_numpy(), encoded.dictionary.to_pylist()
    codes, distinct = pd.factorize(np.array(values, dtype=object))
    return codes, list(distinct)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    try:
        # Path.rglob would silently skip a folder that cannot be read.
        for folder, folders, names in os.walk(path, onerror=_raise):
            lake = Layout(Path(folder))
            others = (lake.rejections, lake.log, lake.splits, lake.config, lake.quarantine)
            no_data = {path.name for path in others} if lake.sessions() else set()
            folders[:] = [name for name in folders if not name.startswith(".") and name not in no_data]
            files = (Path(folder, name) for name in names if not name.startswith(".") and name not in no_data)
            yield from (file for file in files if file.is_file())
    except OSError as error:
        raise _unusable(path, error) from error


def _raise(error: OSError) -> None:
    raise error


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot read {path}: {error.strerror}; name files or folders that exist and are readable")


def _written(file: Path) -> dt.datetime:
    named = collected_at_in(file.name)
    if named is not None:
        return named
    try:
        return milliseconds(dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC))
    except OSError as error:
        raise _unusable(file, error) from error


_GZIP = b"\x1f\x8b"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_READ_AT_ONCE = 1 << 20
_SMALL = 1 << 24
"""Bytes that any gzip file may unpack to."""


def _texts(content: bytes, problems: list[str]) -> Iterator[str]:
    """The text of an object, in parts; invalid bytes are escaped. `problems` gets what could not be unpacked."""
    parts = _unzipped(content, problems) if content.startswith(_GZIP) else _parts(content, _READ_AT_ONCE)
    decoder = None
    for part in parts:
        if decoder is None:
            encoding = "utf-16" if bytes(part[:2]) in _UTF_16 else "utf-8"
            decoder = codecs.getincrementaldecoder(encoding)(errors="backslashreplace")
        yield decoder.decode(part)
    if decoder is not None:
        yield decoder.decode(b"", final=True)


def _parts(content: bytes, size: int) -> Iterator[memoryview]:
    view = memoryview(content)
    return (view[start : start + size] for start in range(0, len(view), size))


def _unzipped(content: bytes, problems: list[str]) -> Iterator[bytes]:
    """As much of a gzip file as can and may be unpacked; `problems` gets what is wrong with the rest, if anything."""
    most = max(_SMALL, LARGEST_EXPANSION * len(content))
    unpacked = 0
    member = None
    # In small parts, because a damaged one loses everything that was unpacked in the same call.
    for number, part in enumerate(_parts(content, 4096)):
        rest = bytes(part)
        while rest:
            if member is None and not content.startswith(_GZIP, number * 4096 + len(part) - len(rest)):
                after = content[number * 4096 + len(part) - len(rest) :]
                if after.strip(b"\0"):
                    problems.append(f"{len(after)} bytes of something else follow")
                return
            member = member or zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            try:
                piece = member.decompress(rest)
            except zlib.error as error:
                problems.append(str(error))
                return
            yield piece
            unpacked += len(piece)
            if unpacked > most:
                size = f"{len(content):,} bytes"
                problems.append(f"unpacks to more than {most:,} bytes, the limit for {size}; the rest is not read")
                return
            rest = member.unused_data
            if member.eof:
                member = None
    if member is not None:
        problems.append("the file ends early")


_BLOCK = 5 << 19
_LARGEST_BLOCK = 1 << 24
_TAIL = 1 << 16
# A line of CSV ends; or a JSON object or Python dict begins on a line of its own, or after another one.
_LINE_END = re.compile(r"[\n\r]")
_BETWEEN = re.compile(r"""(?:\n[ \t]*+|\}[\s,]*+)(?=\{\s*+["'])""")


def _blocks(texts: Iterator[str]) -> Iterator[str]:
    """The text in blocks of some megabytes, cut between records. Text that cannot be cut makes a larger block."""
    block, cuts = "", None
    for text in texts:
        block += text
        if len(block) < _BLOCK:
            continue
        cuts = cuts or (_BETWEEN if _header(_first_line(block)) is None else _LINE_END)
        cut = 0
        for found in cuts.finditer(block, len(block) - _TAIL):
            cut = found.end()
        if cut or len(block) > _LARGEST_BLOCK:
            cut = cut or len(block)
            yield block[:cut]
            block = block[cut:]
    if block:
        yield block


def _first_line(text: str) -> str:
    """The first line that is not blank."""
    start = len(text) - len(text.lstrip("\ufeff \t\r\n"))
    return next(iter(text[start : start + _TAIL].splitlines()), "")


_Read = tuple[str, Sequence[Any] | None]
"""A record: its text, and its value of each of `KEYS`. Or a piece of text, and None."""
_BLANK = (None,) * len(KEYS)


def _together(read: Iterable[_Read]) -> Records:
    """What was read one by one, as columns."""
    texts, fields = list(zip(*read, strict=True)) or ((), ())
    columns = list(zip(*(each or _BLANK for each in fields), strict=True)) or [()] * len(KEYS)
    return Records(texts, columns, [each is not None for each in fields])


def _lines(text: str) -> Records | None:
    """The records of `text` if it is nothing but flat JSON objects, one on each line; else None.

    What `_objects` gives, in a fraction of the time: a parser in C reads all of them at once.
    """
    body = text.strip()
    if not _is_flat(body):
        body = "\n".join(filter(None, map(str.strip, body.split("\n"))))
        if not _is_flat(body):
            return None
    return (_table(body) if body.count("\n") >= _MANY else None) or _parsed(body.split("\n"))


def _is_flat(body: str) -> bool:
    """Whether each line begins with the only `{` in it and ends with the only `}`, and there are no lists."""
    # No string of JSON may hold a line end, so none can begin on one line and end on another.
    characters = np.frombuffer(body.encode(errors="surrogatepass"), np.uint8)
    ends, opened, closed = (np.flatnonzero(characters == ord(each)) for each in "\n{}")
    return (
        np.array_equal(opened, np.r_[0, ends + 1])
        and np.array_equal(closed, np.r_[ends - 1, len(characters) - 1])
        and "[" not in body
    )


_MANY = 500
"""Lines from which on a table pays."""
_LONGEST_LINE = 4000
"""Characters in a line of a table. Python refuses a number of more digits, which Arrow takes."""
_TABLE_TYPES = {pa.string(), pa.float64(), pa.int64(), pa.null()}


def _table(body: str) -> Records | None:
    """The records of JSON lines as Arrow arrays; None unless `_parsed` would surely read the same."""
    content = body.encode(errors="surrogatepass")
    try:
        whole = pa.array([content]).cast(pa.string())
        texts = pc.call_function("split_pattern", [whole], pc.SplitPatternOptions("\n")).flatten()
        schema = pa.schema([*filter(None, map(_typed, json.loads(texts[0].as_py()).items()))])
        # One thread and one piece, because there is one block of text at a time, and it is small.
        options = pj.ReadOptions(use_threads=False, block_size=len(content) + 1)
        table = pj.read_json(pa.BufferReader(content), options, pj.ParseOptions(explicit_schema=schema))
    except (ValueError, RecursionError):  # pyarrow's errors are ValueErrors
        return None
    given = dict(zip(table.column_names, (column.chunk(0) for column in table.columns), strict=True))
    names = [name.strip().lower() for name in given]
    chosen = chosen_keys(tuple(given))
    columns = [given[name] if name else pa.nulls(len(table)) for name in chosen]
    # Where a column has several names, the first of those that a record has counts, even if it is null there.
    is_doubtful = len(set(names)) < len(names) or any(
        name and column.null_count and len(set(names).intersection(aliases)) > 1
        for name, column, aliases in zip(chosen, columns, KEYS.values(), strict=True)
    )
    if (
        is_doubtful
        or not all(column.type in _TABLE_TYPES for column in columns)
        # An empty text counts as missing. Arrow also takes Inf, which is not JSON.
        or any((_lengths(column) == 0).any() for column in columns if column.type == pa.string())
        or any(np.isinf(column).any() for column in given.values() if column.type == pa.float64())
        or all(column.null_count for column in given.values())  # an object may be empty
        or _lengths(texts).max() > _LONGEST_LINE
    ):
        return None
    return Records(texts, columns, [True] * len(table))


def _lengths(texts: pa.Array) -> np.ndarray:
    """How many bytes each text takes; NaN for a missing one."""
    return pc.call_function("binary_length", [texts]).to_numpy(zero_copy_only=False)


def _typed(item: tuple[str, object]) -> pa.Field | None:
    """The column of a table with this name and first value; None leaves its type to Arrow, which costs time."""
    match item:
        case name, str():
            return pa.field(name, pa.string())
        case name, int() | float() as value if not isinstance(value, bool):
            return pa.field(name, pa.float64())
    return None


def _parsed(lines: list[str]) -> Records | None:
    """The records of JSON lines by Python's own parser; None if they have to be read one by one."""
    if max(map(len, lines)) > LONGEST_RECORD:
        return None
    try:
        objects = json.loads("[" + ",\n".join(lines) + "]")
    except (ValueError, RecursionError):
        return None
    if not all(objects):
        return None
    # Where records name a column differently, each has to be looked at.
    chosen = [set(names) - {None} for names in zip(*map(chosen_keys, set(map(tuple, objects))), strict=True)]
    if any(len(names) > 1 for names in chosen):
        return None
    columns = [[fields.get(name) for fields in objects] for name in (next(iter(names), None) for names in chosen)]
    return Records(lines, [*map(_plain, columns)], [True] * len(lines))


_START = re.compile(r"""\{\s*["']""")
# Records do not nest: an object that contains another is either cut short or an envelope.
# A backslash outside of quotes ends the search: that keeps searches from different places apart, and their sum linear.
_FLAT = re.compile(r"""\{(?:[^{}'"\\]++|'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")*+\}""")
# Between records: line ends, the brackets and commas of an array, and the byte-order marks of concatenated files.
_SEPARATORS = re.compile(r"[\s,\[\]\ufeff]*")
_SHORTEST_PIECE = 16
"""Characters from one broken record to the next; what is shorter is not worth a rejected record of its own."""


def _objects(text: str) -> Iterator[_Read]:
    """JSON objects and Python dicts, whatever separates them, and the pieces between them."""
    done = 0
    found = _START.search(text)
    while found:
        start = found.start()
        flat = _FLAT.match(text, start, start + LONGEST_RECORD)
        fields = _fields(flat.group()) if flat else None
        if fields is not None or start - done >= _SHORTEST_PIECE:
            yield from _pieces(text[done:start])
            done = start
        if flat and fields is not None:
            done = flat.end()
            yield flat.group(), _values(fields)
        found = _START.search(text, max(done, start + 1))
    yield from _pieces(text[done:])


def _fields(text: str) -> dict[str, Any] | None:
    """The fields of a JSON object or a Python dict; None if the text is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            # Python warns about a backslash that escapes nothing; here it is data.
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(tree, ast.Dict):
        return None
    pairs = zip(tree.keys, tree.values, strict=True)
    return {str(key.value): _literal(value) for key, value in pairs if isinstance(key, ast.Constant)}


def _literal(node: ast.expr) -> object:
    """A value as Python prints it: `1.5`, `-1.5`, `'FB'`, `nan`, `np.float64(1.5)`, `Timestamp('…', tz='…')`."""
    match node:
        case ast.Constant(value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Call(args=[only, *_]):
            return _literal(only)
        case _:
            return None


def _rows(text: str, header: _Header) -> tuple[list[_Read], _Header]:
    """The rows of CSV, and the header that holds for the rows that follow."""
    rows: list[_Read] = []
    for line in filter(str.strip, text.lstrip("\ufeff").splitlines()):
        # Concatenated files bring their headers along.
        if repeated := _header(line):
            header = repeated
            continue
        delimiter, names = header
        fields = _split(line, delimiter)
        if len(fields) == len(names):
            rows.append((line, _values(dict(zip(names, fields, strict=True)))))
        else:
            rows += _pieces(line)
    return rows, header


_Header = tuple[str, tuple[str, ...]]
"""The delimiter and the names of CSV."""


def _header(line: str) -> _Header | None:
    """The delimiter and the names in a CSV header, which is a line that names a high and a low."""
    if "low" not in line.lower():
        return None
    for delimiter in ",;\t":
        names = tuple(_split(line.strip("\ufeff"), delimiter))
        if {"high", "low"} <= {name.strip().lower() for name in names}:
            return delimiter, names
    return None


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return []


def _pieces(text: str) -> Iterator[_Read]:
    """`text` as a piece that is not a record; nothing if it only separates records."""
    start = _SEPARATORS.match(text)
    if start is None or start.end() == len(text):
        return
    rest = text[start.end() :].rstrip().rstrip("\ufeff")
    if len(rest) > LONGEST_PIECE:
        rest = f"{rest[:LONGEST_PIECE]}… ({len(rest)} characters)"
    yield rest, None


def _values(fields: Mapping[str, Any]) -> Sequence[Any]:
    """For each of `KEYS`, the text or number in `fields`; None for a blank and anything else."""
    return _plain([fields.get(name) for name in chosen_keys(tuple(fields))])


def _plain(values: list[Any]) -> list[Any]:
    """`values`, with None for a blank and for anything but text and numbers."""
    if _PLAIN.issuperset(map(type, values)) and "" not in values:
        return values
    return [value if isinstance(value, str | int | float) and value != "" else None for value in values]


_PLAIN = {str, int, float, bool, type(None)}


@lru_cache(maxsize=256)
def chosen_keys(keys: tuple[str, ...]) -> tuple[str | None, ...]:
    """For each of `KEYS`, the one of `keys` that holds it, or None."""
    known = {key.strip().lower(): key for key in reversed(keys)}
    return tuple(next((known[name] for name in names if name in known), None) for names in KEYS.values())


_TIME = re.compile(
    r"(?:(?P<year>\d{4})[-/](?P<month>\d\d?)[-/](?P<day>\d\d?)|(?P<m>\d\d?)[-/](?P<d>\d\d?)[-/](?P<y>\d{4}))"
    r"[T ](?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r" ?(?:(?P<utc>Z|UTC)|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)
_EPOCH = re.compile(r"\d{9,13}(?:\.\d+)?", re.ASCII)
_YEARS = range(1900, 2200)


def _moment(value: object, timezone: dt.tzinfo) -> dt.datetime | None:
    try:
        match value:
            case str():
                moment = _moment_in_text(value.strip(), timezone)
            case dt.datetime():
                moment = value.astimezone(dt.UTC) if value.tzinfo else _in_utc(value.replace(tzinfo=timezone))
            case int() | float():
                moment = _epoch_moment(value)
            case _:
                return None
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment is not None and moment.year in _YEARS else None


def _epoch_moment(value: float) -> dt.datetime | None:
    if isinstance(value, bool):
        return None
    # Seconds reach 100 billion in the year 5138, milliseconds passed it in 1973.
    return dt.datetime.fromtimestamp(value / 1000 if abs(value) >= 1e11 else value, dt.UTC)


def _moment_in_text(text: str, timezone: dt.tzinfo) -> dt.datetime | None:
    if _EPOCH.fullmatch(text):
        return _epoch_moment(float(text))
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    local = dt.datetime(
        int(part["year"] or part["y"]),
        int(part["month"] or part["m"]),
        int(part["day"] or part["d"]),
        int(part["hour"]),
        int(part["minute"]),
        int(part["second"] or 0),
        int((part["fraction"] or "").ljust(6, "0")[:6]),
        tzinfo=dt.UTC if part["utc"] else timezone,
    )
    if part["sign"]:
        offset = dt.timedelta(hours=int(part["hours"]), minutes=int(part["minutes"] or 0))
        return local.replace(tzinfo=dt.UTC) - (offset if part["sign"] == "+" else -offset)
    return _in_utc(local)


def _in_utc(local: dt.datetime) -> dt.datetime | None:
    """`local` in UTC; None in the hour that a clock change repeats or skips."""
    # `fold` selects between two readings of a local time; they differ in exactly those hours.
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        return None
    return local.astimezone(dt.UTC)
