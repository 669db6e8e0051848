"""Every chart is drawn as its answer file says, to the last encoding."""

import pytest

from tests.dashboard.specs import FOLDER, rendered


@pytest.mark.parametrize("file", rendered())
def test_a_chart_is_drawn_as_its_file_says(file):
    assert rendered()[file] == (FOLDER / file).read_text(encoding="utf-8"), "run: python -m tests.dashboard.specs"


def test_there_is_no_file_without_its_chart():
    assert {path.name for path in FOLDER.iterdir()} == set(rendered())
