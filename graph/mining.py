"""First-order mining: every pair of one seeker and one job attribute, counted in hires and in pairs without hire.

Kept by support (hires >= 3 and hires >= reweighted pairs without hire); weighed by a logistic regression with an L1
penalty over all surviving links, or by the smoothed ratio of counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from graph.attributes import job_attributes, seeker_attributes
from graph.bipartite import Examples
from graph.links import LinkSet, link_id
from market.errors import ConfigError, DataError
from market.taxonomy import Taxonomy

TEMPLATES = (
    ("occupation", "occupation"),
    ("past_occupation", "occupation"),
    ("section", "occupation"),
    ("occupation", "section"),
    ("past_occupation", "section"),
    ("section", "section"),
    ("major", "major"),
    ("education", "section"),
)


@dataclass(frozen=True)
class LinkConfig:
    """no_hires_per_hire pairs are sampled per hire from the occupations of open jobs; they count 1/that in support."""

    no_hires_per_hire: int = 5
    minimum_hires: int = 3
    quality: Literal["logistic", "ratio"] = "logistic"
    inverse_penalty: float = 1.0  # C of the L1 logistic regression: smaller keeps fewer links
    past_items: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.no_hires_per_hire < 1 or self.minimum_hires < 1 or self.inverse_penalty <= 0:
            raise ConfigError("no_hires_per_hire and minimum_hires must be at least 1, inverse_penalty above 0")
        if self.quality not in ("logistic", "ratio"):
            raise ConfigError(f"link quality {self.quality!r} is unknown; use logistic or ratio")


def mine_links(
    examples: Examples,
    taxonomy: Taxonomy,
    open_jobs: np.ndarray,
    config: LinkConfig = LinkConfig(),
    not_hired: Examples | None = None,
) -> LinkSet:
    """Count, keep and weigh links. open_jobs float[C]: share of open jobs per occupation, the source of sampled pairs
    without hire; `not_hired`: applications that ended without hire, target = the job's occupation."""
    examples = examples.take(examples.target >= 0)
    if not len(examples):
        raise DataError("hires", "no hire to learn links from", "confirm hires first")
    rng = np.random.default_rng([config.seed, 31])
    per = config.no_hires_per_hire
    attributes = seeker_attributes(examples, taxonomy, config.past_items)
    jobs = [job_attributes(o, taxonomy) for o in range(len(taxonomy))]
    sampled = rng.choice(len(taxonomy), (len(examples), per), p=open_jobs / open_jobs.sum())

    seekers = [*attributes, *(a for a in attributes for _ in range(per))]
    occupation = np.concatenate([examples.target, sampled.ravel()])
    weight = np.concatenate([np.ones(len(examples)), np.full(sampled.size, 1 / per)])
    if not_hired is not None and len(not_hired):
        seekers += seeker_attributes(not_hired, taxonomy, config.past_items)
        occupation = np.concatenate([occupation, not_hired.target])
        weight = np.concatenate([weight, np.full(len(not_hired), 1 / per)])
    hired = np.zeros(len(occupation), bool)
    hired[: len(examples)] = True

    fires, names = _design(seekers, occupation, jobs)
    hires = np.asarray(fires[hired].sum(0)).ravel()
    no_hires = np.asarray(fires[~hired].sum(0)).ravel()
    keep = np.flatnonzero((hires >= config.minimum_hires) & (hires >= no_hires / per))
    if not len(keep):
        empty = np.empty(0)
        return LinkSet((), (), (), empty, empty.astype(np.int64), empty.astype(np.int64))
    quality = _quality(fires[:, keep], hired, weight, hires[keep], no_hires[keep], config)
    order = [i for i in np.lexsort((keep, -quality)) if quality[i] > 0]
    pairs = [names[keep[i]] for i in order]
    return LinkSet(
        tuple(link_id((seeker,), (job,)) for seeker, job in pairs),
        tuple((seeker,) for seeker, _ in pairs),
        tuple((job,) for _, job in pairs),
        quality[order],
        hires[keep[order]].astype(np.int64),
        no_hires[keep[order]].astype(np.int64),
    )


def _design(
    seekers: list[list[str]], occupation: np.ndarray, jobs: list[list[str]]
) -> tuple[sp.csr_matrix, list[tuple[str, str]]]:
    """Sparse [pairs, links] of which link fires on which pair; columns in the order first seen."""
    allowed = set(TEMPLATES)
    column: dict[tuple[str, str], int] = {}
    indices: list[int] = []
    indptr = [0]
    known: dict[tuple[str, int], list[int]] = {}
    for attributes, job in zip(seekers, occupation.tolist(), strict=True):
        for attribute in attributes:
            key = (attribute, job)
            if key not in known:
                kind = attribute.split("=", 1)[0]
                known[key] = [
                    column.setdefault((attribute, other), len(column))
                    for other in jobs[job]
                    if (kind, other.split("=", 1)[0]) in allowed
                ]
            indices.extend(known[key])
        indptr.append(len(indices))
    ones = np.ones(len(indices), np.float32)
    return sp.csr_matrix((ones, indices, indptr), (len(occupation), len(column))), list(column)


def _quality(
    fires: sp.csr_matrix,
    hired: np.ndarray,
    weight: np.ndarray,
    hires: np.ndarray,
    no_hires: np.ndarray,
    config: LinkConfig,
) -> np.ndarray:
    if config.quality == "ratio":
        return np.log((hires + 1) / (no_hires / config.no_hires_per_hire + 1))
    solver = LogisticRegression(
        l1_ratio=1.0, C=config.inverse_penalty, solver="liblinear", max_iter=200, tol=1e-3, random_state=config.seed
    )
    solver.fit(fires, hired, sample_weight=weight)
    return np.asarray(solver.coef_[0])
