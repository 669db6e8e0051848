"""`tickerlake watch` as a service of the user's account: a systemd unit on Linux, a launchd agent on macOS.

Only the file is written and removed here. A person turns the service on, with the commands that are printed.
"""

from __future__ import annotations

import os
import plistlib
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tickerlake.errors import ConfigError, TickerlakeError

_UNIT = """\
[Unit]
Description=Tickerlake: collect bars into {target}

[Service]
ExecStart={command}
Environment=PYTHONUNBUFFERED=1
# Ctrl-C: what is being written is finished first.
KillSignal=SIGINT
SuccessExitStatus=130
Restart=on-failure
RestartSec=60
# A setting that cannot be used does not get better by trying again.
RestartPreventExitStatus=2

[Install]
WantedBy=default.target
"""
_LABEL = "tickerlake.watch"


@dataclass(frozen=True)
class Service:
    """The service's file, its content, and the commands that turn it on and off and show what it says."""

    path: Path
    content: bytes
    start: tuple[str, ...]
    stop: tuple[str, ...]
    log: str

    def install(self) -> None:
        """Writes the file, whole or not at all. TickerlakeError."""
        temporary = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, prefix=f".{self.path.name}.", delete=False) as file:
                temporary = Path(file.name)
                file.write(self.content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(self.path)
        except OSError as error:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
            raise TickerlakeError(f"cannot write {self.path}: {error.strerror}; allow writing there") from error

    def uninstall(self) -> bool:
        """Removes the file; returns whether there was one. TickerlakeError."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise TickerlakeError(f"cannot remove {self.path}: {error.strerror}; allow writing there") from error
        return True


def service(arguments: Sequence[str], target: str, environment: Mapping[str, str], platform: str) -> Service:
    """The service that runs `tickerlake watch` with `arguments`, which collects into `target`.

    `platform` is `sys.platform`. ConfigError.
    """
    command = [sys.executable, "-m", "tickerlake", "watch", *arguments]
    home = Path(environment.get("HOME") or Path.home())
    if platform == "darwin":
        log = home / "Library" / "Logs" / f"{_LABEL}.log"
        path = home / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
        agent = {
            "Label": _LABEL,
            "ProgramArguments": command,
            "EnvironmentVariables": {"PYTHONUNBUFFERED": "1"},
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 60,
            "StandardOutPath": str(log),
            "StandardErrorPath": str(log),
        }
        return Service(
            path,
            plistlib.dumps(agent),
            start=(f"launchctl bootstrap gui/$(id -u) {shlex.quote(str(path))}",),
            stop=(f"launchctl bootout gui/$(id -u)/{_LABEL}",),
            log=f"tail -f {shlex.quote(str(log))}",
        )
    if platform.startswith("linux"):
        unit = "tickerlake-watch.service"
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        return Service(
            config / "systemd" / "user" / unit,
            _UNIT.format(target=_escaped(target), command=" ".join(map(_quoted, command))).encode(),
            # Without lingering, the service ends when its user logs out.
            start=("systemctl --user daemon-reload", f"systemctl --user enable --now {unit}", "loginctl enable-linger"),
            stop=(f"systemctl --user disable --now {unit}",),
            log=f"journalctl --user --unit {unit} --follow",
        )
    raise ConfigError(
        f"services are for Linux and macOS, this is {platform}; have your scheduler run tickerlake watch --once "
        "every five minutes"
    )


def _escaped(text: str) -> str:
    # https://www.freedesktop.org/software/systemd/man/latest/systemd.unit.html#Specifiers
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    # https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Command%20lines
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'
