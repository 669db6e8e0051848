"""Every chart is drawn as its answer file says, to the last encoding."""

import pytest
from altair.utils import schemapi

from tests.dashboard.specs import FOLDER, rendered


def test_every_chart_is_drawn_as_its_file_says(monkeypatch):
    # Altair looks up text such as `y2="high:Q"`, where it has a class, in 7 ms.
    monkeypatch.setattr(schemapi.SchemaBase, "from_dict", lambda *_, **__: pytest.fail("use the class of the channel"))
    drawn = rendered()
    assert set(drawn) == {path.name for path in FOLDER.iterdir()}
    for file, text in drawn.items():
        expected = (FOLDER / file).read_text(encoding="utf-8")
        assert text == expected, f"{file} has changed; if it should: python -m tests.dashboard.specs"
