"""Canaries: they fail when the source of a patched function changes, so that someone reviews the patch."""

from importlib.metadata import version

import pytest

pytest.importorskip("ministack", reason="the emulator of AWS is not installed: pip install -r requirements-dev.txt")

from tests.cloud import patches


def test_the_emulator_has_the_version_the_patches_are_for():
    assert version("ministack") == patches.VERSION


def test_every_patched_function_has_the_source_the_patches_are_for():
    assert patches.changed() == []


def test_a_changed_source_is_reported(monkeypatch):
    monkeypatch.setitem(patches._ORIGINAL, (patches.firehose, "_deliver_records_to_s3"), lambda *_: None)
    assert patches.changed() == ["ministack.services.firehose._deliver_records_to_s3"]
