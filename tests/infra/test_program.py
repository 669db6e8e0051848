"""The unmodified `__main__.py` in its own process, in a preview and an update."""

from concurrent.futures import ThreadPoolExecutor

import pulumi
import pytest
from pulumi.output import Unknown

from tests.infra.monitor import run
from tests.infra.recorder import deploy, deployed, stack_config

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def zip_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("zip") / "collector.zip"
    path.write_bytes(b"not a real zip")
    return path


@pytest.fixture(scope="module")
def runs(zip_path):
    """Of the stack prod, which has every resource of dev; tests/cloud creates what dev registers."""
    config = {**stack_config("prod"), "tickerlake:collectorZip": str(zip_path)}
    with ThreadPoolExecutor(2) as both:
        started = {operation: both.submit(run, operation, config, "prod") for operation in ("preview", "up")}
        return {operation: done.result() for operation, done in started.items()}


def known_alike(preview, up):
    """Whether every value known in the preview is the same in the update."""
    if isinstance(preview, Unknown):
        return True
    if isinstance(preview, dict) and isinstance(up, dict):
        return preview.keys() == up.keys() and all(known_alike(preview[key], up[key]) for key in preview)
    if isinstance(preview, list) and isinstance(up, list):
        return len(preview) == len(up) and all(map(known_alike, preview, up))
    if isinstance(preview, pulumi.FileAsset) and isinstance(up, pulumi.FileAsset):
        return preview.path == up.path
    return preview == up


def by_name(recording):
    return {item.name: item for item in recording.registrations}


def test_both_succeed(runs):
    for done in runs.values():
        assert (done.returncode, done.stderr) == (0, "")


def test_a_preview_shows_the_resources_that_an_update_creates(runs):
    preview, up = by_name(runs["preview"].recording), by_name(runs["up"].recording)

    assert preview.keys() == up.keys()
    for name, item in preview.items():
        made = up[name]
        assert (item.type, item.parent, item.protect, item.retain) == (
            made.type,
            made.parent,
            made.protect,
            made.retain,
        )
        assert known_alike(item.inputs, made.inputs), name


def test_values_that_aws_generates_are_unknown_in_a_preview(runs):
    stream = next(item for item in runs["preview"].recording.registrations if item.kind == "FirehoseDeliveryStream")

    assert isinstance(stream.inputs["extendedS3Configuration"]["bucketArn"], Unknown)


def test_the_update_exports_its_outputs(runs):
    exports = runs["up"].recording.exports

    assert exports["tickerlake"]["table"] == "bars"
    assert exports["readme"].startswith("# Tickerlake")


def test_the_mocks_of_the_other_tests_see_the_same_resources(runs, zip_path):
    recorded = deploy({**stack_config("prod"), "tickerlake:collectorZip": str(zip_path)}, "prod")

    assert by_name(recorded).keys() == by_name(runs["up"].recording).keys()
    assert {item.name.replace("-dev", "-prod") for item in deployed("dev").registrations} <= by_name(recorded).keys()


def test_a_bad_configuration_registers_nothing(zip_path):
    done = run("preview", {"tickerlake:barMinutes": "3", "tickerlake:collectorZip": str(zip_path)})

    assert done.returncode != 0
    assert "barMinutes is 3" in done.stderr
    assert "aws:region is ''" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.recording.registrations == []
