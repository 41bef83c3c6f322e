"""How well recommendations foresee the applications that followed.

reciprocal rank   1 / rank of the first job the seeker applied to, 0 when it is not in the list
recall@k          jobs in the first k that the seeker applied to / jobs the seeker applied to
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from market.bootstrap import cluster_bootstrap
from market.errors import UserError


def evaluate_recommendations(
    ranked: np.ndarray,
    relevant: Sequence[Collection[int]],
    cutoffs: Sequence[int] = (10, 100),
    *,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Means over the seekers who applied to anything: {"mrr": {"mean", "ci95"}, "recall@10": …, "n": seekers}.

    ranked int64[B, k], best first, padded with -1; relevant[i] the rows seeker i applied to after the moment the list
    was made for. The intervals are a bootstrap by seeker.
    """
    per_seeker = scores_by_seeker(ranked, relevant, cutoffs)
    n = len(per_seeker["mrr"])
    report: dict[str, Any] = {
        name: cluster_bootstrap(np.arange(n), values, rng=rng).report() for name, values in per_seeker.items()
    }
    return {**report, "n": n}


def scores_by_seeker(
    ranked: np.ndarray, relevant: Sequence[Collection[int]], cutoffs: Sequence[int] = (10, 100)
) -> dict[str, np.ndarray]:
    """float64[n] per metric for the n seekers with at least one relevant row, in the order given."""
    if ranked.ndim != 2 or len(ranked) != len(relevant):
        raise UserError(
            f"ranked has shape {ranked.shape} for {len(relevant)} seekers; expected one row of ids for each"
        )
    for cutoff in cutoffs:
        if not 1 <= cutoff <= ranked.shape[1]:
            raise UserError(f"recall@{cutoff} of lists of {ranked.shape[1]}; recommend at least {cutoff} jobs each")
    asked = [row for row, wanted in enumerate(relevant) if len(wanted)]
    hits = np.array([np.isin(ranked[row], list(relevant[row])) & (ranked[row] >= 0) for row in asked], bool).reshape(
        len(asked), ranked.shape[1]
    )  # [n, k]
    counts = np.array([len(set(relevant[row])) for row in asked], np.float64)
    reciprocal = np.where(hits.any(1), 1 / (1 + hits.argmax(1)), 0.0)
    recalls = {f"recall@{cutoff}": hits[:, :cutoff].sum(1) / counts for cutoff in cutoffs}
    return {"mrr": reciprocal, **recalls}
