"""What the hire model learns from: confirmed hires, weighed for how they were selected, and early proxies.

Confirmed hires are not a fair sample of moves. Only what was shown could become one (`graph.selection.exposure`), and
the newest applications have not had the time (`graph.selection.proxy`). Both corrections are settings, off by default:
see docs/benchmarks.md for what each brings and costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from graph.bipartite import Examples
from graph.hires import Hires
from graph.history import examples_from_hires
from graph.selection.exposure import ExposureConfig, exposure_weights
from graph.selection.proxy import ProxyConfig, with_proxies
from graph.train import TrainConfig
from market.qualification import Qualification
from market.tables import Tables


@dataclass(frozen=True)
class SelectionConfig:
    exposure: ExposureConfig = field(default_factory=ExposureConfig)
    proxy: ProxyConfig = field(default_factory=ProxyConfig)


@dataclass(frozen=True)
class TrainingSet:
    """Instances, the seeker ids `person` points to, float64[n] weights (None: all alike), and how to train on them."""

    examples: Examples
    seekers: tuple[str, ...]
    weights: np.ndarray | None
    train: TrainConfig


def training_set(
    tables: Tables, hires: Hires, train: TrainConfig, config: SelectionConfig, qualification: Qualification
) -> TrainingSet:
    """The confirmed hires in their order, then the proxies if any.

    With exposure weights nobody is held out: calibrators fitted on a fold of the biased sample would put the bias back.
    """
    weights = exposure_weights(tables, hires, config.exposure)
    if weights is not None:
        train = replace(train, validation_share=0.0)
    if config.proxy.weight == 0:
        examples, seekers = examples_from_hires(tables, hires)
        return TrainingSet(examples, seekers, weights, train)
    examples, seekers, counted = with_proxies(tables, hires, qualification, config.proxy)
    if weights is not None:
        counted[: len(hires)] *= weights
    return TrainingSet(examples, seekers, counted, train)
