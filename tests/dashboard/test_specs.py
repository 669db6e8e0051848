"""Every chart is drawn as its answer file says, to the last encoding."""

from tests.dashboard.specs import FOLDER, rendered


def test_every_chart_is_drawn_as_its_file_says():
    drawn = rendered()
    assert set(drawn) == {path.name for path in FOLDER.iterdir()}
    for file, text in drawn.items():
        expected = (FOLDER / file).read_text(encoding="utf-8")
        assert text == expected, f"{file} has changed; if it should: python -m tests.dashboard.specs"
