from __future__ import annotations

import pyarrow as pa
import pytest

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
