"""How well recommendations foresee the applications that followed.

reciprocal rank   1 / rank of the first job the seeker applied to, 0 when it is not in the list
recall@k          jobs in the first k that the seeker applied to / jobs the seeker applied to
in-batch-B@k      share of pairs whose own job is among the first k of the B jobs of a batch; see `learning.recall`
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from market.bootstrap import cluster_bootstrap
from market.errors import DataError, UserError
from market.ranking import Run
from organic.learning.engagement import Engagement
from organic.learning.recall import in_batch_ranks, recall_at, retrieve, taken
from organic.towers import Towers

LARGEST_BATCH = 2048  # as published
SLICED = 20  # slices are compared at recall@20


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


@dataclass(frozen=True)
class TowersReport:
    """numbers: what `evaluate_towers` says; run: {seeker@day: {job id: score}} for a TREC file."""

    numbers: dict[str, Any]
    run: Run


def evaluate_towers(
    towers: Towers,
    judged: Engagement,
    cold: np.ndarray,
    cutoffs: Sequence[int] = (1, 10, 20, 100),
    *,
    seed: int = 0,
) -> TowersReport:
    """KNN and in-batch recall of towers on requests that training did not see; intervals are by seeker.

    {"requests", "seekers", "applications": {"recall@k": {"mean", "ci95"}, …, "n"}, "engagements": {same},
    "in_batch": {"in-batch-B@k": {…}, …, "n"}, "slices": {"cold" | "seen" | "activity …" | group of occupations: {…}}}

    cold bool[N]: the seeker is new to the model. Slices are of applications, recall@20; a group of occupations is that
    of the jobs applied to. B is 2,048, or all pairs where there are fewer.
    """
    if not len(judged):
        raise DataError("clicks, applications, saves", "no request to judge", "Give logs of days after the training")
    jobs = towers.job_vectors(judged.inventory.jobs)
    asked = towers.request_vectors(judged.requests)
    rows, scores = retrieve(judged, asked, jobs, max(*cutoffs, SLICED))
    seekers = np.array(judged.seekers)
    relevant = taken(judged, applications_only=True)
    numbers = {
        "requests": len(judged),
        "seekers": len(set(judged.seekers)),
        "applications": _recalls(rows, relevant, seekers, cutoffs, seed),
        "engagements": _recalls(rows, taken(judged, applications_only=False), seekers, cutoffs, seed),
        "in_batch": _in_batch(judged, asked, jobs, seekers, seed),
        "slices": {
            name: _mean(
                recall_at(rows[kept], [relevant[row] for row in np.flatnonzero(kept)], SLICED), seekers[kept], seed
            )
            for name, kept in slices_of(judged, cold).items()
        },
    }
    return TowersReport(numbers, _run(judged, rows, scores))


def slices_of(judged: Engagement, cold: np.ndarray) -> dict[str, np.ndarray]:
    """bool[N] per slice of requests, those of no request left out."""
    acted = np.array([len(request.seeker.activity) for request in judged.requests], np.int64)
    slices = {
        "cold": cold,
        "seen": ~cold,
        "activity none": acted == 0,
        "activity 1 to 3": (acted > 0) & (acted < 4),
        "activity 4 or more": acted >= 4,
    }
    major = judged.inventory.major[judged.item[judged.applied]]
    for group, name in enumerate(judged.inventory.major_names):
        slices[name] = np.bincount(judged.request[judged.applied], major == group, minlength=len(judged)) > 0
    return {name: kept for name, kept in slices.items() if kept.any()}


def _recalls(
    rows: np.ndarray, relevant: Sequence[np.ndarray], seekers: np.ndarray, cutoffs: Sequence[int], seed: int
) -> dict[str, Any]:
    found = {f"recall@{k}": _mean(recall_at(rows, relevant, k), seekers, seed) for k in cutoffs}
    return {**found, "n": sum(len(wanted) > 0 for wanted in relevant)}


def _in_batch(
    judged: Engagement, asked: np.ndarray, jobs: np.ndarray, seekers: np.ndarray, seed: int
) -> dict[str, Any]:
    batch = min(LARGEST_BATCH, len(judged.request))
    if batch < 2:
        return {"n": 0}
    ranks = in_batch_ranks(asked, jobs, (judged.request, judged.item), batch, seed)
    drawn = np.flatnonzero(np.isfinite(ranks))
    owners = seekers[judged.request[drawn]]
    found = {f"in-batch-{batch}@{k}": _mean((ranks[drawn] <= k).astype(np.float64), owners, seed) for k in (1, 10, 100)}
    return {**found, "n": len(drawn)}


def _mean(values: np.ndarray, seekers: np.ndarray, seed: int) -> dict[str, Any]:
    known = np.isfinite(values)
    rng = np.random.default_rng([seed, 7])
    return {**cluster_bootstrap(seekers[known], values[known], rng=rng).report(), "n": int(known.sum())}


def _run(judged: Engagement, rows: np.ndarray, scores: np.ndarray) -> Run:
    run: Run = {}
    jobs = judged.inventory.jobs
    for row, (seeker, moment) in enumerate(zip(judged.seekers, judged.moment.tolist(), strict=True)):
        day = datetime.fromtimestamp(moment // 1_000_000, UTC).date().isoformat()
        run[f"{seeker}@{day}"] = {
            jobs[found].job_id: score
            for found, score in zip(rows[row].tolist(), scores[row].tolist(), strict=True)
            if found >= 0
        }
    return run
