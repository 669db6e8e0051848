"""The command line as a whole: help, exit codes, completion, and the small commands."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from importlib import import_module
from pathlib import Path

import click
import pytest

import tickerlake as package
from tickerlake import bundle
from tickerlake.cli import COMMANDS
from tickerlake.cli.console import EXIT_CODES, run_command
from tickerlake.errors import ConfigError, SourceError
from tickerlake.settings import SETTINGS
from tickerlake.watchlist import DEFAULT

ROOT = Path(__file__).parents[2]


def start(*arguments, cwd, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "tickerlake", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **environment},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestHelp:
    @pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
    def test_it_fits_80_columns_and_tells_of_every_command_in_a_whole_sentence(self, tickerlake, arguments):
        code, out, err = tickerlake(*arguments)

        assert (code, err) == (0, "")
        assert max(map(len, out.splitlines())) <= 80
        assert "..." not in out.replace("[ARGS]...", "")
        words = " ".join(out.split())
        for name, verb in COMMANDS.items():
            assert f" {name} {verb.summary}" in words
            assert verb.summary.endswith(".")

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_line_of_it_is_the_first_paragraph_of_the_command_itself(self, name):
        verb = COMMANDS[name]
        command = getattr(import_module(f"tickerlake.cli.{verb.module}"), verb.command)

        assert " ".join(command.help.split("\n\n")[0].split()) == verb.summary

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_explains_itself_within_80_columns(self, tickerlake, name):
        code, out, err = tickerlake(name, "-h")

        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: tickerlake {name}")
        assert max(map(len, out.splitlines())) <= 80

    def test_it_imports_no_command_and_no_library_but_click(self):
        code = "import sys, tickerlake.cli; tickerlake.cli.main(['--help']); print(*sys.modules)"
        out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

        loaded = set(out.splitlines()[-1].split())
        assert {name for name in loaded if name.startswith("tickerlake.cli")} == {
            "tickerlake.cli",
            "tickerlake.cli.console",
        }
        assert not loaded & {"pandas", "numpy", "pyarrow", "duckdb", "rich", "exchange_calendars", "tomlkit"}

    def test_the_version(self, tickerlake):
        assert tickerlake("--version") == (0, f"tickerlake {package.__version__}\n", "")


class TestFailures:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["quary"], "there is no command 'quary'; did you mean 'query'?; see tickerlake --help"),
            (["xyz"], "there is no command 'xyz'; the commands are demo, collect, "),
            (["--nonsense"], "--nonsense"),
        ],
    )
    def test_a_mistyped_command_line_is_one_line_with_the_nearest_command(self, tickerlake, arguments, expected):
        code, out, err = tickerlake(*arguments)

        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert expected in err
        assert err.count("\n") == 1

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (ConfigError("bad\nsetting"), 2),
            (SourceError("bad\nsetting"), 1),
            (click.UsageError("bad\nsetting."), 2),
            (click.ClickException("bad\nsetting"), 1),
        ],
    )
    def test_every_kind_of_error_is_one_line_and_has_its_exit_code(self, capsys, error, code):
        @click.command()
        def fail():
            raise error

        assert run_command(fail, []) == code
        out, err = capsys.readouterr()
        assert (out, err.partition("; see")[0].strip()) == ("", "error: bad setting")
        assert err.count("\n") == 1

    def test_an_interrupt_is_one_line(self, capsys):
        @click.command()
        def interrupted():
            raise KeyboardInterrupt

        assert run_command(interrupted, []) == 130
        assert capsys.readouterr().err.splitlines()[-1] == "error: interrupted; what was stored stays"

    def test_a_bug_is_not_hidden(self):
        @click.command()
        def broken():
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            run_command(broken, [])

    def test_a_warning_of_a_library_is_not_shown(self, capsys):
        @click.command()
        def warn():
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.warn("deprecated since yesterday", DeprecationWarning, stacklevel=1)

        before = warnings.showwarning
        assert run_command(warn, []) == 0
        assert capsys.readouterr() == ("", "")
        assert warnings.showwarning is before

    def test_what_a_command_returns_is_the_exit_code(self):
        assert [run_command(click.Command("x", callback=lambda code=code: code), []) for code in (None, 0, 3)] == [
            0,
            0,
            3,
        ]
        assert set(EXIT_CODES) == {0, 1, 2, 3, 130}

    @pytest.mark.parametrize("arguments", [["--help"], ["settings"]])
    def test_a_reader_that_leaves_early_causes_no_complaint(self, tmp_path, arguments):
        with start(*arguments, cwd=tmp_path) as process:
            process.stdout.close()
            assert process.stderr.read() == ""
        assert process.returncode == 0


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_of_each_shell_asks_tickerlake(self, tickerlake, shell):
        code, out, _ = tickerlake("completion", shell)

        assert code == 0
        assert f"_TICKERLAKE_COMPLETE={shell}_complete" in out
        assert shell in tickerlake("completion", "--help")[1]

    @pytest.mark.parametrize(
        ("typed", "place", "offered"),
        [
            ("tickerlake wa", "1", ["watch", "watchlist"]),
            ("tickerlake watchlist ", "2", ["show", "add", "remove"]),
            ("tickerlake doctor --of", "2", ["--offline"]),
        ],
    )
    def test_commands_and_their_options_are_completed(self, tmp_path, typed, place, offered):
        environment = {"COMP_WORDS": typed, "COMP_CWORD": place, "_TICKERLAKE_COMPLETE": "bash_complete"}
        out, err = start(cwd=tmp_path, **environment).communicate(timeout=30)

        assert err == ""
        assert [line.removeprefix("plain,") for line in out.splitlines()] == offered


class TestWatchlist:
    def test_it_is_shown_with_where_it_comes_from(self, tickerlake):
        code, out, err = tickerlake("watchlist")

        assert (code, err) == (0, "")
        assert out == f"11 tickers, from the default list:\n{'  '.join(DEFAULT)}\n"
        assert tickerlake("watchlist", "show") == (code, out, err)

    def test_several_symbols_are_added_and_removed_and_kept(self, tickerlake, tmp_path):
        assert tickerlake("watchlist", "add", "nvda", "BRK-B,AMD")[0] == 0
        code, out, _ = tickerlake("watchlist", "remove", *DEFAULT, "AMD")

        assert code == 0
        assert out == f"2 tickers, from {Path('lake') / 'tickerlake.toml'}:\nNVDA  BRK-B\n"
        assert tickerlake("watchlist")[1] == out

    def test_an_old_symbol_is_added_as_todays_with_a_note(self, tickerlake):
        tickerlake("watchlist", "remove", "META")
        code, out, err = tickerlake("watchlist", "add", "FB", "AMZN")

        assert code == 0
        assert out.split()[-1] == "META"
        assert err == ("note: FB trades as META today; added META\nnote: AMZN is on the watchlist already\n")

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["add"], "name the tickers to add"),
            (["add", "ME TA"], "ME TA is not a symbol"),
            (["remove", "NVDA"], "NVDA is not on the watchlist"),
            (["remove", *DEFAULT], "would be empty"),
            (["show", "META"], "show takes no tickers; to add them: tickerlake watchlist add META"),
            (["drop"], "'drop' is not one of 'show', 'add', 'remove'"),
        ],
    )
    def test_what_cannot_be_done_exits_with_2_and_changes_nothing(self, tickerlake, tmp_path, arguments, expected):
        code, out, err = tickerlake("watchlist", *arguments)

        assert (code, out) == (2, "")
        assert expected in err
        assert list(tmp_path.iterdir()) == []

    def test_collect_takes_the_watchlist_of_its_lake_unless_tickers_are_named(self, tickerlake):
        tickerlake("watchlist", "remove", *DEFAULT[1:], "--lake", "mine")
        collect = ("collect", "--source", "simulated", "--lake", "mine")

        assert "78 bars of 1 ticker," in tickerlake(*collect, "--session", "2026-11-20")[1]
        assert "156 bars of 2 tickers" in tickerlake(*collect, "--session", "2026-11-19", "--tickers", "A,B")[1]


class TestSettings:
    def test_each_is_shown_with_its_value_and_origin_and_no_secret(self, tickerlake, monkeypatch):
        monkeypatch.setenv("LAKE_PASSWORD", "hunter2")
        monkeypatch.setenv("AWS_REGION", "eu-west-2")
        code, out, _ = tickerlake("settings")

        assert code == 0
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert "LAKE_DIR lake (default)" in lines
        assert "LAKE_TLS 0 (default)" in lines
        assert "LAKE_REGION eu-west-2 (from AWS_REGION)" in lines
        assert "LAKE_PASSWORD ***** (from LAKE_PASSWORD)" in lines
        assert "hunter2" not in out
        words = " ".join(out.split())
        assert all(setting.comment in words for setting in SETTINGS)
        assert "Watchlist: 11 tickers, from the default list" in words
        assert max(map(len, out.splitlines())) <= 80

    def test_settings_that_cannot_be_used_are_all_named(self, tickerlake, monkeypatch):
        monkeypatch.setenv("LAKE_ENGINE", "oracle")
        monkeypatch.setenv("LAKE_PORT", "99999")
        code, _, err = tickerlake("settings")

        assert code == 2
        assert "LAKE_ENGINE" in err
        assert "LAKE_PORT" in err
        assert err.count("\n") == 1


@pytest.fixture
def interruptible():
    """A test run in the background ignores interrupts, and so would the commands it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class TestDashboard:
    @pytest.mark.usefixtures("interruptible")
    def test_demo_simulates_sessions_serves_them_and_ends_well_on_ctrl_c(self, tmp_path, port):
        process = start("demo", "--sessions", "2", "--port", str(port), cwd=tmp_path)
        deadline = time.monotonic() + 60
        healthy = None
        while healthy is None and time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
            with contextlib.suppress(OSError):
                healthy = urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=5).read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

        assert healthy == b"ok", err
        assert (process.returncode, err.strip()) == (0, "")
        simulated, address = out.splitlines()[:2]
        assert simulated.startswith("SIMULATED prices: ")
        assert simulated.endswith("are in lake-simulated.")
        assert address == f"The dashboard is at http://localhost:{port}. Ctrl-C stops it."
        assert len(list((tmp_path / "lake-simulated" / "bars").iterdir())) == 2

    def test_it_serves_the_bundled_app_on_the_lake_that_is_named(self, tickerlake, monkeypatch, port):
        served, left = [], []
        monkeypatch.setattr("streamlit.web.cli.main", lambda arguments, **_: served.append(arguments))
        monkeypatch.setattr("tickerlake.cli.dashboard._leave", lambda: left.append(True))
        monkeypatch.setenv("LAKE_ENGINE", "athena")
        monkeypatch.setenv("LAKE_DIR", "other")
        code, out, _ = tickerlake("dashboard", "--lake", "mine", "--port", str(port), "--address", "127.0.0.1")

        assert (code, left) == (0, [True])
        assert served[0][:4] == [
            "run",
            str(bundle.DASHBOARD / "app.py"),
            "--server.address=127.0.0.1",
            f"--server.port={port}",
        ]
        assert (os.environ["LAKE_DIR"], os.environ["LAKE_ENGINE"]) == ("mine", "duckdb")
        assert out == f"The dashboard is at http://127.0.0.1:{port}. Ctrl-C stops it.\n"

    def test_a_server_that_does_not_start_exits_with_1(self, tickerlake, monkeypatch, port):
        monkeypatch.setattr("streamlit.web.cli.main", lambda *_, **__: sys.exit(1))
        code, _, err = tickerlake("dashboard", "--port", str(port))

        assert (code, err) == (1, "error: the dashboard could not be served; the reason is above\n")

    @pytest.mark.parametrize("command", ["dashboard", "demo"])
    def test_without_streamlit_it_says_what_to_install_before_anything_else(
        self, tickerlake, monkeypatch, tmp_path, command
    ):
        monkeypatch.setattr("tickerlake.cli.dashboard.find_spec", lambda name: None)
        code, out, err = tickerlake(command)

        assert (code, out) == (2, "")
        assert "pip install 'tickerlake[dashboard]'" in err
        assert list(tmp_path.iterdir()) == []

    def test_a_port_in_use_is_one_line(self, tickerlake):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            code, _, err = tickerlake("dashboard", "--address", "127.0.0.1", "--port", str(taken.getsockname()[1]))

        assert code == 2
        assert "name another port with --port" in err
        assert err.count("\n") == 1
