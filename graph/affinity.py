"""What other packages read of the hire graph: who is likely to be hired into which occupation.

Everything here follows from one reading of the network:

    z_o      = <seeker vector, occupation vector> + copies             score of a change to o
    P(o)     = p_stay [o = current] + (1 - p_stay) softmax_{o != current}(z)
    log lift = log P(o) - log popularity(o)

For retrieval the same number is written as a dot product that an exact index can serve: log popularity gets a
coordinate of its own in the occupation vectors, the copy path and the current occupation become boosts of
`occupation=CODE`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.special import expit, log_expit, logsumexp

from graph.bipartite import Examples
from graph.model import BLOCK, HireModel, Reading


class Affinity:
    """Answers for a fitted HireModel. Columns are occupations in the order of `model.taxonomy.codes`, C of them.

    A history may hold positions beyond C (occupations the model does not know): they pass as "unknown". Rows depend on
    their own instance only.
    """

    def __init__(self, model: HireModel) -> None:
        self.model = model

    @cached_property
    def occupation_vectors(self) -> np.ndarray:
        """float32[C, d]: the segment side of `retrieval`, one row per occupation; -log popularity is the last."""
        return np.column_stack([self.model.occupation_vectors, -self._log_popularity])

    def probabilities(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: P(next occupation), the current one included; rows sum to 1."""
        return np.exp(self._log_probabilities(self.model.read(examples)))

    def change_probabilities(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: P(next occupation | it differs from the current one); 0 at the current one, rows sum to 1."""
        return np.exp(self._log_change(self.model.read(examples)))

    def stay_probability(self, examples: Examples) -> np.ndarray:
        """float32[n]: P(next occupation = current one); 0 without a (known) current occupation."""
        return expit(self.model.read(examples).stay)

    def log_lift(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: log P(o) - log popularity(o); popularity is the smoothed share among all training outcomes."""
        return self._log_probabilities(self.model.read(examples)) - self._log_popularity

    def outlook(self, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
        """(`probabilities`, `log_lift`) of the instances, for one reading of the network instead of two."""
        found = self._log_probabilities(self.model.read(examples))  # [n, C]
        return np.exp(found), found - self._log_popularity

    def retrieval(self, examples: Examples) -> tuple[np.ndarray, list[dict[str, float]]]:
        """(vectors float32[n, d], boosts): queries for an exact index over `occupation_vectors`.

        <vectors[i], occupation_vectors[o]> + boosts[i].get("occupation=CODE of o", 0) = log_lift[i, o] + constant of i.
        d is 256 times the number of members with the default widths: 512 for a model of careers.
        """
        blocks = [examples.take(slice(b, b + BLOCK)) for b in range(0, max(len(examples), 1), BLOCK)]
        vectors, boosts = zip(*map(self._retrieval_block, blocks), strict=True)
        return np.concatenate(vectors), [row for block in boosts for row in block]

    def _retrieval_block(self, examples: Examples) -> tuple[np.ndarray, list[dict[str, float]]]:
        reading = self.model.read(examples)
        codes = self.model.taxonomy.codes
        boosts: list[dict[str, float]] = [{} for _ in range(len(reading.vectors))]
        for i, o, weight in zip(
            reading.instance.tolist(), reading.occupation.tolist(), reading.weight.tolist(), strict=True
        ):
            term = f"occupation={codes[o]}"
            boosts[i][term] = boosts[i].get(term, 0.0) + weight
        has = np.flatnonzero(reading.current >= 0)
        current = reading.current[has]
        constant = logsumexp(self._change_scores(reading)[has], axis=1) - log_expit(-reading.stay[has])
        dot = np.einsum("nd,nd->n", reading.vectors[has], self.model.occupation_vectors[current])
        wanted = log_expit(reading.stay[has]) + constant - dot  # lifts the dot product to log P(current) + constant
        for i, o, weight in zip(has.tolist(), current.tolist(), wanted.tolist(), strict=True):
            boosts[i][f"occupation={codes[o]}"] = weight
        return np.column_stack([reading.vectors, np.ones(len(reading.vectors), np.float32)]), boosts

    @cached_property
    def _log_popularity(self) -> np.ndarray:
        return np.log(self.model.popularity).astype(np.float32)  # [C]

    def _change_scores(self, reading: Reading) -> np.ndarray:
        """float32[n, C]: calibrated score of a change to each occupation, -inf at the current one."""
        scores = reading.vectors @ self.model.occupation_vectors.T  # [n, C]
        np.add.at(scores, (reading.instance, reading.occupation), reading.weight)
        has = np.flatnonzero(reading.current >= 0)
        scores[has, reading.current[has]] = -np.inf
        return scores

    def _log_change(self, reading: Reading) -> np.ndarray:
        scores = self._change_scores(reading)
        return scores - logsumexp(scores, axis=1, keepdims=True)  # [n, C]

    def _log_probabilities(self, reading: Reading) -> np.ndarray:
        found = self._log_change(reading) + log_expit(-reading.stay)[:, None]  # [n, C]
        has = np.flatnonzero(reading.current >= 0)
        found[has, reading.current[has]] = log_expit(reading.stay[has])
        return found
