"""What other packages read of the hire graph: who is likely to be hired into which occupation."""

from __future__ import annotations

import numpy as np

from graph.bipartite import Examples


class Affinity:
    """Answers for a fitted `HireModel`. C occupations in the order of `model.taxonomy.codes`."""

    def __init__(self, model: object) -> None:
        self.model = model

    @property
    def occupation_vectors(self) -> np.ndarray:
        """float32[C, d]: the segment side of the dot product, one row per occupation."""
        raise NotImplementedError

    def probabilities(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: P(next occupation), the current one included; rows sum to 1."""
        raise NotImplementedError

    def change_probabilities(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: P(next occupation | it differs from the current one); 0 at the current one."""
        raise NotImplementedError

    def stay_probability(self, examples: Examples) -> np.ndarray:
        """float32[n]: P(next occupation = current one); 0 without a history."""
        raise NotImplementedError

    def log_lift(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: log P(o) - log popularity(o), popularity being the smoothed share of all outcomes."""
        raise NotImplementedError

    def retrieval(self, examples: Examples) -> tuple[np.ndarray, list[dict[str, float]]]:
        """(vectors float32[n, d], boosts): queries for an exact index of `occupation_vectors`.

        <vectors[i], occupation_vectors[o]> + boosts[i].get("occupation=CODE of o", 0) = log_lift[i, o] + constant of i.
        """
        raise NotImplementedError
