"""How many people a group has, said in a way that gives nobody away.

    people by occupation ──noise──▶ noisy counts ──sum of the occupations asked for──▶ below the floor: nothing
                        once a data edition                                            else two significant digits

Every person counts under one occupation. Each of these counts gets discrete Laplace noise, P(x) ~ exp(-epsilon |x|),
and every number shown is a sum of noisy counts: so all answers together, however many and however they overlap, tell no
more about one person than a single noisy count does. Whoever tries to find out whether somebody is in the data is
right at most (e^epsilon - 1) / (e^epsilon + 1) oftener than wrong, .05 at epsilon .1. A quota of questions is not
needed for that. (Noise per question would add up: 100 questions about one person at .1 each give 10.)

The noise is an HMAC of the data edition and the occupation, under the service's secret: the same question has the same
answer in every process and on every day until the data change; asking again, or in other words, gives nothing to
average. New data bring new noise, so what two editions tell adds up. The floor comes after the noise: a group of 310
may be left unsaid, one of 290 told as 300. References: Dwork and Roth, The Algorithmic Foundations of Differential
Privacy (2014), 3.3 and 3.5; Ghosh, Roughgarden, Sundararajan, Universally Utility-Maximizing Privacy Mechanisms (2009).
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from market.errors import ConfigError

REACH_FLOOR = 300  # a smaller group of people is never counted out loud


@dataclass(frozen=True)
class ReachConfig:
    """epsilon: how much one data edition may tell of one person; floor: the smallest group that gets a number."""

    epsilon: float = 0.1
    floor: int = REACH_FLOOR

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 1:
            raise ConfigError(f"epsilon is {self.epsilon}, expected above 0 up to 1; the smaller, the more noise")
        if self.floor < 1:
            raise ConfigError(f"the floor of reach is {self.floor} people, expected at least 1")


class Reach:
    """Numbers of people that may be shown; the true counts are not kept."""

    def __init__(
        self, names: Sequence[str], people: np.ndarray, secret: bytes, config: ReachConfig = ReachConfig()
    ) -> None:
        """people int64[n]: how many count under each of n names, everybody under one.

        Without a secret the noise could be taken away again: then no number is ever shown.
        """
        counts = np.asarray(people, np.int64)
        if counts.shape != (len(names),) or (counts < 0).any():
            raise ConfigError(f"people has shape {counts.shape} for {len(names)} names; expected a count of each")
        self.config = config
        self._noisy: np.ndarray | None = None
        if secret:
            edition = hashlib.sha256("\n".join(names).encode() + b"\n" + counts.tobytes()).digest()
            drawn = [discrete_laplace(_seed(secret, edition, name), config.epsilon) for name in names]
            self._noisy = counts + np.array(drawn, np.int64)

    def shown(self, members: Iterable[int]) -> int | None:
        """People under the names at these positions (order and repeats do not matter); None: too few to be said."""
        if self._noisy is None:
            return None
        noisy = int(self._noisy[sorted(set(members))].sum())
        return rounded(noisy) if noisy >= self.config.floor else None


def rounded(people: int) -> int:
    """To two significant digits; halves go to the even digit."""
    return int(float(f"{people:.2g}"))


def discrete_laplace(seed: bytes, epsilon: float) -> int:
    """x with P(x) = (1 - a) / (1 + a) a^|x|, a = e^-epsilon: the difference of two geometric numbers, from 16 bytes."""
    first, second = (
        math.floor(math.log((int.from_bytes(part) + 1) / 2**64) / -epsilon) for part in (seed[:8], seed[8:16])
    )
    return first - second


def _seed(secret: bytes, edition: bytes, name: str) -> bytes:
    return hmac.new(secret, b"reach\n" + edition + name.encode(), hashlib.sha256).digest()
