"""Budget levels are chosen on validation persons, in a market of the size that served persons will have."""

from __future__ import annotations

import pytest

from sim.experiment import ExperimentConfig
from sim.levels import baseline_levels, validation_world
from sim.market import MarketConfig
from sim.stage import Stage
from sim.world import WorldConfig


def test_a_higher_level_leaves_a_smaller_share_spent_on_more_clicks(stage: Stage) -> None:
    config = ExperimentConfig(market=MarketConfig(days=2, campaigns=40))
    found = baseline_levels(stage, config, (0.5, 5.0))
    low, high = found["levels"]
    assert 0 < high["budget_utilization"] < low["budget_utilization"] <= 1
    assert high["clicks"] >= low["clicks"]
    assert found["market"]["campaigns"] == 40
    assert 0 < found["market"]["live_days"] <= 2


def test_nobody_who_is_served_is_looked_at(stage: Stage) -> None:
    asked = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(stage, name)

        def market(self, config: MarketConfig) -> object:
            asked.append(config.fold)
            return stage.market(config)

    baseline_levels(Watched(), ExperimentConfig(market=MarketConfig(days=1, campaigns=20)), (1.0,))  # type: ignore[arg-type]
    assert set(asked) == {1}


def test_there_are_as_many_validation_seekers_as_served_ones_would_be() -> None:
    world = validation_world(WorldConfig(serve_replicas=28))
    assert (world.validate_replicas, world.serve_replicas) == (84, 1)
    assert world.validate_replicas * world.validate_share == pytest.approx(28 * 0.3)
