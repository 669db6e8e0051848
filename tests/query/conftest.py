"""The lakes of the answer files."""

from functools import cache

import pytest

from tests.query.lakes import write_case


@pytest.fixture(scope="module")
def lake_of(tmp_path_factory):
    """The lake of an answer case, written when it is first asked for; no query changes it."""
    return cache(lambda case: write_case(tmp_path_factory.mktemp(case), case))
