"""What docs/sources.md says, held against the code."""

import re
import tomllib
from pathlib import Path

from tickerlake.sources import SOURCES
from tickerlake.sources.alpaca import AlpacaSource
from tickerlake.sources.file import FileSource

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
TABLES = [tomllib.loads(block) for block in re.findall(r"```toml\n(.+?)```", PAGE, re.DOTALL)]


def test_every_source_has_a_row():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(SOURCES)


def test_the_options_of_every_source_are_shown_and_can_be_used(tmp_path):
    shown = {name: table for each in TABLES for name, table in each.get("vendor", {}).items()}
    assert set(shown["file"]) == set(FileSource.options)
    assert FileSource(**shown["file"] | {"folder": str(tmp_path)}).name == "broker"
    assert set(shown["alpaca"]) == set(AlpacaSource.options)
