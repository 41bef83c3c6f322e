"""One small generated world for many tests: what it logs, what is learned from that, and its stage. Built once."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from graph.train import TrainConfig
from market.tables import Tables
from sim.behaviour import read_behaviour
from sim.logs import LoggingConfig, write_logs
from sim.stage import Stage, build_stage
from sim.world import World, WorldConfig, build_world
from targeting.learned import Learned, LearnedConfig, fit_learned
from tests.organic.small_market import WordEncoder

SHAPE = WorldConfig(kind="generated", persons=400, serve_replicas=2, inventory=200, metros=3)


@cache
def small_world() -> World:
    return build_world(SHAPE, read_behaviour(), None, None)


@cache
def small_logs() -> dict[str, pa.Table]:
    return write_logs(small_world(), LoggingConfig())


@cache
def small_learned() -> Learned:
    tables = Tables(small_logs(), small_world().careers.taxonomy)
    return fit_learned(tables, LearnedConfig(train=TrainConfig(epochs=1)))[0]


@cache
def small_stage() -> Stage:
    """Without organic results."""
    return build_stage(small_world(), small_learned(), None)


@cache
def small_stage_with_text() -> Stage:
    return build_stage(small_world(), small_learned(), WordEncoder())
