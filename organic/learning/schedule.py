"""The curriculum as data: a schedule is a tuple of stages, so that an ablation is a list of schedules.

Shen et al., Learning to Retrieve for Job Matching, arXiv 2402.13435, section "curriculum": stage 1 trains on in-batch
and random inventory negatives, stage 2 on the hardest of them, with a lower learning rate and elastic consolidation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from market.errors import ConfigError


@dataclass(frozen=True)
class Stage:
    """`steps` batches, each of `positives` pairs m and `inventory` random items n; every row has m + n - 1 negatives.

    hardest        keep only the K negatives of each row that the model itself scores highest; None keeps all
    mined          share of the pairs that are drawn in neighbourhoods, so that in-batch negatives lie close together
    consolidation  strength of the elastic pull to the weights at the end of the stage before (0: none)
    """

    steps: int
    positives: int
    inventory: int
    learning_rate: float
    hardest: int | None = None
    mined: float = 0.0
    consolidation: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.positives < 2 or self.inventory < 0:
            raise ConfigError(
                f"a stage of {self.steps} steps, {self.positives} positives, {self.inventory} inventory items; "
                "expected at least 1 step, 2 positives and 0 inventory items"
            )
        if not 0 < self.learning_rate < 1:
            raise ConfigError(f"learning_rate is {self.learning_rate}, expected between 0 and 1")
        if self.hardest is not None and self.hardest < 1:
            raise ConfigError(f"hardest is {self.hardest}, expected at least 1, or None for all negatives")
        if not 0 <= self.mined <= 1 or not self.consolidation >= 0:
            raise ConfigError(
                f"mined is {self.mined}, consolidation {self.consolidation}; expected a share and a number from 0"
            )


Schedule = tuple[Stage, ...]


@dataclass(frozen=True)
class Budget:
    """What every row of an ablation may spend: steps in all, and items scored in each."""

    steps: int = 1000
    items: int = 512
    learning_rate: float = 1e-3


def in_batch(budget: Budget) -> Schedule:
    """All negatives are other rows' items."""
    return (Stage(budget.steps, budget.items, 0, budget.learning_rate),)


def with_inventory(budget: Budget) -> Schedule:
    """Half of the items of a batch are drawn from the inventory."""
    half = budget.items // 2
    return (Stage(budget.steps, budget.items - half, half, budget.learning_rate),)


def with_hardest(budget: Budget, hardest: int, consolidation: float = 0.1, share: float = 0.5) -> Schedule:
    """`with_inventory`, then for the last `share` of the steps the `hardest` negatives at a tenth of the rate."""
    (first,) = with_inventory(budget)
    last = max(1, round(share * budget.steps))
    second = replace(
        first, steps=last, learning_rate=0.1 * first.learning_rate, hardest=hardest, consolidation=consolidation
    )
    return (replace(first, steps=max(1, budget.steps - last)), second)


def ablation(budget: Budget) -> dict[str, Schedule]:
    """The rows of the curriculum table, each at the same budget; the hardest half is the published choice, K = 1 the
    published failure."""
    forgetting = with_hardest(budget, 1, consolidation=0.0)
    full_rate = replace(forgetting[1], learning_rate=budget.learning_rate)
    return {
        "in-batch": in_batch(budget),
        "+ random inventory": with_inventory(budget),
        "+ hardest half, lower rate, consolidation": with_hardest(budget, budget.items // 2),
        "+ hardest half, lower rate": with_hardest(budget, budget.items // 2, consolidation=0.0),
        "hardest 1, lower rate, consolidation": with_hardest(budget, 1),
        "hardest 1, full rate": (forgetting[0], full_rate),
    }
