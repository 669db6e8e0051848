"""The wheel in a new environment, used from an empty folder, and who imports whom."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """Runs a command of an environment that has the wheel, in an empty folder; returns what it prints."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    uv = [sys.executable, "-m", "uv", "--quiet", "--offline"]
    subprocess.run([*uv, "venv", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([*uv, "pip", "install", "--python", python, "--no-deps", wheel], check=True)
    # The dependencies come from this environment. A path in a .pth file brings no .pth files of its own, so a clone
    # that is installed here in editable mode stays out of reach.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    folder = tmp_path_factory.mktemp("empty")
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("LAKE_", "PYTHON", "AWS_"))}

    def run(command: str, *arguments: str) -> str:
        done = subprocess.run(
            [environment / "bin" / command, *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("tickerlake", "collect", "--source", "simulated", "--session", "2026-11-20", "--lake", "lake")
    return run


def test_the_wheel_holds_the_package_the_sql_and_the_dashboard_and_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {
        "tickerlake/cli/__init__.py",
        "tickerlake/_bundle/queries/hourly_high.sql",
        "tickerlake/_bundle/dashboard/app.py",
        "tickerlake/_bundle/dashboard/.streamlit/config.toml",
    } <= names
    bundled = {name.removeprefix("tickerlake/_bundle/") for name in names if "/_bundle/" in name}
    tracked = subprocess.run(
        ["git", "ls-files", "queries", "dashboard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert bundled == set(tracked)
    assert {name.split("/")[0] for name in names} == {"tickerlake", wheel.name.rsplit("-", 3)[0] + ".dist-info"}


def test_the_installed_command_collects_and_queries_from_an_empty_folder(run):
    assert run("tickerlake", "--version").startswith("tickerlake 0.")
    assert "hourly_high" in run("tickerlake", "query")
    rows = run("tickerlake", "query", "hourly_high", "--format", "csv").splitlines()
    assert {row.split(",")[0] for row in rows} > {"AMZN", "META"}
    assert run("tickerlake", "sql", "SELECT count(*) AS n FROM bars", "--format", "csv").split() == ["n", "858"]


def test_two_lines_of_python_answer_from_an_empty_folder(run):
    script = """
import tickerlake
highs = tickerlake.open("lake").hourly_high("META", first="2026-11-20")
print(len(highs), highs["ts"].dt.tz)
"""
    rows, zone = run("python", "-c", script).split()

    assert int(rows) >= 7
    assert zone == "America/New_York"


def test_the_installed_dashboard_draws_its_first_page(run):
    script = """
from streamlit.testing.v1 import AppTest
from tickerlake.bundle import DASHBOARD
page = AppTest.from_file(str(DASHBOARD / "app.py"), default_timeout=30).run()
print("_bundle" in str(DASHBOARD), len(page.exception), len(page.error))
"""

    assert run("python", "-c", script).split() == ["True", "0", "0"]


def test_imports_run_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
