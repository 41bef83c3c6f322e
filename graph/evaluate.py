"""How well the hire graph predicts the next occupation of people, beside the baselines.

    changes   pairs of consecutive observations whose occupation differs; the current occupation is no candidate
    all       every pair; the current occupation is a candidate
    cold      the changes whose earlier observation is the person's first

Rank = 1 + candidates with a better score + half of the other candidates with the same. Candidates are the occupations
of the training data; an outcome that is none of them stays in n with reciprocal rank 0 and is found in no top k.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.affinity import Affinity
from graph.baselines import BASELINES, Counts
from graph.bipartite import Examples, examples_from_careers
from graph.calibration import SMALLEST_PREDICTION, reliability
from graph.model import HireModel
from market.careers import Careers

BLOCK = 2048
CUTS = (1, 5, 10)


def evaluate(model: HireModel, careers: Careers) -> dict[str, Any]:
    """Metrics of `graph evaluate`. The careers were read with `read_careers(folder, taxonomy=model.taxonomy)`.

    {"changes": {"n", "recall@1", "recall@5", "recall@10", "mrr"}, "all": {...}, "cold": {...},
     "calibration": {"ece", "slope", ...}, "baselines": {name: {"changes": {...}, "all": {...}, "cold": {...}}}}
    """
    return evaluate_examples(model, examples_from_careers(careers))


def evaluate_examples(model: HireModel, examples: Examples) -> dict[str, Any]:
    """The same for instances from any source; those without a known outcome are passed over."""
    examples = examples.take(examples.target >= 0)
    affinity = Affinity(model)
    with_stays, without = Counts.of(model, stays=True), Counts.of(model, stays=False)
    ranks: dict[str, dict[str, list[np.ndarray]]] = {name: {"changes": [], "all": []} for name in ["", *BASELINES]}
    predicted, happened = [], []
    for begin in range(0, len(examples), BLOCK):
        block = examples.take(slice(begin, begin + BLOCK))
        chances = affinity.probabilities(block)  # [b, C]
        likely = chances >= SMALLEST_PREDICTION
        predicted.append(chances[likely])
        happened.append((np.arange(chances.shape[1]) == block.target[:, None])[likely])
        # Given a change, the order of all other occupations is that of the overall distribution.
        ranks[""]["all"].append(rank_of_target(chances, block, model.seen, current=True))
        ranks[""]["changes"].append(rank_of_target(chances, block, model.seen, current=False))
        for name, baseline in BASELINES.items():
            ranks[name]["all"].append(rank_of_target(baseline(with_stays, block), block, model.seen, current=True))
            ranks[name]["changes"].append(rank_of_target(baseline(without, block), block, model.seen, current=False))

    tables = {name: _summary(found, examples) for name, found in ranks.items()}
    pairs = [np.concatenate([np.zeros(0, np.float32), *predicted]), np.concatenate([np.zeros(0, bool), *happened])]
    return {
        **tables.pop(""),
        "calibration": reliability(*pairs),
        "baselines": tables,
    }


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


def summarise(ranks: np.ndarray) -> dict[str, float]:
    """{"n", "recall@k"..., "mrr"} of ranks (inf: not found); zeros without any."""
    n = max(len(ranks), 1)
    recalls = {f"recall@{k}": float((ranks <= k).sum() / n) for k in CUTS}
    return {"n": len(ranks), **recalls, "mrr": float((1 / ranks).sum() / n)}


def _summary(found: dict[str, list[np.ndarray]], examples: Examples) -> dict[str, dict[str, float]]:
    nothing = np.zeros(0)
    changes, everything = np.concatenate([nothing, *found["changes"]]), np.concatenate([nothing, *found["all"]])
    return {
        "changes": summarise(changes[examples.changed]),
        "all": summarise(everything),
        "cold": summarise(changes[examples.changed & examples.first]),
    }
