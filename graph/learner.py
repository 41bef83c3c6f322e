"""What `graph fit` writes and `graph links`, `graph explain` read: the hire model and the links, from either source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from graph.backoff import with_first_observations
from graph.bipartite import examples_from_careers
from graph.linking.mining import LinkConfig, mine_links
from graph.links import LinkSet
from graph.model import HireModel
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig, fit
from market.careers import Careers

# Chosen on validation persons, see docs/decisions/0008; a site's logs, where time is short, do without.
CAREERS_TRAIN = TrainConfig(
    members=2, encoders=("attention", "gru"), backwards=0.3, thin_hires=20, model=ModelConfig(copy="gated")
)


@dataclass(frozen=True)
class CareersConfig:
    """Settings of a fit on a careers directory: longer training than on a site's logs, where time is short."""

    train: TrainConfig = CAREERS_TRAIN
    links: LinkConfig = field(default_factory=LinkConfig)


@dataclass(frozen=True)
class Fitted:
    model: HireModel
    links: LinkSet
    persons: int
    hires: int

    def save(self, folder: Path) -> None:
        self.model.save(folder / "model")
        self.links.save(folder / "links")


def fit_careers(careers: Careers, config: CareersConfig, progress: Callable[[str], None] = lambda _: None) -> Fitted:
    """Model and links from every person of a careers directory; a change of occupation stands for a hire.

    The network also learns from stays and from first observations, for seekers without a history; links count changes
    only, against occupations drawn by how often they hire.
    """
    examples = examples_from_careers(careers)
    changes = examples.take(examples.changed)
    progress("training the hire model")
    model = fit(with_first_observations(examples), careers.taxonomy, config.train)
    # First observations teach, but nobody was hired by them: popularity and baselines do not count them.
    outcomes = np.bincount(examples.target, minlength=len(careers.taxonomy)).astype(np.float64)
    model = replace(model, outcomes=outcomes)
    progress("mining links")
    hires_into = np.bincount(changes.target, minlength=len(careers.taxonomy)).astype(float)
    links = mine_links(changes, careers.taxonomy, hires_into, config.links)
    return Fitted(model, links, len(np.unique(examples.person)), len(changes))
