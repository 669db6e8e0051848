"""Commands as a user types them, in a folder of their own and with no setting set."""

import pytest

from tickerlake.cli import main
from tickerlake.settings import REGION_VARIABLES, SETTINGS


@pytest.fixture
def tickerlake(monkeypatch, tmp_path, capsys):
    """Runs `tickerlake` with the arguments: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in (*REGION_VARIABLES, *(setting.variable for setting in SETTINGS)):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run
