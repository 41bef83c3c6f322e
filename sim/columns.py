"""What intervals are made of: per-campaign and per-person columns of runs, and the wider of two intervals.

Campaigns of one run share seekers, and seekers share campaigns, so neither alone is an independent unit. Every interval
is computed by campaign and, where the quantities are known per person, by original person; the wider one is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from market.bootstrap import Estimate, Statistic, bootstrap_statistic, cluster_bootstrap, relative_lift

if TYPE_CHECKING:
    from sim.experiment import Results
    from sim.play import Run

DRAWS = 400
Columns = dict[str, np.ndarray]  # equal lengths; "cluster" names the unit of each row
OF_PERSON = {
    "posted": "seeker_posted",
    "qualified": "seeker_qualified",
    "impressions": "seeker_shown",
    "looks": "seeker_looks",
}
PERSON_NAMES = {*OF_PERSON, "allowed"}


def stack(runs: Sequence[Run]) -> Columns:
    """Per-campaign columns of several seeds, one below the other; `cluster` is the campaign within its seed."""
    columns: dict[str, list[np.ndarray]] = {}
    for run in runs:
        outcome = run.outcome
        found = {
            "posted": outcome.posted,
            "valid": outcome.valid,
            "allowed": run.allowed,
            "budget": run.budget,
            "impressions": outcome.impressions,
            "looks": outcome.looks,
            "first_looks": outcome.first_looks,
            "first_clicks": outcome.first_clicks,
            "clicks": outcome.clicks,
            "applications": outcome.applications,
            "qualified": outcome.qualified,
            "hires": outcome.hires,
            "billed_value": outcome.billed_value,
            "cluster": run.seed * 1_000_000 + np.arange(len(run.budget)),
        }
        for name, values in found.items():
            columns.setdefault(name, []).append(np.asarray(values, float))
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def by_person(results: Results, runs: Sequence[Run]) -> Columns:
    """Per-person columns of the same runs; `cluster` is the original person, the same in every seed.

    Budgets belong to no person: `allowed` is spread evenly, so that a resampled sum of it stays what it was.
    """
    person_of = {market.config.seed: market.person for market in results.markets}
    person = np.concatenate([person_of[run.seed] for run in runs])
    known, row = np.unique(person, return_inverse=True)
    columns = {
        name: np.bincount(
            row, np.concatenate([getattr(run.outcome, field) for run in runs]).astype(float), minlength=len(known)
        )
        for name, field in OF_PERSON.items()
    }
    allowed = sum(float(run.allowed.sum()) for run in runs)
    return columns | {"allowed": np.full(len(known), allowed / len(known)), "cluster": known.astype(float)}


def ratio(data: Columns, people: Columns, top: str, bottom: str, rng: np.random.Generator) -> Estimate:
    """Ratio of two columns' sums, by campaign and, where both are known per person, by person; the wider interval."""
    found = cluster_bootstrap(data["cluster"], data[top], data[bottom], rng=rng, draws=DRAWS)
    if {top, bottom} <= PERSON_NAMES:
        by = cluster_bootstrap(people["cluster"], people[top], people[bottom], rng=rng, draws=DRAWS)
        found = wider(found, by)
    return found


def lift(
    results: Results, mine: Sequence[Run], theirs: Sequence[Run], top: str, bottom: str | None, rng: np.random.Generator
) -> Estimate:
    """Relative difference of the ratio top / bottom (of the total of top without a bottom), paired, the wider interval.

    By person, ratios to what no person owns (allowed) are totals over a constant: who is drawn more often spends more.
    """
    found = _lift(stack(mine), stack(theirs), top, bottom, rng)
    if {top, bottom or top} <= PERSON_NAMES:
        found = wider(found, _lift(by_person(results, mine), by_person(results, theirs), top, bottom, rng))
    return found


def statistic(
    results: Results,
    groups: Sequence[Sequence[Run]],
    names: Sequence[str],
    of_sums: Statistic,
    rng: np.random.Generator,
) -> Estimate:
    """A statistic of column sums [n, groups * names], group by group; by campaign and by person, the wider interval."""
    found: Estimate | None = None
    for tables in ([stack(runs) for runs in groups], [by_person(results, runs) for runs in groups]):
        columns = np.stack([table[name] for table in tables for name in names], axis=1)
        made = bootstrap_statistic(tables[0]["cluster"], columns, of_sums, rng=rng, draws=DRAWS)
        found = made if found is None else wider(found, made)
    assert found is not None
    return found


def wider(one: Estimate, other: Estimate | None) -> Estimate:
    """The first estimate with the wider of both intervals; with the other's where one of them has none."""
    if other is None or other.ci is None:
        return one
    if one.ci is None:
        return Estimate(one.value, other.ci if one.value is not None else None, one.clusters)
    return one if one.ci[1] - one.ci[0] >= other.ci[1] - other.ci[0] else Estimate(one.value, other.ci, one.clusters)


def pair(estimate: Estimate) -> list[float] | None:
    return None if estimate.ci is None else list(estimate.ci)


def relative(estimate: Estimate) -> dict[str, float | list[float] | None]:
    return {"relative": estimate.value, "ci95": pair(estimate)}


def _lift(a: Columns, b: Columns, top: str, bottom: str | None, rng: np.random.Generator) -> Estimate:
    below = (None, None) if bottom is None else (a[bottom], b[bottom])
    return relative_lift(a["cluster"], a[top], b[top], *below, rng=rng, draws=DRAWS)
