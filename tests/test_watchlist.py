"""The watchlist in a lake's tickerlake.toml."""

import pytest

from tickerlake import watchlist
from tickerlake.errors import ConfigError, TickerlakeError
from tickerlake.watchlist import DEFAULT


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lake" / "tickerlake.toml"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_without_a_file_or_the_key_it_is_the_default(path):
    assert (watchlist.read(path), watchlist.is_set(path)) == (DEFAULT, False)
    write(path, "# nothing yet\n")
    assert (watchlist.read(path), watchlist.is_set(path)) == (DEFAULT, False)


def test_it_is_read_in_order_in_capitals_once_each(path):
    write(path, 'tickers = ["nvda", "BRK-B", "NVDA"]')
    assert (watchlist.read(path), watchlist.is_set(path)) == (("NVDA", "BRK-B"), True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("tickers = [", "is not valid TOML"),
        ('ticker = ["META"]', "unknown key 'ticker'; the keys are tickers, sources, vendor"),
        ('tickers = "META"', "must be a list of symbols"),
        ("tickers = [1]", "must be a list of symbols"),
        ("tickers = []", "tickers is empty"),
        ('tickers = ["ME TA"]', "ME TA is not a symbol"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_fault(path, text, fault):
    write(path, text)
    for use in (
        lambda: watchlist.read(path),
        lambda: watchlist.add(path, ["AMD"]),
        lambda: watchlist.remove(path, ["META"]),
    ):
        with pytest.raises(ConfigError) as error:
            use()
        assert str(path) in str(error.value)
        assert fault in str(error.value)
    assert path.read_text() == text


def test_a_file_that_is_not_text_is_named(path):
    path.parent.mkdir()
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot read .*tickerlake.toml"):
        watchlist.read(path)


def test_the_first_addition_creates_the_file_from_the_default(path):
    assert watchlist.add(path, ["nvda"]) == (*DEFAULT, "NVDA")
    assert watchlist.read(path) == (*DEFAULT, "NVDA")
    assert [each.name for each in path.parent.iterdir()] == ["tickerlake.toml"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_adding_what_is_there_writes_nothing(path):
    assert watchlist.add(path, ["META"]) == DEFAULT
    assert not path.exists()


def test_an_old_symbol_is_added_and_removed_under_todays(path):
    write(path, 'tickers = ["AMZN"]')
    assert watchlist.add(path, ["FB"]) == ("AMZN", "META")
    assert watchlist.remove(path, ["FB"]) == ("AMZN",)


def test_comments_and_layout_survive_a_change(path):
    write(path, '# mine\ntickers = [\n  "META",  # social\n  "amzn",  # shops\n]  # done\n')
    watchlist.add(path, ["NVDA"])
    watchlist.remove(path, ["AMZN"])
    assert path.read_text() == '# mine\ntickers = [\n  "META",  # social\n  "NVDA",\n]  # done\n'


def test_what_is_not_on_the_list_cannot_be_removed_nor_can_the_last(path):
    write(path, 'tickers = ["META", "AMZN"]')
    with pytest.raises(ConfigError, match="NVDA is not on the watchlist; it has META, AMZN"):
        watchlist.remove(path, ["META", "NVDA"])
    with pytest.raises(ConfigError, match="would be empty; add another ticker first"):
        watchlist.remove(path, ["META", "AMZN"])
    assert watchlist.read(path) == ("META", "AMZN")


def test_a_list_that_cannot_be_written_is_reported_and_leaves_nothing_behind(path):
    path.parent.write_text("a file where the lake's folder should be")
    with pytest.raises(TickerlakeError, match="cannot write .*name a folder you can write to"):
        watchlist.add(path, ["NVDA"])
