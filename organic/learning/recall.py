"""How many of the jobs that seekers took are retrieved: against the jobs of a batch, and against the whole inventory.

    in-batch-B@k   own pairs in batches of B; the only relevant job of a row is its own, the candidates are the B jobs
                   of the batch; the share of rows whose own job has rank <= k (1 + better + ties / 2)
    KNN@k          |retrieved and relevant| / |relevant| of a request, over every job in its area or remote that was
                   open that day

Shen et al., arXiv 2402.13435, section 4. Retrieval is the index's own: exact, ties by the smaller row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpu_index import Clause, Index
from market.errors import ConfigError
from market.ranking import mean_ranks
from organic.learning.engagement import DAY_US, Engagement
from organic.rows import term

SPACE = "organic"


def in_batch_ranks(
    request_vectors: np.ndarray, job_vectors: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], batch: int, seed: int
) -> np.ndarray:
    """float64[P]: the rank of each pair's job among the jobs of its batch; inf where no batch of B could be filled.

    request_vectors [N, D]; job_vectors [J, D]; pairs: rows of either, int64[P]. Batches are drawn by `seed`.
    """
    if batch < 2:
        raise ConfigError(f"batch is {batch}, expected at least 2 jobs to choose from")
    request, item = pairs
    ranks = np.full(len(request), np.inf)
    order = np.random.default_rng(seed).permutation(len(request))
    for start in range(0, len(order) - batch + 1, batch):
        rows = order[start : start + batch]
        scores = request_vectors[request[rows]] @ job_vectors[item[rows]].T  # [B, B]
        ranks[rows] = mean_ranks(scores, np.arange(batch))
    return ranks


def retrieve(
    engagement: Engagement, request_vectors: np.ndarray, job_vectors: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """(rows of the inventory int64[N, k], scores float32[N, k]), best first, padded with -1 and -inf.

    The index follows the calendar: on each day it holds the jobs that were open at some moment of it, and every
    request of the day is searched under its area or remote; a request without an area is searched everywhere.
    """
    inventory = engagement.inventory
    index = Index({SPACE: job_vectors.shape[1]})
    rows, scores = np.full((len(engagement), k), -1, np.int64), np.full((len(engagement), k), -np.inf, np.float32)
    held = np.zeros(0, np.int64)
    days = engagement.moment // DAY_US
    for day in np.unique(days).tolist():
        current = inventory.open_between(day * DAY_US, (day + 1) * DAY_US)
        index.delete(np.setdiff1d(held, current))
        fresh = np.setdiff1d(current, held)
        if len(fresh):
            index.upsert(fresh, {SPACE: job_vectors[fresh]}, [place_terms(engagement, row) for row in fresh.tolist()])
        held = current
        asked = np.flatnonzero(days == day)
        clauses = [place_clause(engagement, row) for row in asked.tolist()]
        hits = index.search(request_vectors[asked], space=SPACE, k=k, where=clauses)
        rows[asked], scores[asked] = hits.ids, hits.scores
    return rows, scores


def place_terms(engagement: Engagement, row: int) -> list[str]:
    job = engagement.inventory.jobs[row]
    return [term("geo", job.geo), *(["remote=yes"] if job.remote else [])]


def place_clause(engagement: Engagement, row: int) -> Clause:
    area = engagement.requests[row].seeker.geo
    return Clause(all_of=[[term("geo", area), "remote=yes"]] if area else [])


def taken(engagement: Engagement, applications_only: bool) -> list[np.ndarray]:
    """Per request the rows of the jobs that count as relevant."""
    counted = engagement.applied if applications_only else np.ones(len(engagement.request), bool)
    request, item = engagement.request[counted], engagement.item[counted]
    begins = np.searchsorted(request, np.arange(len(engagement) + 1))
    return [item[begins[row] : begins[row + 1]] for row in range(len(engagement))]


def recall_at(rows: np.ndarray, relevant: Sequence[np.ndarray], k: int) -> np.ndarray:
    """float64[N]: KNN@k of each request, NaN where nothing is relevant. rows int64[N, at least k]."""
    if not 1 <= k <= rows.shape[1]:
        raise ConfigError(f"recall@{k} of lists of {rows.shape[1]}; retrieve at least {k} jobs a request")
    return np.array(
        [
            np.isin(wanted, found).mean() if len(wanted) else np.nan
            for wanted, found in zip(relevant, rows[:, :k], strict=True)
        ],
        np.float64,
    )
