"""How large an experiment has to be: standard errors of its own clusters, scaled to other sizes.

An interval of half-width h from n campaigns comes from a standard error of h / 1.96; with independent clusters it falls
like 1 / sqrt(n), so a half-width of `target` takes n (h / target)^2 campaigns. The rule is checked where two sizes were
played, by how far the larger one's standard error is from what the smaller one predicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from market.errors import ConfigError

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Size:
    """An experiment that was played: campaigns in all its markets together, days, and the standard error it had."""

    campaigns: int
    days: int
    standard_error: float


def standard_error(ci95: list[float] | tuple[float, float]) -> float:
    """Half the width of a 95 % interval over 1.96."""
    return (ci95[1] - ci95[0]) / 2 / NORMAL_95


def campaigns_needed(size: Size, target: float = 0.01) -> int:
    """Campaigns (in all markets together, the same days each) for a 95 % interval of +- target."""
    if not target > 0:
        raise ConfigError(f"target is {target}, expected a half-width above 0")
    return math.ceil(size.campaigns * (NORMAL_95 * size.standard_error / target) ** 2)


def scaled(size: Size, campaigns: int) -> float:
    """The standard error expected with that many campaigns."""
    return size.standard_error * math.sqrt(size.campaigns / campaigns)


def surprise(small: Size, large: Size) -> float:
    """The larger experiment's standard error over what the smaller one predicts for it; 1 where the rule holds."""
    return large.standard_error / scaled(small, large.campaigns)
