"""Pairs of texts that mean one occupation: name and name, name and description, name and skills.

Texts are rows of one table. Two texts are told apart only inside one classification: whether a name of one means an
occupation of the other is exactly what nobody has told us. Names both of them use belong to both, and tie them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from market.errors import ConfigError, DataError
from organic.language.concepts import Concept, same_name
from organic.language.noise import noisy
from organic.learning.negatives import Drawn


@dataclass(frozen=True)
class PairConfig:
    """Shares are of drawn pairs. A name that more than `vague_above` concepts bear says too little and is left out."""

    noisy_share: float = 0.3  # requests dressed up as in postings
    description_share: float = 0.08
    skills_share: float = 0.04
    skills_named: int = 5
    noisy_variants: int = 2  # of each name
    vague_above: int = 4
    neighbours: int = 8  # concepts of a neighbourhood when pairs are mined

    def __post_init__(self) -> None:
        if not 0 <= self.description_share + self.skills_share <= 1 or not 0 <= self.noisy_share <= 1:
            raise ConfigError("noisy_share and description_share + skills_share must be shares between 0 and 1")
        if self.noisy_variants < 1 or self.neighbours < 2 or self.vague_above < 1 or self.skills_named < 1:
            raise ConfigError("noisy_variants, vague_above and skills_named must be at least 1, neighbours 2")


class ConceptPairs:
    """Implements `PairSource` and `KnownPairs` over the rows of `texts`.

    texts         names first, then their noisy variants, descriptions and skill lists
    names         how many of the rows are names; these are the inventory
    """

    def __init__(self, concepts: Sequence[Concept], config: PairConfig, seed: int) -> None:
        rng = np.random.default_rng([seed, 5])
        self.config = config
        row_of: dict[str, int] = {}
        texts: list[str] = []
        bearers: list[list[int]] = []
        for number, concept in enumerate(concepts):
            for name in concept.names:
                row = row_of.setdefault(same_name(name) or name, len(texts))
                if row == len(texts):
                    texts.append(name)
                    bearers.append([])
                if number not in bearers[row]:
                    bearers[row].append(number)
        self.names = len(texts)
        clear = np.array([len(found) <= config.vague_above for found in bearers], bool)
        members: list[list[int]] = [[] for _ in concepts]  # clear names of each concept
        for row, found in enumerate(bearers):
            if clear[row]:
                for number in found:
                    members[number].append(row)
        if not any(len(found) > 1 for found in members):
            raise DataError("concepts", "no concept has two names", "Give classifications with alternative names")
        self.inventory = np.flatnonzero(clear)  # int64[i]

        self._noisy = np.arange(len(texts), len(texts) + self.names * config.noisy_variants).reshape(self.names, -1)
        for row in range(self.names):
            texts += [noisy(texts[row], rng) for _ in range(config.noisy_variants)]
            bearers += [bearers[row]] * config.noisy_variants
        self._described = np.full(len(concepts), -1)
        self._skilled = np.full(len(concepts), -1)
        for number, concept in enumerate(concepts):
            if concept.description:
                self._described[number] = len(texts)
                texts.append(concept.description)
                bearers.append([number])
            if len(concept.skills) >= config.skills_named:
                self._skilled[number] = len(texts)
                chosen = rng.choice(len(concept.skills), config.skills_named, replace=False)
                texts.append(", ".join(concept.skills[at] for at in chosen))
                bearers.append([number])
        self.texts = tuple(texts)

        row = np.repeat(np.arange(len(bearers)), [len(found) for found in bearers])
        concept = np.concatenate([np.array(found, np.int64) for found in bearers])
        shape = (len(texts), len(concepts))
        self._bears = scipy.sparse.csr_matrix((np.ones(len(row), np.float32), (row, concept)), shape=shape)
        schemes = sorted({concept.scheme for concept in concepts})
        scheme = np.array([schemes.index(concept.scheme) for concept in concepts])
        self._scheme = np.zeros((len(texts), len(schemes)), bool)
        self._scheme[row, scheme[concept]] = True

        sizes = np.array([len(found) for found in members])
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        self._members = np.concatenate([np.array(found, np.int64) for found in members])
        self._drawable = np.flatnonzero(sizes > 1)
        chance = np.sqrt(sizes[self._drawable])  # large concepts more often, but not in proportion
        self._chance = chance / chance.sum()
        self._near: np.ndarray | None = None

    def neighbourhoods(self, vectors: np.ndarray) -> None:
        """Say how close concepts are, from vectors float32[names, d] of the names: needed before pairs can be mined."""
        means = np.stack([vectors[self._of(number)].mean(0) for number in self._drawable])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        scheme = np.array([self._scheme[self._of(number)].sum(0).argmax() for number in self._drawable])
        cosines = np.where(scheme[:, None] == scheme[None, :], means @ means.T, -np.inf)
        self._near = np.argsort(-cosines, axis=1, kind="stable")[:, : self.config.neighbours]

    def batches(self, positives: int, mined: float, rng: np.random.Generator) -> Iterator[Drawn]:
        while True:
            chosen = self._drawable[self._concepts(positives, mined, rng)]
            sizes = self._starts[chosen + 1] - self._starts[chosen]
            first = rng.integers(0, sizes)
            second = (first + rng.integers(1, sizes)) % sizes
            request = self._members[self._starts[chosen] + first]
            item = self._members[self._starts[chosen] + second]
            dressed = rng.random(len(chosen)) < self.config.noisy_share
            variant = rng.integers(0, self._noisy.shape[1], len(chosen))
            request = np.where(dressed, self._noisy[request, variant], request)
            kind = rng.random(len(chosen))
            wants = kind < self.config.description_share
            item = np.where(wants & (self._described[chosen] >= 0), self._described[chosen], item)
            wants = ~wants & (kind < self.config.description_share + self.config.skills_share)
            item = np.where(wants & (self._skilled[chosen] >= 0), self._skilled[chosen], item)
            yield Drawn(request, item, np.ones(len(chosen), np.float32))

    def popularity(self, items: np.ndarray) -> np.ndarray:
        """Names are spread nearly evenly: one over their number."""
        return np.full(len(items), 1 / max(self.names, 1))

    def excluded(self, requests: np.ndarray, items: np.ndarray) -> np.ndarray:
        same = (self._bears[requests] @ self._bears[items].T).toarray() > 0  # [m, d]
        comparable: np.ndarray = self._scheme[requests].astype(np.uint8) @ self._scheme[items].T.astype(np.uint8)
        out: np.ndarray = same | (comparable == 0)
        return out

    def _concepts(self, count: int, mined: float, rng: np.random.Generator) -> np.ndarray:
        """int64[count]: positions in the drawable concepts, `mined` of them in neighbourhoods."""
        if mined and self._near is None:
            raise ConfigError("mined pairs need neighbourhoods(vectors) first")
        wide = self._near.shape[1] if self._near is not None else 1
        seeds = round(mined * count / wide)
        alone = count - seeds * wide
        picked = rng.choice(len(self._drawable), alone, replace=alone > len(self._drawable), p=self._chance)
        if not seeds or self._near is None:
            return picked
        around = self._near[rng.choice(len(self._drawable), seeds, p=self._chance)].ravel()
        return np.concatenate([picked, around])

    def _of(self, concept: int) -> np.ndarray:
        return self._members[self._starts[concept] : self._starts[concept + 1]]
