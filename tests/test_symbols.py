import datetime as dt

import pytest

from tickerlake import symbols, watchlist
from tickerlake.errors import ConfigError

BEFORE_META, META_DAY = dt.date(2022, 6, 8), dt.date(2022, 6, 9)


def test_a_company_has_todays_symbol_and_that_days():
    assert symbols.current_symbol("FB") == "META"
    assert symbols.as_traded("META", BEFORE_META) == "FB"
    assert symbols.as_traded("FB", META_DAY) == "META"
    assert symbols.as_traded("SQ", dt.date(2025, 1, 20)) == "SQ"
    assert symbols.as_traded("SQ", dt.date(2025, 1, 21)) == "XYZ"
    assert symbols.as_traded("AMZN", BEFORE_META) == "AMZN"


def test_a_renamed_symbol_gives_a_note():
    assert symbols.rename_notes(["FB", "AMZN"], dt.date(2026, 11, 20), dt.date(2026, 11, 20)) == [
        "FB trades as META since 2022-06-09: collecting META"
    ]
    assert symbols.rename_notes(["XYZ"], dt.date(2025, 1, 2), dt.date(2025, 1, 31)) == [
        "XYZ traded as SQ before 2025-01-21: stored as SQ until then"
    ]


def test_tickers_are_upper_cased_in_order_and_unique():
    assert symbols.parse_tickers("meta, amzn,META,brk-b,") == ("META", "AMZN", "BRK-B")


@pytest.mark.parametrize("text", ["", ",", "MET A", "META;DROP", "../x", "ÄÖ", "TOOLONGNAME", "%"])
def test_text_that_is_not_a_symbol_is_refused(text):
    with pytest.raises(ConfigError, match="such as META,AMZN"):
        symbols.parse_tickers(text)


def test_the_watchlist_is_the_original_ten_under_todays_symbols_and_amzn():
    assert " ".join(watchlist.DEFAULT) == "META SHOP BYND NFLX PINS XYZ TTD OKTA SNAP DDOG AMZN"
    assert all(symbols.current_symbol(ticker) == ticker for ticker in watchlist.DEFAULT)


def test_a_long_list_is_cut_short_and_says_how_many_are_left():
    assert symbols.listing(["A", "B", "C"], shown=3) == "A, B, C"
    assert symbols.listing(["A", "B", "C"], shown=2) == "A, B and 1 more"
