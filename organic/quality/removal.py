"""Which impressions of the past a configuration would have prevented: the rules once more, on columns.

The same answers as the compiled clauses (a test compares them), for half a million impressions at a time.
"""

from __future__ import annotations

import numpy as np

from market.taxonomy import Taxonomy
from organic.quality.config import RuleConfig
from organic.quality.evidence import Evidence

LEARNABLE = (
    "wrong-occupation", "too-senior", "too-junior", "too-far", "wrong-language", "stale", "duplicate", "company-muted",
)  # fmt: skip


def removed_by(rule: str, evidence: Evidence, config: RuleConfig, taxonomy: Taxonomy) -> np.ndarray:
    """bool[n]: impressions that the rule, set as in `config`, would have prevented; unknown passes."""
    if rule == "wrong-occupation":
        return _far_occupation(evidence, config, taxonomy)
    if rule == "too-senior":
        return evidence.asked - evidence.step > config.steps_up  # NaN compares as False
    if rule == "too-junior":
        return evidence.step - evidence.asked > config.steps_down
    if rule == "too-far":
        return evidence.km > config.distance_km
    if rule == "wrong-language":
        return evidence.foreign > 0
    if rule == "stale":
        return evidence.weeks > config.stale_weeks
    if rule == "duplicate":
        return evidence.duplicate
    if rule == "company-muted":
        return evidence.company >= config.company_dismissals
    raise AssertionError(f"no column answers for {rule}")


def near_table(config: RuleConfig, taxonomy: Taxonomy) -> np.ndarray:
    """bool[C + 1, C + 1]: near[o, j]: a job of j passes for a seeker of o; the last row and column: unknown, pass."""
    near = np.ones((len(taxonomy) + 1, len(taxonomy) + 1), bool)
    group = np.array([config.groups.get(code, "") for code in taxonomy.codes], object)
    for name, allowed in config.near_groups.items():
        near[np.ix_(np.flatnonzero(group == name), np.flatnonzero((group != "") & ~np.isin(group, list(allowed))))] = (
            False
        )
    return near


def _far_occupation(evidence: Evidence, config: RuleConfig, taxonomy: Taxonomy) -> np.ndarray:
    near = near_table(config, taxonomy)
    held = evidence.held
    passes = (near[held, evidence.occupation[:, None]] & (held >= 0)).any(axis=1)
    return ~passes & (held >= 0).any(axis=1)
