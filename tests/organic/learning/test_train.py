"""The loop: it learns what can be learned, an anchor holds it back, and it repeats itself exactly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from market.errors import ConfigError
from organic.learning.consolidation import Anchor
from organic.learning.negatives import Known, Pairs
from organic.learning.schedule import Budget, Stage, ablation
from organic.learning.train import TrainConfig, rate, train_towers


class Tables(nn.Module):
    """Two free vectors per row: the smallest towers there are."""

    def __init__(self, requests: int, items: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.requests = nn.Parameter(torch.randn(requests, 8, generator=generator))
        self.items = nn.Parameter(torch.randn(items, 8, generator=generator))

    def request_vectors(self, rows: Tensor) -> Tensor:
        return nn.functional.normalize(self.requests[rows], dim=1)

    def item_vectors(self, rows: Tensor) -> Tensor:
        return nn.functional.normalize(self.items[rows], dim=1)


REQUEST, ITEM = np.arange(20), np.arange(20) % 10
KNOWN, INVENTORY = Known.of(REQUEST, ITEM, 20), np.arange(12)
FIRST = Stage(150, 10, 4, 0.05)


def trained(schedule: tuple[Stage, ...], seed: int = 0, config: TrainConfig | None = None) -> Tables:
    model = Tables(20, 12)
    train_towers(model, model, Pairs(REQUEST, ITEM), KNOWN, INVENTORY, schedule, config or TrainConfig(), seed)
    return model


def nearest(model: Tables) -> np.ndarray:
    with torch.no_grad():
        every = model.request_vectors(torch.arange(20)) @ model.item_vectors(torch.arange(12)).T
    found: np.ndarray = every.argmax(1).numpy()
    return found


def test_every_request_finds_its_item() -> None:
    assert (nearest(trained((FIRST,))) == ITEM).all()


def test_the_symmetric_loss_and_the_popularity_correction_find_them_too() -> None:
    config = TrainConfig(symmetric=True, popularity_correction=True)
    assert (nearest(trained((FIRST,), config=config)) == ITEM).all()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    second = Stage(20, 10, 4, 0.005, hardest=3, consolidation=0.1)
    one, two, other = trained((FIRST, second)), trained((FIRST, second)), trained((FIRST, second), seed=1)
    assert torch.equal(one.items, two.items)
    assert torch.equal(one.requests, two.requests)
    assert not torch.equal(one.items, other.items)


def test_a_strong_anchor_keeps_the_weights_of_the_stage_before() -> None:
    before = trained((FIRST,))
    free = trained((FIRST, Stage(60, 10, 4, 0.05, hardest=1)))
    held = trained((FIRST, Stage(60, 10, 4, 0.05, hardest=1, consolidation=1000.0)))
    with torch.no_grad():
        moved_free = float((free.items - before.items).square().sum())
        moved_held = float((held.items - before.items).square().sum())
    assert moved_held < 0.5 * moved_free


def test_the_penalty_is_the_weighted_square_of_the_way_gone() -> None:
    model = Tables(2, 2)
    loss = 3 * model.items[0, 0] + 4 * model.items[1, 1]  # squared gradients 9 and 16, mean over 32 weights 25 / 32
    anchor = Anchor(model, [loss])
    with torch.no_grad():
        model.items[0, 0] += 2.0
        model.items[0, 1] += 5.0  # matters nothing
    assert float(anchor.penalty(model, 0.5).detach()) == pytest.approx(0.25 * 9 * 32 / 25 * 4)


def test_every_row_of_the_ablation_spends_the_same() -> None:
    budget = Budget(steps=100, items=64)
    for name, schedule in ablation(budget).items():
        assert sum(stage.steps for stage in schedule) == 100, name
        assert all(stage.positives + stage.inventory == 64 for stage in schedule), name


def test_the_rate_rises_then_falls_to_a_tenth() -> None:
    rates = [rate(step, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "at least 1 step"),
        ({"positives": 1}, "2 positives"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"hardest": 0}, "hardest"),
        ({"mined": 1.5}, "mined"),
        ({"consolidation": -1.0}, "consolidation"),
    ],
)
def test_a_stage_that_makes_no_sense_is_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Stage(**{"steps": 1, "positives": 2, "inventory": 0, "learning_rate": 0.1, **given})  # type: ignore[arg-type]
