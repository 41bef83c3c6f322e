"""Impact ratios in the layout of New York City's Local Law 144, and who is hired and reached in each job segment.

    selection rate   selected / assessed of a category
    scoring rate     scored above the sample's median / assessed                   6 RCNY 5-300
    impact ratio     rate of a category / rate of the highest category             6 RCNY 5-300, 5-301
    categories       sex, race or ethnicity, and both together; one below 2 % of the data may be left out of the ratios,
                     its number and rate are stated all the same                   6 RCNY 5-301

Here every seeker is assessed for every job segment: "assessed" counts seekers times segments, and "selected" those in
the segment's promoted audience, the share theta of the seekers with the highest lift. Pooled over segments such ratios
come out near 1 by construction even where people are steered apart, so the same is said for every segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graph.fairness.privacy import PrivacyFloor

THE_REST = "the rest"
FOUR_FIFTHS = 0.8  # 29 CFR 1607.4 D


@dataclass(frozen=True)
class Partition:
    """A division of people: names of the g groups, and group int[p] of each person, -1 where it is not known."""

    attribute: str
    names: tuple[str, ...]
    group: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def count(self, people: np.ndarray) -> np.ndarray:
        """int64[g]: how many of these people (positions; may repeat) are in each group."""
        found = self.group[people]
        return np.bincount(found[found >= 0], minlength=len(self))


def audience(scores: np.ndarray, theta: float) -> np.ndarray:
    """bool[s, p]: the round(theta * p) people (at least one) with the highest scores[:, segment]; ties: the first.

    scores float[p, s]: any monotone function of the lift, for instance P(segment).
    """
    seats = max(1, round(theta * len(scores)))
    best = np.argsort(-scores, axis=0, kind="stable")[:seats]  # [k, s]
    chosen = np.zeros(scores.shape, bool)
    np.put_along_axis(chosen, best, True, axis=0)
    return chosen.T


def above_median(scores: np.ndarray) -> np.ndarray:
    """bool[s, p]: people whose score for a segment is above the median of all people's."""
    return np.asarray(scores > np.median(scores, axis=0)).T


def impact_table(
    partition: Partition,
    chosen: np.ndarray,
    scored: np.ndarray,
    withheld: np.ndarray,
    smallest_share: float,
) -> list[dict[str, Any]]:
    """One row a category: {"category", "people", "assessed", "selected", "selection_rate", "impact_ratio",
    "scored_above_median", "scoring_rate", "scoring_impact_ratio", "withheld", "excluded"}.

    chosen, scored bool[s, p]; withheld bool[g]: nothing but the name is shown. A category with less than smallest_share
    of the people is excluded: its rates are shown, it has no impact ratio and is never the highest one.
    """
    people = partition.count(np.arange(len(partition.group)))
    assessed = people * len(chosen)
    excluded = people < smallest_share * people.sum()
    counted = ~withheld & ~excluded
    rows: list[dict[str, Any]] = [{"category": name} for name in partition.names]
    for row, n, all_, out, left in zip(rows, people, assessed, withheld, excluded, strict=True):
        row |= {"people": None if out else int(n), "assessed": None if out else int(all_)}
        row |= {"withheld": bool(out), "excluded": bool(left and not out)}
    columns = (
        ("selected", "selection_rate", "impact_ratio", chosen),
        ("scored_above_median", "scoring_rate", "scoring_impact_ratio", scored),
    )
    for count_name, rate_name, ratio_name, found in columns:
        count = np.stack([found[:, partition.group == g].sum() for g in range(len(partition))])
        rate = count / np.maximum(assessed, 1)
        highest = rate[counted].max() if counted.any() else 0.0
        for g, row in enumerate(rows):
            row[count_name] = None if withheld[g] else int(count[g])
            row[rate_name] = None if withheld[g] else float(rate[g])
            row[ratio_name] = float(rate[g] / highest) if counted[g] and highest > 0 else None
    return rows


def segment_rows(
    partition: Partition, measure: str, member: np.ndarray, count: np.ndarray, names: Sequence[str], floor: PrivacyFloor
) -> list[dict[str, Any]]:
    """One row per shown segment and group: {"attribute", "measure", "segment", "segments", "group", "people", "count",
    "share", "rate", "impact_ratio"}; "the rest" pools the segments that may not be shown, last.

    member bool[s, p]: people who count in a segment; count int[s, g]: what is counted of each group (people, or events
    of those people); names[s]. people: of the group, anywhere. share = count / count of all groups of the row;
    rate = count / (people * segments of the row); impact_ratio = rate / highest rate of the row.
    """
    known = partition.group >= 0
    hidden = floor.pooled(member[:, known], partition.group[known], len(partition))
    people = partition.count(np.arange(len(partition.group)))
    lines = [(names[s], 1, count[s]) for s in np.flatnonzero(~hidden)]
    if hidden.any() and floor.shown_rest(member[hidden][:, known], partition.group[known], len(partition)):
        lines.append((THE_REST, int(hidden.sum()), count[hidden].sum(axis=0)))
    rows = []
    for name, segments, counts in lines:
        rate = counts / np.maximum(people * segments, 1)
        for g, group in enumerate(partition.names):
            rows.append(
                {
                    "attribute": partition.attribute,
                    "measure": measure,
                    "segment": name,
                    "segments": segments,
                    "group": group,
                    "people": int(people[g]),
                    "count": int(counts[g]),
                    "share": float(counts[g] / counts.sum()) if counts.sum() else None,
                    "rate": float(rate[g]),
                    "impact_ratio": float(rate[g] / rate.max()) if rate.max() > 0 else None,
                }
            )
    return rows


def steering(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """{group: {"segments", "below_four_fifths", "median_impact_ratio"}} over the segments shown, the rest left out."""
    found: dict[str, Any] = {}
    for group in dict.fromkeys(row["group"] for row in rows):
        ratios = [
            row["impact_ratio"]
            for row in rows
            if row["group"] == group and row["segment"] != THE_REST and row["impact_ratio"] is not None
        ]
        found[group] = {
            "segments": len(ratios),
            "below_four_fifths": sum(ratio < FOUR_FIFTHS for ratio in ratios),
            "median_impact_ratio": float(np.median(ratios)) if ratios else None,
        }
    return found
