"""What `graph fit` writes and `graph links`, `graph explain` read: the hire model and the links, from either source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from graph.backoff import with_first_observations
from graph.bipartite import Examples, examples_from_careers
from graph.linking.mining import LinkConfig, mine_links
from graph.links import LinkSet
from graph.model import HireModel
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig, fit
from market.careers import Careers
from market.taxonomy import Taxonomy
from market.text import TextEncoder, TextVectors

# Chosen on validation persons, see docs/decisions/0008; a site's logs, where time is short, do without.
CAREERS_TRAIN = TrainConfig(members=4, backwards=0.3, thin_hires=20, model=ModelConfig(copy="gated"))


@dataclass(frozen=True)
class CareersConfig:
    """Settings of a fit on a careers directory: longer training than on a site's logs, where time is short."""

    train: TrainConfig = CAREERS_TRAIN
    read_titles: bool = True  # of the occupations, as sentence vectors
    first_observations: bool = True  # learn what people begin with, for seekers without a history
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


def fit_careers(
    careers: Careers,
    config: CareersConfig,
    progress: Callable[[str], None] = lambda _: None,
    encoder: TextVectors | None = None,
) -> Fitted:
    """Model and links from every person of a careers directory; a change of occupation stands for a hire.

    encoder: of the titles, the default one where none is given.

    The network also learns from stays and from first observations, for seekers without a history; links count changes
    only, against occupations drawn by how often they hire.
    """
    examples = examples_from_careers(careers)
    changes = examples.take(examples.changed)
    progress("training the hire model")
    model = fit_model(examples, careers.taxonomy, config, encoder, progress)
    progress("mining links")
    hires_into = np.bincount(changes.target, minlength=len(careers.taxonomy)).astype(float)
    links = mine_links(changes, careers.taxonomy, hires_into, config.links)
    return Fitted(model, links, len(np.unique(examples.person)), len(changes))


def fit_model(
    examples: Examples,
    taxonomy: Taxonomy,
    config: CareersConfig,
    encoder: TextVectors | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> HireModel:
    """The hire model alone."""
    train, titles = config.train, None
    if config.read_titles:
        titles = (encoder or TextEncoder()).encode(list(taxonomy.titles))
        train = replace(train, model=replace(train.model, titles=titles.shape[1]))
    taught = with_first_observations(examples) if config.first_observations else examples
    model = fit(
        taught, taxonomy, train, titles=titles, progress=lambda done, reached: progress(f"{done:4.0%}  {reached}")
    )
    # First observations teach, but nobody was hired by them: popularity and baselines do not count them.
    outcomes = np.bincount(examples.target[examples.target >= 0], minlength=len(taxonomy)).astype(np.float64)
    return replace(model, outcomes=outcomes)
