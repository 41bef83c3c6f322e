"""The seekers' side of a run: what they were shown, how often again, and how much of it led to a fitting application.

A page that spends every budget by showing everybody the same few jobs looks well in the arms table; it does not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim.columns import by_person, ratio, stack

if TYPE_CHECKING:
    from sim.experiment import Results

OFTEN = 5  # times shown; more are counted with it


def funnel(results: Results, arm: str) -> dict[str, float | None]:
    """Counts from visits to hires at the table's settings, all seeds together; seen: the expected number of impressions
    looked at. visits: None where an arm has a part of a split market."""
    runs = results.select(arm)
    visits = {market.config.seed: len(market.traffic.seeker) for market in results.markets}
    total = {name: float(values.sum()) for name, values in stack(runs).items()}
    whole = results.config.design != "budget-split"
    return {
        "visits": float(sum(visits[run.seed] for run in runs)) if whole else None,
        "impressions": total["impressions"],
        "seen": total["looks"],
        "clicks": total["clicks"],
        "applications": total["applications"],
        "qualified_applications": total["qualified"],
        "attributed_hires": total["hires"],
    }


def seeker_side(results: Results, arm: str, rng: np.random.Generator) -> dict[str, Any]:
    """{"qualified_per_impression", "qualified_share_of_applications": with intervals,
    "seekers_shown": share of the seekers who were shown a promoted job,
    "campaigns_per_seeker": different ones, of who was shown any,
    "seekers_shown_again": share of these who were shown one campaign twice or more,
    "impressions_per_pair": of a seeker and a campaign that were brought together,
    "exposures": [shares of such pairs shown once, twice, ..., OFTEN times or more]}; None where nothing was shown.
    """
    runs = results.select(arm)
    data, people = stack(runs), by_person(results, runs)
    shown, campaigns = (
        np.concatenate([getattr(run.outcome, name) for run in runs]) for name in ("seeker_shown", "seeker_campaigns")
    )
    often = np.zeros(OFTEN)  # once, twice, ...
    for run in runs:
        times = np.arange(1, len(run.outcome.exposures))
        often += np.bincount(np.minimum(times, OFTEN) - 1, run.outcome.exposures[1:], minlength=OFTEN)
    anything, pairs = int((shown > 0).sum()), float(often.sum())
    return {
        "qualified_per_impression": ratio(data, people, "qualified", "impressions", rng).report(),
        "qualified_share_of_applications": ratio(data, people, "qualified", "applications", rng).report(),
        "seekers_shown": anything / max(1, len(shown)),
        "campaigns_per_seeker": float(campaigns.sum() / anything) if anything else None,
        "seekers_shown_again": float((shown > campaigns).sum() / anything) if anything else None,
        "impressions_per_pair": float(shown.sum() / pairs) if pairs else None,
        "exposures": (often / pairs).tolist() if pairs else None,
    }
