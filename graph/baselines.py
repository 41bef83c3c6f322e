"""Three honest peers of the hire graph, from transition counts alone.

    popularity       share of each occupation among the outcomes
    markov           M[c] = (counts[c] + 5 * popularity) / (sum of counts[c] + 5)
    recent history   .85 * normalised(sum over j < 4 of .5^j M[h_j]) + .15 * normalised(own past)

h_0 is the current occupation, h_1 the one before; in the own past item j >= 1 weighs .8^j. On changes the counts are
those of changes and the current occupation is no candidate; where staying counts (`stays=True`) the counts hold the
stays too, and the current occupation competes. Items the training data does not know are passed over; with nothing left
a baseline falls back to popularity.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graph.bipartite import Examples
from graph.model import HireModel

PRIOR = 5.0
MARKOV_ITEMS, MARKOV_DECAY = 4, 0.5
PAST_ITEMS, PAST_DECAY, PAST_SHARE = 20, 0.8, 0.15

Baseline = Callable[["Counts", Examples], np.ndarray]


class Counts:
    """Popularity float64[C] and Markov matrix float64[C, C] of a model's training data, with or without stays."""

    def __init__(self, transitions: np.ndarray, outcomes: np.ndarray, *, stays: bool) -> None:
        counts, popular = transitions, outcomes
        if not stays:
            counts = transitions - np.diag(np.diag(transitions))
            popular = outcomes - np.diag(transitions)
        self.popularity = popular / max(popular.sum(), 1.0)
        self.markov = (counts + PRIOR * self.popularity) / (counts.sum(axis=1, keepdims=True) + PRIOR)

    @classmethod
    def of(cls, model: HireModel, *, stays: bool) -> Counts:
        return cls(model.transitions, model.outcomes, stays=stays)


def popularity(counts: Counts, examples: Examples) -> np.ndarray:
    """float64[n, C]: the same row for everybody."""
    return np.tile(counts.popularity, (len(examples), 1))


def markov(counts: Counts, examples: Examples) -> np.ndarray:
    """float64[n, C]: the row of the current occupation."""
    current = _known(examples.current, counts)
    return np.where(current[:, None] >= 0, counts.markov[current], counts.popularity)


def recent_history(counts: Counts, examples: Examples) -> np.ndarray:
    """float64[n, C]: the rows of the last four occupations, and the person's own past."""
    n, rows = len(examples), np.arange(len(examples))
    recent, past = np.zeros((n, len(counts.popularity))), np.zeros((n, len(counts.popularity)))
    for j in range(max(MARKOV_ITEMS, PAST_ITEMS)):
        item = _known(examples.item_at(j), counts)
        has = item >= 0
        if j < MARKOV_ITEMS:
            recent[has] += MARKOV_DECAY**j * counts.markov[item[has]]
        if 1 <= j < PAST_ITEMS:
            past[rows[has], item[has]] += PAST_DECAY**j
    nothing = recent.sum(axis=1) == 0
    recent[nothing] = counts.popularity
    return (1 - PAST_SHARE) * _normalised(recent) + PAST_SHARE * _normalised(past)


BASELINES: dict[str, Baseline] = {"popularity": popularity, "markov": markov, "recent_history": recent_history}


def _known(occupation: np.ndarray, counts: Counts) -> np.ndarray:
    return np.where(occupation < len(counts.popularity), occupation, -1)


def _normalised(scores: np.ndarray) -> np.ndarray:
    return scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12)
