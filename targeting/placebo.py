"""The placebo of the experiment: a network that had nothing to learn, for the pipeline that must not find anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from graph.bipartite import Examples
from graph.hires import confirm
from graph.history import examples_from_hires
from graph.model import HireModel
from graph.train import fit
from market.tables import Tables
from targeting.learned import Learned, LearnedConfig


@dataclass(frozen=True)
class Placebo:
    """A hire model that can know nothing: learned from shuffled hires of people whose held occupations were renamed.

    name int32[C]: what each held occupation is called, a permutation; the same in training and in asking.
    """

    learned: Learned
    name: np.ndarray

    def scores(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: how the graph arm would score a job of every occupation. Retrieval is by lift (rarity 1), so
        that what is left of a shuffled model, how common occupations are, cancels out."""
        asked = renamed(examples, self.name)
        return np.asarray(self.learned.retrieval(asked) @ self.learned.occupation_vectors.T, np.float32)


def fit_placebo(
    tables: Tables, learned: Learned, config: LearnedConfig, as_of: datetime | None = None, draw: int = 0
) -> Placebo:
    """A network trained on the same hires with their occupations shuffled among seekers.

    Held occupations are renamed as well: networks of shuffled hires alone still preferred the seeker's own section,
    because what somebody held and what is offered share their embeddings. That is a prior of the architecture, no leak,
    but it does suit people, and a placebo must have nothing that does.

    draw: which of several shuffles, with a network that starts elsewhere. One such network is one arbitrary map from
    people to jobs, which by luck suits them or does not: only several together say whether it teaches anything.
    """
    examples, _ = examples_from_hires(tables, confirm(tables, as_of, config.hires))
    rng = np.random.default_rng([config.seed, 67, draw])
    shuffled = replace(examples, target=rng.permutation(examples.target))
    name = placebo_names(len(tables.taxonomy), config.seed, draw)
    # Careers read backwards hold real moves from one position to the next, which no shuffling of hires would touch.
    train = replace(config.train, backwards=0.0, seed=config.train.seed + draw)
    return as_placebo(learned, fit(renamed(shuffled, name), tables.taxonomy, train), name)


def as_placebo(learned: Learned, shuffled: HireModel, name: np.ndarray) -> Placebo:
    return Placebo(replace(learned, model=shuffled, rarity=1.0), name)


def placebo_names(occupations: int, seed: int, draw: int) -> np.ndarray:
    """int32[C]: the renaming of a draw."""
    return np.random.default_rng([seed, 68, draw]).permutation(occupations).astype(np.int32)


def renamed(examples: Examples, name: np.ndarray) -> Examples:
    """The same histories with every held occupation called name[occupation]; targets stay."""
    return replace(examples, item_occupation=name[examples.item_occupation])
