import subprocess
import sys

import pytest

from tickerlake.errors import ConfigError
from tickerlake.sources import SOURCES, open_source


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_opens_under_the_name_that_marks_its_bars(name):
    assert open_source(name).name == name


def test_an_unknown_source_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown source 'bloomberg'; use one of yahoo, simulated"):
        open_source("bloomberg")


def test_the_registry_loads_no_vendor():
    program = "import sys, tickerlake.sources; print({'pandas', 'yfinance', 'numpy'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "set()\n"
