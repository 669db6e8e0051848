"""What is installed: pinned with hashes, under a licence that is known."""

import re

import pytest

from tests.licences import licences
from tests.readme import DEPLOY, ROOT, SCALE, SECURITY, rendered
from tests.scale import Scale


@pytest.mark.parametrize("path", ["requirements.txt", "requirements-dev.txt", "functions/collector/requirements.txt"])
def test_every_pin_carries_hashes(path):
    pins = re.split(r"\n(?=[a-zA-Z])", (ROOT / path).read_text(encoding="utf-8"))
    pins = [pin for pin in pins if re.match(r"[a-zA-Z0-9_.-]+(\[.*\])?==", pin)]

    assert len(pins) > 5
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_every_package_says_its_licence():
    assert [name for name, _, licence in licences() if licence == "unknown"] == []


@pytest.mark.parametrize("path", [SECURITY, DEPLOY, SCALE], ids=lambda path: path.name)
def test_tables_are_those_of_the_code(path):
    text = path.read_text(encoding="utf-8")

    assert rendered(text) == text, "run: python -m tests.readme"


def test_the_arithmetic_of_scale_is_that_of_the_costs_in_deploy():
    costs = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    small, large = Scale(11, 5), Scale(500, 5)

    assert f"= {small.records:,} records = {small.billed_gb:.2f} GB; 500 " in costs
    assert f" the same = {large.billed_gb:.1f} GB" in costs
    assert f"| Lambda | {small.dollars['Lambda']:.2f} | {large.dollars['Lambda']:.2f} |" in costs
    assert f"{small.objects:,} and {large.objects:,}" in costs
