"""Graph and links together: one forecast for value, one lift score for retrieval.

The network says how likely each change of occupation is, the links by how much the odds of a hire rise against a
random pair where they fire. Both are logs, so they add (a product of experts; Hinton 2002), with two numbers fitted on
held-out persons by cross entropy:

    log P(change to o) = scale log P_network(change to o) + beta sum of w_l over the links l that fire + constant
    P(o)               = p_stay [o = current] + (1 - p_stay) P(change to o)           p_stay is the network's
    log lift           = log P(o) - log popularity(o)

For an exact index the lift stays a dot product and boosts: of `occupation=CODE` for the copy path and the current
occupation, as in `graph.affinity`, and of `link=ID` by beta w_l. With beta 0 nothing of the links is left; a fit says
so when they add nothing to what the network knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import logsumexp

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.linking.attributes import job_attributes, seeker_attributes
from graph.linking.reach import LinkReach, Lists
from graph.links import LinkSet
from graph.model import HireModel
from market.errors import ConfigError, DataError
from market.taxonomy import Taxonomy

LARGEST = 10.0  # of scale and beta in a fit


@dataclass(frozen=True)
class Blend:
    """scale of the network's log probabilities (an inverse temperature) and beta of the links' weights.

    Defaults are those of least cross entropy on validation persons of NLSY79, rounded; (1, 0) is the network alone.
    """

    scale: float = 1.0
    beta: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf or not 0 <= self.beta < np.inf:
            raise ConfigError(f"scale is {self.scale} and beta {self.beta}; expected above 0, and 0 or more")


class CombinedAffinity:
    """Answers as `Affinity` does, with the links in it. Columns are occupations, C of them."""

    def __init__(self, affinity: Affinity, links: LinkSet, blend: Blend = Blend()) -> None:
        self.affinity, self.links, self.blend = affinity, links, blend
        self._scores = LinkScores(links, affinity.model.taxonomy)

    @property
    def model(self) -> HireModel:
        return self.affinity.model

    @cached_property
    def occupation_vectors(self) -> np.ndarray:
        """float32[C, d + 1]: the segment side of `retrieval`; the last coordinate is met by 1 on the seeker side."""
        shift = (self.blend.scale - 1) * np.log(self.model.popularity)
        return np.column_stack([self.affinity.occupation_vectors, shift]).astype(np.float32)

    def change_probabilities(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: P(next occupation | it differs from the current one); 0 at the current one, rows sum to 1."""
        return np.exp(self._log_change(examples, self._scores.of(self._scores.held(examples)))).astype(np.float32)

    def stay_probability(self, examples: Examples) -> np.ndarray:
        """float32[n]: the network's P(next occupation = current one)."""
        return self.affinity.stay_probability(examples)

    def probabilities(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: P(next occupation), the current one included; rows sum to 1."""
        sums = self._scores.of(self._scores.held(examples))
        return np.exp(self._log_probabilities(examples, sums)).astype(np.float32)

    def log_lift(self, examples: Examples) -> np.ndarray:
        """float32[n, C]: log P(o) - log popularity(o)."""
        sums = self._scores.of(self._scores.held(examples))
        return (self._log_probabilities(examples, sums) - np.log(self.model.popularity)).astype(np.float32)

    def retrieval(self, examples: Examples) -> tuple[np.ndarray, list[dict[str, float]]]:
        """(vectors float32[n, d + 1], boosts): queries for an exact index over `occupation_vectors`.

        <vectors[i], occupation_vectors[o]> + boosts[i] of the terms a job of o has = log_lift[i, o] + constant of i
        """
        scale, beta, codes = self.blend.scale, self.blend.beta, self.model.taxonomy.codes
        held = self._scores.held(examples)
        sums = self._scores.of(held)
        lift = self._log_probabilities(examples, sums) - np.log(self.model.popularity)
        vectors, boosts = self.affinity.retrieval(examples)
        vectors = np.column_stack([scale * vectors, np.ones(len(examples))]).astype(np.float32)
        boosts = [{term: scale * weight for term, weight in row.items()} for row in boosts]
        for i in self._known_current(examples).tolist():
            # The current occupation stands out by what staying is worth: measured from the best of the others.
            own, other = int(examples.current[i]), int(np.delete(lift[i], examples.current[i]).argmax())
            other += other >= own
            gap = self.occupation_vectors[own].astype(float) - self.occupation_vectors[other]
            from_others = boosts[i].get(f"occupation={codes[other]}", 0.0) + beta * (sums[i, other] - sums[i, own])
            wanted = lift[i, own] - lift[i, other] - vectors[i].astype(float) @ gap + from_others
            boosts[i][f"occupation={codes[own]}"] = float(wanted)
        if beta > 0:
            ids, weight = self.links.link_ids, self.links.weight
            for row, links in zip(boosts, held, strict=True):
                row |= {f"link={ids[link]}": beta * float(weight[link]) for link in links.tolist()}
        return vectors, boosts

    def _log_change(self, examples: Examples, sums: np.ndarray) -> np.ndarray:
        return blended(log_changes(self.affinity, examples), sums, self.blend)  # [n, C]

    def _log_probabilities(self, examples: Examples, sums: np.ndarray) -> np.ndarray:
        stay = self.stay_probability(examples).astype(np.float64)
        found = self._log_change(examples, sums) + np.log1p(-stay)[:, None]  # [n, C]
        has = self._known_current(examples)
        found[has, examples.current[has]] = np.log(stay[has])
        return found

    def _known_current(self, examples: Examples) -> np.ndarray:
        return np.flatnonzero((examples.current >= 0) & (examples.current < len(self.model.taxonomy)))


class LinkScores:
    """Sums of weights of the links that fire between a seeker and a job of each occupation."""

    def __init__(self, links: LinkSet, taxonomy: Taxonomy) -> None:
        self._taxonomy, self._reach, self._count = taxonomy, LinkReach(links), len(links)
        of_job = [links.of_job(job_attributes(o, taxonomy)) for o in range(len(taxonomy))]
        column = np.repeat(np.arange(len(taxonomy)), [len(found) for found in of_job])
        row = np.array([link for found in of_job for link in found], np.int64)
        self._into = sp.csr_matrix((links.weight[row], (row, column)), (len(links), len(taxonomy)))  # [L, C]

    def held(self, examples: Examples) -> Lists:
        """Per example the positions of the links whose seeker side it covers, best first."""
        return self._reach.links_of(self._reach.mappings(seeker_attributes(examples, self._taxonomy)))

    def of(self, held: Lists) -> np.ndarray:
        """float32[n, C] for what `held` gave; 0 where no link fires."""
        fires = sp.csr_matrix((np.ones(len(held.items)), held.items, held.start), (len(held), self._count))  # [n, L]
        return np.asarray((fires @ self._into).toarray(), np.float32)  # [n, C]


def log_changes(affinity: Affinity, examples: Examples) -> np.ndarray:
    """float64[n, C]: log P_network(change to o), -inf at the current occupation."""
    with np.errstate(divide="ignore"):
        return np.log(affinity.change_probabilities(examples).astype(np.float64))


def blended(log_base: np.ndarray, link_sums: np.ndarray, blend: Blend) -> np.ndarray:
    """float64[n, C]: log of the blended distribution; -inf where log_base is."""
    scores = blend.scale * log_base + blend.beta * link_sums
    return scores - logsumexp(scores, axis=1, keepdims=True)


def fit_blend(log_base: np.ndarray, link_sums: np.ndarray, target: np.ndarray, *, links: bool = True) -> Blend:
    """Scale and beta of least cross entropy on people that neither network nor links have seen; convex, so unique.

    log_base, link_sums [n, C]; target int[n]: the occupation each changed to, which log_base holds possible.
    links False fits the scale alone: what recalibrating the network would bring without them.
    """
    rows = np.arange(len(target))
    if not len(target) or not np.isfinite(log_base[rows, target]).all():
        raise DataError("held-out changes", "none, or one into an impossible occupation", "leave such changes out")
    possible = np.isfinite(log_base)
    features = np.stack([np.where(possible, log_base, 0.0), np.where(possible, link_sums, 0.0)])  # [2, n, C]
    happened = features[:, rows, target].mean(axis=1)  # [2]

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.where(possible, np.tensordot(numbers, features, 1), -np.inf)  # [n, C]
        total = logsumexp(scores, axis=1, keepdims=True)
        expected = (features * np.exp(scores - total)).sum(axis=2).mean(axis=1)  # [2]
        return float(total.mean() - numbers @ happened), expected - happened

    bounds = [(1 / LARGEST, LARGEST), (0.0, LARGEST if links else 0.0)]  # a negative beta would make a veto a boost
    found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=bounds, method="L-BFGS-B")
    return Blend(*(float(number) for number in found.x))
