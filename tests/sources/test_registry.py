import subprocess
import sys

import pytest

from tickerlake.errors import ConfigError
from tickerlake.sources import SOURCES, open_source


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_opens_under_the_name_that_marks_its_bars(name, tmp_path, monkeypatch):
    monkeypatch.setenv("APCA_API_KEY_ID", "an-id")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "a-secret")
    config = tmp_path / "tickerlake.toml"
    config.write_text(f"[vendor.file]\nfolder = '{tmp_path}'\n")
    assert open_source(name, config).name == name


def test_an_unknown_source_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown source 'bloomberg'; use one of yahoo, alpaca, file, simulated"):
        open_source("bloomberg")


def test_the_registry_loads_no_vendor():
    program = "import sys, tickerlake.sources; print({'pandas', 'yfinance', 'numpy'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "set()\n"


# Sources of other packages


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package outside of ours, installed as pip would, that declares two sources."""
    (tmp_path / "example_package.py").write_text(
        "class Example:\n"
        "    name, options = 'example', ('feed',)\n"
        "    def __init__(self, feed='slow'):\n"
        "        self.feed = feed\n"
    )
    (tmp_path / "example_package-1.0.dist-info").mkdir()
    (tmp_path / "example_package-1.0.dist-info" / "METADATA").write_text("Name: example-package\nVersion: 1.0\n")
    (tmp_path / "example_package-1.0.dist-info" / "entry_points.txt").write_text(
        "[tickerlake.sources]\n"
        "example = example_package:Example\n"
        "broken = example_package:Missing\n"
        "yahoo = example_package:Example\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_an_installed_package_adds_a_source_that_takes_its_options_from_the_lake(tmp_path):
    config = tmp_path / "tickerlake.toml"
    assert open_source("example", config).feed == "slow"
    config.write_text('tickers = ["META"]\n\n[vendor.example]\nfeed = "fast"\n')
    assert open_source("example", config).feed == "fast"


@pytest.mark.usefixtures("installed")
def test_an_installed_package_cannot_replace_one_of_ours():
    assert type(open_source("yahoo")).__name__ == "YahooSource"


@pytest.mark.usefixtures("installed")
def test_a_package_that_cannot_be_loaded_is_one_clear_line():
    with pytest.raises(ConfigError, match=r"source 'broken' \(example_package:Missing\) cannot be loaded: .*reinstall"):
        open_source("broken")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[vendor.yahoo]\nfeed = 1", r"\[vendor.yahoo\] has an unknown option 'feed'; it has instruments"),
        ("vendor = 1", r"vendor must hold one table for each source; write \[vendor.file\] above its options"),
        ("[vendor]\nfeed = 1", r"vendor must hold one table for each source"),
        ("vendors = 1", r"unknown key 'vendors'; the keys are tickers, sources, vendor"),
    ],
)
def test_options_that_a_source_does_not_have_are_refused(tmp_path, text, message):
    (tmp_path / "tickerlake.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        open_source("yahoo", tmp_path / "tickerlake.toml")
