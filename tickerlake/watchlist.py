"""What the lake's tickerlake.toml says.

`tickers` are collected unless a run names others, `sources` are preferred in that order, a table `[vendor.NAME]` has
the options of one source, and each `[[alerts]]` is a rule of `tickerlake.alerts`.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickerlake.errors import ConfigError, TickerlakeError
from tickerlake.symbols import current_symbol, parse_tickers

if TYPE_CHECKING:
    import tomlkit

DEFAULT = ("META", "SHOP", "BYND", "NFLX", "PINS", "XYZ", "TTD", "OKTA", "SNAP", "DDOG", "AMZN")
"""The original project's ten under today's symbols, and AMZN."""

SOURCES = ("yahoo", "recorded")
"""Whose bars are preferred, the first one first, unless the lake says otherwise."""

_KEYS = ("tickers", "sources", "vendor", "alerts")
_SOURCE = re.compile(r"[A-Za-z0-9_.-]+")
_EXAMPLE = 'write tickers = ["META", "AMZN"]'
_NEW_FILE = """\
# Settings of this lake. `tickerlake watchlist add` and `remove` keep your comments.

# The tickers to collect, under the symbols they trade as today.
tickers = []
"""


def read(path: Path) -> tuple[str, ...]:
    """The tickers in the file `path`, in order, once each; `DEFAULT` where the file or the key is missing.

    Raises ConfigError, with what to write instead, for a file that cannot be used.
    """
    return _stored(path) or DEFAULT


def is_set(path: Path) -> bool:
    """Whether the file `path` has a watchlist of its own. Raises ConfigError as `read` does."""
    return _stored(path) is not None


def sources(path: Path) -> tuple[str, ...]:
    """The sources in the file `path`, the preferred one first; `SOURCES` where the file or the key is missing.

    Raises ConfigError for a file that cannot be used.
    """
    names = _content(path).get("sources", list(SOURCES))
    if not isinstance(names, list) or not all(isinstance(each, str) and _SOURCE.fullmatch(each) for each in names):
        raise ConfigError(f'{path}: sources must be a list of names; write sources = ["yahoo", "recorded"]')
    return tuple(dict.fromkeys(names))


def vendor(path: Path, name: str) -> dict[str, Any]:
    """The options of the source `name` in the file `path`: its table `[vendor.NAME]`, or none.

    Raises ConfigError for a file that cannot be used.
    """
    tables = _content(path).get("vendor", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError(f"{path}: vendor must hold one table for each source; write [vendor.file] above its options")
    return tables.get(name, {})


def alerts(path: Path) -> list[Any]:
    """The entries of `[[alerts]]` in the file `path`. ConfigError for a file that cannot be used."""
    entries = _content(path).get("alerts", [])
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: alerts must be a list of tables; write [[alerts]] above each")
    return entries


def add_alert(path: Path, entry: dict[str, Any]) -> None:
    """Adds an entry to `[[alerts]]`, which `tickerlake.alerts.rules` has accepted. Raises as `add`."""
    import tomlkit  # noqa: PLC0415

    alerts(path)
    document = tomlkit.parse(_text(path) or "")
    if "alerts" not in document:
        document["alerts"] = tomlkit.aot()
    document["alerts"].append(tomlkit.item(entry))
    _save(path, document)


def remove_alert(path: Path, place: int) -> None:
    """Removes the entry of `[[alerts]]` at `place`, from 0. Raises as `add`; IndexError if there is none."""
    import tomlkit  # noqa: PLC0415

    alerts(path)[place]
    document = tomlkit.parse(_text(path) or "")
    del document["alerts"][place]
    if not document["alerts"]:
        del document["alerts"]
    _save(path, document)


def add(path: Path, tickers: Iterable[str]) -> tuple[str, ...]:
    """Adds `tickers`, each under its current symbol (FB as META), and returns the new list.

    The first addition creates the file, which then starts with the default tickers. Raises ConfigError for what is
    not a symbol or a file that cannot be used, TickerlakeError where the file cannot be written.
    """
    before = read(path)
    after = tuple(dict.fromkeys((*before, *map(current_symbol, _symbols(tickers)))))
    if after != before:
        _write(path, after)
    return after


def remove(path: Path, tickers: Iterable[str]) -> tuple[str, ...]:
    """Removes `tickers` and returns the new list. Raises ConfigError for one that is not on it, or if none is left."""
    before = read(path)
    going = [ticker if ticker in before else current_symbol(ticker) for ticker in _symbols(tickers)]
    if missing := [ticker for ticker in going if ticker not in before]:
        raise ConfigError(f"{', '.join(missing)} is not on the watchlist; it has {', '.join(before)}")
    after = tuple(ticker for ticker in before if ticker not in going)
    if not after:
        raise ConfigError("the watchlist would be empty; add another ticker first")
    _write(path, after)
    return after


def _content(path: Path) -> dict[str, Any]:
    text = _text(path)
    if text is None:
        return {}
    import tomllib  # noqa: PLC0415  # takes 14 ms, and most lakes have no such file

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; {_EXAMPLE}") from error
    if unknown := sorted(content.keys() - set(_KEYS)):
        raise ConfigError(f"{path} has an unknown key {unknown[0]!r}; the keys are {', '.join(_KEYS)}: {_EXAMPLE}")
    return content


def _stored(path: Path) -> tuple[str, ...] | None:
    content = _content(path)
    if "tickers" not in content:
        return None
    tickers = content["tickers"]
    if not isinstance(tickers, list) or not all(isinstance(ticker, str) for ticker in tickers):
        raise ConfigError(f"{path}: tickers must be a list of symbols; {_EXAMPLE}")
    if not tickers:
        raise ConfigError(f"{path}: tickers is empty; {_EXAMPLE}, or delete the line for the default watchlist")
    return _symbols(tickers, f"{path}: ")


def _symbols(tickers: Iterable[str], where: str = "") -> tuple[str, ...]:
    try:
        return parse_tickers(",".join(tickers))
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from error


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None  # a lake that is a file is reported when it is opened
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}; make it a readable UTF-8 text file") from error


def _write(path: Path, tickers: tuple[str, ...]) -> None:
    """Writes the list into `path`, keeping the rest of the file."""
    import tomlkit  # noqa: PLC0415  # slow to import, and only writing needs it

    document = tomlkit.parse(_text(path) or _NEW_FILE)
    old = document.get("tickers")
    if isinstance(old, list) and old:
        for ticker in [each for each in old if str(each).strip().upper() not in tickers]:
            old.remove(ticker)
        held = {str(each).strip().upper() for each in old}
        old.extend(ticker for ticker in tickers if ticker not in held)
    else:
        array = tomlkit.array()
        array.extend(tickers)
        document["tickers"] = array.multiline(multiline=True)
    _save(path, document)


def _save(path: Path, document: tomlkit.TOMLDocument) -> None:
    """Replaces the file whole or not at all."""
    import tomlkit  # noqa: PLC0415

    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(tomlkit.dumps(document).rstrip() + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise TickerlakeError(f"cannot write {path}: {error.strerror}; name a folder you can write to") from error
