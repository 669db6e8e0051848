"""Console blocks of documentation: their commands, and the lines that each shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tickerlake.cli import main
from tickerlake.settings import SETTINGS

_BLOCK = re.compile(r"```console\n(.+?)```", re.DOTALL)
_COMMAND = re.compile(r"^\$ (.+)\n((?:.+\n)+)", re.MULTILINE)


def commands(page: str) -> list[tuple[str, str]]:
    """Each command of the page with the lines under it."""
    return _COMMAND.findall("\n".join(_BLOCK.findall(page)))


def assert_prints(line: str, shown: str, folder: Path, monkeypatch, capsys) -> None:
    """Runs the command `line` in `folder`; each line of `shown` must begin a line that it prints."""
    monkeypatch.chdir(folder)
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)

    code = main(shlex.split(line)[1:])
    printed = capsys.readouterr().out.splitlines()

    assert code == 0
    for row in shown.splitlines():
        assert any(each.startswith(row) for each in printed), (row, printed)
