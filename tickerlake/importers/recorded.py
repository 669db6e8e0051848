"""Objects that an earlier deployment of this pipeline wrote to S3, read back record by record.

Nothing says in which form an object is, so it is detected: JSON objects one a line, without separators,
pretty-printed or in an array; Python dicts; CSV with a header; all of them as UTF-8 or, with a byte-order
mark, UTF-16; any of them in gzip. Text that is no record stays in its place among the records as a piece of
its own, and reading goes on at the next record.

Only reading happens here: no rule is applied, no price is rounded and no name is changed.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tickerlake.errors import ConfigError
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
    "source": ("source",),
    "collected_at": ("collected_at",),
}
"""For each column of the record the keys it came under, in any case; the first that an object has counts."""

LONGEST_PIECE = 4000
"""Characters that are kept of text that is no record: enough to recognise it, whatever file was taken in."""


@dataclass(frozen=True)
class RecordedObject:
    """One object: what it is called, when it was written (UTC), and its bytes."""

    name: str
    collected_at: dt.datetime
    content: bytes


class Record(NamedTuple):
    """One record of an object, or a piece of text that is none."""

    text: str
    """As it came."""
    said: tuple[Any, ...] | None
    """What it says about each of `KEYS`, None where nothing; None instead of the tuple where it is no record."""


def local_objects(paths: Sequence[Path]) -> Iterator[RecordedObject]:
    """The files under `paths` (files, or folders with all their folders), in the order they were written.

    A file reached twice is read once; names that begin with a dot are passed over in folders.
    Raises ConfigError for a path that does not exist or cannot be read.
    """
    found = {file.resolve(): file for path in reversed(paths) for file in _files(path)}
    # A name need not be text for the system; told to a person, its odd bytes are escaped.
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
    """The UTC time in an object's name, where Firehose named it; None elsewhere."""
    found = _FIREHOSE_NAME.search(name)
    if found is None:
        return None
    try:
        return dt.datetime(*map(int, found.groups()), tzinfo=dt.UTC)
    except ValueError:
        return None


def read_records(content: bytes) -> list[Record]:
    """The records of an object in their order, with the pieces of text between them that are none.

    An object in which nothing is a record is one piece; an empty one has none.
    """
    text, damage = _text(content)
    records = _rows(text)
    if records is None:
        records = list(_objects(text))
    if records and not any(record.said for record in records):
        records = list(_pieces(text))
    return [*records, *damage]


def read_times(values: Sequence[Any], timezone: dt.tzinfo) -> pd.DatetimeIndex:
    """`values`, text or seconds or milliseconds since 1970, as instants (UTC); NaT for what is no time.

    Text without an offset is in `timezone`; the hour that a change of its offset repeats or leaves out is no time.
    """
    # The bars of all tickers share their starts, so few distinct values stand behind many.
    codes, distinct = pd.factorize(pd.Series(values, dtype=object))
    moments = [*(_moment(value, timezone) for value in distinct), None]
    return pd.DatetimeIndex(moments, dtype="datetime64[us, UTC]").take(codes)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    try:
        # Path.rglob would pass over a folder that cannot be read without a word.
        for folder, folders, names in os.walk(path, onerror=_raise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            files = (Path(folder, name) for name in names if not name.startswith("."))
            yield from (file for file in files if file.is_file())
    except OSError as error:
        raise _unusable(path, error) from error


def _raise(error: OSError) -> None:
    raise error


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot read {path}: {error.strerror}; give files, or folders of files, that can be read")


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


def _text(content: bytes) -> tuple[str, list[Record]]:
    """The text of an object, and a piece that tells of what could not be unpacked. A wrong byte is escaped."""
    damage = []
    if content.startswith(_GZIP):
        content, complaint = _unzip(content)
        damage = [Record(f"gzip: {complaint}", None)] if complaint else []
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8"
    return content.decode(encoding, errors="backslashreplace"), damage


def _unzip(content: bytes) -> tuple[bytes, str | None]:
    """As much of a gzip file as can be unpacked, and what is wrong with the rest."""
    unpacked = bytearray()
    while content.startswith(_GZIP):
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            # A block at a time, because a damaged one takes with it all that was unpacked in the same call.
            for start in range(0, len(content), 4096):
                unpacked += member.decompress(content[start : start + 4096])
                if member.eof:
                    content = member.unused_data + content[start + 4096 :]
                    break
            else:
                return bytes(unpacked), "the file ends early"
        except zlib.error as error:
            return bytes(unpacked), str(error)
    return bytes(unpacked), f"{len(content)} bytes of something else follow" if content.strip(b"\0") else None


_START = re.compile(r"""\{\s*["']""")
# No object of bars holds another, so where one begins inside another, the outer one is cut short or an envelope.
_FLAT = re.compile(r"""\{(?:[^{}'"]++|'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")*+\}""")
# Between records: line ends, the brackets and commas of an array, and the byte-order mark of each joined text.
_SEPARATORS = re.compile(r"[\s,\[\]\ufeff]*")


def _objects(text: str) -> Iterator[Record]:
    """JSON objects and Python dicts, however they are joined, and the pieces between them."""
    done = 0
    found = _START.search(text)
    while found:
        start = found.start()
        yield from _pieces(text[done:start])
        flat = _FLAT.match(text, start)
        fields = _fields(flat.group()) if flat else None
        done = start
        if flat and fields is not None:
            done = flat.end()
            yield Record(flat.group(), _values(fields))
        found = _START.search(text, max(done, start + 1))
    yield from _pieces(text[done:])


def _fields(text: str) -> dict[str, Any] | None:
    """What a JSON object or a Python dict says; None where the text is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            # Python warns of a backslash that escapes nothing; here it is data.
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


def _rows(text: str) -> list[Record] | None:
    """The rows of CSV under their header; None where the text does not begin with one."""
    lines = text.lstrip("\ufeff").splitlines()
    header = _header(next((line for line in lines if line.strip()), ""))
    if header is None:
        return None
    delimiter, names = header
    records = []
    for line in filter(str.strip, lines):
        again = _header(line)
        if again:
            # Objects that were joined bring their headers along.
            delimiter, names = again
            continue
        fields = _split(line, delimiter)
        if len(fields) == len(names):
            records.append(Record(line, _values(dict(zip(names, fields, strict=True)))))
        else:
            records += _pieces(line)
    return records


def _header(line: str) -> tuple[str, tuple[str, ...]] | None:
    """The delimiter and the names of a CSV header: a line that names a high and a low."""
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


def _pieces(text: str) -> Iterator[Record]:
    """`text` as a piece that is no record; nothing where it only separates records."""
    start = _SEPARATORS.match(text)
    if start is None or start.end() == len(text):
        return
    piece = text[start.end() :].rstrip().rstrip("\ufeff")
    if len(piece) > LONGEST_PIECE:
        piece = f"{piece[:LONGEST_PIECE]}… ({len(piece)} characters)"
    yield Record(piece, None)


def _values(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an object's fields say about each of `KEYS`: text or a number, None for a blank and anything else."""
    values = (fields[key] if key is not None else None for key in _chosen(tuple(fields)))
    return tuple(value if isinstance(value, str | int | float) and value != "" else None for value in values)


@lru_cache(maxsize=256)
def _chosen(keys: tuple[str, ...]) -> tuple[str | None, ...]:
    """For each of `KEYS` the one of an object's own `keys` that stands for it."""
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
        moment = _written_moment(value.strip(), timezone) if isinstance(value, str) else _epoch_moment(value)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment is not None and moment.year in _YEARS else None


def _epoch_moment(value: Any) -> dt.datetime | None:
    if isinstance(value, bool):
        return None
    # Seconds reach 100 billion in the year 5138, milliseconds passed it in 1973.
    return dt.datetime.fromtimestamp(value / 1000 if abs(value) >= 1e11 else value, dt.UTC)


def _written_moment(text: str, timezone: dt.tzinfo) -> dt.datetime | None:
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
    # The two readings of a local time differ exactly where it happens twice, or never.
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        return None
    return local.astimezone(dt.UTC)
