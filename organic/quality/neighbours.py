"""Which fields people apply across: a table of group against group, learned from impressions and applications.

A pair is judged by its application rate, not by its number of applications: a site shows people mostly what is near
to what they do, so counts would repeat what was shown. Thin pairs lean on the pair of their major groups, and those
on the rate of all:

    rate[g, h] = (applications + PRIOR * rate of the major groups) / (impressions + PRIOR)
"""

from __future__ import annotations

import numpy as np

from market.taxonomy import Taxonomy
from organic.quality.evidence import Evidence

PRIOR = 100.0  # impressions that the broader rate counts for


def relative_rates(evidence: Evidence, taxonomy: Taxonomy, prior: float = PRIOR) -> np.ndarray:
    """float64[G, G]: application rate of people of section g for jobs of section h over the rate of all.

    The newest occupation counts. Without a single application all rates are 1: nothing is known.
    """
    known = (evidence.held[:, 0] >= 0) & (evidence.occupation >= 0)
    held, shown, applied = evidence.held[known, 0], evidence.occupation[known], evidence.applied[known]
    if not applied.any():
        return np.ones((len(taxonomy.section_names), len(taxonomy.section_names)))
    base = applied.mean()
    majors = _rates(taxonomy.major[held], taxonomy.major[shown], applied, len(taxonomy.major_names), base, prior)
    major_of = np.zeros(len(taxonomy.section_names), np.int64)
    major_of[taxonomy.section] = taxonomy.major
    broader = majors[major_of[:, None], major_of]  # [G, G]
    rates = _rates(taxonomy.section[held], taxonomy.section[shown], applied, len(major_of), broader, prior)
    return rates / base


def neighbours_above(rates: np.ndarray, floor: float, taxonomy: Taxonomy) -> dict[str, tuple[str, ...]]:
    """section -> the other sections whose relative rate is at least `floor`, in the order of the taxonomy."""
    names = taxonomy.section_names
    return {name: tuple(names[h] for h in np.flatnonzero(rates[g] >= floor) if h != g) for g, name in enumerate(names)}


def groups_of(taxonomy: Taxonomy) -> dict[str, str]:
    """occupation code -> the name of its section."""
    return {code: taxonomy.section_names[at] for code, at in zip(taxonomy.codes, taxonomy.section, strict=True)}


def _rates(
    row: np.ndarray, column: np.ndarray, applied: np.ndarray, size: int, broader: np.ndarray | float, prior: float
) -> np.ndarray:
    """float64[size, size]: smoothed application rates by (row, column)."""
    cell = row.astype(np.int64) * size + column
    impressions = np.bincount(cell, minlength=size * size).reshape(size, size)
    applications = np.bincount(cell, applied, minlength=size * size).reshape(size, size)
    return (applications + prior * broader) / (impressions + prior)
