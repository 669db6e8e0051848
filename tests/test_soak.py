"""A few of the kills of `make soak`."""

from tests.soak import check


def test_programs_that_are_killed_at_random_lose_nothing_and_store_nothing_twice(tmp_path):
    counts = check(tmp_path, kills=2, seed=3)

    assert counts.total() - counts["read"] >= 2
    assert counts["read"]
