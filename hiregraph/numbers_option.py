"""Comma-separated numbers of an option."""

from __future__ import annotations

import math

from market.errors import ConfigError


def numbers(option: str, given: str, above: float = -math.inf, below: float = math.inf) -> tuple[float, ...]:
    """The numbers in `given`, without repeats, in their order; ConfigError names the option and what is wrong."""
    found = []
    for text in given.split(","):
        try:
            value = float(text)
        except ValueError:
            raise ConfigError(
                f"{option}: {text.strip()!r} is not a number; write numbers with commas between"
            ) from None
        if not above < value < below:
            raise ConfigError(f"{option}: {value:g} is out of range, expected above {above:g} and below {below:g}")
        found.append(value)
    return tuple(dict.fromkeys(found))
