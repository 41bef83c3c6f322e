"""What a fitted model said of instances whose outcome is known, kept small enough to slice by slice of people.

Ranks, best occupations and the pairs predicted at .01 or more are enough for every table of `graph evaluate` and of
the audit; the probabilities themselves (n x C) are looked at block by block and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.calibration import SMALLEST_PREDICTION
from graph.model import HireModel

BLOCK = 2048


@dataclass(frozen=True)
class Pairs:
    """instance int64[p], predicted float32[p], happened bool[p]: (instance, occupation) predicted at .01 or more."""

    instance: np.ndarray
    predicted: np.ndarray
    happened: np.ndarray

    def of(self, rows: np.ndarray) -> Pairs:
        """The pairs of the instances with rows[instance] True; they keep the instance numbers they had."""
        keep = rows[self.instance]
        return Pairs(self.instance[keep], self.predicted[keep], self.happened[keep])


@dataclass(frozen=True)
class Predictions:
    """n instances; every array has one entry an instance unless it says otherwise.

    examples                     the instances, all with a known outcome
    all_rank, change_rank        float64: rank of the outcome with and without the current occupation as a candidate
    stay                         float32: P(next occupation = current one), 0 without a known current one
    confidence, hit              float32, bool: probability of the best occupation, and whether it was that one
    change_confidence, change_hit   the same given a change
    change_log                   float64: log P(outcome | change), -inf where the model gives it nothing
    pairs, change_pairs          of all instances; of the changed ones with probabilities given a change
    """

    examples: Examples
    all_rank: np.ndarray
    change_rank: np.ndarray
    stay: np.ndarray
    confidence: np.ndarray
    hit: np.ndarray
    change_confidence: np.ndarray
    change_hit: np.ndarray
    change_log: np.ndarray
    pairs: Pairs
    change_pairs: Pairs

    def __len__(self) -> int:
        return len(self.examples)


def predict(model: HireModel, examples: Examples) -> Predictions:
    """Run the model on the instances with a known outcome; the others are passed over."""
    examples = examples.take(examples.target >= 0)
    affinity = Affinity(model)
    starts = range(0, max(len(examples), 1), BLOCK)
    blocks = [_predict_block(affinity, examples.take(slice(b, b + BLOCK)), model.seen) for b in starts]
    columns = {}
    for column in fields(Predictions)[1:]:
        parts = [getattr(block, column.name) for block in blocks]
        columns[column.name] = _joined(parts, starts) if isinstance(parts[0], Pairs) else np.concatenate(parts)
    return Predictions(examples, **columns)


def given_change(chances: np.ndarray, current: np.ndarray) -> np.ndarray:
    """float32[n, C]: P(o | o is not the current occupation) from P(o); a current outside 0..C-1 excludes nothing."""
    left = chances.copy()
    has = np.flatnonzero((current >= 0) & (current < chances.shape[1]))
    left[has, current[has]] = 0
    return np.asarray(left / np.maximum(left.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny))


def rank_of_target(scores: np.ndarray, examples: Examples, seen: np.ndarray, *, current: bool) -> np.ndarray:
    """float64[n]: rank of the outcome among the candidates, inf if it is none of them.

    scores [n, C], any scale; seen bool[C]; `current` says whether the current occupation is a candidate.
    """
    n, segments = scores.shape
    candidate = np.tile(seen, (n, 1))
    if not current:
        has = np.flatnonzero((examples.current >= 0) & (examples.current < segments))
        candidate[has, examples.current[has]] = False
    target = np.minimum(examples.target, segments - 1)
    rows = np.arange(n)
    own = scores[rows, target][:, None]
    better = ((scores > own) & candidate).sum(axis=1)
    ties = ((scores == own) & candidate).sum(axis=1) - 1
    found = (examples.target < segments) & candidate[rows, target]
    return np.where(found, 1 + better + ties / 2, np.inf)


def log_of_target(chances: np.ndarray, examples: Examples) -> np.ndarray:
    """float64[n]: log of the chance each row gives to its outcome, -inf where that is 0 or not a column."""
    known = examples.target < chances.shape[1]
    own = chances[np.arange(len(examples)), np.where(known, examples.target, 0)].astype(np.float64)
    own = np.where(known, own, 0.0)
    return np.log(own, out=np.full(len(own), -np.inf), where=own > 0)


def _predict_block(affinity: Affinity, block: Examples, seen: np.ndarray) -> Predictions:
    chances = affinity.probabilities(block)  # [b, C]
    # Given a change, the order of all other occupations is that of the overall distribution.
    change = given_change(chances, block.current)  # [b, C]
    current = block.current
    known = (current >= 0) & (current < chances.shape[1])
    stay = np.where(known, chances[np.arange(len(block)), np.where(known, current, 0)], 0)
    happened = np.arange(chances.shape[1]) == block.target[:, None]  # [b, C]
    return Predictions(
        examples=block,
        all_rank=rank_of_target(chances, block, seen, current=True),
        change_rank=rank_of_target(change, block, seen, current=False),
        stay=stay.astype(np.float32),
        confidence=chances.max(axis=1),
        hit=chances.argmax(axis=1) == block.target,
        change_confidence=change.max(axis=1),
        change_hit=change.argmax(axis=1) == block.target,
        change_log=log_of_target(change, block),
        pairs=_likely(chances, happened, np.ones(len(block), bool)),
        change_pairs=_likely(change, happened, block.changed),
    )


def _likely(chances: np.ndarray, happened: np.ndarray, rows: np.ndarray) -> Pairs:
    likely = (chances >= SMALLEST_PREDICTION) & rows[:, None]
    return Pairs(np.nonzero(likely)[0], chances[likely], happened[likely])


def _joined(parts: list[Pairs], starts: range) -> Pairs:
    moved = [replace(part, instance=part.instance + start) for part, start in zip(parts, starts, strict=True)]
    return Pairs(*(np.concatenate([getattr(part, column.name) for part in moved]) for column in fields(Pairs)))
