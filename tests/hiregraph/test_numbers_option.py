"""Numbers with commas between, and what is said of those that are none."""

from __future__ import annotations

import pytest

from hiregraph.numbers_option import numbers
from market.errors import ConfigError


def test_numbers_keep_their_order_and_come_once() -> None:
    assert numbers("--at", "2, 0.5,2", above=0) == (2.0, 0.5)


@pytest.mark.parametrize("given", ["", "1,,2", "one", "0", "-1", "nan"])
def test_what_is_no_number_or_out_of_range_names_the_option(given: str) -> None:
    with pytest.raises(ConfigError, match="--at"):
        numbers("--at", given, above=0)
