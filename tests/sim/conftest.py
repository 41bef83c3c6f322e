from __future__ import annotations

import pyarrow as pa
import pytest

from sim.experiment import ExperimentConfig, Results, run_experiment
from sim.market import MarketConfig
from sim.stage import Stage
from sim.world import World
from targeting.learned import Learned
from tests.sim.small_world import small_learned, small_logs, small_stage, small_stage_with_text, small_world


@pytest.fixture(scope="session")
def world() -> World:
    return small_world()


@pytest.fixture(scope="session")
def logs() -> dict[str, pa.Table]:
    return small_logs()


@pytest.fixture(scope="session")
def learned() -> Learned:
    return small_learned()


@pytest.fixture(scope="session")
def stage() -> Stage:
    return small_stage()


@pytest.fixture(scope="session")
def stage_with_text() -> Stage:
    return small_stage_with_text()


@pytest.fixture(scope="session")
def experiment(stage_with_text: Stage) -> Results:
    """Every arm in two small markets, with a frontier, a second budget level and the placebo."""
    config = ExperimentConfig(
        arms=("attribute", "links", "graph", "random", "all", "oracle"),
        seeds=2,
        theta=0.2,
        thetas=(0.05, 0.5),
        budget_levels=(1.0, 0.2),
        market=MarketConfig(days=2, campaigns=40),
    )
    return run_experiment(stage_with_text, config)
