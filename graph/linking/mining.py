"""From pairs of seekers and jobs to links: candidates of hires, exact counts, support, quality.

    hires -> candidates -> counted on all pairs -> hires >= minimum and hires >= weighted pairs without hire
          -> without links that fire on the very pairs a shorter one fires on -> weighed -> best first

After Algorithm 1 of Shen et al., Learning to Retrieve for Job Matching, arXiv 2402.13435. What the paper leaves open is
a named setting here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from graph.bipartite import Examples
from graph.linking.attributes import job_attributes, seeker_attributes
from graph.linking.candidates import CandidateConfig, find_candidates
from graph.linking.firing import Firings, LinkTokens, count_firings, fires
from graph.linking.no_hires import SAMPLED, NoHireConfig, choose_no_hires, draw_jobs
from graph.linking.pairs import LinkPairs, link_pairs
from graph.linking.quality import (
    L1Config,
    Quality,
    check_quality,
    log_likelihood_ratio,
    log_ratio,
    logistic_weights,
)
from graph.linking.redundancy import shortest
from graph.links import LinkSet, link_id
from market.errors import ConfigError, DataError
from market.taxonomy import Taxonomy


@dataclass(frozen=True)
class LinkConfig:
    """threshold: links weigh more than this; largest_design: at most so many survivors are weighed, those with the
    largest log likelihood ratio alone; drop_redundant: links that fire on no other pairs than a shorter one go."""

    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    no_hires: NoHireConfig = field(default_factory=NoHireConfig)
    quality: Quality = "logistic"
    logistic: L1Config = field(default_factory=L1Config)
    threshold: float = 0.0
    largest_design: int = 200_000
    drop_redundant: bool = True
    past_items: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        check_quality(self.quality)
        if self.largest_design < 1 or self.past_items < 0:
            raise ConfigError("largest_design must be at least 1 and past_items at least 0")
        if not np.isfinite(self.threshold) or self.threshold < 0:
            raise ConfigError(
                f"threshold is {self.threshold}, expected 0 or more: a link that speaks against is no target"
            )


@dataclass(frozen=True)
class Survivors:
    """Links with enough support, in the numbers of their pairs; ascending by candidate key.

    candidates: distinct ones; enumerated: proposals; proposed: candidates with enough hires before support was asked
    """

    tokens: LinkTokens
    counted: Firings
    candidates: int
    enumerated: int
    proposed: int

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, rows: np.ndarray) -> Survivors:
        return replace(self, tokens=self.tokens.take(rows), counted=self.counted.take(rows))


@dataclass(frozen=True)
class Mined:
    """links: the targets, best first; against: links of negative weight, most negative first, for people to review."""

    links: LinkSet
    against: LinkSet
    survivors: int
    candidates: int


def mine_links(
    examples: Examples,
    taxonomy: Taxonomy,
    open_jobs: np.ndarray,
    config: LinkConfig = LinkConfig(),
    not_hired: Examples | None = None,
    ignored: Examples | None = None,
) -> LinkSet:
    """Links of confirmed hires into occupations.

    open_jobs float[C]: share of open jobs per occupation, by which jobs are sampled. Their target the occupation of the
    job, not_hired are applications whose window passed without hire, ignored are impressions without application.
    """
    examples = examples.take(examples.target >= 0)
    if not len(examples):
        raise DataError("hires", "no hire to learn links from", "confirm hires first")
    rng = np.random.default_rng([config.seed, 31])
    observed = {"applications": not_hired, "impressions": ignored}
    offered = {name: found.take(found.target >= 0) for name, found in observed.items() if found is not None}
    sizes = {name: len(found) for name, found in offered.items()}
    chosen = choose_no_hires(len(examples), sizes, config.no_hires, rng)

    attributes = seeker_attributes(examples, taxonomy, config.past_items)
    seeker, target, source = [np.arange(len(examples))], [examples.target], [np.zeros(len(examples), np.int8)]
    for number, (name, rows) in enumerate(chosen.rows.items()):
        if len(rows):
            taken = offered[name].take(rows)
            seeker.append(np.arange(len(taken)) + len(attributes))
            attributes += seeker_attributes(taken, taxonomy, config.past_items)
            target.append(taken.target)
            source.append(np.full(len(taken), number, np.int8))
    if len(chosen.sampled):
        seeker.append(chosen.sampled)
        target.append(draw_jobs(len(chosen.sampled), len(taxonomy), open_jobs, rng))
        source.append(np.full(len(chosen.sampled), len(chosen.rows), np.int8))
    hired = np.arange(sum(map(len, seeker))) < len(examples)
    pairs = link_pairs(
        attributes,
        [job_attributes(o, taxonomy) for o in range(len(taxonomy))],
        np.concatenate(seeker),
        np.concatenate(target),
        hired,
        np.where(hired, 1.0, chosen.weight),
        np.concatenate(source),
        (*chosen.rows, SAMPLED),
    )
    return mine(pairs, config, chosen.words).links


def mine(
    pairs: LinkPairs,
    config: LinkConfig = LinkConfig(),
    source: str = "",
    scratch: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Mined:
    """Links of any pairs, hires and without hire; source: where the latter came from, in words."""
    survivors = surviving_links(pairs, config, scratch, progress)
    survivors_in_all = len(survivors)
    survivors = strongest(survivors, pairs, config.largest_design)
    weights, intercept = np.zeros(0), 0.0
    if len(survivors):
        progress(f"weighing {len(survivors):,} of {survivors_in_all:,} links")
        if config.quality == "ratio":
            weights = log_ratio(survivors.counted.hires, survivors.counted.no_hire_weight)
        else:
            design = fires(survivors.tokens, pairs)
            weights, intercept = logistic_weights(design, pairs.hired, pairs.weight, config.logistic)
    links = link_set(survivors, pairs, weights, config.threshold, intercept, source)
    against = link_set(survivors, pairs, -weights, max(config.threshold, 0.0), intercept, source)
    against = replace(against, weight=-against.weight)
    return Mined(links, against, survivors_in_all, survivors.candidates)


def surviving_links(
    pairs: LinkPairs,
    config: LinkConfig = LinkConfig(),
    scratch: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Survivors:
    """Candidates counted exactly on all pairs, with hires >= minimum and hires >= weight of pairs without hire."""
    found = find_candidates(pairs, config.candidates, scratch, progress)
    tokens = LinkTokens(found.seeker, found.job)
    progress(f"counting {len(tokens):,} links on {len(pairs):,} pairs")
    counted = count_firings(tokens, pairs)
    survivors = Survivors(tokens, counted, found.distinct, found.enumerated, len(found))
    # a hundredth of a millionth, so that five times 1/5 is not more than one hire
    enough = counted.hires >= np.maximum(config.candidates.minimum_hires, counted.no_hire_weight - 1e-8)
    survivors = survivors.take(np.flatnonzero(enough))
    if config.drop_redundant:
        survivors = survivors.take(np.flatnonzero(shortest(survivors.tokens, survivors.counted.signature)))
    return survivors


def strongest(survivors: Survivors, pairs: LinkPairs, most: int) -> Survivors:
    """At most so many: those with the largest log likelihood ratio alone, more hires, then the smaller key first."""
    if len(survivors) <= most:
        return survivors
    against = float(pairs.weight[~pairs.hired].sum())
    alone = log_likelihood_ratio(survivors.counted, pairs.hires, against)
    order = np.lexsort((-survivors.counted.hires, -alone))
    return survivors.take(np.sort(order[:most]))


def link_set(
    survivors: Survivors,
    pairs: LinkPairs,
    weights: np.ndarray,
    threshold: float = 0.0,
    intercept: float = 0.0,
    source: str = "",
) -> LinkSet:
    """The links that weigh more than the threshold: best first, then more hires, then in the order of their values."""
    rows = np.flatnonzero(weights > threshold)
    sides = [
        [tuple(words[token] for token in bags.row(row)) for row in rows]
        for bags, words in (
            (survivors.tokens.seeker, pairs.seeker_words),
            (survivors.tokens.job, pairs.job_words),
        )
    ]
    hires = survivors.counted.hires
    order = sorted(range(len(rows)), key=lambda i: (-weights[rows[i]], -hires[rows[i]], sides[0][i], sides[1][i]))
    seeker, job = (tuple(side[i] for i in order) for side in sides)
    rows = rows[order]
    return LinkSet(
        tuple(link_id(mine, theirs) for mine, theirs in zip(seeker, job, strict=True)),
        seeker,
        job,
        weights[rows],
        hires[rows],
        survivors.counted.no_hires[rows],
        intercept,
        source,
    )
