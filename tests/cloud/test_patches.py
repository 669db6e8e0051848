"""The canaries of the patches: where the source of what is patched changes, they have to be read anew."""

from importlib.metadata import version

import pytest

pytest.importorskip("ministack", reason="the emulator of AWS is not installed: pip install -r requirements-dev.txt")

from tests.cloud import patches


def test_the_emulator_is_the_one_that_the_patches_were_written_against():
    assert version("ministack") == patches.VERSION


def test_what_is_patched_has_the_source_that_was_read():
    assert patches.changed() == []


def test_a_source_that_changed_is_told(monkeypatch):
    monkeypatch.setitem(patches._ORIGINAL, (patches.firehose, "_deliver_records_to_s3"), lambda *_: None)
    assert patches.changed() == ["ministack.services.firehose._deliver_records_to_s3"]
