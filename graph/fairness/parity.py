"""Delivery parity: of the impressions of promoted jobs, does each audited group get the share that it has of who could
have been shown them?

    eligible share    a group's share of person-campaign pairs where the person is in the campaign's reach
    shown share       its share of impressions
    ratio             shown share / eligible share; 1 is parity

Overall ratios come out near 1 wherever every visit shows as many jobs to anybody, even if people are steered apart, so
the same is said job section by job section. Sections and groups of too few people are withheld (`privacy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graph.fairness.impact import FOUR_FIFTHS, THE_REST, Partition, segment_rows
from graph.fairness.privacy import PrivacyFloor
from market.bootstrap import bootstrap_statistic

DRAWS = 400


def delivery_parity(
    partition: Partition,
    names: Sequence[str],
    reach: np.ndarray,
    shown: np.ndarray,
    floor: PrivacyFloor,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """{"groups": [{"category", "people", "eligible_share", "shown_share", "ratio", "ci95"}] or with "withheld" alone,
    "sections": [{"section", "group", "eligible_share", "shown_share", "ratio"}], "below_four_fifths": {group: sections
    whose ratio is below .8}, "withheld_sections": how many stand in the row of the rest, or in none}.

    partition over p people; reach, shown int[s, p]: campaigns in reach and impressions by job section (names[s]).
    People of unknown group are left out. Intervals resample people.
    """
    known = partition.group >= 0
    group, reach, shown = partition.group[known], reach[:, known], shown[:, known]
    partition = Partition(partition.attribute, partition.names, group)
    mine = np.arange(len(partition))[:, None] == group  # bool[g, p]
    eligible = mine @ reach.T  # int[g, s]
    count = mine @ shown.T
    rows = segment_rows(partition, "shown", shown > 0, count.T, names, floor)
    alone = {row["segment"] for row in rows} - {THE_REST}
    rest = np.array([name not in alone for name in names])
    sections = []
    for row in rows:
        at = rest if row["segment"] == THE_REST else np.array([name == row["segment"] for name in names])
        could = eligible[:, at].sum(axis=1)
        share = float(could[partition.names.index(row["group"])] / could.sum()) if could.sum() else None
        ratio = row["share"] / share if share and row["share"] is not None else None
        sections.append(
            {
                "section": row["segment"],
                "group": row["group"],
                "eligible_share": share,
                "shown_share": row["share"],
                "ratio": ratio,
            }
        )
    return {
        "groups": _groups(partition, mine, reach.sum(axis=0), shown.sum(axis=0), floor, rng),
        "sections": sections,
        "below_four_fifths": {
            name: sum(
                row["ratio"] is not None and row["ratio"] < FOUR_FIFTHS
                for row in sections
                if row["group"] == name and row["section"] != THE_REST
            )
            for name in partition.names
        },
        "withheld_sections": int(rest.sum()),
    }


def _groups(
    partition: Partition,
    mine: np.ndarray,
    reach: np.ndarray,
    shown: np.ndarray,
    floor: PrivacyFloor,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """One row a group, over all sections; mine bool[g, p], reach and shown int[p]."""
    withheld = floor.withheld(np.stack([partition.count(np.flatnonzero(found)) for found in (reach > 0, shown > 0)]))
    rows: list[dict[str, Any]] = []
    for name, own, hidden in zip(partition.names, mine, withheld, strict=True):
        if hidden:
            rows.append({"category": name, "withheld": True})
            continue
        columns = np.stack([shown * own, shown, reach * own, reach], axis=1).astype(float)
        total = columns.sum(axis=0)
        found = bootstrap_statistic(np.arange(len(own)), columns, _ratio, rng=rng, draws=DRAWS)
        rows.append(
            {
                "category": name,
                "people": int((own & (reach > 0)).sum()),
                "eligible_share": float(total[2] / total[3]) if total[3] else None,
                "shown_share": float(total[0] / total[1]) if total[1] else None,
                "ratio": found.value,
                "ci95": None if found.ci is None else list(found.ci),
            }
        )
    return rows


def _ratio(sums: np.ndarray) -> np.ndarray:
    """Shown share over eligible share of sums [n, (shown of the group, shown, reach of the group, reach)]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (sums[:, 0] / sums[:, 1]) / (sums[:, 2] / sums[:, 3])
    return np.where(np.isfinite(found), found, np.nan)
