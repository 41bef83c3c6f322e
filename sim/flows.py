"""Do our lives move as the labour force does? Destination groups by origin group, against the CPS monthly flows.

Recorded next occupations of the careers (changes between two observations) are put into the 22 major groups of SOC,
which are the CPS groups `occ22_01` to `occ22_22` in the same order; a Census-1980 code that maps to several SOC codes
spreads its weight. Per origin group the shares of the other 21 groups are rank-correlated (Spearman) with those of the
CPS. Large groups are common destinations from everywhere, which alone correlates; so a second figure, `beyond_size`,
correlates each share over the share its destination has among all changes. Reported, not asserted: the careers are of
people born 1957-64, the flows of everybody since 2019, and the mapping is by title and text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from market.careers import Careers
from market.errors import DataError
from sim.soc_mapping import SocMapping, read_csv

SOC_MAJORS = tuple(f"{number}" for number in range(11, 54, 2))
GROUPS = tuple(f"occ22_{number:02d}" for number in range(1, 23))
NAMES = (
    "Management", "Business and finance", "Computer and mathematical", "Architecture and engineering", "Science",
    "Community and social service", "Legal", "Education", "Arts and media", "Healthcare practitioners",
    "Healthcare support", "Protective service", "Food preparation", "Cleaning and grounds", "Personal care", "Sales",
    "Office support", "Farming, fishing, forestry", "Construction and extraction", "Installation and repair",
    "Production", "Transportation",
)  # fmt: skip
FILE = "occ22_monthly_transition_counts.csv.gz"
DRAWS = 200
LEAST_CHANGES = 30  # an origin group with fewer recorded changes is not correlated


@dataclass(frozen=True)
class Changes:
    """Changes of occupation: person int64[n]; origin, destination float64[n, 22] weights of groups, rows sum to 1."""

    person: np.ndarray
    origin: np.ndarray
    destination: np.ndarray


def read_flows(data: Path) -> np.ndarray:
    """float64[22, 22]: people who moved from one group to another within a month, all months added up."""
    frame = read_csv(data / "cps_flows" / FILE)
    wanted = {"origin_state", "destination_state", "weighted_transition_count"}
    if not wanted <= set(frame.columns):
        missing = ", ".join(sorted(wanted - set(frame.columns)))
        raise DataError(FILE, f"lacks {missing}", "take the file as it was published")
    flows = frame.pivot_table(
        index="origin_state", columns="destination_state", values="weighted_transition_count", aggfunc="sum"
    )
    found: np.ndarray = flows.reindex(index=GROUPS, columns=GROUPS).fillna(0.0).to_numpy(float)
    return found


def group_weights(mapping: SocMapping) -> np.ndarray:
    """float64[occupations, 22]: the part of each occupation in each group; 0 everywhere for the military (SOC 55)."""
    weight = np.zeros((len(mapping.mixture), len(SOC_MAJORS)))
    for row, mixture in enumerate(mapping.mixture):
        for code, part in mixture.items():
            if code[:2] in SOC_MAJORS:
                weight[row, SOC_MAJORS.index(code[:2])] += part
    return weight


def recorded_changes(careers: Careers, weight: np.ndarray) -> Changes:
    """Every pair of consecutive observations of a person whose occupation differs and maps to groups."""
    row = np.arange(len(careers.person) - 1)
    before, after = careers.occupation[row], careers.occupation[row + 1]
    known = weight.sum(1) > 0
    changed = (careers.person[row] == careers.person[row + 1]) & (before != after) & known[before] & known[after]
    return Changes(careers.person[row][changed].astype(np.int64), weight[before[changed]], weight[after[changed]])


def compare(changes: Changes, flows: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Spearman's correlation by origin group and pooled, with 95 % intervals that resample persons."""
    value, pooled, beyond = _correlations(changes.origin.T @ changes.destination, flows)
    people, of_change = np.unique(changes.person, return_inverse=True)
    draws = []
    for _ in range(DRAWS):
        times = np.bincount(rng.integers(0, len(people), len(people)), minlength=len(people))[of_change]
        draws.append(_correlations((changes.origin * times[:, None]).T @ changes.destination, flows))
    by_group = np.array([each for each, _, _ in draws])
    counts = changes.origin.sum(0)
    groups = []
    for g, name in enumerate(NAMES):
        measured = counts[g] >= LEAST_CHANGES and np.isfinite(value[g])
        groups.append(
            {
                "group": name,
                "changes": float(round(counts[g], 1)),
                "spearman": float(value[g]) if measured else None,
                "ci95": _interval(by_group[:, g]) if measured else None,
            }
        )
    return {
        "changes": len(changes.person),
        "people": len(people),
        "pooled": {"spearman": pooled, "ci95": _interval(np.array([each for _, each, _ in draws]))},
        "beyond_size": {"spearman": beyond, "ci95": _interval(np.array([each for _, _, each in draws]))},
        "groups": groups,
    }


def _correlations(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, float, float]:
    """float64[22] by origin group; over all pairs of different groups, of shares; and of shares over common shares."""
    apart = ~np.eye(len(ours), dtype=bool)
    mine, other = (_shares(np.where(apart, counts, 0.0)) for counts in (ours, theirs))
    by_group = np.array([spearman(mine[g][apart[g]], other[g][apart[g]]) for g in range(len(ours))])
    lifts = [
        _shares(counts) / np.maximum(counts.sum(0) / max(counts.sum(), 1e-300), 1e-300)
        for counts in (np.where(apart, ours, 0.0), np.where(apart, theirs, 0.0))
    ]
    return by_group, spearman(mine[apart], other[apart]), spearman(lifts[0][apart], lifts[1][apart])


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1e-300))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation, ties by their mean rank; NaN where one of them does not vary."""
    x, y = rankdata(a), rankdata(b)
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale > 0 else float("nan")


def _interval(values: np.ndarray) -> list[float] | None:
    known = values[np.isfinite(values)]
    return [float(edge) for edge in np.percentile(known, [2.5, 97.5])] if len(known) > DRAWS / 2 else None
