"""`tickerlake watch --install`, `--uninstall` and what excludes each other. tests/test_watch.py has the rest."""

import os
import plistlib
import shutil
import subprocess
import sys

import pytest

from tickerlake.cli import service as services
from tickerlake.cli.service import service


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def on(platform, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)


def test_on_linux_it_writes_a_unit_and_says_how_to_turn_it_on_and_how_to_remove_it(tickerlake, home, monkeypatch):
    on("linux", monkeypatch)

    code, out, err = tickerlake("watch", "--lake", "my lake", "--tickers", "META,AMZN", "--install")

    unit = home / ".config" / "systemd" / "user" / "tickerlake-watch.service"
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [f"wrote {unit}", "turn it on:", "  systemctl --user daemon-reload"]
    assert "  systemctl --user enable --now tickerlake-watch.service" in out
    assert "  tickerlake watch --uninstall" in out
    assert (
        f'ExecStart="{sys.executable}" "-m" "tickerlake" "watch" "--lake" "{home}/my lake" "--source" "yahoo" '
        '"--bar-minutes" "5" "--delay" "30" "--tickers" "META,AMZN"\n'
    ) in unit.read_text()
    assert [path.name for path in unit.parent.iterdir()] == [unit.name]
    assert tickerlake("watch", "--uninstall")[1].startswith(f"removed {unit}; if it still runs, stop it:\n  systemctl")
    assert tickerlake("watch", "--uninstall")[:2] == (0, f"nothing to remove: there is no {unit}\n")


def test_on_macos_it_writes_an_agent(tickerlake, home, monkeypatch):
    on("darwin", monkeypatch)

    code, out, _ = tickerlake("watch", "--install")

    agent = plistlib.loads((home / "Library/LaunchAgents/tickerlake.watch.plist").read_bytes())
    assert code == 0
    assert agent["ProgramArguments"][:6] == [sys.executable, "-m", "tickerlake", "watch", "--lake", f"{home}/lake"]
    assert "launchctl bootstrap gui/$(id -u)" in out
    assert "launchctl bootout gui/$(id -u)/tickerlake.watch" in out


def test_another_system_is_told_to_use_its_scheduler(tickerlake, home, monkeypatch):
    on("win32", monkeypatch)

    code, _, err = tickerlake("watch", "--install")

    assert code == 2
    assert "watch --once" in err


def test_a_unit_that_cannot_be_written_leaves_the_old_one_whole(home, monkeypatch):
    unit = service(["--lake", "a"], "a", {"HOME": str(home)}, "linux")
    unit.install()
    other = service(["--lake", "b"], "b", {"HOME": str(home)}, "linux")
    monkeypatch.setattr(services.os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left")))

    with pytest.raises(services.TickerlakeError, match="cannot write .*: No space left"):
        other.install()

    assert unit.path.read_bytes() == unit.content
    assert len(list(unit.path.parent.iterdir())) == 1


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_unit(home, tmp_path):
    unit = service(["--lake", '/a 100% "lake" for $5'], "/a 100%", {"HOME": str(home)}, "linux")
    unit.install()

    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    verified = subprocess.run(
        ["systemd-analyze", "--user", "verify", unit.path], env=environment, capture_output=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, b"")


def test_its_modes_exclude_each_other(tickerlake):
    code, _, err = tickerlake("watch", "--once", "--install")

    assert (code, err) == (
        2,
        "error: --once, --install and --uninstall exclude each other; see tickerlake watch --help\n",
    )
